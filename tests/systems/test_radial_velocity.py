"""Planets from radial velocities: priors, the model curve, and what is refused."""

import dataclasses
from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.optimize
import scipy.stats

import statphys_flows as sf
from statphys_flows.study.shell.declaration import load_study
from statphys_flows.systems import with_array_parameters
from statphys_flows.systems.bayesian import priors
from statphys_flows.theory import check_system

SYSTEMS = Path(__file__).resolve().parents[2] / "systems"
RNG = np.random.default_rng(3)
TIMES = 2454833.0 + np.sort(RNG.uniform(0, 100, 12))
VELOCITIES = RNG.normal(0, 5, 12)
ERRORS = RNG.uniform(1, 2, 12)
LABELS = np.array(["k", "j"])[RNG.integers(0, 2, 12)]


def model(**changes):
    arguments = {"times": TIMES, "velocities": VELOCITIES, "errors": ERRORS, "instruments": LABELS, "planets": 2,
                 "period": (5.0, 50.0), **changes}  # fmt: skip
    return sf.RadialVelocity(**arguments)


def draw(system, draws=4000):
    x = jax.vmap(system.sample_prior)(jax.random.split(jax.random.key(5), draws))
    return {name: np.asarray(values, float) for name, values in jax.vmap(system.parameters)(x).items()}


def numpy_velocity(parameters, since_epoch):
    """By bisection of Kepler's equation and the true anomaly itself."""
    total = np.zeros_like(since_epoch)
    for p in (1, 2):
        P, K, e, omega, longitude = (float(parameters[f"{name}_{p}"]) for name in (
            "period", "semi_amplitude", "eccentricity", "argument_of_periastron", "mean_longitude"))  # fmt: skip
        for i, t in enumerate(since_epoch):
            M = 2 * np.pi * t / P + longitude - omega
            E = scipy.optimize.brentq(lambda E: E - e * np.sin(E) - M, M - 1.1, M + 1.1, xtol=1e-14)  # noqa: B023
            nu = 2 * np.arctan2(np.sqrt(1 + e) * np.sin(E / 2), np.sqrt(1 - e) * np.cos(E / 2))
            total[i] += K * (np.cos(nu + omega) + e * np.cos(omega))
    return total


def test_the_prior_is_a_standard_normal(x64):
    system = model()
    x = np.linspace(-2, 2, 14)
    assert system.space.shape == (14,)
    np.testing.assert_allclose(system.log_prior(jnp.asarray(x)), scipy.stats.norm.logpdf(x).sum(), rtol=1e-13)
    draws = jax.vmap(system.reference(1.0).sample)(jax.random.split(jax.random.key(1), 2000))
    assert scipy.stats.kstest(np.asarray(draws).ravel(), "norm").pvalue > 0.01


def laws():
    """parameter: its distribution function, as the documentation of the prior has it."""
    system = model(semi_amplitude=(1.5, 40.0), jitter=(0.1, 9.0), offset=[(1.0, 2.0), (-3.0, 0.5)])
    level = lambda P: np.log(P / 5.0) / np.log(10.0)  # noqa: E731
    uniform = scipy.stats.uniform(-np.pi, 2 * np.pi).cdf
    found = {
        "period_1": lambda P: 1 - (1 - level(P)) ** 2,  # the lesser of two
        "period_2": lambda P: level(P) ** 2,
        "jitter_j": scipy.stats.loguniform(0.1, 9.0).cdf,
        "jitter_k": scipy.stats.loguniform(0.1, 9.0).cdf,
        "offset_j": scipy.stats.norm(1.0, 2.0).cdf,
        "offset_k": scipy.stats.norm(-3.0, 0.5).cdf,
    }
    for p in (1, 2):
        found[f"semi_amplitude_{p}"] = lambda K: np.log1p(K / 1.5) / np.log1p(40 / 1.5)
        found[f"eccentricity_{p}"] = scipy.stats.uniform(0, 0.9).cdf
        found[f"argument_of_periastron_{p}"] = found[f"mean_longitude_{p}"] = uniform
    return system, found


def test_every_parameter_has_the_documented_prior():
    system, expected = laws()
    found = draw(system)
    assert set(found) == set(expected)
    p_values = {name: scipy.stats.kstest(found[name], law).pvalue for name, law in expected.items()}
    assert min(p_values.values()) > 0.001, p_values  # the least of 16 is below 0.001 once in 60 seeds
    assert np.all(found["period_1"] < found["period_2"])


def test_parameters_are_independent():
    found = draw(model())
    found["ratio"] = np.log(found["period_1"] / 5) / np.log(found["period_2"] / 5)
    assert scipy.stats.kstest(found["ratio"], "uniform").pvalue > 0.001  # P₁ given P₂ is uniform below, in log P
    del found["period_1"]
    correlations = np.corrcoef(list(found.values())) - np.eye(len(found))
    assert np.abs(correlations).max() < 5 / np.sqrt(4000)


def test_a_range_for_each_planet():
    found = draw(model(period=[(5.0, 10.0), (8.0, 80.0)]))
    for p, ends in ((1, (5.0, 10.0)), (2, (8.0, 80.0))):
        assert scipy.stats.kstest(found[f"period_{p}"], scipy.stats.loguniform(*ends).cdf).pvalue > 0.001


