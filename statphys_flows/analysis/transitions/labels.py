"""Transitions as labelled data."""

import numpy as np
import xarray as xr

from statphys_flows.analysis.estimate import Estimate

UNKNOWN = Estimate(float("nan"), float("nan"))
_NUMBERS = ("location", "value", "latent_heat", "barrier", "nu", "gamma_over_nu")
_PLAIN = ("chi2_per_dof", "gamma_over_nu_chi2_per_dof", "size", "size_2")
_WORDS = ("parameter", "method", "order", "sizes")


def labelled(rows: list[dict], study: xr.DataTree) -> xr.Dataset:
    data = xr.Dataset(coords={"transition": np.arange(len(rows))})
    for name in _NUMBERS:
        found = [row.get(name, UNKNOWN) for row in rows]
        data[name] = ("transition", np.asarray([e.value for e in found], float))
        data[name + "_err"] = ("transition", np.asarray([e.error for e in found], float))
    for name in _PLAIN:
        data[name] = ("transition", np.asarray([row.get(name, np.nan) for row in rows], float))
    for name in _WORDS:
        data[name] = ("transition", np.asarray([str(row.get(name, "")) for row in rows], dtype=object))
    fixed = {n for row in rows for n in row} - {*_NUMBERS, *_PLAIN, *_WORDS}
    for name in sorted(fixed):
        data[name] = ("transition", np.asarray([row.get(name, np.nan) for row in rows], float))
    return _described(data, study)


_TEXT = {
    "location": "value of the parameter at the transition",
    "value": "height of the peak, or Binder cumulant of the crossing or the fit",
    "latent_heat": "difference of the conjugate variable between the two phases",
    "barrier": "depth of the dip between two phases, in kT; without error a lower bound",
    "nu": "exponent nu of the correlation length",
    "gamma_over_nu": "exponent gamma/nu of the susceptibility",
    "chi2_per_dof": "chi^2 per degree of freedom of the fit of the Binder cumulant",
    "gamma_over_nu_chi2_per_dof": "chi^2 per degree of freedom of the fit of the susceptibility's maxima",
    "size": "size of the system",
    "size_2": "the other size",
    "sizes": "sizes that the fit used",
    "parameter": "parameter along which the transition was searched for",
    "method": "how",
    "order": "order of the transition: first, continuous, crossover or undecided",
    "transition": "transition",
}


def _described(data: xr.Dataset, study: xr.DataTree) -> xr.Dataset:
    thermodynamics = study["thermodynamics"]
    for name, variable in data.variables.items():
        stem = str(name).removesuffix("_err")
        known = thermodynamics[stem].attrs if stem in thermodynamics.coords else {}
        text = _TEXT.get(stem, known.get("long_name", stem))
        units = "" if variable.dtype == object else known.get("units", "1")
        variable.attrs = {"units": units, "long_name": text if stem == name else f"standard error of {text}"}
    return data
