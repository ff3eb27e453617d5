"""Every flow and every velocity by name, each with parameters that are not trivial."""

import equinox as eqx
import jax
import jax.flatten_util
import jax.numpy as jnp

from statphys_flows import ContinuousFlow, Gaussian, Interval
from statphys_flows.bases import Diagonal, UniformTorus
from statphys_flows.flows import (
    DefensiveMixture,
    MovedLatentField,
    NetworkVelocity,
    PathVelocity,
    PotentialVelocity,
    checkerboard_coupling,
    circular_spline_coupling,
    hierarchical_coupling,
    latent_field,
    nice,
    real_nvp,
    site_field,
    spline_coupling,
)
from statphys_flows.flows.velocities import (
    BoundedLatticeVelocity,
    DensityModeVelocity,
    LatticeVelocity,
    PairVelocity,
)
from statphys_flows.spaces import Lattice, ParticleBox
from statphys_flows.systems import GeneralisedCosinePotential, MeanFieldPhi4, PairParticles
from statphys_flows.systems.potentials import half_space
from tests.helpers.registry.bases import GAUSSIANS, MIXTURES, SITES, lower

ROUGHNESS = 0.05


def _roughen(key, tree, size=ROUGHNESS):
    """Noise on every number of a tree but its integers."""
    arrays, rest = eqx.partition(tree, eqx.is_inexact_array)
    return eqx.combine(_noisy(key, arrays, size), rest)


@jax.jit
def _noisy(key, tree, size):
    # One draw for all: compiling one for each leaf takes seconds.
    numbers, restore = jax.flatten_util.ravel_pytree(tree)
    return restore(numbers + size * jax.random.normal(key, numbers.shape, numbers.dtype))


def path_velocity(key, interval=None, *, even, reflection, **options):
    """A velocity with every parameter moved off its start."""
    interval = Interval(SITES) if interval is None else interval
    return _roughen(key, PathVelocity(interval, 5.0, even=even, reflection=reflection, **options))


def lattice_velocity(key, shape, boundary="periodic", *, even=True, **options):
    """A velocity with every parameter moved off its start."""
    lattice = Lattice(shape, boundary)
    # Few terms, unless said otherwise: they are quick to compile.
    kind, few = BoundedLatticeVelocity, {"harmonics": 2}
    if all(lattice.periodic):
        kind, few = LatticeVelocity, {"harmonics": 2, "modulators": 1, "smoothers": 1}
    return _roughen(key, kind(lattice, 0.8, even=even, **few | options), 0.2)


def _network(kind):
    def build(key):
        a, b = jax.random.split(key)
        return _roughen(
            b, kind(a, 2, width=5, depth=1, times=2, location=jnp.ones(2), scale=jnp.asarray([1, 1.5])), 0.4
        )

    return build


def _particles(n, lengths, *, modes=0, kernels=0, size=0.2):
    """A velocity by the modes of lowest order, or by pairs, with every parameter moved off its start."""
    box = ParticleBox(n, lengths, None if isinstance(lengths, tuple) else 1)

    def build(key):
        if modes:
            return _roughen(key, DensityModeVelocity(box, half_space([1] * box.dimension)[:modes], times=3), size)
        return _roughen(key, PairVelocity(box, kernels=kernels, times=3), size)

    return build


