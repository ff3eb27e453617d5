"""Valleys that widen as they rise: weight that no straight line meets, as of a mean and the logarithm of its error."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from statphys_flows.systems import System
from statphys_flows.systems.walls import log_density
from statphys_flows.treatments import treatment_of

# Rays of each valley, points on each, and how far they go on: so many standard deviations, or until the others have
# widened by this power of e, beyond which 32 bits hold no squares.
_RAYS, _POINTS, _FAR, _WIDEST = 64, 16, 10.0, 40.0
# One in so many rays, those of the largest ratios, is left out.
_STRAY = 8
# Coordinates along which valleys are looked for, at most: 32 · 2 · 64 · 16 = 66 000 evaluations; for two, 4000.
_COORDINATES = 32


def mass_beyond(system: System, kT: float, draws: Float[np.ndarray, "draws ..."]) -> tuple[float, int]:
    r"""About what fraction of the weight lies further out in one coordinate s than any of `draws`, and in which; 0
    where the space is not treated so (`Treatment.looks_for_widening`), or has one coordinate. It is the integral of the
    marginal density of s,

    $$p(s') = \Big\langle \frac{1[l < s < h]}{h - l}\, e^{u(x) - u(y)} \prod_j e^{b_j (s' - s)} \Big\rangle_x, \qquad
      y_j = m_j + (x_j - m_j)\, e^{b_j (s' - s)}$$

    which holds for any b (Chen, J. Am. Stat. Assoc. 89 (1994) 818, with a map that stretches); b is how fast the others
    widen with s, from the draws, m their medians, and l and h the quartiles of s. Where Z exists it is of the order of
    one over the number of draws."""
    if not treatment_of(system.space).looks_for_widening or np.prod(system.space.shape) < 2:
        return 0.0, 0
    x = np.asarray(draws, float)
    low, middle, high = np.quantile(x, [0.25, 0.5, 0.75], axis=0)
    log_away = np.log(np.abs(x - middle) + 1e-6 * (x.std(axis=0) + 1e-30))
    rows = [(i, sign, _slopes(x, log_away, middle, i, sign)) for i in range(x.shape[1]) for sign in (1, -1)]
    rows = [row for row in rows if high[row[0]] > low[row[0]]]
    rows = sorted(rows, key=lambda row: -np.abs(row[2]).max())[: 2 * _COORDINATES]
    if not rows:
        return 0.0, 0
    index = np.asarray([i for i, _, _ in rows])
    slopes = np.stack([b for _, _, b in rows])
    starts, outs = [], []
    for i, sign, b in rows:
        inside = np.flatnonzero((x[:, i] >= low[i]) & (x[:, i] <= high[i]))
        starts.append(x[inside[np.linspace(0, len(inside) - 1, _RAYS).astype(int)]])
        reach = (sign * x[:, i]).max()
        limit = sign * middle[i] + _WIDEST / max(np.abs(b).max(), 1e-30)
        outs.append(sign * np.linspace(reach, max(min(reach + _FAR * x[:, i].std(), limit), reach), _POINTS))
    starts, outs = np.stack(starts), np.stack(outs)
    temperature, medians, rates, first, last = (
        jnp.asarray(a, jnp.result_type(float)) for a in (kT, middle, slopes, starts, outs)
    )
    ratios = _log_ratios(system, temperature, medians, rates, first, last, jnp.asarray(index))
    # A valley is seen from all rays. One that starts high above it, on a barrier, may say anything: the largest ratios
    # are left out.
    log_ratio = np.sort(np.asarray(ratios, float), axis=-1)[..., : _RAYS - _RAYS // _STRAY]  # (row, point, ray)
    with np.errstate(over="ignore"):
        density = 0.5 * np.exp(log_ratio).mean(axis=-1) / (high - low)[index][:, None]
    weights = np.trapezoid(density, np.abs(outs - outs[:, :1]), axis=1)
    largest = int(np.argmax(weights))
    return float(weights[largest]), int(index[largest])


def _slopes(x: np.ndarray, log_away: np.ndarray, middle: np.ndarray, i: int, sign: int) -> np.ndarray:
    """How log|x_j - m_j| goes with s = x_i on one side of its median; 0 for s itself."""
    side = sign * (x[:, i] - middle[i]) > 0
    if side.sum() < 3:
        return np.zeros(x.shape[1])
    s = x[side, i] - x[side, i].mean()
    b = s @ log_away[side] / max(float(s @ s), 1e-30)
    b[i] = 0.0
    return b


@eqx.filter_jit
def _log_ratios(system: System, kT, middle, slopes, starts, outs, index) -> Float[Array, "rows points rays"]:
    log_p = jax.vmap(log_density(system, kT))

    def row(inputs):
        b, x, out, i = inputs
        here = log_p(x)

        def point(s):
            step = (s - x[:, i])[:, None] * b
            y = (middle + (x - middle) * jnp.exp(step)).at[:, i].set(s)
            ratio = log_p(y) - here + jnp.sum(step, axis=1)
            return jnp.where(jnp.isnan(ratio), -jnp.inf, ratio)

        return jax.lax.map(point, out)

    return jax.lax.map(row, (slopes, starts, outs, index))
