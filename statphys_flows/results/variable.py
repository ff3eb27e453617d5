"""A row of the table of results, and the words that rows are written in."""

from typing import NamedTuple

# Group -> its dimensions beyond those of the scan. `coordinates` are those of all groups; `importance` is what the
# function of this name returns, a dataset of scalars.
GROUPS: dict[str, tuple[str, ...]] = {
    "thermodynamics": (),
    "profiles": ("order_parameter_bin",),
    "posterior": ("chain", "draw"),
    "sample_stats": ("chain", "draw"),
    "training": ("step",),
    "diagnostics": (),
    "consistency": (),
    "transitions": ("transition",),
    "importance": (),
    "coordinates": (),
}
# Those in which every variable has a dimension for each parameter of the scan.
OVER_THE_SCAN = ("thermodynamics", "profiles", "posterior", "sample_stats", "training", "diagnostics", "consistency")
# Those of them that every result has.
ALWAYS = OVER_THE_SCAN[:-1]

# Units: "1", "s" and "" (words) as they are, all others rules that are applied to what `System.units` says.
ENERGY, ORDER, SUSCEPTIBILITY = "energy", "order", "susceptibility"
OWN = "own"  # of an observable or a field, by its name
DERIVATIVE = "derivative"  # of the energy by a field
PARAMETER, CONJUGATE, LOOKED_AT = "parameter", "conjugate", "looked at"  # of a transition

# Who writes a variable: a study whatever the sampler (EVERY), or the samplers of these names; of what a space calls its
# configurations and axes, the space.
EVERY, OF_THE_SPACE = ("every",), ("space",)
FLOW, SMC, TEMPERING, LOCAL = "FlowMCMC", "TemperedSMC", "ParallelTempering", "LocalMCMC"
SAMPLERS = (FLOW, SMC, TEMPERING, LOCAL)

# What `reweight` does with a variable: averages it over the pooled draws, or makes it of such averages.
AVERAGED, BY_FORMULA = "averaged", "by formula"


class Variable(NamedTuple):
    """One variable of a result.

    - `name`; with <field> or <observable> in it, one for each of these.
    - `groups`: where it stands.
    - `units`: a rule (above).
    - `long_name`: what it is, as on the axis of a figure.
    - `formula`, `comment`: the rest of what there is to say; both go into the attribute `comment`.
    - `error`: whether it is an estimate, with its standard error in `<name>_err`.
    - `dims`: beyond the scan, if not those of the group.
    - `given_by`: EVERY, OF_THE_SPACE, or names of samplers.
    - `reweighted`: AVERAGED, BY_FORMULA or "", by `reweight`.
    - `heading`, `decimals`: in the tables of reports, where it is shown there; without decimals by its error.
    """

    name: str
    groups: tuple[str, ...]
    units: str
    long_name: str
    formula: str = ""
    comment: str = ""
    error: bool = False
    dims: tuple[str, ...] | None = None
    given_by: tuple[str, ...] = EVERY
    reweighted: str = ""
    heading: str = ""
    decimals: int | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """Its own and, of an estimate, that of its error."""
        return (self.name, f"{self.name}_err") if self.error else (self.name,)

    @property
    def is_pattern(self) -> bool:
        """Whether it stands for several."""
        return "<" in self.name

    def dims_in(self, group: str) -> tuple[str, ...]:
        """Beyond the scan."""
        return GROUPS[group] if self.dims is None else self.dims
