"""Which flow fits a system."""

import functools
from collections.abc import Callable, Sequence
from typing import overload

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from statphys_flows.bases import Base, FreeField, Gaussian, Mixture, UniformTorus
from statphys_flows.bases.factors import at_least_rounding
from statphys_flows.errors import StudyError
from statphys_flows.flows.continuous import ContinuousFlow
from statphys_flows.flows.coupling import coordinate_splines, hierarchical_coupling, spline_coupling
from statphys_flows.flows.latent import MovedLatentField, latent_field, site_field
from statphys_flows.flows.proposal import Proposal
from statphys_flows.flows.untransformed import Untransformed
from statphys_flows.flows.velocities import (
    BoundedLatticeVelocity,
    DensityModeVelocity,
    LatticeVelocity,
    PairVelocity,
    PathVelocity,
    Velocity,
)
from statphys_flows.flows.velocities.particles.particle_modes import linear_response
from statphys_flows.precision import full_precision
from statphys_flows.spaces import Euclidean, Interval, Lattice, ParticleBox, Space
from statphys_flows.systems import PairParticles, System
from statphys_flows.systems.fields.mean_field_sites import MeanFieldSites
from statphys_flows.systems.potentials import Modes
from statphys_flows.systems.symmetries import symmetries_of
from statphys_flows.theory.basins import basin_mixture
from statphys_flows.theory.free_field import free_fields
from statphys_flows.theory.laplace import laplace_chains, laplace_mixture, variational_bridge
from statphys_flows.theory.seeding import states_of

# Of the base of a `HierarchicalCoupling`: its second Gaussian's width, and share at the start.
_WIDER, _SHARE = 1.5, 0.1


def flow_for(
    system: System, *, kT: float, key: PRNGKeyArray, samples: Float[Array, "samples ..."] | None = None
) -> Proposal:
    """An untrained flow with the structure of `system`: the first of `flows_for`.

    - `Interval`: a `ContinuousFlow` with a `PathVelocity`, odd and reflection symmetric where the system is.
    - `Lattice`: a `ContinuousFlow` on a free field, with a `LatticeVelocity`, odd where the system is; with a
      `BoundedLatticeVelocity` where an axis is Dirichlet. Either commutes with translations along periodic axes,
      so that it fits badly where U does not.
    - `ParticleBox`: a `LatentField` where particles attract each other by Fourier modes; else a `ContinuousFlow` from
      the ideal gas, with a `DensityModeVelocity` that starts from linear response, or a `PairVelocity` for potentials
      with cores. Both commute with exchanges and translations.
    - `Euclidean`: Gaussians, one for each mode that is known or that samples show, without a map (`Untransformed`).

    `MeanFieldSites` that attract each other have a `SiteField`, whatever their space.

    **Arguments:**

    - `system`, `kT`: what the flow is for; `system.base(kT)` is used if it gives one.
    - `key`: for initial weights.
    - `samples`: configurations that chains have seen, shape (samples, *space.shape), for centre and spread.
    """
    return flows_for(system, kT=kT, key=key, samples=samples)[0]


@full_precision()
def flows_for(
    system: System, *, kT: float, key: PRNGKeyArray, samples: Float[Array, "samples ..."] | None = None
) -> Sequence[Proposal]:
    """Candidates to try in turn, safest first; arguments as `flow_for`.

    On an `Interval`: on the variational bridge, which covers all; then on the Laplace approximations of the known
    states, sharper where the wells are well apart. On a `Lattice`: on the free field about zero that is nearest to the
    target; then, where one about another constant is nearer, on that (and its mirror image). In a `ParticleBox` with
    attractions and repulsions, by the latent field of the former; then with the particles moved after that
    (`MovedLatentField`). In ℝⁿ: a Gaussian in each mode, as they are; coordinates each by itself; Gaussians in the
    modes, carried on by a spline `CouplingFlow`; then the same from one broad Gaussian. Elsewhere there is one. A
    candidate is built when it is looked at.

    A new space brings its own flows: `@flows_for_space.register` a function
    `(space, system, kT, key, samples) -> Sequence[Proposal]`.
    """
    system = system.unwrapped
    field = site_field(system, kT) if isinstance(system, MeanFieldSites) else None
    return flows_for_space(system.space, system, kT, key, samples) if field is None else (field,)


@functools.singledispatch
def flows_for_space(space: Space, system: System, kT: float, key: PRNGKeyArray, samples) -> Sequence[Proposal]:
    """`flows_for`, dispatched on the type of the space."""
    raise StudyError(
        f"No flow is known for {type(space).__name__}; register one with statphys_flows.flows.dispatch.flows_for_space."
    )


@flows_for_space.register
def _(space: Interval, system, kT, key, samples):
    own = system.base(kT)
    bases = (variational_bridge(system, kT), laplace_chains(system, kT)) if own is None else (own,)
    seen = [jnp.asarray(x) for x in (states_of(system), samples) if x is not None]
    # Four times a typical amplitude: the sines stay monotonic over what matters and bounded beyond it.
    reach = 4.0 * max([float(jnp.sqrt(jnp.mean(x**2))) for x in seen], default=1.0)
    symmetries = symmetries_of(system)
    velocity = PathVelocity(
        space,
        10.0 / (space.spacing * (space.sites + 1)),
        even="sign" in symmetries,
        reflection="reflection" in symmetries,
        reach=reach,
    )
    return tuple(ContinuousFlow(base, velocity) for base in bases if base is not None)


