"""Weights of a mixture base, from the flow's own importance weights."""

from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from statphys_flows.bases import Mixture
from statphys_flows.flows import Flow, LatentField, MovedLatentField, Proposal
from statphys_flows.precision import full_precision

# No orbit's weight falls below this, so that no component is ever given up (a defensive mixture: Hesterberg,
# Technometrics 37 (1995) 185). Costs at most this fraction of the acceptance for each orbit.
FLOOR = 0.01
# Effective draws that the current weights count for, against those of the new estimate.
_PRIOR_DRAWS = 20.0


@full_precision()
def rebalance(
    flow: Proposal, reduced_energy: Callable, key: PRNGKeyArray, n: int
) -> tuple[Proposal, Float[Array, " n"]]:
    r"""One step of expectation maximisation on the orbit weights of a `Mixture` base,

    $$w_k \leftarrow \sum_i W_i\, r_k(z_i) \Big/ \sum_i W_i, \qquad W_i = e^{-u(x_i)}/q(x_i),$$

    over n fresh draws $x_i = T(z_i)$ of the flow, with $r_k$ the responsibilities in base space. Relative weights of
    the modes are found this way, without being known. So too for the branches of a `LatentField`. Whatever else there
    is comes back as it is.

    **Returns:** the flow, and the log weights log W_i of the draws under the flow *as given*: from these come the
    forward ESS and log Z, at no further cost.
    """
    if isinstance(flow, LatentField | MovedLatentField):
        x, log_responsibilities, log_q = flow.sample_with_branch(key, n)
        log_w = _finite(-jax.vmap(reduced_energy)(x) - log_q)
        weights = _updated(jax.nn.softmax(_log_weights(flow)), log_w, log_responsibilities)
        return eqx.tree_at(_log_weights, flow, jnp.log(weights)), log_w
    if not isinstance(flow, Flow):
        x, log_q = flow.sample_and_log_prob(key, n)
        return flow, _finite(-jax.vmap(reduced_energy)(x) - log_q)
    z = flow.sample_base(key, n)
    x, log_det = flow.forward(z)
    log_w = -jax.vmap(reduced_energy)(x) - flow.base_log_prob(z) + log_det
    log_w = _finite(log_w)
    if not isinstance(flow.base, Mixture):
        return flow, log_w
    log_responsibilities = jax.vmap(flow.base.log_responsibilities)(z)
    weights = _updated(jax.nn.softmax(flow.base.log_orbit_weights), log_w, log_responsibilities)
    return eqx.tree_at(lambda f: f.base, flow, flow.base.with_orbit_weights(weights)), log_w


def _log_weights(flow: LatentField | MovedLatentField):
    return (flow.field if isinstance(flow, MovedLatentField) else flow).log_weights


def _finite(log_w):
    return jnp.where(jnp.isnan(log_w), -jnp.inf, log_w)


def _updated(current, log_w, log_responsibilities):
    weights = jax.nn.softmax(log_w)
    found = weights @ jnp.exp(log_responsibilities)
    effective = 1.0 / jnp.sum(weights**2)
    blended = (effective * found + _PRIOR_DRAWS * current) / (effective + _PRIOR_DRAWS)
    floored = jnp.maximum(jnp.where(jnp.isfinite(blended), blended, current), FLOOR)
    return floored / jnp.sum(floored)
