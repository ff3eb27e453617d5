"""Posteriors of known evidence, and what is refused."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats
from jax.scipy.stats import norm

import statphys_flows as sf
from statphys_flows.systems import Reference, with_array_parameters
from statphys_flows.theory import check_system, seed_states

DATA = np.random.default_rng(0).normal(0.7, 0.8, 5)
ERROR, WIDTH = 0.8, 1.5


def log_likelihood(x, data):
    return jnp.sum(norm.logpdf(data, x[0] + x[1], ERROR))


def log_prior(x):
    return jnp.sum(norm.logpdf(x, 0.0, WIDTH))


def prior_sample(key):
    return WIDTH * jax.random.normal(key, (2,))


def conjugate(**changes):
    """n measurements of x₁ + x₂, priors N(0, WIDTH²): everything is Gaussian."""
    arguments = {"log_prior": log_prior, "prior_sample": prior_sample, "space": 2, "data": DATA, **changes}
    return sf.Posterior(arguments.pop("log_likelihood", log_likelihood), **arguments)


class Subclassed(sf.BayesianModel):
    """The same model, declared as a class."""

    width: float = WIDTH
    space = sf.Euclidean(2, extent=1.0)

    def log_prior(self, x):
        return jnp.sum(norm.logpdf(x, 0.0, self.width))

    def log_likelihood(self, x):
        return log_likelihood(x, jnp.asarray(DATA))

    def sample_prior(self, key):
        return self.width * jax.random.normal(key, (2,))


@pytest.fixture(params=[conjugate, Subclassed])
def model(request):
    return request.param()


def log_evidence():
    """The data are jointly normal with covariance ERROR² I + 2 WIDTH² 1 1ᵀ."""
    covariance = ERROR**2 * np.eye(DATA.size) + 2 * WIDTH**2
    return scipy.stats.multivariate_normal(np.zeros(DATA.size), covariance).logpdf(DATA)


def test_energy(model):
    x = jnp.asarray([0.3, -1.1])
    exact = scipy.stats.norm(0, WIDTH).logpdf(x).sum() + scipy.stats.norm(float(x.sum()), ERROR).logpdf(DATA).sum()
    np.testing.assert_allclose(model.energy(x), -exact, rtol=1e-6)
    np.testing.assert_allclose(model.observables(x)["log_likelihood"], model.log_likelihood(x), rtol=1e-6)


def test_the_evidence_is_the_integral_of_the_weight(model, x64):
    grid = np.linspace(-12, 12, 400)
    points = jnp.asarray(np.stack(np.meshgrid(grid, grid), -1).reshape(-1, 2))
    log_z = jax.nn.logsumexp(-jax.vmap(model.energy)(points)) + 2 * np.log(grid[1] - grid[0])
    np.testing.assert_allclose(log_z, log_evidence(), atol=1e-9)


def test_the_evidence_is_the_mean_likelihood_over_the_reference(model, getkey):
    draws = jax.vmap(model.reference(1.0).sample)(jax.random.split(getkey(), 20_000))
    weights = np.exp(np.asarray(jax.vmap(model.log_likelihood)(draws), float) - log_evidence())
    assert abs(weights.mean() - 1) < 4 * weights.std() / np.sqrt(weights.size)
    assert weights.std() / np.sqrt(weights.size) < 0.02


def test_the_reference_is_the_prior(model, x64):
    reference = model.reference(0.5)
    assert isinstance(reference, Reference)
    grid = np.linspace(-12, 12, 200)
    points = jnp.asarray(np.stack(np.meshgrid(grid, grid), -1).reshape(-1, 2))
    log_prob = jax.vmap(reference.log_prob)(points)
    np.testing.assert_allclose(jax.nn.logsumexp(log_prob) + 2 * np.log(grid[1] - grid[0]), 0.0, atol=1e-12)
    np.testing.assert_allclose(reference.log_prob(points[7]), model.log_prior(points[7]))
    assert eqx.filter_jit(lambda r, key: r.sample(key))(reference, jax.random.key(0)).shape == (2,)


def test_a_base_is_a_reference():
    assert isinstance(sf.Gaussian(jnp.zeros(2)), Reference)


def test_walkers_start_from_the_prior(getkey):
    narrow = conjugate(
        log_prior=lambda x: jnp.sum(norm.logpdf(x, 100.0, 0.01)),
        prior_sample=lambda key: 100 + 0.01 * jax.random.normal(key, (2,)),
    )
    seeds = seed_states(narrow, 1.0, getkey(), 9)
    assert seeds.shape == (9, 2)
    assert np.all(np.abs(seeds - 100) < 0.1)
    states = jnp.asarray([[1.0, 2.0]])
    assert np.all(np.asarray(seed_states(conjugate(states=states), 1.0, getkey(), 3)) == states)


def test_it_is_a_system(model, getkey):
    check_system(model, 1.0, getkey())
    assert "evidence" in model.conventions


def test_other_data_cost_no_compilation():
    count = 0

    @eqx.filter_jit
    def energy(system, x):
        nonlocal count
        count += 1
        return system.energy(x)

    x = jnp.ones(2)
    values = [energy(with_array_parameters(conjugate(data=DATA + shift)), x) for shift in (0.0, 1.0)]
    assert count == 1
    assert values[0] != values[1]


def test_data_may_be_any_pytree():
    def log_likelihood(x, data):
        return jnp.sum(norm.logpdf(data["y"][0], x[data["which"]], data["error"]))

    posterior = conjugate(log_likelihood=log_likelihood, data={"y": [DATA], "which": np.zeros(5, int), "error": ERROR})
    assert posterior.data["which"].dtype == jnp.int32
    exact = scipy.stats.norm(1.0, ERROR).logpdf(DATA).sum()
    np.testing.assert_allclose(posterior.log_likelihood(jnp.asarray([1.0, 5.0])), exact, rtol=1e-6)


def test_what_is_reported():
    posterior = conjugate(order_parameter=lambda x: x[0], observables={"sum": jnp.sum})
    x = jnp.asarray([1.0, 3.0])
    assert posterior.order_parameter(x) == 1
    assert conjugate().order_parameter(x) == 2
    assert posterior.observables(x)["sum"] == 4
    assert set(posterior.observables(x)) == {"log_likelihood", "sum"}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"space": 3}, r"shape \(2,\), but a configuration has shape \(3,\)"),
        ({"prior_sample": lambda key: (1.0, 2.0)}, "returns tuple"),
        ({"prior_sample": lambda key: jax.random.randint(key, (2,), 0, 5)}, "returns int32; return floats"),
        ({"prior_sample": lambda: 0}, "prior_sample failed: TypeError"),
        ({"log_prior": norm.logpdf}, r"log_prior returns an array of shape \(2,\)"),
        ({"log_prior": lambda x: jnp.log(x[0])}, "log_prior is nan at x = .* the same density"),
        ({"log_likelihood": lambda x, data: jnp.sum(jnp.log(x))}, "log_likelihood is nan at x = "),
        ({"log_likelihood": lambda x: jnp.sum(x)}, "log_likelihood failed: TypeError"),
        ({"data": [np.nan, 1.0]}, "NaN or infinity; leave out"),
        ({"data": ["a"]}, "contains 'a'"),
        ({"observables": {"log_likelihood": jnp.sum}}, "another name"),
    ],
)
def test_what_does_not_fit_is_refused(changes, words):
    with pytest.raises(sf.StudyError, match=words):
        conjugate(**changes)


@pytest.mark.parametrize(
    ("log_prior", "draw", "factor"),
    [
        (lambda x: -0.5 * jnp.sum(x**2), lambda key: jax.random.normal(key, (2,)), 2 * np.pi),
        (lambda x: jnp.sum(norm.logpdf(x)) - 1.0, lambda key: jax.random.normal(key, (2,)), np.exp(-1)),
        (
            lambda x: jnp.where(jnp.all(jnp.abs(x) < 1), 0.0, -jnp.inf),
            lambda key: jax.random.uniform(key, (2,), minval=-1),
            4,
        ),
    ],
)
def test_a_prior_that_is_not_normalised_is_refused_with_the_factor(log_prior, draw, factor):
    with pytest.raises(sf.StudyError, match="not the density that the prior is drawn from") as caught:
        conjugate(log_prior=log_prior, prior_sample=draw)
    found = float(str(caught.value).split("integrates to ")[1].split()[0])
    assert abs(np.log(found / factor)) < 0.15


def test_other_laws_than_the_draws_are_refused():
    half = {"prior_sample": lambda key: jnp.abs(WIDTH * jax.random.normal(key, (2,)))}
    with pytest.raises(sf.StudyError, match="use the same distribution for both"):
        conjugate(**half)

    class Unnormalised(Subclassed):
        def log_prior(self, x):
            return -0.5 * jnp.sum(x**2) / self.width**2

    with pytest.raises(sf.StudyError, match=r"Unnormalised: log_prior .* subtract 2\.6"):
        check_system(Unnormalised(), 1.0, jax.random.key(0))


@pytest.mark.parametrize(
    ("log_prior", "draw"),
    [
        (lambda x: jnp.sum(jax.scipy.stats.cauchy.logpdf(x)), lambda key: jax.random.cauchy(key, (2,))),
        (
            lambda x: jnp.where(jnp.all((x > 0) & (x < 1)), 0.0, -jnp.inf),
            lambda key: jax.random.uniform(key, (2,)),
        ),
        (
            lambda x: jnp.sum(jnp.logaddexp(norm.logpdf(x, -8.0), norm.logpdf(x, 8.0)) - jnp.log(2.0)),
            lambda key: (
                jax.random.normal(jax.random.fold_in(key, 0), (2,))
                + 8 * jax.random.rademacher(jax.random.fold_in(key, 1), (2,), jnp.float32)
            ),
        ),
    ],
    ids=["heavy tails", "edges", "two modes"],
)
def test_normalised_priors_of_every_kind_pass(log_prior, draw):
    conjugate(log_prior=log_prior, prior_sample=draw)


def test_where_the_prior_is_zero_the_energy_is_infinite_whatever_the_likelihood():
    class Positive(Subclassed):
        def log_prior(self, x):
            return jnp.where(jnp.all(x > 0), jnp.sum(norm.logpdf(x, 0.0, self.width) + jnp.log(2.0)), -jnp.inf)

        def log_likelihood(self, x):
            return jnp.sum(jnp.log(x))

        def sample_prior(self, key):
            return jnp.abs(super().sample_prior(key))

    assert Positive().energy(jnp.asarray([-1.0, 1.0])) == jnp.inf
    check_system(Positive(), 1.0, jax.random.key(0))
