"""The table of what a result holds: a row for each variable.

**A new estimator** is a function, called where its group is made (a quantity of `thermodynamics`: an entry of
`analysis.formulas`; a figure of a sampler: an entry of its `diagnostics` or `history`), and a row in a file of `rows/`.
The row makes its label, units and formula in every tree, its line in docs/result.md (`python -m
statphys_flows.results.document`), its place in `validate`, its column in reports (`heading`), NaN where a sampler does
not give it, and reserves its name. `tests/results` fails for a variable without a row and for a row that nothing
writes.

`reweight` is not told: what it makes of averages stands in `analysis.formulas`, and what it averages besides it reads
off the tree, since analysis knows nothing of results. `reweighted` says it to people, and a test compares the two.
"""

from statphys_flows.analysis.formulas import OF_THE_ORDER_PARAMETER
from statphys_flows.results.rows import diagnostics, draws, ladder, scan, thermodynamics, training
from statphys_flows.results.variable import EVERY, GROUPS, Variable

TABLE: tuple[Variable, ...] = (
    *thermodynamics.ROWS,
    *draws.ROWS,
    *training.ROWS,
    *diagnostics.ROWS,
    *ladder.ROWS,
    *scan.ROWS,
)
_BY_PLACE = {(group, row.name): row for row in TABLE for group in row.groups}


def rows(group: str) -> list[Variable]:
    """The rows of a group."""
    return [row for row in TABLE if group in row.groups]


def find(group: str, name: str) -> Variable | None:
    """The row of a variable, or of the one that it is the error of; None of a name that is not in the table."""
    found = _BY_PLACE.get((group, name))
    if found is None and name.endswith("_err"):
        found = _BY_PLACE.get((group, name.removesuffix("_err")))
        return found if found is not None and found.error else None
    return found


def reserved_names() -> frozenset[str]:
    """What a system's observable, or a field that is scanned, cannot be called: every variable, coordinate, dimension
    and group. But for the columns of `transitions`, where no observable stands, and where a field of the same name has
    another (`analysis.transitions.labels.column_of`): a `barrier` is scanned, and clusters have a `size`."""
    named = [row for row in TABLE if not row.is_pattern and row.groups != ("transitions",)]
    dims = {dim for row in named for group in row.groups for dim in row.dims_in(group)}
    return frozenset({row.name for row in named} | dims | set(GROUPS))


def of_a_sampler() -> list[Variable]:
    """What a sampler gives of itself in `diagnostics`; NaN, of another."""
    return [row for row in rows("diagnostics") if row.given_by != EVERY]


def of_the_order_parameter() -> list[Variable]:
    """What `thermodynamics` says of the order parameter."""
    return [row for row in rows("thermodynamics") if row.name in OF_THE_ORDER_PARAMETER]
