"""Weights of a mixture base, from the flow's own importance weights."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from statphys_flows.flows import Proposal
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
    log_w, log_responsibilities = flow.weigh_draws(reduced_energy, key, n)
    log_w = _finite(log_w)
    if log_responsibilities is None:
        return flow, log_w
    return flow.with_component_weights(_update(flow.component_weights, log_w, log_responsibilities)), log_w


def _finite(log_w):
    return jnp.where(jnp.isnan(log_w), -jnp.inf, log_w)


def _update(current, log_w, log_responsibilities):
    weights = jax.nn.softmax(log_w)
    found = weights @ jnp.exp(log_responsibilities)
    effective = 1.0 / jnp.sum(weights**2)
    blended = (effective * found + _PRIOR_DRAWS * current) / (effective + _PRIOR_DRAWS)
    floored = jnp.maximum(jnp.where(jnp.isfinite(blended), blended, current), FLOOR)
    return floored / jnp.sum(floored)
