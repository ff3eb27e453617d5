"""Names, units and descriptions of everything that the library returns as labelled data."""

from collections.abc import Mapping

import xarray as xr

from statphys_flows.analysis import Estimate
from statphys_flows.analysis.pooling.reweighting import DERIVATIVE
from statphys_flows.systems import System

_ENERGY, _ORDER = "energy", "order_parameter"

# name: (units, "long name: formula"). Units are "1" or made of those the system gives to energy and order parameter.
LONG_NAMES = {
    "kT": ("energy", "temperature kT"),
    "log_z": ("1", "log partition function"),
    "free_energy": ("energy", "free energy: -kT log Z"),
    "energy": ("energy", "energy U"),
    "entropy": ("1", "configurational entropy: (<U> - F)/kT"),
    "heat_capacity": ("1", "heat capacity: (<U^2> - <U>^2)/kT^2"),
    "order_parameter": ("order", "order parameter m"),
    "order_parameter_abs": ("order", "mean absolute order parameter: <|m|>"),
    "order_parameter_bin": ("order", "order parameter m"),
    "susceptibility": ("susceptibility", "susceptibility: (<m^2> - <m>^2)/kT"),
    "susceptibility_abs": ("susceptibility", "susceptibility about <|m|>: (<m^2> - <|m|>^2)/kT"),
    "binder_cumulant": ("1", "Binder cumulant: 1 - <m^4>/(3 <m^2>^2)"),
    "lp": ("1", "log density: -U/kT"),
    "acceptance_rate": ("1", "local acceptance: mean acceptance probability of the local moves"),
    "global_acceptance_rate": ("1", "global acceptance: mean acceptance probability of the flow's proposals"),
    "local_acceptance_rate": ("1", "local acceptance: mean acceptance probability of the local moves"),
    "is_global": ("1", "whether a proposal of the flow was accepted"),
    "log_weight": ("1", "log weight of the chain's state: -U/kT - log q"),
    "proposal_log_weight": ("1", "log weight of every proposal of the flow: -U/kT - log q"),
    "loss": ("1", "training loss: per degree of freedom"),
    "ess_forward": ("1", "forward ESS: effective sample size as a fraction, from the flow's proposals"),
    "ess": ("1", "effective sample size as a fraction, from the flow's draws"),
    "pareto_k": ("1", "Pareto shape of the weights' tail: error bars hold below 0.5 and fail above 0.7"),
    "draws": ("1", "draws"),
    "ess_reverse": ("1", "reverse ESS: effective sample size as a fraction, from the chains' states"),
    "global_acceptance": ("1", "global acceptance: mean acceptance probability of the flow's proposals"),
    "local_acceptance": ("1", "local acceptance: mean acceptance probability of the local moves"),
    "rejected": ("1", "training steps rejected so far"),
    "evaluations": ("1", "evaluations of the energy, and of the velocity or a layer of the flow, so far"),
    "solver_error": ("1", "largest error of log q: |log q(forward) - log q(reverse)| over a few draws"),
    "step": ("1", "training step"),
    "undercoverage": (
        "1",
        "fraction of what chains, or the search, found that the flow proposes e^5 times too seldom",
    ),
    "r_hat": ("1", "largest R-hat of energy, order parameter and observables"),
    "ess_bulk": ("1", "smallest bulk effective number of draws of energy and order parameter"),
    "drift_p_value": ("1", "probability that chains without a drift show one as large: smallest over what is recorded"),
    "autocorrelation_time": ("1", "largest integrated autocorrelation time: in draws; 1/2 if independent"),
    "overlap": ("1", "overlap of flow and chain, 1 if equal"),
    "log_z_importance": ("1", "log Z from the flow's proposals, or from the weights of tempered populations"),
    "log_z_reverse": ("1", "log Z from the chain's states"),
    "log_z_bar": ("1", "log Z by Bennett's acceptance ratio"),
    "log_z_systematic": (
        "1",
        "part of the error of log Z that more draws do not reduce: what the flow leaves out, and disagreement",
    ),
    "log_q_round_trip_error": ("1", "round-trip error of log q: largest |log q(forward) - log q(reverse)|"),
    "step_size": ("1", "step size of the local moves in preconditioned coordinates"),
    "ode_steps": ("1", "solver steps of the flow, 0 if it is no ODE"),
    "missing_mass": ("1", "fraction of the weight of proposals or search that lies where no chain has been"),
    "largest_weight": ("1", "largest weight seen: exp(-U/kT)/(Z q)"),
    "mixing_rate_bound": ("1", "bound on the flow's mixing rate, per proposal: 1/largest weight seen"),
    "levels": ("1", "levels of tempering"),
    "inverse_temperature": ("1", "level of tempering: from 0, the reference, to 1, the target"),
    "exchange_rate": ("1", "smallest acceptance of exchanges between neighbouring levels of tempering"),
    "local_moves": ("1", "local moves in a sweep: in the frozen phase"),
    "local_every": ("1", "draws from one sweep of local moves to the next: in the frozen phase"),
    "evaluations_per_draw": ("1", "evaluations of U for each draw: in the frozen phase"),
    "rejected_steps": ("1", "training steps that were rejected"),
    "defensive_share": (
        "1",
        "share of proposals from Gaussians in the modes found, mixed in where the flow misses some",
    ),
    "candidate": ("1", "index of a candidate flow: the one that was kept; of a round, the one that it trained"),
    "energy_evaluations": ("1", "evaluations of U"),
    "gradient_evaluations": ("1", "evaluations of the gradient of U"),
    "velocity_evaluations": ("1", "evaluations of the flow's velocity, or of its map if it is no ODE"),
    "seconds_compiling": ("s", "seconds tracing and compiling"),
    "seconds_training": ("s", "seconds in the adaptive phase"),
    "seconds_sampling": ("s", "seconds in the frozen phase"),
    "warning": ("", "why this point may not be right; empty if nothing was found"),
    "assumption": ("", "what was assumed and cannot be seen from the data"),
    "phi": ("order", "field"),
    "x": ("1", "configuration"),
    "s": ("1", "position along the interval"),
    "chain": ("1", "chain"),
    "draw": ("1", "draw"),
    "proposal": ("1", "proposal"),
    "site": ("1", "lattice site"),
    "component": ("1", "component"),
}