@pytest.mark.parametrize("n", [1, 2, 3])
def test_ordered_uniforms(n, x64):
    """The density n!: the Jacobian from z undoes the normal densities."""
    z = jnp.asarray([0.3, -1.2, 0.8])[:n]
    v = priors.ordered_uniforms(z)
    assert np.all(np.diff(v) > 0)
    log_det = jnp.linalg.slogdet(jax.jacfwd(priors.ordered_uniforms)(z))[1]
    np.testing.assert_allclose(priors.log_standard_normal(z) - log_det, np.log([1, 1, 2, 6][n]), atol=1e-12)


def test_priors_in_the_tails_stay_finite():
    system = model()
    both = jax.jit(jax.value_and_grad(system.energy))
    for value in (-40.0, -12.0, 0.0, 12.0, 40.0):
        energy, gradient = both(jnp.full(system.space.shape, value))
        assert np.isfinite(energy)
        assert np.all(np.isfinite(gradient))


def test_nothing_depends_on_an_angle_that_means_nothing(x64):
    """On the way round the origin of (A, B) and of (u, v) the curve is continuous: it tends to one limit there."""
    system = model(planets=1)
    x = jax.random.normal(jax.random.key(2), system.space.shape)
    for first in (1, 3):
        round_it = [x.at[first : first + 2].set(1e-6 * jnp.asarray([jnp.cos(a), jnp.sin(a)])) for a in range(6)]
        curves = np.stack([system.velocity(y, TIMES) for y in [*round_it, x.at[first : first + 2].set(0.0)]])
        assert np.ptp(curves, axis=0).max() < 1e-9
    seam = [x.at[1:3].set(jnp.asarray([-1.0, side])) for side in (-1e-9, 1e-9)]
    np.testing.assert_allclose(*(system.velocity(y, TIMES) for y in seam), atol=1e-7)


def test_velocities_agree_with_an_independent_implementation(x64):
    system = model()
    for seed in range(5):
        x = jax.random.normal(jax.random.key(seed), system.space.shape)
        known = {name: float(value) for name, value in system.parameters(x).items()}
        exact = numpy_velocity(known, TIMES - int(system.epoch))
        np.testing.assert_allclose(system.velocity(x, TIMES), exact, rtol=1e-9, atol=1e-9)
        sigma = np.sqrt(ERRORS**2 + np.array([known[f"jitter_{name}"] for name in LABELS]) ** 2)
        offsets = np.array([known[f"offset_{name}"] for name in LABELS])
        log_likelihood = scipy.stats.norm(exact + offsets, sigma).logpdf(VELOCITIES).sum()
        np.testing.assert_allclose(system.log_likelihood(x), log_likelihood, rtol=1e-10)
        np.testing.assert_allclose(system.energy(x), -(log_likelihood + system.log_prior(x)), rtol=1e-10)


def test_single_precision_is_enough_for_julian_dates():
    """Offset of the dates and all: the energy is that of 64 bits."""
    with jax.enable_x64(True):
        x = np.asarray(jax.random.normal(jax.random.key(0), (14,)))
        exact = float(model().energy(jnp.asarray(x))), np.asarray(model().velocity(jnp.asarray(x), TIMES))
    single = model(), jnp.asarray(x, jnp.float32)
    np.testing.assert_allclose(single[0].energy(single[1]), exact[0], rtol=1e-4)
    np.testing.assert_allclose(single[0].velocity(single[1], TIMES), exact[1], atol=1e-2)


def test_without_planets_the_evidence_is_a_gaussian_integral(x64):
    """One instrument of known jitter: velocities are jointly normal."""
    tight = model(instruments=None, planets=0, jitter=(1.0, 1.0 + 1e-9), offset=(0.5, 3.0))
    covariance = np.diag(ERRORS**2 + 1) + 9.0
    exact = scipy.stats.multivariate_normal(np.full(12, 0.5), covariance).logpdf(VELOCITIES)
    grid = np.linspace(-8, 8, 400)
    x = jnp.asarray(np.stack([np.zeros_like(grid), grid], axis=1))
    # The jitter's entry has no effect: its normal density integrates to one.
    log_z = jax.nn.logsumexp(-jax.vmap(tight.energy)(x) + 0.5 * np.log(2 * np.pi)) + np.log(grid[1] - grid[0])
    np.testing.assert_allclose(log_z, exact, atol=1e-7)


def test_data_set_the_scales():
    system = model()
    means = np.array([VELOCITIES[name == LABELS].mean() for name in ("j", "k")])
    centred = VELOCITIES - np.where(LABELS == "j", *means)
    assert system.names == ("j", "k")
    assert abs(TIMES.mean() - int(system.epoch)) <= 0.5
    np.testing.assert_allclose(system.offset, np.stack([means, np.full(2, centred.std())], 1), rtol=1e-5)
    np.testing.assert_allclose(system.semi_amplitude, [np.median(ERRORS), 2 * np.ptp(centred)], rtol=1e-6)
    np.testing.assert_allclose(system.jitter, [0.01 * centred.std(), 2 * centred.std()], rtol=1e-6)


