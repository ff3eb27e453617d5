"""The words and tables of a report, for every output format."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import numpy as np
import xarray as xr

from statphys_flows.analysis.transitions.labels import column_of
from statphys_flows.report.groups import errors, group, over_kT, points, temperatures
from statphys_flows.report.notation import duration, plain, with_error
from statphys_flows.results.schema import of_the_order_parameter, rows
from statphys_flows.results.variable import Variable

# Heading -> one cell for each row.
Columns = dict[str, list[str]]


def _headings(rows: Iterable[Variable]) -> dict[str, str]:
    return {row.name: row.heading for row in rows if row.heading}


# Variable -> heading. Two tables, each of which fits a terminal of 80 columns.
_ORDER = _headings(of_the_order_parameter())
_POTENTIALS = {name: text for name, text in _headings(rows("thermodynamics")).items() if name not in _ORDER}
_SAMPLING = [row for row in rows("diagnostics") if row.decimals is not None]
_SECONDS = _headings(row for row in rows("diagnostics") if row.units == "s")
LEGEND = (
    "F = -kT log Z, U mean energy, S entropy, C heat capacity; m order parameter, chi its susceptibility. 12.34(56) "
    "means 12.34 ± 0.56."
)


def facts(tree: xr.DataTree) -> dict[str, str]:
    """What was run, and with which random numbers."""
    configuration = _json(tree, "configuration")
    found = {"system": _system(configuration)}
    sampler = configuration.get("sampler")
    if isinstance(sampler, dict):
        found["sampler"] = _call(*_class_and_parameters(sampler))
    return found | {"seed": str(tree.attrs.get("seed", configuration.get("seed", "unknown")))}


def circumstances(tree: xr.DataTree) -> dict[str, str]:
    """The time that the run took, with which versions and on which device."""
    found = {"time": _time_used(points(tree, "diagnostics"))}
    if versions := _json(tree, "versions"):
        found["with"] = ", ".join(f"{name} {version}" for name, version in versions.items())
    found["on"] = str(tree.attrs.get("device", ""))
    return {name: text for name, text in found.items() if text}


def thermodynamics(tree: xr.DataTree) -> list[Columns]:
    """Two tables, each of which fits a terminal of 80 columns: quantities that follow from log Z, and the order
    parameter with the system's own observables."""
    data = points(tree, "thermodynamics")
    known = {**_POTENTIALS, **_ORDER}
    own = {str(name): str(name) for name in data if not str(name).endswith("_err") and name not in known}
    columns = [_with_errors(data, headings) for headings in (_POTENTIALS, {**_ORDER, **own})]
    return [_at_points(data, table) for table in columns if table]


def transitions(tree: xr.DataTree, parameters: Iterable[str]) -> Columns:
    """The transitions of the scan; empty if none was found."""
    data = group(tree, "transitions")
    if "location" not in data or not np.isfinite(data["location"].values).any():
        return {}
    # Of other parameters that were scanned a transition has the value at which it was found.
    others = [name for name in parameters if column_of(name) in data]
    columns: Columns = {"transition": [], **{name: [] for name in others}}
    columns |= {"size": [], "at": [], "": [], "latent heat": [], "order": []}
    found = data.isel(transition=np.isfinite(data["location"].values))
    for i in range(found.sizes["transition"]):
        row = {str(name): variable.values[i] for name, variable in found.items()}
        columns["transition"].append(str(row["method"]))
        for name in others:
            columns[name].append(f"{row[column_of(name)]:g}")
        columns["size"].append(" ".join(f"{s:g}" for s in (row["size"], row["size_2"]) if np.isfinite(s)))
        columns["at"].append(f"{row['parameter']} =")
        columns[""].append(with_error(float(row["location"]), float(row["location_err"])))
        columns["latent heat"].append(with_error(float(row["latent_heat"]), float(row["latent_heat_err"])))
        columns["order"].append(str(row["order"]))
    return columns


def sampling(tree: xr.DataTree) -> Columns:
    """The quality of the sampling at each point."""
    data, columns = points(tree, "diagnostics"), {}
    for row in _SAMPLING:
        if (values := over_kT(data, row.name)) is not None:
            columns[row.heading] = [plain(v, row.decimals or 0) for v in values]
    if columns and "warning" in data:
        columns["warning"] = ["yes" if text else "" for text in _texts(data["warning"])]
    return _at_points(data, columns) if columns else {}


def warnings(tree: xr.DataTree | None) -> list[str]:
    """Returns why the result may not be right: one line for each point with a warning."""
    lines = []
    for name in ("diagnostics", "consistency"):
        data = points(tree, name)
        if "warning" in data:
            at = [", ".join(each) for each in zip(*_places(data, "{name} = {value:g}").values(), strict=True)]
            lines += [f"{where}: {text}" for where, text in zip(at, _texts(data["warning"]), strict=True) if text]
    return lines


def _places(data: xr.Dataset, form: str) -> dict[str, list[str]]:
    """The parameters of every point, in words."""
    fields = [str(name) for name, c in data.coords.items() if name != "kT" and c.dims == ("kT",)]
    places = {"kT": [form.format(name="kT", value=value) for value in temperatures(data)]}
    return places | {name: [form.format(name=name, value=v) for v in data[name].values] for name in fields}


def _texts(variable: xr.DataArray) -> list[str]:
    return [str(text).strip() for text in np.atleast_1d(variable.values)]


def _with_errors(data: xr.Dataset, headings: dict[str, str]) -> Columns:
    columns = {}
    for name, heading in headings.items():
        if (values := over_kT(data, name)) is not None:
            columns[heading] = [with_error(v, e) for v, e in zip(values, errors(data, name), strict=True)]
    return columns


def _at_points(data: xr.Dataset, columns: Columns) -> Columns:
    return {**_places(data, "{value:g}"), **columns}


def _system(configuration: dict[str, Any]) -> str:
    """The fields of the system, with the scanned values in place of the declared one."""
    name, parameters = _class_and_parameters(configuration.get("system", {}))
    scanned = {
        field: f"{len(values)} values from {min(values):g} to {max(values):g}" if len(values) > 1 else values[0]
        for field, values in (configuration.get("scan") or {}).items()
    }
    return _call(name, {**parameters, **scanned})


def _class_and_parameters(described: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """Options come either as {class, parameters} or as the fields themselves."""
    fields = {k: v for k, v in described.items() if k not in ("class", "module", "parameters")}
    return str(described.get("class", "")), described.get("parameters", fields)


def _call(name: str, parameters: dict[str, Any]) -> str:
    return f"{name}({', '.join(f'{k}={_value(v)}' for k, v in parameters.items())})"


def _value(value: Any) -> str:
    if isinstance(value, dict):
        return _call(*_class_and_parameters(value))
    text = str(value) if isinstance(value, str) else json.dumps(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _time_used(diagnostics: xr.Dataset) -> str:
    found = {word: over_kT(diagnostics, name) for name, word in _SECONDS.items()}
    totals = {word: float(np.nansum(v)) for word, v in found.items() if v is not None}
    if not totals:
        return ""
    return f"{duration(sum(totals.values()))}: " + ", ".join(f"{w} {duration(t)}" for w, t in totals.items())


def _json(tree: xr.DataTree, name: str) -> dict[str, Any]:
    try:
        value = json.loads(tree.attrs.get(name, "{}"))
    except (TypeError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}