def describe(data: xr.Dataset, system: System) -> xr.Dataset:
    """`data` with `units` and `long_name` on every variable and coordinate, and its formula as `comment`."""
    units = system.units()
    energy, order = units.get(_ENERGY, "1"), units.get(_ORDER, "1")
    resolved = {"energy": energy, "order": order, "susceptibility": _susceptibility(energy, order)}
    for name, variable in data.variables.items():
        stem = str(name).removesuffix("_err")
        unit, text = LONG_NAMES.get(stem) or _of_the_system(stem, units)
        text, _, formula = text.partition(": ")
        if stem != name:
            text = f"standard error of {text}"
        variable.attrs.update({"units": resolved.get(unit, unit), "long_name": text})
        if formula:
            variable.attrs["comment"] = formula
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


def _of_the_system(name: str, units: Mapping[str, str]) -> tuple[str, str]:
    """Units and description of an observable, a field that is scanned, or a derivative by one."""
    if name.startswith(DERIVATIVE):
        field = name.removeprefix(DERIVATIVE)
        return _ratio(units.get(_ENERGY, "1"), units.get(field, "1")), f"derivative of U by {field}: dU/d({field})"
    return units.get(name, "1"), name.replace("_", " ")


def _ratio(above: str, below: str) -> str:
    return above if below == "1" else f"({above})/({below})"


def _susceptibility(energy: str, order: str) -> str:
    if energy == order == "1":
        return "1"
    return f"({order})^2/({energy})"
