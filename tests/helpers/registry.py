"""Every base and every flow by name, each with parameters that are not trivial. A new one is tested by adding a line.

A constructor takes a key and builds in the precision that is on when it is called.
"""

import equinox as eqx
import jax
import jax.flatten_util
import jax.numpy as jnp

from statphys_flows import BrownianBridge, ContinuousFlow, Gaussian, GaussianChain, Interval, MassiveBridge, Mixture
from statphys_flows.bases import (
    Bidiagonal,
    Dense,
    Diagonal,
    FreeField,
    HarmonicDiagonal,
    SineDiagonal,
    UniformTorus,
    lattice_laplacian,
)
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

SITES = 7
ROUGHNESS = 0.05


def _lower(key, n):
    return jnp.tril(0.3 * jax.random.normal(key, (n, n)), -1) + jnp.diag(jnp.linspace(0.7, 1.4, n))


def _chain(key, n=5, shift=0.0):
    a, b = jax.random.split(key)
    state = shift + 0.3 * jax.random.normal(a, (n,))
    return GaussianChain(state, 3 + jax.random.uniform(b, (n,)), jnp.linspace(-1.2, -0.8, n - 1))


def _two_wells(key, n=SITES):
    """Chains that are images of each other under x → -x and lie symmetrically in s, and a free field between them."""
    del key
    state = jnp.sin(jnp.pi * jnp.arange(1, n + 1) / (n + 1))
    diagonal, off_diagonal = jnp.full(n, 3.0), jnp.full(n - 1, -1.2)
    wells = [GaussianChain(sign * state, diagonal, off_diagonal) for sign in (1, -1)]
    return Mixture([*wells, MassiveBridge(Interval(n), 0.4, 5.0)], orbits=[0, 0, 1], weights=[0.7, 0.3])


GAUSSIANS = {
    "standard": lambda key: Gaussian(jnp.zeros(4)),
    "diagonal": lambda key: Gaussian(jax.random.normal(key, (4,)), jnp.linspace(0.3, 2.0, 4)),
    "dense": lambda key: Gaussian(jnp.arange(4.0), _lower(key, 4)),
    "one": lambda key: Gaussian(jnp.ones(1), jnp.full(1, 0.5)),
    "brownian": lambda key: BrownianBridge(Interval(SITES), 0.4),
    "brownian_spacing": lambda key: BrownianBridge(Interval(4, 0.25), 2.0),
    "brownian_one_site": lambda key: BrownianBridge(Interval(1), 0.4),
    "massive": lambda key: MassiveBridge(Interval(SITES), 0.4, 3.0),
    "massive_negative": lambda key: MassiveBridge(Interval(SITES), 0.4, -3.0),
    "chain": _chain,
    "chain_one_site": lambda key: GaussianChain(jnp.ones(1), jnp.full(1, 2.0), jnp.zeros(0)),
    "free_1d": lambda key: FreeField(Lattice(5), 0.7, 0.3),
    "free_2d": lambda key: FreeField(Lattice((3, 3)), 2.0, 0.5),
    "free_centre": lambda key: FreeField(Lattice((3, 2)), 0.7, 0.3, centre=-1.5),
    "free_3d": lambda key: FreeField(Lattice((3, 1, 2)), 1.5, 0.8),
    "free_bounded": lambda key: FreeField(Lattice((3, 2), "dirichlet"), 0.7, 0.1),
    "free_mixed": lambda key: FreeField(Lattice((2, 3), ("dirichlet", "periodic")), 0.7, 0.1),
}

MIXTURES = {
    "mixture_dense": lambda key: Mixture([Gaussian(jnp.zeros(2), _lower(key, 2)), Gaussian(jnp.ones(2))]),
    "mixture_weights": lambda key: Mixture([_chain(key, 3, 1.0), _chain(key, 3, -1.0)], weights=[3.0, 1.0]),
    "mixture_orbits": _two_wells,
}

UNIFORM = {"torus": lambda key: UniformTorus([1.0, 2.5])}

BASES = GAUSSIANS | MIXTURES | UNIFORM

FACTORS = {
    "diagonal": lambda key: Diagonal(jnp.asarray([0.5, -2.0, 1.5])),
    "dense": lambda key: Dense(_lower(key, 4)),
    "sine": lambda key: SineDiagonal(jnp.linspace(0.5, 4.0, SITES)),
    "bidiagonal": lambda key: Bidiagonal(0.3 * jax.random.normal(key, (SITES,)), jnp.linspace(-0.8, 0.6, SITES - 1)),
    "bidiagonal_one": lambda key: Bidiagonal(jnp.asarray([0.4]), jnp.zeros(0)),
    "harmonic": lambda key: _harmonic(Lattice((3, 4), ("dirichlet", "periodic"))),
    "harmonic_3d": lambda key: _harmonic(Lattice((2, 3, 2))),
}


def _harmonic(lattice):
    return HarmonicDiagonal(lattice, jnp.log(0.2 + jnp.asarray(lattice_laplacian(lattice))))


def _roughened(key, tree, size=ROUGHNESS):
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
    return _roughened(key, PathVelocity(interval, 5.0, even=even, reflection=reflection, **options))


def lattice_velocity(key, shape, boundary="periodic", *, even=True, **options):
    """A velocity with every parameter moved off its start."""
    lattice = Lattice(shape, boundary)
    # Few terms, unless said otherwise: they are quick to compile.
    kind, few = BoundedLatticeVelocity, {"harmonics": 2}
    if all(lattice.periodic):
        kind, few = LatticeVelocity, {"harmonics": 2, "modulators": 1, "smoothers": 1}
    return _roughened(key, kind(lattice, 0.8, even=even, **few | options), 0.2)


def _network(kind):
    def build(key):
        a, b = jax.random.split(key)
        return _roughened(
            b, kind(a, 2, width=5, depth=1, times=2, location=jnp.ones(2), scale=jnp.asarray([1, 1.5])), 0.4
        )

    return build


def _particles(n, lengths, *, modes=0, kernels=0, size=0.2):
    """A velocity by the modes of lowest order, or by pairs, with every parameter moved off its start."""
    box = ParticleBox(n, lengths, None if isinstance(lengths, tuple) else 1)

    def build(key):
        if modes:
            return _roughened(key, DensityModeVelocity(box, half_space([1] * box.dimension)[:modes], times=3), size)
        return _roughened(key, PairVelocity(box, kernels=kernels, times=3), size)

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
        base = Gaussian(jnp.zeros(n), _lower(a, n)) if n != 2 else MIXTURES["mixture_dense"](a)
        location, scale = jnp.linspace(-0.5, 0.5, n), jnp.linspace(1.0, 1.5, n)
        flow = constructor(b, base, location=location, scale=scale, layers=2, width=8, **options)
        return _off_the_start(c, flow)

    return build


def _off_the_start(key, flow):
    """Noise on the layers of a coupling flow, not on its frame."""
    return eqx.tree_at(lambda f: f.bijection.bijections[1], flow, replace_fn=lambda inner: _roughened(key, inner, 0.3))


def _checkerboard(shape, boundary, *, even):
    def build(key):
        lattice = Lattice(shape, boundary)
        a, b = jax.random.split(key)
        base = Gaussian(jnp.zeros(shape), Diagonal(jnp.full(shape, 0.8)))
        flow = checkerboard_coupling(a, base, lattice=lattice, even=even, layers=3, width=3)
        return eqx.tree_at(lambda f: f.bijection, flow, _roughened(b, flow.bijection, 0.2))

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
