"""Transitions as labelled data."""

from typing import NamedTuple

import numpy as np
import xarray as xr

from statphys_flows.analysis.estimate import Estimate
from statphys_flows.analysis.selection import DERIVATIVE

UNKNOWN = Estimate(float("nan"), float("nan"))


class Column(NamedTuple):
    """One column. Units: "1", "" of words, those of the `parameter` that was varied, of its `conjugate` (⟨U⟩ of the
    temperature, ⟨∂U/∂field⟩ of a field), or of what was `looked at`."""

    units: str
    long_name: str
    comment: str = ""
    is_estimate: bool = False


COLUMNS = {
    "parameter": Column("", "parameter along which the transition was looked for", "`kT`, or a field of the system"),
    "method": Column(
        "",
        "how",
        "`susceptibility_peak`, `heat_capacity_peak`, `equal_weight`; of several sizes `binder_crossing`, "
        "`finite_size_fit`",
    ),
    "order": Column("", "order of the transition", "`first`, `continuous`, `crossover` or `undecided`"),
    "location": Column("parameter", "value of the parameter at the transition", is_estimate=True),
    "value": Column(
        "looked at",
        "what was looked at, there",
        "height of the peak, Binder cumulant of the crossing or the fit",
        is_estimate=True,
    ),
    "latent_heat": Column(
        "conjugate",
        "difference of the conjugate variable between the two phases",
        "<U>, or <dU/d(field)>; the phases have equal weight",
        is_estimate=True,
    ),
    "barrier": Column(
        "1", "depth of the dip between two phases, in kT", "a lower bound (95%) where it has no error", is_estimate=True
    ),
    "nu": Column("1", "exponent nu of the correlation length", "of several sizes", is_estimate=True),
    "gamma_over_nu": Column("1", "exponent gamma/nu of the susceptibility", "of several sizes", is_estimate=True),
    "chi2_per_dof": Column("1", "chi^2 per degree of freedom of the fit of the Binder cumulant"),
    "gamma_over_nu_chi2_per_dof": Column("1", "chi^2 per degree of freedom of the fit of the susceptibility's maxima"),
    "size": Column("1", "size of the system", "of several sizes"),
    "size_2": Column("1", "the other size", "of a crossing"),
    "sizes": Column("", "sizes that the fit used"),
}


def column_of(parameter: str) -> str:
    """The column that holds the values of another parameter of the scan: of its name, if that is free."""
    taken = parameter in COLUMNS or parameter.removesuffix("_err") in COLUMNS
    return f"{parameter}_parameter" if taken else parameter


def label_rows(rows: list[dict], study: xr.DataTree) -> xr.Dataset:
    data = xr.Dataset(coords={"transition": np.arange(len(rows))})
    for name, column in COLUMNS.items():
        if column.is_estimate:
            found = [row.get(name, UNKNOWN) for row in rows]
            data[name] = ("transition", np.asarray([e.value for e in found], float))
            data[name + "_err"] = ("transition", np.asarray([e.error for e in found], float))
        elif column.units:
            data[name] = ("transition", np.asarray([row.get(name, np.nan) for row in rows], float))
        else:
            data[name] = ("transition", np.asarray([str(row.get(name, "")) for row in rows], dtype=object))
    for name in sorted({n for row in rows for n in row} - set(COLUMNS)):
        data[name] = ("transition", np.asarray([row.get(name, np.nan) for row in rows], float))
    return _describe(data, study)


def _describe(data: xr.Dataset, study: xr.DataTree) -> xr.Dataset:
    known = study["thermodynamics"].to_dataset()
    units = _units(known, next(iter(data["parameter"].values), "kT"))
    data["transition"].attrs = {"units": "1", "long_name": "transition"}
    for name in data:
        stem = str(name).removesuffix("_err")
        if (column := COLUMNS.get(stem)) is None:
            parameter = next((p for p in map(str, known.coords) if column_of(p) == name), str(name))
            attributes = known[parameter].attrs if parameter in known.coords else {}
            text = attributes.get("long_name", parameter)
            data[name].attrs = {"units": attributes.get("units", "1"), "long_name": text}
            continue
        text = column.long_name if stem == name else f"standard error of {column.long_name}"
        data[name].attrs = {"units": units.get(column.units, column.units), "long_name": text}
        if column.comment:
            data[name].attrs["comment"] = column.comment
    return data


def _units(known: xr.Dataset, parameter: str) -> dict[str, str]:
    """What the rules stand for in a study along this parameter. What was looked at differs from row to row: its units
    are said where all are 1."""

    def of(name: str) -> str:
        return str(known[name].attrs.get("units", "1")) if name in known.variables else "1"

    conjugate = of("energy") if parameter == "kT" else of(DERIVATIVE + parameter)
    return {
        "parameter": of(parameter),
        "conjugate": conjugate,
        "looked at": "1" if of("susceptibility") == of("heat_capacity") == "1" else "",
    }
