r"""Pooled draws of the points of a scan: averages and log Z at parameters in between.

The recorded data of each draw must determine its energy at any parameters. With couplings θ_a in which U is linear,

    u(x; b) = Σ_a b_a s_a(x),    s = (U, ∂U/∂θ_1, ...),    b = (1, θ_1 - θ°_1, ...)/kT,

with U at the reference θ°. With z_k = log Z at the points and n_k draws of each, every draw has the weight

    w(x) = exp(-u(x; b)) / Σ_k n_k exp(-u(x; b_k) - z_k),    <f> = Σ w f / Σ w,    Z(b) = Σ w - Σ_k β_k (Σ p_k - n_k)

(Shirts & Chodera, J. Chem. Phys. 129 (2008) 124105, eqs. 11 to 14; for histograms Ferrenberg & Swendsen, Phys. Rev.
Lett. 63 (1989) 1195). The share p_k of point k in a draw's denominator is a control variate with a known sum; β are the
coefficients of w's regression on these shares (Owen & Zhou, J. Am. Stat. Assoc. 95 (2000) 135). Therefore Z is exp(z_k)
at a point of the scan. There are two estimates of the z_k: each point's own, from its flow, and their differences from
the draws by MBAR. They are weighted with the inverse squares of their errors. MBAR is used only for points that
overlap, by at least `LEAST_OVERLAP` from one to the next: it gives no information across a gap, and a bootstrap of the
draws would not show this.

Errors come from a bootstrap over chains. The changes of a replica are computed to first order, also in z_k: solving
again for each replica costs hundreds of times more and changes the error by less than its own uncertainty. The part of
the error of log Z that more draws do not reduce (the same state missed at every point) is not independent noise: it
moves all points of a replica together, and does not average out over them.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from statphys_flows.analysis.errors.bootstrap import bootstrap_counts, bootstrap_error
from statphys_flows.analysis.errors.jackknife import blocks_per_chain, error_of_replicas, fold
from statphys_flows.analysis.mbar import log_mixture
from statphys_flows.analysis.pooling.differences import differences_of

Array = np.ndarray

REPLICAS = 200
# The number of draws in memory at a time, in the products over replicas.
_CHUNK = 2**12


class Pool(NamedTuple):
    """Pooled draws.

    - `natural`: b of the points, (K, S); `statistics`: s of the draws about `centre`, (S, N), point by point.
    - `observables`: (F, N).
    - `log_z`: z_k without the contribution of `centre`, (K,), and in the replicas, (B, K).
    - `log_mixture`: log of the sum in the denominator of w, (N,).
    - `multiplicity`: how often each replica contains a group, (B, K·G); a group is N/(K·G) consecutive draws.
    - `log_z_own`, `log_z_mbar`: the two estimates from which `log_z` is made, each (K,) and in the replicas (B, K),
      without the contribution of `centre`. `log_z_own` is NaN if a point has none; `log_z_mbar` contains differences
      within each of `linked`.
    - `linked`: the points, in groups whose draws overlap.
    """

    natural: Array
    statistics: Array
    centre: Array
    observables: Array
    log_z: Array
    log_z_replicas: Array
    log_mixture: Array
    multiplicity: Array
    log_z_own: tuple[Array, Array]
    log_z_mbar: tuple[Array, Array]
    linked: tuple[Array, ...]

    @property
    def anchored(self) -> bool:
        """Whether log Z itself is known, and not only its differences."""
        return bool(np.isfinite(self.log_z_own[0]).any())

    @property
    def groups(self) -> int:
        """G, of each point."""
        return self.multiplicity.shape[1] // len(self.natural)

    def shares(self) -> Array:
        """p_k of the draws, (K, N)."""
        draws = self.statistics.shape[1] / len(self.natural)
        return draws * np.exp(-(self.natural @ self.statistics) - self.log_mixture - self.log_z[:, None])


class Averages(NamedTuple):
    """At T targets: log Z (T,), ⟨s⟩ (T, S), the covariance of s (T, S, S), ⟨f⟩ (T, F); each with the replicas' along a
    new first axis, in `replicas`; the numbers of draws, and of groups of them, that the weights are worth; and the
    fraction of the weights that each point's draws have, (T, K)."""

    log_z: Array
    statistics: Array
    covariance: Array
    observables: Array
    replicas: "Averages | None"
    draws: Array
    groups: Array
    points: Array