VELOCITIES = {
    "path_even_reflection": lambda key: path_velocity(key, even=True, reflection=True),
    "path_even": lambda key: path_velocity(key, even=True, reflection=False),
    "path_reflection": lambda key: path_velocity(key, even=False, reflection=True),
    "path_plain": lambda key: path_velocity(key, even=False, reflection=False),
    "path_small": lambda key: path_velocity(key, even=True, reflection=True, harmonics=2, kernels=2, times=2),
    "path_one_harmonic": lambda key: path_velocity(key, even=True, reflection=True, harmonics=1, kernels=1, times=1),
    "path_published": lambda key: path_velocity(key, Interval(6, 1 / 6), even=False, reflection=False, reach=2.0),
    "path_one_site": lambda key: path_velocity(key, Interval(1), even=True, reflection=True),
    "lattice_even": lambda key: lattice_velocity(key, (4, 4), harmonics=5, modulators=2, smoothers=2),
    "lattice_gated": lambda key: lattice_velocity(key, (4, 3), gated=True),
    "lattice_uneven": lambda key: lattice_velocity(key, (3, 3), even=False),
    "lattice_1d": lambda key: lattice_velocity(key, 6, gated=True),
    "lattice_one_site": lambda key: lattice_velocity(key, 1, even=False),
    "lattice_3d": lambda key: lattice_velocity(key, (3, 2, 3), even=False),
    "lattice_convolved": lambda key: lattice_velocity(key, (4, 2), modulators=0, smoothers=0),
    "lattice_small": lambda key: lattice_velocity(key, (3, 2), gated=True, harmonics=1, times=2),
    "bounded_even": lambda key: lattice_velocity(key, (3, 4), "dirichlet"),
    "bounded_mixed": lambda key: lattice_velocity(key, (4, 3), ("periodic", "dirichlet"), even=False),
    "bounded_3d": lambda key: lattice_velocity(key, (2, 3, 2), ("dirichlet", "periodic", "dirichlet")),
    "network": _network(NetworkVelocity),
    "potential": _network(PotentialVelocity),
    "modes_1d": _particles(8, 2.0, modes=1),
    "modes_2d": _particles(8, (1.0, 1.5), modes=4),
    "modes_3d": _particles(3, (1.0, 1.5, 0.8), modes=5),
    "pairs_1d": _particles(8, 2.0, kernels=4),
    "pairs_2d": _particles(8, (1.0, 1.5), kernels=5),
    "pairs_3d": _particles(5, (1.0, 1.5, 0.8), kernels=3),
    "pairs_of_three": _particles(3, (1.0, 1.0), kernels=3, size=0.02),
}

PARTICLES = ("modes_1d", "modes_2d", "modes_3d", "pairs_1d", "pairs_2d", "pairs_3d", "pairs_of_three")


def shape_of(velocity):
    """Shape of the configurations that a velocity acts on."""
    match velocity:
        case PathVelocity():
            return velocity.interval.shape
        case LatticeVelocity() | BoundedLatticeVelocity():
            return velocity.lattice.shape
        case DensityModeVelocity() | PairVelocity():
            return velocity.box.shape
        case _:
            return velocity.network.spread.shape


# name: symmetries that the velocity (and on a symmetric base the flow) has by construction.
SYMMETRIES = {
    "path_even_reflection": {"sign", "reflection"},
    "path_even": {"sign"},
    "path_reflection": {"reflection"},
    "path_small": {"sign", "reflection"},
    "lattice_even": {"sign", "reflection"},
    "lattice_gated": {"sign", "reflection"},
    "lattice_uneven": {"reflection"},
    "lattice_small": {"sign", "reflection"},
    "bounded_even": {"sign", "reflection"},
    "bounded_mixed": {"reflection"},
}


def _on(base, velocity):
    return lambda key: ContinuousFlow(base(key), VELOCITIES[velocity](key), steps=32)


def _coupling(constructor, n, **options):
    def build(key):
        a, b, c = jax.random.split(key, 3)
        base = Gaussian(jnp.zeros(n), lower(a, n)) if n != 2 else MIXTURES["mixture_dense"](a)
        location, scale = jnp.linspace(-0.5, 0.5, n), jnp.linspace(1.0, 1.5, n)
        flow = constructor(b, base, location=location, scale=scale, layers=2, width=8, **options)
        return _off_the_start(c, flow)

    return build


def _off_the_start(key, flow):
    """Noise on the layers of a coupling flow, not on its frame."""
    return eqx.tree_at(lambda f: f.bijection.bijections[1], flow, replace_fn=lambda inner: _roughen(key, inner, 0.3))


