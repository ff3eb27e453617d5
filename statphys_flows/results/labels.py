"""Units and descriptions of everything that the library returns as labelled data, from the table."""

from collections.abc import Mapping

import xarray as xr

from statphys_flows.analysis import Estimate
from statphys_flows.analysis.selection import DERIVATIVE
from statphys_flows.results import variable as v
from statphys_flows.results.schema import find

_ENERGY, _ORDER = "energy", "order_parameter"


def label(data: xr.Dataset, units: Mapping[str, str], group: str) -> xr.Dataset:
    """`data`, of this group, with `units` and `long_name` on every variable and coordinate, and what else the table
    says as `comment`; that of an error is of what it is the error of. `units` are those of the system."""
    for name, variable in data.variables.items():
        where = "coordinates" if name in data.coords else group
        variable.attrs.update(_attributes(where, str(name), units))
    return data


def scalars(values: Mapping[str, object]) -> xr.Dataset:
    """A dataset of scalars; an `Estimate` becomes a variable and its `_err`."""
    flat: dict[str, object] = {}
    for name, value in values.items():
        if isinstance(value, Estimate):
            flat[name], flat[f"{name}_err"] = value.value, value.error
        else:
            flat[name] = value
    return xr.Dataset({name: ((), value) for name, value in flat.items()})


def _attributes(group: str, name: str, units: Mapping[str, str]) -> dict[str, str]:
    row, of = _row(group, name)
    long_name, formula, comment = (_fill(text, of) for text in (row.long_name, row.formula, row.comment))
    if row.error and name.endswith("_err"):
        long_name = f"standard error of {long_name}"
    attributes = {"units": _units(row.units, of, units), "long_name": long_name}
    said = "; ".join(filter(None, (formula, comment)))
    return attributes | ({"comment": said} if said else {})


def _row(group: str, name: str) -> tuple[v.Variable, str]:
    """The row of a variable; and, of one that stands for several, which field or observable it is of."""
    if (row := find(group, name)) is not None:
        return row, ""
    pattern = f"{DERIVATIVE}<field>" if name.startswith(DERIVATIVE) else "<observable>"
    row = find(group, "<field>" if group == "coordinates" else pattern)
    if row is None:  # of a user's own sampler
        return v.Variable(name, (group,), "1", name.replace("_", " ")), ""
    stem = name.removesuffix("_err") if row.error else name
    return row, stem.removeprefix(DERIVATIVE)


def _fill(text: str, of: str) -> str:
    return text.replace("<field>", of).replace("<observable>", of.replace("_", " "))


def _units(rule: str, of: str, units: Mapping[str, str]) -> str:
    energy, order = units.get(_ENERGY, "1"), units.get(_ORDER, "1")
    match rule:
        case v.ENERGY:
            return energy
        case v.ORDER:
            return order
        case v.SUSCEPTIBILITY:
            return "1" if energy == order == "1" else f"({order})^2/({energy})"
        case v.DERIVATIVE:
            below = units.get(of, "1")
            return energy if below == "1" else f"({energy})/({below})"
        case v.OWN:
            return units.get(of, "1")
    return rule