def test_times_may_count_from_an_epoch():
    reduced = model(times=TIMES - 2454880, epoch=2454880)
    x = jnp.linspace(-1, 1, 14)
    whole = model()
    assert int(whole.epoch) != 2454880
    # The mean longitude is at the epoch: so much further on.
    turned = x
    for p, first in ((1, 1), (2, 6)):
        angle = 2 * np.pi * (2454880 - int(whole.epoch)) / whole.parameters(x)[f"period_{p}"]
        a, b = x[first], x[first + 1]
        turned = turned.at[first].set(a * jnp.cos(angle) - b * jnp.sin(angle))
        turned = turned.at[first + 1].set(b * jnp.cos(angle) + a * jnp.sin(angle))
    np.testing.assert_allclose(reduced.velocity(turned, TIMES), whole.velocity(x, TIMES), atol=1e-3)
    np.testing.assert_allclose(reduced.energy(turned), whole.energy(x), rtol=1e-4)


def test_a_field_can_be_replaced():
    one = dataclasses.replace(model(), planets=1)
    assert one.space.shape == (9,)
    x = jnp.linspace(-1, 1, 9)
    assert one.energy(x) == model(planets=1).energy(x)


@pytest.mark.parametrize("planets", [0, 1, 2])
def test_it_is_a_system(planets, getkey):
    system = model(planets=planets)
    check_system(with_array_parameters(system), 1.0, getkey())
    x = system.sample_prior(getkey())
    named = system.observables(x)
    assert set(system.units()) <= set(named)
    assert len(named) == 1 + 3 * planets
    if planets:
        np.testing.assert_allclose(system.order_parameter(x), np.log(named["period_1"]), rtol=1e-6)


def test_other_data_and_ranges_cost_no_compilation():
    count = 0

    @eqx.filter_jit
    def energy(system, x):
        nonlocal count
        count += 1
        return system.energy(x)

    x = jnp.ones(14)
    for changes in ({}, {"times": TIMES + 777.3}, {"velocities": 2 * VELOCITIES}, {"period": (6.0, 90.0)}):
        energy(with_array_parameters(model(**changes)), x)
    assert count == 1


def test_k2_24():
    """The transiting planets' periods, circular, are near the best that any pair of circular orbits can do."""
    system = load_study(SYSTEMS / "k2_24.py").system
    assert system.planets == 2
    assert system.times.shape == (32,)

    def best(*periods):
        since, sigma = np.asarray(system.times, float), np.hypot(system.errors, 2.3)
        columns = [np.ones_like(since)] + [f(2 * np.pi * since / P) for P in periods for f in (np.cos, np.sin)]
        design = np.stack(columns, axis=1) / sigma[:, None]
        return np.linalg.lstsq(design, np.asarray(system.velocities) / sigma, rcond=None)[1][0]

    grid = np.geomspace(10, 60, 60)
    least = min(best(a, b) for i, a in enumerate(grid) for b in grid[i + 4 :])
    assert best(20.885, 42.363) < least + 4
    assert best(20.885, 42.363) < best(20.885) - 20


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"times": []}, "at least one time"),
        ({"velocities": VELOCITIES[:-1]}, r"velocities=...\) has shape \(11,\), but there are 12 times"),
        ({"velocities": np.where(np.arange(12) == 3, np.nan, VELOCITIES)}, "velocities=...\\) is nan at entry 3"),
        ({"velocities": ["a"] * 12}, "contains something that is not a number"),
        ({"errors": np.where(np.arange(12) == 5, 0.0, ERRORS)}, "is 0.0 at entry 5; an error is a standard deviation"),
        ({"instruments": [1, 2]}, "instruments=...\\) has shape"),
        ({"names": ("k", "j")}, "positions in them"),
        ({"instruments": [0] * 12, "names": ("k", "j")}, "an instrument without velocities"),
        ({"planets": 3}, "planets=3.: write 0, 1 or 2"),
        ({"planets": True}, "write 0, 1 or 2"),
        ({"period": (50.0, 5.0)}, "lower end first"),
        ({"period": (0.0, 5.0)}, "both positive"),
        ({"period": [(1.0, 5.0)] * 3}, "one for each of the 2 planets"),
        ({"period": (1e-4, 5.0)}, "turns of the shortest period"),
        ({"epoch": 0}, "put epoch in the middle"),
        ({"epoch": 2454833.5}, "a whole number of days"),
        ({"eccentricity_max": 1.0}, "between 0 and 0.99"),
        ({"semi_amplitude": (0.0, 5.0)}, "both must be positive"),
        ({"semi_amplitude": 5.0}, "give two numbers"),
        ({"jitter": (2.0, 1.0)}, "lower end first"),
        ({"offset": (0.0, -1.0)}, "standard deviation must be positive"),
        ({"offset": [(0.0, 1.0)] * 3}, "a row for each of the 2 instruments"),
    ],
)
def test_what_does_not_fit_is_refused(changes, words):
    with pytest.raises(sf.StudyError, match=words):
        model(**changes)
