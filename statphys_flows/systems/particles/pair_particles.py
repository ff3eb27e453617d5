"""Particles in a periodic box that interact in pairs."""

from typing import Literal

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from statphys_flows.bases import UniformTorus
from statphys_flows.errors import StudyError
from statphys_flows.numbers import as_floats, whole
from statphys_flows.spaces import ParticleBox
from statphys_flows.systems.particles.observables import first_modes
from statphys_flows.systems.potentials import Modes, Potential, check_potential, density_modes
from statphys_flows.systems.potentials.potential import is_concrete, sides_of
from statphys_flows.systems.system import System
from statphys_flows.thresholds import COST_OF_A_MODE

# Pairs are summed in square blocks of at most this side: 2^16 pairs are in memory at a time.
_BLOCK = 256

_sides = sides_of("PairParticles(lengths")


class PairParticles(System):
    r"""N labelled particles in a periodic box with a pair potential W, weight exp(-U/kT).

    - `scaling="mean-field"`: $U = \frac1{2N} \sum_{ij} W(x_i - x_j)$; U/N has a limit in a fixed box;
    - `scaling="pairwise"`: $U = \sum_{i<j} W(x_i - x_j)$.

    With `self_interaction` the terms i = j are included. They are a constant: W(0)/2 in the first form, N W(0)/2 in the
    second. Without them, log Z of the first form is larger by W(0)/2kT.

    U costs O(N·modes) by $\hat\rho_k = \frac1N \sum_i e^{ik\cdot x_i}$ and
    $\sum_{ij} W(x_i-x_j) = N^2 [\hat W_0 + 2\sum_{k \in half} \hat W_k |\hat\rho_k|^2]$ if the potential has few modes
    compared with the number of particles. Otherwise it costs O(N²), in blocks of which one at a time is in memory, also
    for the gradient.

    **Arguments:**

    - `potential`: W.
    - `n`: N.
    - `dimension`: d, from 1 to 3.
    - `lengths`: sides of the box, one for all axes or one for each; if not given, the period of the potential if it
      has one (2π for `CosinePotential`), and 1 otherwise. They and N are structure.
    - `scaling`: `"mean-field"` or `"pairwise"`.
    - `self_interaction`: whether i = j is included; if not given, it is for `"mean-field"` and not for `"pairwise"`.
    - `measure`: of Z, `"normalised"` (∏ dx/volume) or `"lebesgue"` (∏ dx), see `ParticleBox`.
    - `states`: configurations near which walkers start, (states, N, d). If not given: uniform draws, or, if the
      potential has a core, a lattice that fills the box and a cluster.

    **Raises:** `StudyError` for a potential that is not even, is cut off beyond half the box, jumps where the nearest
    image changes, or whose period does not fit the box; for self-interaction with a potential that is infinite at 0;
    for states in which particles overlap with infinite energy; and for whatever `ParticleBox` refuses. **Warns:** about
    a potential whose slope jumps where the nearest image changes.

    The order parameter is $[\frac1d \sum_a |\hat\rho_{2\pi e_a/L_a}|^2]^{1/2}$, the root mean square over the axes of
    the first Fourier mode: 1 if all particles are at one point, and about N^(-1/2) in a gas.
    """

    potential: Potential
    n: int = eqx.field(static=True, converter=whole)
    dimension: int = eqx.field(static=True, default=2, converter=whole)
    lengths: float | tuple[float, ...] | None = eqx.field(
        static=True, default=None, converter=lambda given: None if given is None else _sides(given)
    )
    scaling: Literal["mean-field", "pairwise"] = eqx.field(static=True, default="mean-field")
    self_interaction: bool | None = eqx.field(static=True, default=None)
    measure: Literal["normalised", "lebesgue"] = eqx.field(static=True, default="normalised")
    states: Float[Array, "states n d"] | None = None
    orders: tuple[int, ...] | None = eqx.field(static=True, init=False)

    def __post_init__(self):
        if not isinstance(self.potential, Potential):
            raise StudyError(
                f"PairParticles(potential={self.potential!r}): give a potential, for example PeriodicWell(4.0), or a "
                "function of the displacement as UserPotential(function)."
            )
        if self.lengths is None:
            period = self.potential.own_period()
            self.lengths = 1.0 if period is None else period
        if self.scaling not in ("mean-field", "pairwise"):
            raise StudyError(
                f'PairParticles(scaling={self.scaling!r}): write "mean-field" (1/2N times the sum over all i and j) or '
                '"pairwise" (the sum over i < j).'
            )
        if self.self_interaction is None:
            self.self_interaction = self.scaling == "mean-field"
        box = self.space
        check_potential(self.potential, box.lengths)
        concrete = is_concrete(self.potential)
        if concrete and self.self_interaction and not np.isfinite(float(self._potential_at_zero)):
            raise StudyError(
                f"PairParticles(self_interaction=True): {type(self.potential).__name__} is infinite at r = 0, so every "
                "configuration would have infinite energy; write self_interaction=False."
            )
        # Checks that the modes fit the box, even if pairs are summed in the end.
        modes = self.potential.modes(box.lengths) if concrete else None
        self.orders = None
        if modes is not None and len(modes.indices) * COST_OF_A_MODE < self.n:
            self.orders = self.potential.orders(box.lengths)
        if self.states is not None:
            self.states = as_floats("PairParticles(states", self.states)
            if concrete:
                self._check_states(np.asarray(self.states))

    @property
    def space(self) -> ParticleBox:
        assert self.lengths is not None
        return ParticleBox(self.n, self.lengths, self.dimension, self.measure)

    @property
    def mean_field_factor(self) -> int:
        """What W is to be multiplied by for U to be (1/2N) Σ_ij W: 1, or N if pairs count in full."""
        return 1 if self.scaling == "mean-field" else self.n

    @property
    def conventions(self) -> str:
        """Scaling, self-terms, labels and measure, in words."""
        form = "U = (1/2N) sum_ij W" if self.scaling == "mean-field" else "U = sum_(i<j) W"
        own = "included" if self.self_interaction else "left out"
        return f"{form}, i = j {own}; Z over {self.space.measure}"

    @property
    def modes(self) -> Modes | None:
        """The Fourier modes with which the energy is summed; None if it is summed in pairs."""
        return None if self.orders is None else self.potential.modes(self.space.lengths, self.orders)

    def energy(self, x):
        modes = self.modes
        if modes is None:
            return self.energy_by_pairs(x)
        cosines, sines = density_modes(x, modes.indices, modes.lengths)
        mean = modes.constant + 2 * jnp.sum(modes.coefficients * (cosines**2 + sines**2))
        own = 0.0 if self.self_interaction else modes.constant + 2 * jnp.sum(modes.coefficients)
        return 0.5 * (self.n * mean - own) * self.mean_field_factor

    def energy_by_pairs(self, x: Float[Array, "n d"]) -> Float[Array, ""]:
        """U as the sum over pairs, in O(N²) operations and O(N) memory, for any potential."""
        total = _pair_sum(self.potential, self.space, x)
        if self.self_interaction:
            total = total + 0.5 * self.n * self._potential_at_zero
        return total / self.n if self.scaling == "mean-field" else total

    def order_parameter(self, x):
        """[mean over the axes of |ρ̂_k|²]^½ at the first k along each axis."""
        cosines, sines = density_modes(x, np.eye(self.dimension, dtype=int), self.space.lengths)
        return jnp.sqrt(jnp.mean(cosines**2 + sines**2))

    def observables(self, x):
        """`energy_per_particle`, and |ρ̂_k| as `density_mode_x1`, `density_mode_x2`, `density_mode_y1`, …: the first
        two wave vectors along each axis."""
        return {"energy_per_particle": self.energy(x) / self.n, **first_modes(x, self.space.lengths)}

    def known_states(self):
        if self.states is not None:
            return self.states
        core = self.potential.core()
        return None if core is None else _without_overlap(self.space, core)

    def symmetries(self):
        return frozenset({"permutation", "translation"})

    def base(self, kT):
        return UniformTorus.in_box(self.space)

    @property
    def _potential_at_zero(self):
        return self.potential(jnp.zeros(self.dimension))

    def _check_states(self, states):
        if states.ndim != 3 or states.shape[1:] != self.space.shape or not np.all(np.isfinite(states)):
            raise StudyError(
                f"PairParticles(states=...) has shape {states.shape}; give finite positions of shape "
                f"(states, {self.n}, {self.dimension})."
            )
        for number, state in enumerate(states):
            if np.isfinite(float(self.energy(jnp.asarray(state)))):
                continue
            i, j, distance = _closest(self.space, state)
            raise StudyError(
                f"PairParticles(states=...): states[{number}] has infinite energy; its particles {i} and {j} are at "
                f"distance {distance:.3g}, inside the core of {type(self.potential).__name__}. Start from "
                "configurations without overlaps, or leave `states` out."
            )


