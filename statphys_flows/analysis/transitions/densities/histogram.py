"""The weight of draws in narrow bins of one variable, at one target, in the draws and in every replica."""

from typing import NamedTuple

import numpy as np

from statphys_flows.analysis.pooling.bins import GroupedBins
from statphys_flows.analysis.pooling.pool import Pool
from statphys_flows.thresholds import SAME_VALUE

Array = np.ndarray

_BINS = 2048
# Values outside are counted in the first and the last bin.
_TAIL = 1e-7


class Variable(NamedTuple):
    """A variable of every draw, (N,), its sort order, and the spacing of its values if they are equally spaced."""

    values: Array
    order: Array
    spacing: float | None


class Histogram(NamedTuple):
    """`weight`, (1 + B, M): the share of each bin, of the draws themselves and then of the replicas; `centres`, (M,),
    of bins of one `width`; the number of `draws` that the weights are worth."""

    centres: Array
    width: float
    weight: Array
    draws: float

    def tilt(self, by: Array) -> "Histogram":
        """Every row with weights times exp(-by·e): the same draws with by·e added to the reduced energy."""
        e = self.centres - self.centres.mean()
        log_factor = -np.asarray(by)[:, None] * e
        weight = self.weight * np.exp(log_factor - log_factor.max(axis=1, keepdims=True))
        return self._replace(weight=weight / weight.sum(axis=1, keepdims=True))

    def below(self, split: Array) -> tuple[Array, Array, Array]:
        """For every row: the weight below its `split`, and ⟨e⟩ below and above. The bin at the split counts in
        proportion."""
        share = np.clip((np.asarray(split)[:, None] - self.centres) / self.width + 0.5, 0.0, 1.0)
        low, high = self.weight * share, self.weight * (1 - share)
        with np.errstate(divide="ignore", invalid="ignore"):
            return low.sum(axis=1), low @ self.centres / low.sum(axis=1), high @ self.centres / high.sum(axis=1)


def weights_at(pool: Pool, target: Array) -> Array:
    """w of every draw at b = `target`, (S,), (N,), the largest 1."""
    log_w = -(target @ pool.statistics) - pool.log_mixture
    return np.exp(log_w - log_w.max())


def variable(values: Array) -> Variable:
    """If the variable takes few values that are not equally spaced, they are spread evenly over the cells between them:
    on a finer scale there is no density."""
    distinct, of_draw = np.unique(values, return_inverse=True)
    gaps = np.diff(distinct)
    gaps = gaps[gaps > SAME_VALUE * np.ptp(distinct)]
    if not gaps.size or gaps.size > len(values) / 2:
        return Variable(values, np.argsort(values), None)
    multiples = gaps / gaps.min()
    if np.abs(multiples - np.round(multiples)).max() < SAME_VALUE**0.5 and np.median(multiples) < 1.5:
        return Variable(values, np.argsort(values), float(gaps.min()))
    # Gaps of a rare width are not spacings of the values: they have no draws.
    half = 0.5 * np.minimum(np.diff(distinct, prepend=distinct[0], append=distinct[-1]), np.quantile(gaps, 0.95))
    left, right = half[:-1][of_draw], half[1:][of_draw]
    spread = values - left + np.random.default_rng(0).random(len(values)) * (left + right)
    return Variable(spread, np.argsort(spread), None)


def histogram(pool: Pool, target: Array, of: Variable, *, replicas: bool = True) -> Histogram:
    """The histogram of a variable of the draws at b = `target`. Replicas follow `pool`, to first order in their log Z.
    Without replicas there is one row."""
    w = weights_at(pool, target)
    first, width, count = _bins(of, w)
    e = of.values
    bins = np.clip(np.floor((e - first) / width), 0, count - 1).astype(int)
    centres = first + width * (np.arange(count) + 0.5)
    draws = float(w.sum() ** 2 / np.sum(w**2))
    own = np.bincount(bins, w, minlength=count)
    if not replicas:
        return Histogram(centres, width, own[None] / own.sum(), draws)
    weight = np.concatenate([own[None], GroupedBins(pool, bins, count).sum_replicas(w)])
    return Histogram(centres, width, weight / weight.sum(axis=1, keepdims=True), draws)


def _bins(of: Variable, w: Array) -> tuple[float, float, int]:
    """Lower edge, width and number of bins of the range that has weight. If values are equally spaced, each bin
    contains the same number of them."""
    share = np.cumsum(w[of.order])
    ends = np.searchsorted(share, share[-1] * np.asarray([_TAIL, 1 - _TAIL]))
    low, high = of.values[of.order[np.minimum(ends, len(share) - 1)]]
    if not high > low:
        return float(low) - 0.5, 1.0, 1
    if of.spacing is None:
        return float(low), float((high - low) / _BINS), _BINS
    width = of.spacing * max(1, int(np.ceil((high - low) / of.spacing / _BINS)))
    return float(low - of.spacing / 2), width, int((high - low + of.spacing / 2) // width) + 1
