"""A result as a study writes it, made up: the groups of docs/result.md with plausible numbers."""

import json

import numpy as np
import xarray as xr

SITES, CHAINS, DRAWS, STEPS, BINS = 50, 4, 100, 400, 30


def fake_tree(kT=(0.03, 0.05, 0.1, 0.2), space="field", components=2, seed=0) -> xr.DataTree:
    """`space`: "field" for phi on an interval, "euclidean" for x of `components` numbers."""
    rng = np.random.default_rng(seed)
    kT = np.asarray(kT, dtype=float)
    posterior = _field(rng, kT) if space == "field" else _points(rng, kT, components)
    groups = {
        "thermodynamics": _thermodynamics(rng, kT),
        "profiles": _profiles(kT),
        "posterior": posterior,
        "sample_stats": _sample_stats(rng, kT),
        "training": _training(rng, kT),
        "diagnostics": _diagnostics(rng, kT),
    }
    for data in groups.values():
        _describe(data)
    tree = xr.DataTree.from_dict(groups)
    tree.attrs = _attributes(kT, "ContinuumPhi4" if space == "field" else "DoubleWell")
    return tree


def _thermodynamics(rng, kT):
    values = {
        "log_z": -9.87 / kT - 10 * np.log(kT),
        "free_energy": 9.87 + 10 * kT * np.log(kT),
        "energy": 2.0 + 25 * kT,
        "entropy": 30 + 25 * np.log(kT),
        "heat_capacity": 25 + 5 * np.exp(-(((kT - 0.08) / 0.03) ** 2)),
        "order_parameter": 0.01 * rng.normal(size=kT.shape),
        "order_parameter_abs": 0.9 - 2 * kT,
        "susceptibility": 0.8 - 2 * kT,
        "binder_cumulant": 0.6 - kT,
        "kink_count": 1 + 10 * kT,
    }
    errors = {f"{name}_err": 0.001 * (1 + np.abs(v)) for name, v in values.items()}
    return _over_kT(kT, {**values, **errors})


def _profiles(kT):
    bins = np.linspace(-1.4, 1.4, BINS)
    barrier = 2 * (bins**2 - 0.9) ** 2 * (1 + kT[:, None])
    dims = ("kT", "order_parameter_bin")
    return xr.Dataset(
        {"free_energy": (dims, barrier), "free_energy_err": (dims, 0.02 + 0.05 * barrier)},
        {"kT": kT, "order_parameter_bin": bins},
    )


def _field(rng, kT):
    s = np.arange(1, SITES + 1) / (SITES + 1)
    sign = rng.choice([-1, 1], (len(kT), CHAINS, DRAWS, 1))
    noise = np.cumsum(rng.normal(size=(len(kT), CHAINS, DRAWS, SITES)), axis=-1)
    bridge = noise - s * noise[..., -1:]
    phi = sign * np.tanh(10 * s) * np.tanh(10 * (1 - s)) + np.sqrt(kT)[:, None, None, None] * bridge / 15
    dims = ("kT", "chain", "draw", "site")
    data = xr.Dataset({"phi": (dims, phi)}, {"kT": kT, "s": ("site", s)})
    return _with_scalars(rng, data, phi[..., SITES // 2], kT)


def _points(rng, kT, components):
    noise = np.sqrt(kT)[:, None, None, None] * rng.normal(size=(len(kT), CHAINS, DRAWS, components))
    x = noise + np.where(np.arange(components) == 0, rng.choice([-1, 1], (len(kT), CHAINS, DRAWS, 1)), 0)
    data = xr.Dataset({"x": (("kT", "chain", "draw", "component"), x)}, {"kT": kT})
    return _with_scalars(rng, data, x[..., 0], kT)


def _with_scalars(rng, data, order_parameter, kT):
    dims = ("kT", "chain", "draw")
    energy = kT[:, None, None] * rng.chisquare(4, order_parameter.shape)
    return data.assign(order_parameter=(dims, order_parameter), energy=(dims, energy))


def _sample_stats(rng, kT):
    shape, dims = (len(kT), CHAINS, DRAWS), ("kT", "chain", "draw")
    names = ("lp", "acceptance_rate", "log_weight")
    data = xr.Dataset({name: (dims, rng.random(shape)) for name in names}, {"kT": kT})
    return data.assign(is_global=(dims, rng.random(shape) < 0.5))


def _training(rng, kT):
    step, scale = np.arange(STEPS), np.linspace(1, 1.5, len(kT))[:, None]
    loss = scale * (0.2 + 3 * np.exp(-step / 40)) * np.exp(0.1 * rng.normal(size=(len(kT), STEPS)))
    ess = np.full(loss.shape, np.nan)
    ess[:, ::20] = (0.9 * (1 - np.exp(-step / 90)) / scale)[:, ::20]  # measured now and then
    loss[0, 300:] = np.nan  # stopped early
    dims = ("kT", "step")
    fields = {"loss": (dims, loss), "ess_forward": (dims, ess), "global_acceptance": (dims, np.sqrt(ess))}
    return xr.Dataset(fields, {"kT": kT, "step": step})


def _diagnostics(rng, kT):
    log_z = -9.87 / kT
    values = {
        "r_hat": 1.001 + 0.002 * rng.random(len(kT)),
        "ess_bulk": 4000 + 1000 * rng.random(len(kT)),
        "autocorrelation_time": 2 + rng.random(len(kT)),
        "local_acceptance_rate": 0.57 + 0 * kT,
        "global_acceptance_rate": 0.7 + kT / 2,
        "ess_forward": 0.6 + kT / 2,
        "ess_reverse": 0.6 + kT / 2,
        "log_z_importance": log_z + 0.004 * rng.normal(size=len(kT)),
        "log_z_importance_err": 0.004 + 0 * kT,
        "log_z_reverse": log_z + 0.006 * rng.normal(size=len(kT)),
        "log_z_reverse_err": 0.006 + 0 * kT,
        "log_z_bar": log_z,
        "log_z_bar_err": 0.002 + 0 * kT,
        "seconds_compiling": 6 + 0 * kT,
        "seconds_training": 31 + 0 * kT,
        "seconds_sampling": 8 + 0 * kT,
    }
    warning = np.array([""] * len(kT), dtype=object)
    warning[0] = "forward ESS 0.11 is below 0.2: errors of log Z may be too small"
    return _over_kT(kT, values).assign(warning=("kT", warning))


def _over_kT(kT, values):
    return xr.Dataset({name: ("kT", np.asarray(v)) for name, v in values.items()}, {"kT": kT})


def _describe(data):
    for name, variable in data.variables.items():
        variable.attrs = {"units": "1", "long_name": str(name).replace("_", " ")}


def _attributes(kT, system):
    parameters = {"sites": SITES, "a": 0.1, "field": 0.0, "discretisation": "trapezoid"}
    configuration = {
        "system": {"class": system, "module": "statphys_flows.systems", "parameters": parameters},
        "kT": list(kT),
        "seed": 3,
        "sampler": {"chains": CHAINS, "draws": DRAWS, "local_steps": 5},
    }
    return {
        "title": f"{system}: {len(kT)} temperatures",
        "configuration": json.dumps(configuration),
        "seed": 3,
        "versions": json.dumps({"statphys_flows": "0.1.0", "jax": "0.10.2", "python": "3.11.7"}),
        "device": "cpu",
        "history": "made up",
        "Conventions": "CF-1.11",
    }