@flows_for_space.register
def _(space: Lattice, system, kT, key, samples):
    own = system.base(kT)
    bases = free_fields(system, kT) if own is None else (own,)
    return tuple(ContinuousFlow(base, _lattice_velocity(space, system, base, samples)) for base in bases)


def _lattice_velocity(lattice: Lattice, system: System, base: Base, samples) -> Velocity:
    fluctuations = base.components[0] if isinstance(base, Mixture) else base
    mass = 1.0
    if isinstance(fluctuations, FreeField):
        mass = float(jnp.exp(0.5 * fluctuations.log_mass_squared))
    draws = jax.vmap(base.sample)(jax.random.split(jax.random.key(0), 64)) if samples is None else jnp.asarray(samples)
    reach = 4.0 * float(jnp.sqrt(jnp.mean(draws**2)))
    even = "sign" in symmetries_of(system)
    if not all(lattice.periodic):
        return BoundedLatticeVelocity(lattice, mass, even=even, reach=reach)
    return LatticeVelocity(lattice, mass, even=even, gated=isinstance(base, Mixture), reach=reach)


@flows_for_space.register
def _(space: ParticleBox, system, kT, key, samples):
    pairs = isinstance(system, PairParticles)
    field = latent_field(system, kT) if pairs else None
    modes = system.potential.modes(space.lengths) if pairs else None
    repulsive = modes is None or bool(jnp.max(modes.coefficients) > 1e-3 * jnp.max(jnp.abs(modes.coefficients)))
    if field is not None and not repulsive:
        return (field,)
    if not {"permutation", "translation"} <= symmetries_of(system):
        raise StudyError(
            f"{type(system).__name__}: there is a flow for particles whose energy does not change when two are "
            "exchanged or all are moved together, and this system does not declare it; if that holds for its energy, "
            'let symmetries() return frozenset({"permutation", "translation"}).'
        )
    velocity = _particle_velocity(space, system, kT, modes)
    if field is None:
        return (ContinuousFlow(UniformTorus.in_box(space), velocity),)
    return (field, MovedLatentField(field, velocity))


def _particle_velocity(box: ParticleBox, system: System, kT: float, modes: Modes | None) -> Velocity:
    if modes is None:
        return PairVelocity(box)
    assert isinstance(system, PairParticles)
    # U/kT = Σ a_k s_k with s_k = N |ρ̂_k|². Attractions are the latent field's.
    strengths = modes.coefficients / kT * (1 if system.scaling == "mean-field" else box.n)
    wave_vectors = jnp.asarray(modes.wave_vectors, strengths.dtype)
    return DensityModeVelocity(box, modes.indices, linear_response(jnp.maximum(strengths, 0.0), wave_vectors))


@flows_for_space.register
def _(space: Euclidean, system, kT, key, samples):
    if samples is None:
        location, scale = jnp.zeros(space.shape), jnp.full(space.shape, float(space.extent))
    else:
        location, scale = _frame(samples)
    broad = Gaussian(location, scale)
    base = system.base(kT)
    if base is None:
        base = laplace_mixture(system, kT)
    if base is None and samples is not None:
        base = basin_mixture(system, kT, samples)

    def moved(base):
        return lambda: spline_coupling(key, base, location=location, scale=scale)

    # Where some coordinates set the scale of others, U falls on and on, without a basin, or to a minimum far from most
    # of the weight.
    hierarchy = () if samples is None else (lambda: _hierarchical(key, samples),)
    if base is None:
        return Candidates(*hierarchy, moved(broad))
    if isinstance(base, Mixture) and system.base(kT) is None:
        # From few of many modes none but the second would ever get to the others.
        apart = functools.partial(coordinate_splines, broad, location=location, scale=scale)
        return Candidates(lambda: Untransformed(base), apart, moved(base), moved(broad))
    return Candidates(lambda: Untransformed(base), moved(base), *hierarchy)


def _hierarchical(key: PRNGKeyArray, samples) -> Proposal:
    """From a Gaussian as wide as the bulk of the samples, and now and then from a wider one: what flow and chains both
    leave out of a tail shows in no weight."""
    low, median, high = jnp.quantile(samples, jnp.asarray([0.16, 0.5, 0.84]), axis=0)
    scale = at_least_rounding(0.5 * (high - low), samples)
    base = Mixture([Gaussian(median, scale), Gaussian(median, _WIDER * scale)], weights=[1 - _SHARE, _SHARE])
    return hierarchical_coupling(key, base, location=median, scale=scale)


def _frame(samples):
    """Centre and spread, such that splines, which end four spreads away, reach all that was seen: a well that only few
    of the samples are in lies many standard deviations from the others."""
    low, high = jnp.min(samples, axis=0), jnp.max(samples, axis=0)
    scale = at_least_rounding(jnp.maximum(jnp.std(samples, axis=0), (high - low) / 7), samples)
    return jnp.clip(jnp.mean(samples, axis=0), high - 3.9 * scale, low + 3.9 * scale), scale


class Candidates(Sequence[Proposal]):
    """Flows that are built when they are looked at: the first is often good enough, and to build the others takes
    seconds."""

    def __init__(self, *builders: Callable[[], Proposal]):
        self._builders = builders

    def __len__(self):
        return len(self._builders)

    @overload
    def __getitem__(self, index: int) -> Proposal: ...

    @overload
    def __getitem__(self, index: slice) -> "Candidates": ...

    def __getitem__(self, index):
        return Candidates(*self._builders[index]) if isinstance(index, slice) else self._builders[index]()