def _checkerboard(shape, boundary, *, even):
    def build(key):
        lattice = Lattice(shape, boundary)
        a, b = jax.random.split(key)
        base = Gaussian(jnp.zeros(shape), Diagonal(jnp.full(shape, 0.8)))
        flow = checkerboard_coupling(a, base, lattice=lattice, even=even, layers=3, width=3)
        return eqx.tree_at(lambda f: f.bijection, flow, _roughen(b, flow.bijection, 0.2))

    return build


def circular(key, n=2):
    """A flow on a torus with every parameter but the periods moved off its start."""
    a, b = jax.random.split(key)
    flow = circular_spline_coupling(a, dimension=n, lengths=jnp.linspace(1.0, 2.0, n), layers=3, knots=4, width=8)
    return _off_the_start(b, flow)


# The compile time of a solve grows with the features: the velocity here has few.
CONTINUOUS = {
    "continuous_bridge": _on(GAUSSIANS["massive"], "path_small"),
    "continuous_mixture": _on(MIXTURES["mixture_orbits"], "path_small"),
    "continuous_lattice": _on(GAUSSIANS["free_centre"], "lattice_small"),
    "continuous_network": _on(MIXTURES["mixture_dense"], "network"),
    "continuous_potential": _on(MIXTURES["mixture_dense"], "potential"),
    "continuous_particles": _on(lambda key: UniformTorus.in_box(ParticleBox(3, (1.0, 1.0))), "pairs_of_three"),
}

COUPLINGS = {f"coupling_{n}d": _coupling(spline_coupling, n, knots=4) for n in (1, 2, 3)}
COUPLINGS["real_nvp_2d"] = _coupling(real_nvp, 2)
COUPLINGS["hierarchical_3d"] = _coupling(hierarchical_coupling, 3)

VOLUME_PRESERVING = {"nice_3d": _coupling(nice, 3)}

CHECKERBOARDS = {
    "checkerboard_2d": _checkerboard((4, 2), "periodic", even=True),
    "checkerboard_mixed": _checkerboard((2, 3), ("periodic", "dirichlet"), even=False),
}

CIRCULAR = {"circular_3d": lambda key: circular(key, 3)}

FLOWS = CONTINUOUS | COUPLINGS | VOLUME_PRESERVING | CHECKERBOARDS | CIRCULAR


def _attracted_and_repelled(n=4):
    return PairParticles(GeneralisedCosinePotential(1.4, period=2.0), n=n, dimension=1, lengths=2.0)


def _moved_field(key):
    system = _attracted_and_repelled()
    return MovedLatentField(latent_field(system, 0.5), _particles(system.n, 2.0, modes=1)(key), steps=8)


def _defended_field(key):
    sharp, safe = (latent_field(_attracted_and_repelled(), kT) for kT in (0.5, 0.8))
    return DefensiveMixture(sharp, safe, jnp.asarray(0.3))


# Proposals with auxiliary variables.
LATENT = {
    "latent_field": lambda key: latent_field(_attracted_and_repelled(), 0.5),
    "moved_latent_field": _moved_field,
    "site_field": lambda key: site_field(MeanFieldPhi4(4, field=0.1), 0.9),
    "defended_latent_field": _defended_field,
}

# Velocities as they are built, before any training.
UNTRAINED = {
    "path": lambda key: PathVelocity(Interval(SITES), 3.0, even=False, reflection=False),
    "lattice": lambda key: LatticeVelocity(Lattice((3, 2)), 0.8, even=False, gated=True, harmonics=2),
    "bounded": lambda key: BoundedLatticeVelocity(Lattice((3, 2), "dirichlet"), 0.8, even=False, harmonics=2),
    "network": lambda key: NetworkVelocity(key, 2, width=5, depth=1),
    "potential": lambda key: PotentialVelocity(key, 2, width=5, depth=1),
    "modes": lambda key: DensityModeVelocity(ParticleBox(4, (1.0, 1.5)), half_space([1, 1])),
    "pairs": lambda key: PairVelocity(ParticleBox(4, (1.0, 1.5)), kernels=4),
}
