"""Products of 32-bit numbers keep all their digits: in bases, maps and velocities used by hand, and in whole runs."""

import equinox as eqx
import jax
import jax.numpy as jnp
import pytest
from jax.extend import core

import statphys_flows as sf
from statphys_flows.bases import Dense
from statphys_flows.flows import Untransformed, latent_field
from statphys_flows.sampling import build_kernel, init
from statphys_flows.sampling.kernels import flow_move
from statphys_flows.training.transport import LearnedPath
from tests.helpers.registry import BASES, FACTORS, FLOWS, LATENT, VELOCITIES, shape_of

HIGHEST = (jax.lax.Precision.HIGHEST,) * 2


def products(function, *arguments):
    """The precisions of all products and convolutions in the program of a function."""
    dynamic, static = eqx.partition((function, arguments), eqx.is_array)

    def run(dynamic):
        function, arguments = eqx.combine(dynamic, static)
        return eqx.filter(function(*arguments), eqx.is_array)

    return list(_precisions(jax.make_jaxpr(run)(dynamic).jaxpr))


def _precisions(jaxpr):
    for equation in jaxpr.eqns:
        if equation.primitive.name in ("dot_general", "conv_general_dilated"):
            yield equation.params["precision"]
        for parameter in jax.tree.leaves(
            equation.params, is_leaf=lambda p: isinstance(p, core.Jaxpr | core.ClosedJaxpr)
        ):
            if isinstance(parameter, core.ClosedJaxpr):
                yield from _precisions(parameter.jaxpr)
            elif isinstance(parameter, core.Jaxpr):
                yield from _precisions(parameter)


def test_products_are_found_wherever_they_stand():
    """The power of what follows."""

    def nested(a):
        inner = jax.jit(lambda a: jax.lax.fori_loop(0, 2, lambda _, b: b @ a, a))
        return jax.lax.cond(a[0, 0] > 0, lambda: inner(a), lambda: a)

    assert products(nested, jnp.eye(2)) == [None]
    with jax.default_matmul_precision("highest"):
        assert products(nested, jnp.eye(2)) == [HIGHEST]


@pytest.mark.parametrize("name", BASES)
def test_bases(name, getkey):
    base = BASES[name](getkey())
    found = products(lambda b, key: b.log_prob(b.sample(key)), base, getkey())
    found += products(lambda b: b.mean, base)
    assert set(found) <= {HIGHEST}


@pytest.mark.parametrize("name", FACTORS)
def test_factors(name, getkey):
    factor = FACTORS[name](getkey())
    z = jnp.ones({"harmonic": (3, 4), "harmonic_3d": (2, 3, 2)}.get(name, _size(factor)))
    found = products(lambda f, z: f.solve(f.apply(z)), factor, z)
    assert set(found) <= {HIGHEST}
    assert bool(found) == (name not in ("diagonal", "bidiagonal", "bidiagonal_one")), "the test would see nothing"


def _size(factor):
    return jax.tree.leaves(factor)[0].shape[-1]


@pytest.mark.parametrize("name", VELOCITIES)
def test_velocities(name, getkey):
    velocity = VELOCITIES[name](getkey())
    x = jax.random.normal(getkey(), shape_of(velocity))
    found = products(lambda v, x: (v(0.3, x), v.field(0.3, x)), velocity, x)
    assert set(found) == {HIGHEST}


PROPOSALS = FLOWS | LATENT
PROPOSALS["droplet"] = lambda key: latent_field(sf.PairParticles(sf.PeriodicWell(a=4.0, b=1.0), n=8, dimension=2), 0.08)


@pytest.mark.parametrize("name", PROPOSALS)
def test_flows(name, getkey):
    flow = PROPOSALS[name](getkey())
    key = getkey()

    def both(flow, key):
        x, log_q = flow.sample_and_log_prob(key, 2)
        return log_q, flow.log_prob(x, key)

    found = products(both, flow, key)
    assert set(found) <= {HIGHEST}


@pytest.mark.parametrize("name", ["coupling_2d", "checkerboard_2d", "continuous_network"])
def test_gradients_of_flows(name, getkey):
    flow = FLOWS[name](getkey())
    x = jax.random.normal(getkey(), (2, *flow.base.mean.shape))
    assert set(products(eqx.filter_grad(lambda f, x: jnp.sum(f.log_prob(x))), flow, x)) == {HIGHEST}


