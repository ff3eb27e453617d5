"""Base densities derived from an energy: the best free field, and the expansion about its minima to second order."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optimistix as optx
from jaxtyping import Array, Float

from statphys_flows.bases import Base, Gaussian, GaussianChain, MassiveBridge, Mixture
from statphys_flows.bases.factors import SineDiagonal, laplacian_eigenvalues
from statphys_flows.spaces import Interval
from statphys_flows.systems.symmetries import symmetries_of
from statphys_flows.systems.system import System
from statphys_flows.systems.walls import bound_inside
from statphys_flows.theory.harmonic import harmonic, widths_of
from statphys_flows.theory.seeding import states_of

_MASSES = 48
# The number of minimisations that run side by side.
_TOGETHER = 64
_DRAWS = 128
# The number of fields at which couplings are computed if there is no second derivative at zero.
_ELSEWHERE = 8
# Every well keeps a thousandth of the deepest one's weight, however high it is: the approximation may be wrong.
_LEAST_LOG_WEIGHT = -7.0


@eqx.filter_jit
def relax(
    system: System, kT: Float[Array, ""], states: Float[Array, "states ..."], units: Float[Array, "..."] | None = None
) -> Float[Array, "states ..."]:
    """The minimum of U to which each state descends (BFGS); the state itself if the search does not find a lower U.

    The search uses U/kT and displacements from the state divided by `units`, which have the shape of the states or of
    one state and alone determine the size of steps. They are 1 if not given, as for a field with equivalent
    components."""
    solver = optx.BFGS(rtol=1e-5, atol=1e-5)
    units = jnp.ones_like(states) if units is None else jnp.broadcast_to(units, states.shape).astype(states.dtype)

    def one(inputs):
        state, unit = inputs

        def reduced_energy(z, _):
            return system.energy(state + unit * z) / kT

        steps = 200 + 4 * state.size
        z = optx.minimise(reduced_energy, solver, jnp.zeros_like(state), max_steps=steps, throw=False).value
        found = state + unit * z
        return jnp.where(system.energy(found) < system.energy(state), found, state)

    return jax.lax.map(one, (states, units), batch_size=_TOGETHER)


def variational_bridge(system: System, kT: float) -> MassiveBridge:
    """The massive bridge nearest to a field on an interval in reverse Kullback-Leibler divergence (the
    Gibbs-Bogoliubov-Feynman bound). It is centred on zero and covers every well and the region between them.

    Its stiffness is the coupling of neighbouring sites in U, and its mass is the best one of a grid.
    """
    interval: Interval = system.space
    coupling = np.asarray(_curvature(system, jnp.zeros((1, *interval.shape)))[1])
    if not np.all(np.isfinite(coupling)):
        # The zero field may be at a kink of U.
        elsewhere = np.asarray(_curvature(system, interval.cover(jax.random.key(0), _ELSEWHERE))[1])
        coupling = elsewhere[np.all(np.isfinite(elsewhere), axis=1)]
    # In a field with gradient energy κ|φ'|²/2 neighbours couple by -κ/ds. A single site has no neighbour. If U has no
    # second derivative anywhere, κ = 1 is assumed.
    bond = -float(np.mean(coupling)) / kT if coupling.size else 1.0 / (kT * interval.spacing)
    stiffness = max(bond, 1e-6) * interval.spacing
    masses = np.geomspace(0.1, 2.0 / interval.spacing, _MASSES) / (interval.spacing * (interval.sites + 1))
    # As arrays: a Python number would be a constant of the program, which every temperature would compile again.
    arrays = [jnp.asarray(a, jnp.result_type(float)) for a in (kT, stiffness, masses)]
    divergence = np.nan_to_num(np.asarray(_bridge_divergence(system, *arrays)), nan=np.inf)
    return MassiveBridge(interval, stiffness, masses[np.argmin(divergence)])


def laplace_chains(system: System, kT: float) -> Base | None:
    """A `Mixture` of one `GaussianChain` about each known state of a field on an interval: the Laplace approximation
    of each well. It is exact as kT → 0 and does not cover the region between the wells. None without known states, or
    if U has no second derivative at one of them."""
    states = states_of(system)
    if states is None:
        return None
    states = relax(system, jnp.asarray(kT, jnp.result_type(float)), states)
    diagonal, off_diagonal = (np.asarray(c, float) / kT for c in _curvature(system, states))
    if not (np.all(np.isfinite(diagonal)) and np.all(np.isfinite(off_diagonal)) and np.all(np.any(diagonal, axis=1))):
        return None
    chains = [
        GaussianChain(state, _make_positive(d, o), o)
        for state, d, o in zip(np.asarray(states), diagonal, off_diagonal, strict=True)
    ]
    return (
        chains[0] if len(chains) == 1 else Mixture(chains, orbits=orbits_of(np.asarray(states), symmetries_of(system)))
    )


def laplace_mixture(system: System, kT: float) -> Gaussian | Mixture | None:
    """A `Gaussian` about each known state of a system in ℝⁿ, relaxed to a minimum; None without known states."""
    states = states_of(system)
    if states is None:
        return None
    units = jnp.asarray(np.stack([widths_of(harmonic(system, kT, state).gaussian) for state in states]))
    states = relax(system, jnp.asarray(kT, jnp.result_type(float)), states, units)
    components = [harmonic(system, kT, state).gaussian for state in states]
    if len(components) == 1:
        return components[0]
    widths = np.stack([widths_of(c) for c in components])
    orbits = np.asarray(orbits_of(np.asarray(states), symmetries_of(system), widths))
    # exp(-U/kT) of each well times the width of its Gaussian.
    log_weights = np.asarray([c.log_z - system.energy(s) / kT for c, s in zip(components, states, strict=True)], float)
    weights = np.exp(np.maximum(log_weights - log_weights.max(), _LEAST_LOG_WEIGHT))
    return Mixture(components, orbits=orbits, weights=np.bincount(orbits, weights))


@eqx.filter_jit
def _curvature(system: System, states) -> tuple[Float[Array, "states n"], Float[Array, "states n-1"]]:
    """Diagonal and first off-diagonal of U's Hessian in three Hessian-vector products: sites of one colour, i mod 3,
    do not interact in a nearest-neighbour field. For longer-ranged energies this is an approximation, which the flow
    has to correct."""
    n = states.shape[1]
    colours = jnp.asarray(np.arange(n) % 3 == np.arange(3)[:, None], states.dtype)

    def one(state):
        columns = jax.vmap(lambda v: jax.jvp(jax.grad(system.energy), (state,), (v,))[1])(colours)
        site = np.arange(n)
        return columns[site % 3, site], columns[(site[1:]) % 3, site[:-1]]

    return jax.vmap(one)(states)


def _make_positive(diagonal: Float[Array, " n"], off_diagonal: Float[Array, " m"]) -> Float[Array, " n"]:
    """The diagonal, raised evenly until the tridiagonal matrix is safely positive definite (at a saddle it is not)."""
    lowest = np.linalg.eigvalsh(np.diag(diagonal) + np.diag(off_diagonal, 1) + np.diag(off_diagonal, -1))[0]
    floor = 1e-3 * np.abs(diagonal).mean()
    return diagonal + max(0.0, floor - lowest)


@eqx.filter_jit
def _bridge_divergence(system, kT, stiffness, masses):
    interval = system.space
    laplacian = jnp.asarray(laplacian_eigenvalues(interval.sites), masses.dtype)
    z = jax.random.normal(jax.random.key(0), (_DRAWS, interval.sites), masses.dtype)
    z = jnp.concatenate([z, -z])
    log_q = -0.5 * jnp.sum(z**2, axis=1)

    def one(mass):
        factor = SineDiagonal(stiffness / interval.spacing * (laplacian + (mass * interval.spacing) ** 2))
        energies = jax.vmap(lambda z: system.energy(factor.apply(z)))(z)
        return bound_inside(energies, kT, log_q, factor.log_det)

    return jax.lax.map(one, masses)


def orbits_of(states: np.ndarray, symmetries: frozenset[str], widths: np.ndarray | None = None) -> list[int]:
    """The orbit of each state under the declared symmetries, numbered from 0.

    An image and a state count as one if their distance is below half a standard deviation, `widths` (states, n), in
    every coordinate; without widths, if it is within a twentieth of the largest coordinate of all, as for a field with
    equivalent components."""
    actions = {"sign": lambda x: -x, "reflection": lambda x: x[::-1]}
    tolerance = np.full(states.shape, 0.05 * np.abs(states).max() + 1e-6) if widths is None else 0.5 * widths
    orbits: list[int] = []
    for i, state in enumerate(states):
        images = [state] + [actions[name](state) for name in sorted(symmetries & set(actions))]
        same = [
            orbits[j] for j in range(i) if any((np.abs(states[j] - image) < tolerance[j]).all() for image in images)
        ]
        orbits.append(same[0] if same else max(orbits, default=-1) + 1)
    return orbits
