"""Tempering: particles and ladders from a reference to the target, against densities that are known."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import kstest, norm

import statphys_flows as sf
from statphys_flows import ParallelTempering, StudyError, TemperedSMC
from statphys_flows.analysis import importance_log_z
from statphys_flows.bases import Diagonal, Gaussian
from statphys_flows.sampling.adaptive.tempering import _Steps, _update, follow, pilot, temper
from statphys_flows.sampling.kernels.replica_exchange import Replicas, even_levels, exchange, run_ladder

ONE = jnp.asarray(1.0)


class Wells(sf.System):
    """Gaussians of unlike widths at ±5, weights 0.7 and 0.3: log Z = log 2π."""

    space = sf.Euclidean(2)

    def energy(self, x):
        right = jnp.log(0.7 / 0.04) - 0.5 * jnp.sum(((x - 5.0 * jnp.asarray([1.0, 0.0])) / 0.2) ** 2)
        left = jnp.log(0.3) - 0.5 * jnp.sum((x + 5.0 * jnp.asarray([1.0, 0.0])) ** 2)
        return -jnp.logaddexp(right, left)

    def order_parameter(self, x):
        return jnp.sign(x[0])


LOG_Z = np.log(2 * np.pi)


@eqx.filter_jit
def populations(keys, reference, effective=0.7):
    def one(key):
        return temper(Wells(), ONE, reference, key, particles=256, moves=4, effective=effective)

    return jax.vmap(one)(keys)


def test_log_z_and_the_weights_of_modes():
    """Over 64 populations the mean of the unbiased estimates is Z, and the share of a mode its weight."""
    found = populations(jax.random.split(jax.random.key(0), 64), Gaussian(jnp.zeros(2), jnp.full(2, 6.0)))
    assert np.all(found.finished)
    each = np.asarray(found.increments, float).sum(axis=1)
    log_z = importance_log_z(each[:, None])
    assert abs(log_z.value - LOG_Z) < 4.5 * log_z.error
    assert log_z.error < 0.1
    share = np.mean(np.asarray(found.particles)[:, :, 0] > 0, axis=1)
    # Populations weigh as their estimates of Z do.
    w = np.exp(each - each.max())
    mean = np.sum(w * share) / w.sum()
    error = np.sqrt(np.sum((w * (share - mean)) ** 2)) / w.sum()
    assert abs(mean - 0.7) < 4.5 * error
    levels = np.asarray(found.levels)
    assert np.all(np.diff(levels, axis=1) >= 0)
    assert np.all(levels[:, -1] == 1)


class Narrow(sf.System):
    """N(0, 0.2²) twice: Z = 0.04 · 2π."""

    space = sf.Euclidean(2)

    def energy(self, x):
        return 0.5 * jnp.sum((x / 0.2) ** 2)


def test_of_given_levels_and_moves_the_estimate_of_z_is_unbiased():
    """Of populations of 16, which err by a tenth where each adapts to itself."""
    reference, options = Gaussian(jnp.zeros(2)), {"particles": 16, "moves": 3}
    first, plan = pilot(Narrow(), ONE, reference, jax.random.key(0), **options, effective=0.8)
    assert bool(first.finished)
    keys = jax.random.split(jax.random.key(1), 8192)

    @eqx.filter_jit
    def run(one):
        found = jax.vmap(one)(keys)
        return jnp.sum(found.increments, axis=1), found.levels[:, : int(first.count)]

    planned, levels = run(lambda key: follow(plan, Narrow(), ONE, reference, key, **options))
    assert np.all(np.ptp(levels, axis=0) == 0)
    adaptive, _ = run(lambda key: temper(Narrow(), ONE, reference, key, **options, effective=0.8))
    ratio, error = _ratio(planned)
    assert error < 0.01
    assert abs(ratio - 1) < 4 * error
    ratio, error = _ratio(adaptive)
    assert abs(ratio - 1) > 4 * error


def _ratio(log_z):
    ratios = np.exp(np.asarray(log_z, float)) / (0.08 * np.pi)
    return ratios.mean(), ratios.std() / np.sqrt(len(ratios))


def test_where_reference_and_target_are_one_there_is_one_level():
    found = temper(Harmonic(), ONE, Gaussian(jnp.zeros(3)), jax.random.key(0), particles=64, moves=1, effective=0.7)
    assert int(found.count) == 1
    assert abs(float(found.increments.sum()) - 1.5 * np.log(2 * np.pi)) < 1e-4


class Harmonic(sf.System):
    space = sf.Euclidean(3)

    def energy(self, x):
        return 0.5 * jnp.sum(x**2)


def test_the_moves_leave_a_level_as_it_is():
    """Exact draws of ρ_λ before, draws of ρ_λ after, walks along differences of particles included."""
    reference, level = Gaussian(jnp.zeros(3), jnp.full(3, 2.0)), jnp.asarray(0.4)
    scale = 1 / np.sqrt(0.4 + 0.6 / 4)
    x = jnp.asarray(scale * np.random.default_rng(0).normal(size=(4000, 3)), jnp.float32)
    steps = _Steps(jnp.asarray(0.0), jnp.asarray(0.5), jnp.asarray(0.0))
    update = _update(lambda x: -0.5 * jnp.sum(x**2), reference, level, steps, 3, None)
    after, (tuned, _) = jax.jit(lambda k, x: update(k, x, None))(jax.random.split(jax.random.key(1), 4000), x)
    after = np.asarray(after)
    assert np.mean(np.any(after != np.asarray(x), axis=1)) > 0.9
    for i in range(3):
        assert kstest(after[:, i], norm(scale=scale).cdf).pvalue > 1e-5
    assert 0 < float(tuned.acceptance) < 1


def test_an_exchange_is_of_neighbours_of_one_parity():
    levels = jnp.asarray([0.0, 0.3, 0.7, 1.0])
    log_w = 10 * jnp.arange(4.0)
    # Where the lower level has the larger weight an exchange is certain; here it never has, and u = 0 forces it.
    source, probability = exchange(levels, log_w, jnp.zeros(3), 0)
    np.testing.assert_array_equal(source, [1, 0, 3, 2])
    np.testing.assert_allclose(probability[0], np.exp(0.3 * (log_w[0] - log_w[1])), rtol=1e-5)
    source, _ = exchange(levels, log_w, jnp.zeros(3), 1)
    np.testing.assert_array_equal(source, [0, 2, 1, 3])
    source, _ = exchange(levels, log_w, jnp.ones(3), 0)
    np.testing.assert_array_equal(source, range(4))


def test_fresh_draws_of_the_reference_climb_two_levels_a_draw():
    """Where every exchange is accepted, pairs that take turns carry a state straight up the ladder. Two turns of the
    same pairs would carry it back, and draws that began with the turn the last one ended with would undo that one."""
    levels, chains, draws = jnp.linspace(0.0, 1.0, 6), 3, 8
    reference, marker = Gaussian(jnp.zeros(3)), 50.0
    one = jax.vmap(lambda scale: Diagonal(scale * jnp.ones(3)))(jnp.ones(6))
    ladder = Replicas(Harmonic(), ONE, reference, levels)
    # Steps so short that no state changes but by exchanges.
    positions, record = run_ladder(
        ladder,
        sf.MALA(),
        one,
        jnp.full(6, 1e-12),
        jnp.full((6, chains, 3), marker),
        jax.random.key(3),
        moves=1,
        length=draws,
    )
    top = np.asarray(record["positions"])[..., 0]
    assert np.all(top[:2] > 40)
    assert np.all(np.abs(top[2:]) < 10)
    assert len(np.unique(top[2:])) == top[2:].size
    np.testing.assert_allclose(record["exchanged"], 1.0, atol=1e-5)
    assert np.all(np.abs(np.asarray(positions)[5]) < 10)


def test_levels_rise_from_the_reference_to_the_target():
    class Pilot:
        count = 3
        levels = np.array([0.1, 0.4, 1.0, 1.0])

    levels = even_levels(Pilot(), 7)
    np.testing.assert_allclose(levels, [0, 0.05, 0.1, 0.25, 0.4, 0.7, 1], atol=1e-6)


SAMPLERS = {
    "smc": TemperedSMC(draws=2048, moves=5),
    "ladder": ParallelTempering(levels=8, chains=32, draws=300, warm_up=200),
}


@pytest.fixture(scope="module", params=SAMPLERS)
def study(request, tmp_path_factory):
    out = tmp_path_factory.mktemp("tempering") / "wells.nc"
    sf.run_study(Wells(), kT=1.0, sampler=SAMPLERS[request.param], out=out, progress=False)
    return out


def test_they_give_the_tree_of_a_study(study):
    result = sf.load(study)
    found = result["thermodynamics"].to_dataset().isel(kT=0)
    assert abs(float(found["log_z"]) - LOG_Z) < 4.5 * float(found["log_z_err"])
    assert float(found["log_z_err"]) < 0.1
    assert abs(float(found["order_parameter"]) - 0.4) < 4.5 * float(found["order_parameter_err"])
    assert abs(float(found["energy"]) - _mean_energy()) < 4.5 * float(found["energy_err"])
    diagnostics = result["diagnostics"].to_dataset().isel(kT=0)
    assert float(diagnostics["levels"]) >= 2
    # Short ladders mix slowly, and say so; neither has anything else to say.
    said = [w for w in str(diagnostics["warning"].values).split("; ") if w and "R-hat" not in w and "run more" not in w]
    assert not said
    assert "tempering" in str(diagnostics["assumption"].values)
    by = str(result["thermodynamics"]["log_z"].attrs["comment"])
    assert "Monte Carlo" in by or "parallel tempering" in by
    assert sf.summary(result)


def _mean_energy():
    # -log of each Gaussian's own density, where they do not overlap: ⟨z²⟩/2 = 1 in two dimensions.
    return 1.0 - 0.7 * np.log(0.7 / 0.04) - 0.3 * np.log(0.3)


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: TemperedSMC(chains=8), "at least 16 populations"),
        (lambda: TemperedSMC(effective=1.0), "a fraction between 0 and 1"),
        (lambda: TemperedSMC(draws=0), "draws=0"),
        (lambda: ParallelTempering(levels=1), "a ladder has at least 2"),
        (lambda: ParallelTempering(moves=True), "moves=True"),
    ],
)
def test_refusals(make, sentence):
    with pytest.raises(StudyError, match=sentence):
        make()


def test_particles_with_a_latent_field_have_no_reference():
    system = sf.PairParticles(sf.PeriodicWell(a=4.0, b=1.0), n=8, dimension=2)
    with pytest.raises(StudyError, match="no reference density"):
        sf.run_study(system, kT=0.1, sampler=TemperedSMC(), progress=False)
