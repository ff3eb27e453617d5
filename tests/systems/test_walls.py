"""Hard walls: an energy of +inf, or a likelihood of zero, in a part of the space."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.scipy.stats import norm as jax_norm
from scipy.special import log_ndtr
from scipy.stats import norm

import statphys_flows as sf
from statphys_flows.analysis import ladder_log_z
from statphys_flows.bases import Diagonal
from statphys_flows.sampling.adaptive.walkers import _seed
from statphys_flows.sampling.kernels.assisted import local_sweep
from statphys_flows.study.assemble import is_linear
from statphys_flows.study.scan import Scan
from statphys_flows.systems.walls import is_inside, log_density, reduced_energy
from statphys_flows.theory import check_system, seed_states
from statphys_flows.theory.free_field import free_fields
from statphys_flows.theory.laplace import laplace_mixture

HALF_LINE = sf.Hamiltonian(lambda x: jnp.where(x[0] > 0, x[0], jnp.inf), space=1)
BOX = sf.Hamiltonian(lambda x: jnp.where(jnp.all(jnp.abs(x) < 1), 0.0, jnp.inf), space=2)
CORNER = sf.Hamiltonian(lambda x: jnp.where((x[0] > 0) & (x[1] > -0.5), 0.5 * jnp.sum(x**2), jnp.inf), space=2)
# x - log x, the slope of whose root is NaN outside and infinite at the wall.
ROOT = sf.Hamiltonian(lambda x: jnp.where(x[0] > 0, x[0] - 2 * jnp.log(jnp.sqrt(x[0])), jnp.inf), space=1)
KERNELS = [sf.MALA(), sf.HMC(), sf.NUTS(max_doublings=4), sf.RandomWalk()]


def posterior(cut=1.0):
    """A standard normal prior, and a likelihood that excludes what is above `cut`: 16% at 1."""
    return sf.Posterior(
        lambda x: jnp.where(x[0] > cut, -jnp.inf, -0.5 * (x[0] - 0.5) ** 2),
        log_prior=lambda x: jax_norm.logpdf(x[0]),
        prior_sample=lambda key: jax.random.normal(key, (1,)),
        space=1,
    )


def log_evidence(cut=1.0):
    """∫ N(x; 0, 1) exp(-(x - ½)²/2) over x < cut: a Gaussian of mean ¼ and variance ½."""
    return -0.5 * np.log(2) - 1 / 16 + log_ndtr((cut - 0.25) * np.sqrt(2))


EXACT = {
    "half line": (HALF_LINE, 0.0),
    "box": (BOX, 2 * np.log(2)),
    "corner": (CORNER, np.log(2 * np.pi) + norm.logsf(0) + norm.logsf(-0.5)),
    "posterior": (posterior(), log_evidence()),
}


@pytest.mark.parametrize("system", [HALF_LINE, BOX, CORNER, ROOT, posterior()])
def test_walls_are_no_reason_to_refuse_a_system(system):
    for seed in range(5):
        check_system(system, 1.0, jax.random.key(seed))


def test_walkers_start_inside_whatever_the_seed():
    for seed in range(5):
        states = seed_states(BOX, 1.0, jax.random.key(seed), 40)
        assert states.shape == (40, 2)
        assert is_inside(BOX, states).all()
        assert len(np.unique(np.asarray(states), axis=0)) == 40
    options = sf.FlowMCMC(chains=8, start=[[0.5, 0.5], [3.0, 0.0]])
    assert is_inside(BOX, _seed(BOX, 1.0, jax.random.key(0), 8, options.start, None)).all()
    with pytest.raises(sf.StudyError, match=r"states\)\[1\] has no finite energy"):
        options.check(BOX)


def test_a_field_starts_inside(getkey):
    bounded = sf.Hamiltonian(
        lambda phi: jnp.where(jnp.all(jnp.abs(phi) < 0.2), 0.5 * jnp.sum((phi - jnp.roll(phi, 1)) ** 2), jnp.inf),
        space=sf.Lattice(4),
    )
    check_system(bounded, 1.0, getkey())
    assert is_inside(bounded, _seed(bounded, 1.0, getkey(), 16, sf.Start(), None)).all()
    # Of all masses one is chosen that keeps a good part of the field inside: of mass 1 it would be a hundredth, and of
    # the widest, whose few draws inside have the lowest mean, none.
    fields = jax.vmap(free_fields(bounded, 1.0)[0].sample)(jax.random.split(getkey(), 256))
    assert is_inside(bounded, fields).mean() > 0.1


def test_where_nothing_is_inside_it_is_said():
    nowhere = sf.Hamiltonian(lambda x: jnp.where(x[0] > 1e6, x[0], jnp.inf), space=1)
    with pytest.raises(sf.StudyError, match="known_states inside the hard walls"):
        check_system(nowhere, 1.0, jax.random.key(0))
    outside = sf.Hamiltonian(HALF_LINE.energy_function, space=1, states=[[1.0], [-1.0]])
    with pytest.raises(sf.StudyError, match=r"inf at starting state 1 \(x = \[-1.\]\)"):
        check_system(outside, 1.0, jax.random.key(0))
    smc = sf.TemperedSMC(chains=16, draws=16)
    far = sf.Hamiltonian(lambda x: jnp.where(x[0] > 20, x[0], jnp.inf), space=1, states=[[21.0]])
    with pytest.raises(sf.StudyError, match="no draw of the reference density has a finite energy"):
        sf.run_study(far, sampler=smc, progress=False)


def test_gradients_that_are_not_finite_become_zero():
    for x in (-1.0, 0.0, 1.0):
        assert np.isfinite(jax.grad(reduced_energy(ROOT, 2.0))(jnp.asarray([x])))
    np.testing.assert_allclose(jax.grad(reduced_energy(HALF_LINE, 2.0))(jnp.asarray([3.0])), 0.5)
    kink = sf.Hamiltonian(jnp.linalg.norm, space=2, states=[[0.0, 0.0]])
    check_system(kink, 1.0, jax.random.key(0))


def test_an_energy_is_not_linear_in_where_a_wall_stands():
    class Shifted(sf.System):
        wall: float = 0.0
        tilt: float = 1.0
        space = sf.Euclidean(1)

        def energy(self, x):
            return jnp.where(x[0] > self.wall, self.tilt * x[0], jnp.inf)

    # One draw of hundreds is where the wall of another point has passed.
    positions = np.linspace(0.06, 5.0, 400)[:, None]
    positions[5] = 0.02
    assert is_linear(Shifted(), Scan(1.0, {"tilt": [1.0, 2.0]}), positions)
    assert not is_linear(Shifted(), Scan(1.0, {"wall": [0.0, 0.05]}), positions)


def test_sites_between_walls_fall_back_on_the_flows_of_a_lattice(getkey):
    class Bounded(sf.MeanFieldSites):
        n: int = 4
        coupling: float = 1.0

        def site_energy(self, phi):
            return jnp.where(jnp.abs(phi) < 1, phi**2, jnp.inf)

    check_system(Bounded(), 1.0, getkey())
    assert isinstance(sf.flow_for(Bounded(), kT=1.0, key=getkey()), sf.ContinuousFlow)


@pytest.mark.parametrize("local", KERNELS, ids=lambda k: type(k).__name__)
def test_chains_stay_inside_and_know_the_mean(local):
    # p(x) = x e^-x: mean and variance are 2.
    chains, moves = 512, 100
    start = jnp.ones((chains, 1))

    @jax.jit
    def run(keys):
        sweep = lambda key, x: local_sweep(key, x, log_density(ROOT, 1.0), local, Diagonal(jnp.ones(1)), 0.7, moves)  # noqa: E731
        return jax.vmap(sweep)(keys, start)

    x, log_p, rate, _ = run(jax.random.split(jax.random.key(1), chains))
    assert np.all(np.isfinite(x) & (np.asarray(x) > 0))
    assert np.all(np.isfinite(log_p))
    assert 0.1 < np.mean(rate) < 1
    assert abs(np.mean(x) - 2) < 4.5 * np.sqrt(2 / chains)


def test_at_the_foot_of_a_wall_the_open_side_tells_the_width():
    """U = x for x > 0 rises by a half over a half."""
    gaussian = laplace_mixture(sf.Hamiltonian(HALF_LINE.energy_function, space=1, states=[[1.0]]), 1.0)
    assert 0 <= float(gaussian.mean[0]) <= 1
    np.testing.assert_allclose(gaussian.scale.lower, 0.5, rtol=0.05)


def test_a_ladder_from_a_reference_that_reaches_behind_walls():
    # ρ₀ uniform on [-1, 1], w = 2·[x > 0]: Z = 1. Above λ = 0 all are inside.
    rng = np.random.default_rng(0)
    first = np.where(rng.uniform(-1, 1, (64, 200)) > 0, np.log(2), -np.inf)
    inside = np.full((64, 200), np.log(2))
    log_z = ladder_log_z(np.stack([first, inside]), [0.0, 1.0])
    assert abs(log_z.value) < 4.5 * log_z.error
    assert 0.003 < log_z.error < 0.03
    with pytest.raises(ValueError, match=r"log_w\[1\].*inf"):
        ladder_log_z(np.stack([inside, first]), [0.0, 1.0])


SMALL = {
    "flow": sf.FlowMCMC(
        chains=32,
        draws=50,
        rounds=sf.Rounds(most=4, train_steps=100, buffer=2048),
        start=sf.Start(particles=512, warm_up=200),
    ),
    "smc": sf.TemperedSMC(chains=16, draws=256),
    "tempering": sf.ParallelTempering(chains=16, draws=100, levels=8, warm_up=300),
    "local": sf.LocalMCMC(chains=32, draws=100, warm_up=500),
}


# All of them, over seeds, in `benchmarks.walls`.
@pytest.mark.slow
@pytest.mark.parametrize(
    ("sampler", "name"),
    [
        *(("flow", name) for name in ("half line", "posterior")),
        *(("smc", name) for name in EXACT),
        *(("tempering", name) for name in ("box", "corner")),
        *(("local", name) for name in ("half line", "box")),
    ],
)
def test_log_z_of_what_hard_walls_leave(sampler, name):
    system, exact = EXACT[name]
    tree = sf.run_study(system, sampler=SMALL[sampler], seed=3, progress=False)
    thermodynamics, diagnostics = tree["thermodynamics"], tree["diagnostics"]
    assert "rejected" not in str(diagnostics["warning"].item())
    assert np.isfinite(tree["sample_stats"]["energy"]).all()
    assert "hard walls" in str(diagnostics["assumption"].item())
    if sampler == "local":
        assert np.isnan(thermodynamics["log_z"].item())
    else:
        assert abs(thermodynamics["log_z"].item() - exact) < 4.5 * thermodynamics["log_z_err"].item()
        # Of the reference's draws, 1.8% are inside the box: 28 of those of the ladder.
        assert thermodynamics["log_z_err"].item() < 0.3
    if name == "half line":
        assert abs(thermodynamics["energy"].item() - 1) < 4.5 * thermodynamics["energy_err"].item()