class Quadratic(sf.System):
    """½ xᵀPx, written with @; what the setting was whenever it was traced is noted."""

    space = sf.Euclidean(2)

    def energy(self, x):
        SETTINGS.append(jax.config.jax_default_matmul_precision)
        return 0.5 * x @ jnp.asarray([[2.0, 1.0], [1.0, 2.0]]) @ x


SETTINGS = []
TINY = sf.FlowMCMC(
    chains=16,
    draws=20,
    moves=sf.Moves(local=1, flow=1),
    start=sf.Start(warm_up=4, particles=64),
    rounds=sf.Rounds(most=1, train_steps=1, buffer=32),
)
SAMPLERS = {
    "flow": TINY,
    "local": sf.LocalMCMC(chains=16, draws=20, warm_up=4),
    "smc": sf.TemperedSMC(chains=16, draws=32),
    "tempering": sf.ParallelTempering(chains=16, draws=20, warm_up=4, levels=2, moves=1),
}


def note(run):
    SETTINGS.clear()
    run()
    return set(SETTINGS)


def test_a_whole_study():
    assert note(lambda: sf.run_study(Quadratic(), kT=[1.0, 2.0], sampler=TINY, progress=False)) == {"highest"}
    assert jax.config.jax_default_matmul_precision is None


class _Stop(Exception):
    pass


class Stopping(Quadratic):
    """The same, which stops at the first trace: what would follow takes long to compile."""

    def energy(self, x):
        super().energy(x)
        raise _Stop


def stop(run):
    def whole():
        with pytest.raises(_Stop):
            run()

    return note(whole)


def _flow():
    return Untransformed(sf.Gaussian(jnp.zeros(2)))


ENTRIES = {
    "importance": lambda system: sf.importance(_flow(), system, n=64),
    "flow_for": lambda system: sf.flow_for(
        system, kT=1.0, key=jax.random.key(0), samples=jax.random.normal(jax.random.key(0), (64, 2))
    ),
    "train": lambda system: sf.train(
        sf.flows.real_nvp(
            jax.random.key(0), sf.Gaussian(jnp.zeros(2)), location=jnp.zeros(2), scale=jnp.ones(2), layers=2, width=4
        ),
        system=system, kT=1.0, objective=sf.ReverseKL(), steps=1, key=jax.random.key(0),
    ),
    "init": lambda system: init(jnp.zeros(2), lambda x: -system.energy(x), _flow()),
    "flow_move": lambda system: flow_move.build_kernel()(
        jax.random.key(0), init(jnp.zeros(2), lambda x: 0.0, _flow()), lambda x: -system.energy(x), _flow()
    ),
    "assisted": lambda system: build_kernel()(
        jax.random.key(0), init(jnp.zeros(2), lambda x: 0.0, _flow()), lambda x: -system.energy(x), _flow(),
        Dense(jnp.eye(2)), 0.1,
    ),
    **{name: lambda system, s=s: s.run(system, 1.0, jax.random.key(0)) for name, s in SAMPLERS.items()},
}  # fmt: skip


@pytest.mark.parametrize("name", ENTRIES)
def test_every_way_in(name):
    assert stop(lambda: ENTRIES[name](Stopping())) == {"highest"}


def test_hmc_with_a_dense_preconditioner(getkey):
    """Other packages' products too: the kinetic energy is one of theirs."""
    kernel, system = build_kernel(1, 1, sf.HMC(steps=2)), Quadratic()

    def density(x):
        return -system.energy(x)

    def step(flow, factor, key):
        return kernel(key, init(jnp.ones(2), density, flow), density, flow, factor, 0.1)[0].position

    found = products(step, _flow(), Dense(jnp.eye(2)), getkey())
    assert len(found) > 4
    assert set(found) == {HIGHEST}


def test_learned_paths(getkey):
    path = LearnedPath(2)
    assert set(products(lambda p, x: p(0.3, x, x), path, jnp.ones(2))) == {HIGHEST}


def test_a_user_may_lower_it():
    with jax.default_matmul_precision("tensorfloat32"):
        assert stop(lambda: sf.importance(_flow(), Stopping(), n=64)) == {"tensorfloat32"}
        assert set(products(lambda f, z: f.apply(z), Dense(jnp.eye(2)), jnp.ones(2))) != {HIGHEST}
        lowered = sf.Study(Quadratic()).configuration()["precision"]
    assert lowered == "float32, products tensorfloat32"
    assert sf.Study(Quadratic()).configuration()["precision"] == "float32"
