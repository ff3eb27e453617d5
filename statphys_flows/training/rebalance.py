"""Weights of a mixture base, from the flow's own importance weights."""

from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from statphys_flows.bases import Mixture
from statphys_flows.flows import Flow

# No orbit's weight falls below this, so that no component is ever given up (a defensive mixture: Hesterberg,
# Technometrics 37 (1995) 185). Costs at most this fraction of the acceptance for each orbit.
FLOOR = 0.01
# Effective draws that the current weights count for, against those of the new estimate.
_PRIOR_DRAWS = 20.0


def rebalance(flow: Flow, reduced_energy: Callable, key: PRNGKeyArray, n: int) -> tuple[Flow, Float[Array, " n"]]:
    r"""One step of expectation maximisation on the orbit weights of a `Mixture` base,

    $$w_k \leftarrow \sum_i W_i\, r_k(z_i) \Big/ \sum_i W_i, \qquad W_i = e^{-u(x_i)}/q(x_i),$$

    over n fresh draws $x_i = T(z_i)$ of the flow, with $r_k$ the responsibilities in base space. Relative weights of
    the modes are found this way, without being known. Flows on another base are returned as they are.

    **Returns:** the flow, and the log weights log W_i of the draws under the flow *as given*: from these come the
    forward ESS and log Z, at no further cost.
    """
    z = flow.sample_base(key, n)
    x, log_det = flow.forward(z)
    log_w = -jax.vmap(reduced_energy)(x) - jax.vmap(flow.base.log_prob)(z) + log_det
    log_w = jnp.where(jnp.isnan(log_w), -jnp.inf, log_w)
    if not isinstance(flow.base, Mixture):
        return flow, log_w
    current = jax.nn.softmax(flow.base.log_orbit_weights)
    weights = jax.nn.softmax(log_w)
    found = weights @ jnp.exp(jax.vmap(flow.base.log_responsibilities)(z))
    effective = 1.0 / jnp.sum(weights**2)
    blended = (effective * found + _PRIOR_DRAWS * current) / (effective + _PRIOR_DRAWS)
    floored = jnp.maximum(jnp.where(jnp.isfinite(blended), blended, current), FLOOR)
    return eqx.tree_at(lambda f: f.base, flow, flow.base.with_orbit_weights(floored)), log_w