def _pair_sum(potential: Potential, box: ParticleBox, x: Float[Array, "n d"]) -> Float[Array, ""]:
    """Σ_{i<j} W, over the blocks on and above the diagonal of the matrix of pairs."""
    n = x.shape[0]
    blocks = -(-n // _BLOCK)
    side = -(-n // blocks)
    # Away from every other particle; its contribution is masked.
    elsewhere = jnp.asarray(np.asarray(box.lengths) * 0.31, x.dtype)
    padded = jnp.pad(x, ((0, blocks * side - n), (0, 0)))

    # Differentiated block by block: nothing of a block is kept for the backward pass.
    @jax.checkpoint
    def block(x, pair):
        rows, columns = pair[0] * side + jnp.arange(side), pair[1] * side + jnp.arange(side)
        first = jax.lax.dynamic_slice_in_dim(x, pair[0] * side, side)
        second = jax.lax.dynamic_slice_in_dim(x, pair[1] * side, side)
        r = box.displacement(first[:, None], second[None])
        counts = (rows[:, None] != columns) & (rows[:, None] < n) & (columns < n)
        # The gradient at r = 0 may be NaN, and 0·NaN is not 0: masked entries get another r.
        r = jnp.where(counts[..., None], r, elsewhere)
        energies = jnp.where(counts, jax.vmap(jax.vmap(potential))(r), 0.0)
        return jnp.where(pair[0] == pair[1], 0.5, 1.0).astype(x.dtype) * jnp.sum(energies)

    pairs = jnp.asarray(np.stack(np.triu_indices(blocks), axis=1))
    if blocks == 1:
        return block(padded, pairs[0])
    add = lambda total, pair: (total + block(padded, pair), None)  # noqa: E731
    return jax.lax.scan(add, jnp.zeros((), jax.eval_shape(block, padded, pairs[0]).dtype), pairs)[0]


def _closest(box: ParticleBox, state: np.ndarray) -> tuple[int, int, float]:
    x = jnp.asarray(state)
    distance = np.linalg.norm(np.asarray(box.displacement(x[:, None], x[None])), axis=-1)
    distance[np.diag_indices(len(state))] = np.inf
    i, j = np.unravel_index(np.argmin(distance), distance.shape)
    return int(min(i, j)), int(max(i, j)), float(distance[i, j])


def _without_overlap(box: ParticleBox, diameter) -> Float[Array, "2 n d"]:
    """A square lattice over the whole box, and one at its centre that is as dense as the cores allow (if the box has
    room for it)."""
    lengths = np.asarray(box.lengths)
    sites = _sites(box.n, lengths)
    spread = (
        (np.stack(np.unravel_index(_choose_sites(box.n, sites), sites), axis=1) + 0.5) / np.asarray(sites) * lengths
    )
    side = int(np.ceil(box.n ** (1 / box.dimension) - 1e-9))
    cube = (side,) * box.dimension
    grid = np.stack(np.unravel_index(np.arange(box.n), cube), axis=1) - 0.5 * (side - 1)
    # The minimum of Lennard-Jones; less if the box is too small.
    spacing = jnp.minimum(2 ** (1 / 6) * jnp.asarray(diameter), np.min(lengths) / side)
    cluster = 0.5 * jnp.asarray(lengths) + spacing * jnp.asarray(grid)
    return jnp.stack([jnp.asarray(spread, jnp.result_type(float)), cluster.astype(jnp.result_type(float))])


def _sites(n: int, lengths: np.ndarray) -> tuple[int, ...]:
    """Sites along each axis of a lattice of at least n sites that is as nearly cubic as the box allows."""
    sites = np.maximum(1, np.floor(lengths * (n / np.prod(lengths)) ** (1 / lengths.size) + 1e-9)).astype(int)
    while np.prod(sites) < n:
        sites[np.argmax(lengths / sites)] += 1
    return tuple(int(s) for s in sites)


def _choose_sites(n: int, sites: tuple[int, ...]) -> np.ndarray:
    """n of all sites, spread evenly."""
    return np.floor(np.arange(n) * (np.prod(sites) / n)).astype(int)
