"""How good a proposal is, from log weights, inside compiled code; on float64 arrays see `analysis`."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import logsumexp
from jaxtyping import Array, Bool, Float, PRNGKeyArray

from statphys_flows.analysis import Estimate
from statphys_flows.flows import Proposal
from statphys_flows.systems import System
from statphys_flows.systems.walls import bound_inside, log_density
from statphys_flows.thresholds import CAPPED, SOLVER_TOLERANCE, UNDERCOVERED_LOG_WEIGHT, UNDERCOVERED_SPREADS

# Draws of a flow that its forward ESS and its bound come from; those that tell the error of log q, in a round and
# where it is scored or frozen.
EVALUATION_DRAWS = 2048
SOLVER_DRAWS, ERROR_DRAWS = 64, 256
# Configurations to a block.
_BLOCK = 1024
# The quantiles of a normal distribution one standard deviation below and above its median.
_ONE_SIGMA_BELOW, _ONE_SIGMA_ABOVE = 0.1587, 0.8413


def score_figures(
    forward: Float[Array, ""], reverse: Float[Array, ""], log_q_error: Float[Array, ""]
) -> Float[Array, ""]:
    """The score of a flow: the smaller one of its forward ESS, which sees where q is too wide or misshapen, and of its
    reverse ESS over the states of the chains, which is small where chains go and q does not. -1, less
    than any flow scores, if log q is wrong: an objective that sees log q can learn to deceive the solver."""
    return jnp.where(log_q_error < SOLVER_TOLERANCE, jnp.minimum(forward, reverse), -1.0)


def score_flow(
    system: System, kT: Float[Array, ""], flow: Proposal, seen: Float[Array, "n ..."], key: PRNGKeyArray
) -> tuple[Float[Array, ""], Float[Array, ""], Float[Array, ""]]:
    """`score_figures` from fresh draws of a flow and from configurations that chains have visited (`seen`); and forward
    and reverse ESS. Made of programs that others use too: each pass through a flow takes long to compile."""
    key, solver_key, seen_key = jax.random.split(key, 3)
    _, drawn = draw_proposals(system, kT, flow, key, EVALUATION_DRAWS)
    visited = log_weights_at(system, kT, flow, seen[:EVALUATION_DRAWS], seen_key)
    return _figures(drawn, visited, log_q_error(system, kT, flow, solver_key, ERROR_DRAWS))


@jax.jit
def _figures(drawn, visited, error):
    forward, reverse = forward_ess(drawn), reverse_ess(visited)
    return score_figures(forward, reverse, error.astype(forward.dtype)), forward, reverse


@eqx.filter_jit
def draw_proposals(
    system: System, kT: Float[Array, ""], flow: Proposal, key: PRNGKeyArray, n: int
) -> tuple[Float[Array, "n ..."], Float[Array, " n"]]:
    """Fresh draws of a flow, and their log weights."""
    x, log_q = flow.sample_and_log_prob(key, n)
    log_w = jax.vmap(log_density(system, kT))(x) - log_q
    return x, jnp.where(jnp.isnan(log_w), -jnp.inf, log_w)


def log_weights_at(
    system: System, kT: Float[Array, ""], flow: Proposal, samples: Float[Array, "n ..."], key: PRNGKeyArray
) -> Float[Array, " n"]:
    """log w = -u - log q of given configurations; `key` is for auxiliary variables. In blocks of one size, the last
    filled up, so that one program does for any number beyond one block."""
    n = samples.shape[0]
    if n <= _BLOCK:
        return _log_weights_at(system, kT, flow, samples, key)
    filled = jnp.concatenate([samples, samples[: -n % _BLOCK]])
    keys = jax.random.split(key, len(filled) // _BLOCK)
    blocks = (filled[i * _BLOCK : (i + 1) * _BLOCK] for i in range(len(keys)))
    return jnp.concatenate([_log_weights_at(system, kT, flow, x, k) for x, k in zip(blocks, keys, strict=True)])[:n]


@eqx.filter_jit
def _log_weights_at(system: System, kT, flow: Proposal, samples, key):
    return jax.vmap(log_density(system, kT))(samples) - flow.log_prob(samples, key)


@eqx.filter_jit
def log_q_error(
    system: System, kT: Float[Array, ""], flow: Proposal, key: PRNGKeyArray, n: int = SOLVER_DRAWS
) -> Float[Array, ""]:
    """The largest error of log q by its own numerics over n draws (`Proposal.log_q_error`)."""
    return flow.log_q_error(log_density(system, kT), key, n)


@eqx.filter_jit
def variational_bound(system: System, kT: Float[Array, ""], flow: Proposal, key: PRNGKeyArray) -> Float[Array, ""]:
    """E_q[U/kT + log q] ≥ -log Z, from `EVALUATION_DRAWS` draws: unlike an ESS, it still tells bad flows apart. Of a
    flow that crosses hard walls, the bound of what is left of it inside."""
    x, log_q = flow.sample_and_log_prob(key, EVALUATION_DRAWS)
    return bound_inside(jax.vmap(system.energy)(x), kT, log_q)


def undercoverage(
    system: System, kT: Float[Array, ""], flow: Proposal, samples: Float[Array, "n ..."], key: PRNGKeyArray
) -> Float[Array, ""]:
    """The fraction of given draws of the target that a flow proposes e⁵ times too seldom, or never
    (`is_undercovered`); `key` is for its auxiliary variables."""
    return jnp.mean(is_undercovered(system, kT, flow, samples, key))


def is_undercovered(
    system: System, kT: Float[Array, ""], flow: Proposal, samples: Float[Array, "n ..."], key: PRNGKeyArray
) -> Bool[Array, " n"]:
    """Which of them; of a poor flow, whose log weights spread further than that, those that no spread explains."""
    return _stands_out(log_weights_at(system, kT, flow, samples, key))


@jax.jit
def _stands_out(log_w):
    # The median weight stands for Z: exact where q = p, and near enough where q covers most of p. What is left out
    # lies above it, so that the half below tells the spread.
    lower, median = jnp.quantile(log_w, jnp.asarray([_ONE_SIGMA_BELOW, 0.5]))
    return log_w > median + jnp.maximum(UNDERCOVERED_LOG_WEIGHT, UNDERCOVERED_SPREADS * (median - lower))


def is_beyond(log_w: np.ndarray, proposals: np.ndarray) -> np.ndarray:
    """The same by the log weights of a flow's proposals, some of them finite: lognormal weights of the target, of
    spread σ, are σ² above those of the proposals, and spread as far. For arrays of any lengths, which compiled code
    would be compiled for one by one."""
    # Below the median are also proposals in places that have no weight.
    median, upper = np.quantile(proposals[np.isfinite(proposals)], [0.5, _ONE_SIGMA_ABOVE])
    spread = upper - median
    return log_w > median + spread**2 + max(UNDERCOVERED_LOG_WEIGHT, UNDERCOVERED_SPREADS * spread)


def forward_ess(log_w):
    """`analysis.importance_ess` inside compiled code: (Σw)²/(n Σw²), over draws of q; 0 where nothing has a weight."""
    w = jnp.exp(log_w - jnp.max(log_w))
    return jnp.nan_to_num(jnp.sum(w) ** 2 / (jnp.sum(w**2) * w.size))


def reverse_ess(log_w):
    """`analysis.reverse_ess` inside compiled code: 1/(E_p[w] E_p[1/w]), over draws of the target, the 0.5% of largest
    weights capped."""
    log_w = log_w.ravel()
    # The largest few, rather than a quantile: a full sort takes long to compile.
    largest, _ = jax.lax.top_k(log_w, 1 + log_w.size // CAPPED)
    log_w = jnp.minimum(log_w, largest[-1])
    n = jnp.log(jnp.asarray(log_w.size, log_w.dtype))
    return jnp.nan_to_num(jnp.exp(2 * n - logsumexp(log_w) - logsumexp(-log_w)))


def barrier_between(forward, reverse):
    """The barrier Λ between a flow and its target, about, from log weights of draws of both: √(J/π) with
    J = E_p[log w] - E_q[log w], exact if log w is normal (J is then its variance)."""
    # Of the flow's draws those behind hard walls have no weight; of the target's none lies where q is 0.
    j = jnp.mean(reverse) - jnp.mean(forward, where=jnp.isfinite(forward))
    return jnp.sqrt(jnp.where(jnp.isnan(j) | jnp.isinf(j), jnp.inf, jnp.maximum(j, 0.0)) / jnp.pi)


def with_rounding(log_z: Estimate, size: float) -> Estimate:
    """An estimate from log weights -u - log q that were computed in JAX's precision. Where all are nearly the same they
    do not show that each was rounded, by ε times the larger one of |u| and |log q|, whose mean over the target is
    `size` (`rounded_size`); the error holds this too."""
    rounding = float(jnp.finfo(jnp.result_type(float)).eps) * size
    return Estimate(log_z.value, float(np.hypot(log_z.error, rounding)))


def rounded_size(u: np.ndarray, log_w: np.ndarray, weights: np.ndarray | None = None) -> float:
    """The mean over draws, with `weights` if any, of the larger one of |u| and |log q|, log q = -u - log w."""
    with np.errstate(invalid="ignore"):  # of infinite energies, which weigh nothing
        size = np.maximum(np.abs(u), np.abs(u + log_w))
    known = np.isfinite(size) if weights is None else np.isfinite(size) & (weights > 0)
    if not known.any():
        return 0.0
    return float(np.average(size[known], weights=None if weights is None else weights[known]))