def pool(
    statistics: Array,
    natural: Array,
    observables: Array,
    log_z: Array,
    log_z_left_out: Array | None,
    log_z_error: Array,
    log_z_systematic: Array | None = None,
    *,
    replicas: int = REPLICAS,
    seed: int = 0,
) -> Pool:
    """Pool the draws of K points.

    **Arguments:**

    - `statistics`: s of every draw, (S, K, chain, draw).
    - `natural`: b of every point, (K, S).
    - `observables`: (F, K, chain, draw).
    - `log_z`, `log_z_error`: of every point; an error of NaN or infinity if log Z is not known.
    - `log_z_systematic`: the part of these errors that all points share, s_k ξ with one ξ; none if not given.
    - `log_z_left_out`: the estimates without each group, (K, G), groups as in `jackknife`: with them, the correlation
      of chains and log Z is taken into account. If not given, replicas of log Z are drawn from its errors.
    """
    s_count, k_count = statistics.shape[:2]
    blocks = blocks_per_chain(statistics[0, 0])
    folded = np.stack([[fold(x, blocks) for x in row] for row in statistics])
    groups = folded.shape[2]
    s = folded.reshape(s_count, -1)
    f = np.stack([np.stack([fold(x, blocks) for x in row]) for row in observables]).reshape(len(observables), -1)
    centre = s.mean(axis=1)
    s = s - centre[:, None]
    counts = np.full(k_count, s.shape[1] // k_count)
    # One bootstrap of the groups for every point: they are independent of each other.
    multiplicity = bootstrap_counts(groups, replicas * k_count, seed).reshape(replicas, k_count * groups)
    systematic = np.zeros(k_count) if log_z_systematic is None else np.nan_to_num(log_z_systematic, posinf=0.0)
    own = _own(
        log_z + natural @ centre,
        log_z_left_out,
        log_z_error,
        systematic,
        multiplicity.reshape(replicas, k_count, groups),
        seed,
    )
    known = np.isfinite(log_z_error) & np.isfinite(log_z)
    linked, *found = differences_of(natural @ s, counts, multiplicity)
    differences = found[0], found[1]
    z, z_replicas = _combine(own, known, differences, linked)
    mixture = log_mixture(natural @ s, counts, z)
    known_own = np.where(known, own[0], np.nan), np.where(known, own[1], np.nan)
    return Pool(natural, s, centre, f, z, z_replicas, mixture, multiplicity, known_own, differences, linked)


def averages(pool: Pool, targets: Array) -> Averages:
    """log Z and averages at `targets`, b of shape (T, S)."""
    targets = np.atleast_2d(targets)
    log_w = -(targets @ pool.statistics) - pool.log_mixture
    top = log_w.max(axis=1, keepdims=True)
    w = np.exp(log_w - top)
    k_count, s_count, groups = len(pool.natural), len(pool.statistics), pool.multiplicity.shape[1]
    features = _features(pool)
    sums = w @ features.T
    worth = sums[:, 0] ** 2 / np.sum(w**2, axis=1)
    of_groups = w.reshape(len(w), groups, -1).sum(axis=2)
    worth_groups = sums[:, 0] ** 2 / np.sum(of_groups**2, axis=1)
    shift = top[:, 0] - targets @ pool.centre
    n_k = pool.statistics.shape[1] / k_count
    share = pool.shares()
    slopes = np.linalg.lstsq(share @ share.T, share @ w.T, rcond=1e-10)[0]
    found = _of_sums(sums, (share.sum(axis=1) - n_k) @ slopes, shift, s_count, pool.centre)
    moved = np.exp(pool.log_z - pool.log_z_replicas)

    def weigh(here: slice) -> Array:
        return (w[:, None, here] * features[:, here]).reshape(-1, here.stop - here.start)

    rows = _of_replicas(pool, share, moved, weigh)
    total, shares = rows[:, :-k_count].reshape(-1, *sums.shape), moved * rows[:, -k_count:]
    # If each share is multiplied by moved_k, w's coefficients on the shares are divided by it.
    of_replicas = _of_sums(total, ((shares - n_k) / moved) @ slopes, shift, s_count, pool.centre)
    of_points = (share @ w.T / sums[:, 0]).T
    return found._replace(replicas=of_replicas, draws=worth, groups=worth_groups, points=of_points)


def _of_replicas(pool: Pool, share: Array, moved: Array, rows: Callable[[slice], Array]) -> Array:
    """Sums of rows (R, N), and of the shares after them, over the draws of each replica, (B, R + K).

    A replica's z multiplies the denominators by Σ_k p_k moved_k, whose inverse is Σ_k p_k/moved_k to first order, and
    exactly if points do not overlap. Therefore each group of draws is summed once with each share.
    """
    groups, k_count = pool.multiplicity.shape[1], len(share)
    length = share.shape[1] // groups
    total = 0.0
    for start in range(0, groups, step := max(1, _CHUNK // length)):
        here = slice(start * length, min(start + step, groups) * length)
        block = np.concatenate([rows(here), share[:, here]]).reshape(-1, here.stop // length - start, length)
        others = share[:, here].reshape(k_count, -1, length)
        of_groups = np.matmul(block.transpose(1, 0, 2), others.transpose(1, 2, 0))
        drawn = np.tensordot(pool.multiplicity[:, start : start + step].astype(float), of_groups, axes=1)
        total = total + np.matmul(drawn, 1 / moved[:, :, None])[..., 0]
    return np.asarray(total)


def _features(pool: Pool) -> Array:
    """1, s_a, s_a s_b for a ≤ b, f: (features, N)."""
    s = pool.statistics
    pairs = [s[a] * s[b] for a, b in zip(*np.triu_indices(len(s)), strict=True)]
    return np.concatenate([np.ones((1, s.shape[1])), s, np.stack(pairs), pool.observables])


def _of_sums(sums: Array, excess: Array, shift: Array, s_count: int, centre: Array) -> Averages:
    with np.errstate(divide="ignore", invalid="ignore"):
        log_z = np.log(sums[..., 0] - excess) + shift
        means = sums[..., 1:] / sums[..., :1]
    first, pairs = means[..., :s_count], means[..., s_count : s_count + s_count * (s_count + 1) // 2]
    covariance = np.zeros((*first.shape, s_count))
    a, b = np.triu_indices(s_count)
    covariance[..., a, b] = covariance[..., b, a] = pairs
    covariance = covariance - first[..., :, None] * first[..., None, :]
    rest = means[..., s_count + len(a) :]
    nothing = np.full(sums.shape[:-1], np.nan)
    return Averages(log_z, first + centre, covariance, rest, None, nothing, nothing, nothing)


def _own(log_z, left_out, error, systematic, multiplicity, seed: int) -> tuple[Array, Array, Array]:
    """Each point's own log Z, its replicas (B, K) and its error."""
    replicas, k_count, groups = multiplicity.shape
    rng = np.random.default_rng(seed + 1)
    noise, common = rng.normal(size=(replicas, k_count)), rng.normal(size=(replicas, 1))
    # One factor for all points of a replica, so that `bootstrap_error` finds exactly the systematic part.
    shared = log_z + systematic * (common - common.mean()) / bootstrap_error(common[:, 0], groups)
    independent = np.sqrt(np.clip(np.where(np.isfinite(error), error, 0.0) ** 2 - systematic**2, 0.0, None))
    if left_out is None:
        return log_z, shared + noise * independent, error
    # A statistic to first order in the groups' multiplicities, from its values without each.
    influence = (groups - 1) / groups * (left_out.mean(axis=1, keepdims=True) - left_out)
    moved = np.einsum("bkg,kg->bk", multiplicity - 1.0, np.where(np.isfinite(influence), influence, 0.0))
    # The rest of an error, besides the spread of the groups and the part that all points share: rounding.
    spread = np.nan_to_num(error_of_replicas(left_out.T), posinf=0.0)
    beside = np.sqrt(np.clip(independent**2 - spread**2, 0.0, None))
    return log_z, shared + moved + noise * beside, error


def _combine(own, known: Array, differences, linked: tuple[Array, ...]) -> tuple[Array, Array]:
    """z_k from both, by the inverse squares of their errors; differences of neighbours count as independent."""
    value, replicas, error = own
    z, z_replicas = differences
    count = len(z)
    alone = [points for points in linked if not known[points].any()]
    if alone and len(linked) > 1:
        raise ValueError(
            f"The draws of {len(alone[0])} of {count} points of the scan do not overlap those of the others, and their "
            "own log Z are not known, so they cannot be pooled; add points in between, or use a sampler that estimates "
            "log Z."
        )
    difference = np.concatenate([np.diff(np.eye(count)[points], axis=0) for points in linked])
    d, d_replicas = difference @ z, z_replicas @ difference.T
    weight = 1 / np.maximum(np.var(d_replicas, axis=0), 1e-18)
    weight_own = np.where(known, 1 / np.where(known, np.maximum(error, 1e-9), 1.0) ** 2, 0.0)
    if not known.any():
        weight_own[0], value, replicas = 1.0, np.zeros(count), np.zeros_like(replicas)
    value, replicas = np.where(known, value, 0.0), np.where(known, replicas, 0.0)
    matrix = np.diag(weight_own) + difference.T @ (weight[:, None] * difference)

    def solve(value, d):
        right = weight_own * value + (weight * d) @ difference
        return np.linalg.solve(matrix, right.T).T

    return solve(value, d), solve(replicas, d_replicas)
