"""Importance sampling with a flow as it is: no chain."""

from collections.abc import Callable, Mapping

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr
from jaxtyping import PRNGKeyArray

from statphys_flows import analysis
from statphys_flows.analysis import Estimate
from statphys_flows.errors import StudyError
from statphys_flows.flows import Proposal
from statphys_flows.numbers import check_real, is_count, real, whole
from statphys_flows.precision import full_precision
from statphys_flows.results import label, scalars
from statphys_flows.sampling.coverage.scores import draw_proposals, rounded_size, with_rounding
from statphys_flows.systems import System, with_array_parameters
from statphys_flows.thresholds import INFINITE_VARIANCE, USELESS_PARETO_SHAPE

# Independent groups that errors come from, and draws in memory at once.
_GROUPS = 64
_AT_ONCE = 2**16


def importance(
    flow: Proposal,
    system: System,
    n: int = 2**14,
    *,
    kT: float = 1.0,
    key: PRNGKeyArray | None = None,
    estimates: Mapping[str, Callable] | None = None,
) -> xr.Dataset:
    r"""Averages over exp(-U/kT)/Z and log Z from n independent draws of `flow`,

    $$\langle f\rangle = \frac{\sum_i w_i f(x_i)}{\sum_i w_i}, \qquad
      Z \approx \frac1n \sum_i w_i, \qquad w_i = e^{-U(x_i)/kT}/q(x_i).$$

    The weights are never clipped. The Pareto shape k̂ of their tail tells you whether n is enough (Vehtari et al.,
    arXiv:1507.02646): below 0.5 the error bars hold; above 0.7 they do not; `warning` says so. What q
    never proposes no weight can show.

    **Arguments:**

    - `flow`: anything that draws with a known density; a trained flow, or a base as `Untransformed(base)`.
    - `system`: its energy, order parameter and observables are averaged.
    - `n`: draws, rounded up to a multiple of 64.
    - `kT`: the temperature.
    - `key`: of the random numbers; `jax.random.key(0)` if not given.
    - `estimates`: further functions of a configuration to average, by name.

    **Returns:** a dataset of scalars: `log_z`, `free_energy`, `energy`, `order_parameter`, the observables and
    `estimates`, each with its `_err` (delete-one-group jackknife); `ess` as a fraction, `pareto_k`, `draws`, `warning`.
    Every variable has `units` and `long_name`.

    **Raises:** `StudyError` for an n or kT that is not positive, or if no draw has a finite energy.
    """
    if not is_count(n):
        raise StudyError(f"importance(n={n!r}): give a positive integer.")
    n, kT = whole(n), real(kT)
    check_real("importance(kT", kT, positive=True, advice="a temperature is positive and finite")
    key = jax.random.key(0) if key is None else key
    log_w, values = _in_groups(flow, with_array_parameters(system), n, kT, key, tuple((estimates or {}).items()))
    if np.isneginf(log_w).all():
        raise StudyError(
            f"None of {log_w.size} draws of the flow has a finite energy: it misses the system altogether."
        )
    size = rounded_size(values["energy"] / kT, log_w, np.exp(log_w - log_w.max()))
    log_z = with_rounding(analysis.importance_log_z(log_w), size)
    found: dict[str, Estimate | float | str | int] = {
        "log_z": log_z,
        "free_energy": Estimate(-kT * log_z.value, kT * log_z.error),
    }
    found |= {name: analysis.weighted_mean(f, log_w) for name, f in values.items()}
    shape = analysis.pareto_k(log_w)
    found |= {"ess": analysis.importance_ess(log_w), "pareto_k": shape, "draws": log_w.size}
    found["warning"] = _warning(shape)
    data = label(scalars(found).assign_coords(kT=kT), system.units(), "importance")
    data["log_z"].attrs["comment"] = "by importance sampling: log of the mean weight of the flow's draws"
    return data


def _in_groups(
    flow: Proposal, system: System, n: int, kT: float, key: PRNGKeyArray, functions: tuple
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Log weights, and what is averaged, of n draws: (group, draw) each."""
    each = -(-n // _GROUPS)
    per_call = max(1, min(_GROUPS, _AT_ONCE // each))
    kT_array = jnp.asarray(kT, jnp.result_type(float))
    pieces = []
    for own in jax.random.split(key, -(-_GROUPS // per_call)):
        pieces.append(jax.tree.map(np.asarray, _draw(system, kT_array, flow, own, each * per_call, functions)))

    def join_groups(parts) -> np.ndarray:
        return np.concatenate(parts).astype(float)[: _GROUPS * each].reshape(_GROUPS, each)

    values = {name: join_groups([piece[1][name] for piece in pieces]) for name in pieces[0][1]}
    return join_groups([piece[0] for piece in pieces]), values


@eqx.filter_jit
@full_precision()
def _draw(system, kT, flow, key, n: int, functions):
    x, log_w = draw_proposals(system, kT, flow, key, n)

    def one(x):
        own = {"energy": system.energy(x), "order_parameter": system.order_parameter(x)}
        return own | dict(system.observables(x)) | {name: function(x) for name, function in functions}

    return log_w, jax.vmap(one)(x)


def _warning(shape: float) -> str:
    tail = f"the tail of the weights has Pareto shape {shape:.2f}"
    if shape > USELESS_PARETO_SHAPE:
        return f"{tail} > {USELESS_PARETO_SHAPE}: error bars are too small; train the flow further"
    # From here on the weights have no variance, to which error bars refer.
    return f"{tail} > {INFINITE_VARIANCE}: error bars may be too small; draw more" if shape > INFINITE_VARIANCE else ""
