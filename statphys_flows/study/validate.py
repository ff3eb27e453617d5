"""Check that a tree is a result as `docs/result.md` describes it."""

import json

import numpy as np
import xarray as xr

from statphys_flows.analysis.selection import over_the_scan
from statphys_flows.errors import StudyError

_ATTRIBUTES = ("title", "Conventions", "history", "configuration", "seed", "versions", "device", "measure", "sites")
_OVER_THE_SCAN = {
    "thermodynamics": (
        "log_z",
        "free_energy",
        "energy",
        "entropy",
        "heat_capacity",
        "order_parameter",
        "order_parameter_abs",
        "susceptibility",
        "susceptibility_abs",
        "binder_cumulant",
    ),
    "diagnostics": ("log_z_importance", "log_z_reverse", "log_z_bar", "r_hat", "ess_bulk", "warning", "assumption"),
}
_DIMENSIONS = {
    "profiles": {"free_energy": ("order_parameter_bin",)},
    "posterior": {"energy": ("chain", "draw"), "order_parameter": ("chain", "draw")},
    "sample_stats": dict.fromkeys(("lp", "energy", "order_parameter", "acceptance_rate"), ("chain", "draw")),
    "training": {},
}
_WITHOUT_ERROR = ("r_hat", "ess_bulk", "warning", "assumption")
_SHOWN = 8


def validate(tree: xr.DataTree) -> None:
    """Check a result against the schema: groups, variables, dimensions, an error for each estimate, units and names,
    attributes; a result of `run_size_study` size by size.

    **Raises:** `StudyError` that lists what is wrong.
    """
    tree = over_the_scan(tree)
    sizes = {name: node for name, node in tree.children.items() if "size" in node.attrs}
    found = [f"{name}: {said}" for name, node in sizes.items() for said in _problems(node)] or (
        [] if sizes else _problems(tree)
    )
    if found:
        more = f"; and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
        raise StudyError(f"This is not the result of a study, or it is damaged: {'; '.join(found[:_SHOWN])}{more}.")


def _problems(tree: xr.DataTree) -> list[str]:
    missing = [f"there is no group {name}" for name in (*_OVER_THE_SCAN, *_DIMENSIONS) if name not in tree.children]
    if missing:
        return missing
    log_z = tree["thermodynamics"].to_dataset().get("log_z")
    if log_z is None or "kT" not in log_z.dims:
        return ["thermodynamics has no log_z over kT"]
    dims = ("kT", *(d for d in log_z.dims if d != "kT"))
    found = [f"the attribute {name} is missing" for name in _ATTRIBUTES if name not in tree.attrs]
    found += _of_json(tree)
    for name, node in tree.children.items():
        data = node.to_dataset()
        found += [f"{name}/{said}" for said in _labels(data)]
        for variable in _OVER_THE_SCAN.get(name, ()):
            found += [f"{name}/{said}" for said in _estimate(data, variable, dims)]
        for variable, own in _DIMENSIONS.get(name, {}).items():
            if variable not in data or set(data[variable].dims) != {*dims, *own}:
                found.append(f"{name}/{variable} is missing, or not over {', '.join(map(str, (*dims, *own)))}")
    if not (np.all(np.isfinite(log_z["kT"])) and np.all(log_z["kT"] > 0)):
        found.append("a temperature is not positive")
    return found


def _of_json(tree: xr.DataTree) -> list[str]:
    found = []
    for name in ("configuration", "versions"):
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


def _estimate(data: xr.Dataset, name: str, dims: tuple) -> list[str]:
    needed = (name,) if name in _WITHOUT_ERROR else (name, f"{name}_err")
    for each in needed:
        if each not in data:
            return [f"{each} is missing"]
        if set(data[each].dims) != set(dims):
            return [f"{each} is over {', '.join(map(str, data[each].dims))}, not over {', '.join(map(str, dims))}"]
    if name not in _WITHOUT_ERROR and np.any(data[f"{name}_err"] < 0):
        return [f"{name}_err is negative"]
    return []
