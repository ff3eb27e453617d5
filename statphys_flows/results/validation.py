"""Whether a tree is a result as the table describes it."""

import json

import numpy as np
import xarray as xr

from statphys_flows.analysis.selection import over_the_scan, sizes_of
from statphys_flows.errors import StudyError
from statphys_flows.results.rows.attributes import ATTRIBUTES, JSON
from statphys_flows.results.schema import of_a_sampler, rows
from statphys_flows.results.variable import ALWAYS, EVERY, GROUPS, OVER_THE_SCAN, Variable

_SHOWN = 8


def validate(tree: xr.DataTree) -> None:
    """Check a result against the table of docs/result.md: groups, variables, dimensions, an error for each estimate,
    units and names, attributes; a result of `run_size_study` size by size.

    **Raises:** `StudyError` that lists what is wrong.
    """
    tree = over_the_scan(tree)
    sizes = sizes_of(tree)
    found = [f"{name}: {said}" for name, node in sizes.items() for said in _problems(node)] or (
        [] if sizes else _problems(tree)
    )
    if found:
        more = f"; and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
        raise StudyError(f"This is not the result of a study, or it is damaged: {'; '.join(found[:_SHOWN])}{more}.")


def _problems(tree: xr.DataTree) -> list[str]:
    missing = [f"there is no group {name}" for name in ALWAYS if name not in tree.children]
    if missing:
        return missing
    log_z = tree["thermodynamics"].to_dataset().get("log_z")
    if log_z is None or "kT" not in log_z.dims:
        return ["thermodynamics holds no log_z over kT"]
    scan = ("kT", *(str(d) for d in log_z.dims if d != "kT"))
    found = [
        f"the attribute {each.name} is missing" for each in ATTRIBUTES if each.always and each.name not in tree.attrs
    ]
    found += _of_json(tree)
    for group, node in tree.children.items():
        data = node.to_dataset()
        found += [f"{group}/{said}" for said in _labels(data)]
        if group in GROUPS:
            dims = scan if group in OVER_THE_SCAN else ()
            found += [f"{group}/{said}" for row in _list_required(group) for said in _variable(data, row, group, dims)]
    if not (np.all(np.isfinite(log_z["kT"])) and np.all(log_z["kT"] > 0)):
        found.append("a temperature is not positive")
    return found


def _list_required(group: str) -> list[Variable]:
    """What every result holds: in `diagnostics` also what its sampler does not give, as NaN."""
    given = of_a_sampler() if group == "diagnostics" else []
    return [row for row in rows(group) if not row.is_pattern and (row.given_by == EVERY or row in given)]


def _of_json(tree: xr.DataTree) -> list[str]:
    found = []
    for name in JSON:
        try:
            json.loads(tree.attrs.get(name, "{}"))
        except (TypeError, ValueError):
            found.append(f"the attribute {name} is not JSON")
    return found


def _labels(data: xr.Dataset) -> list[str]:
    return [
        f"{name} has no {attribute}"
        for name, variable in data.variables.items()
        for attribute in ("units", "long_name")
        if attribute not in variable.attrs
    ]


def _variable(data: xr.Dataset, row: Variable, group: str, scan: tuple[str, ...]) -> list[str]:
    dims = (*scan, *row.dims_in(group))
    for name in row.names:
        if name not in data:
            return [f"{name} is missing"]
        if set(data[name].dims) != set(dims):
            return [f"{name} is over {', '.join(map(str, data[name].dims))}, not over {', '.join(dims)}"]
    if row.error and np.any(data[row.names[1]] < 0):
        return [f"{row.names[1]} is negative"]
    return []
