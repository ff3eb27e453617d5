"""The ladder between a flow and its target: every level keeps its law, and log Z is that of the target."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import cumulative_trapezoid, quad
from scipy.stats import kstest

import statphys_flows as sf
from statphys_flows import FlowMCMC, Gaussian, Ladder, Mixture, Moves, Rounds, Start, StudyError
from statphys_flows.analysis import Estimate, thermodynamics
from statphys_flows.flows import DefensiveMixture, Untransformed
from statphys_flows.sampling.kernels import flow_move, ladder
from tests.sampling.test_assisted import Stretched, double_well

CHAINS = 3000
LEVELS = jnp.asarray([0.3, 0.7, 1.0])
SIZES = jnp.asarray([0.9, 0.6, 0.5])


def _stretched():
    return Stretched(Gaussian([0.4], [0.9]), jnp.asarray(0.7))


def _wells():
    return Stretched(Mixture([Gaussian([-1.0], [0.5]), Gaussian([0.8], [0.4])]), jnp.asarray(0.4))


FLOWS = {
    "one Gaussian": _stretched,
    "a mixture": _wells,
    "a defensive mixture": lambda: DefensiveMixture(
        _stretched(), Untransformed(Gaussian([-0.5], [1.5])), jnp.asarray(0.3)
    ),
}


def level_cdf(flow, level):
    """The law q^(1-λ) ρ^λ of x at a level, by quadrature."""
    grid = np.linspace(-5, 5, 8001)
    log_q = np.asarray(flow.log_prob(jnp.asarray(grid, jnp.float32)[:, None]), float)
    log_rho = np.asarray(jax.vmap(double_well)(jnp.asarray(grid, jnp.float32)[:, None]), float)
    log_p = (1 - level) * log_q + level * log_rho
    total = cumulative_trapezoid(np.exp(log_p - log_p.max()), grid, initial=0)
    return grid, total / total[-1]


def exact_draws(flow, levels, key):
    draws = []
    for level, own in zip(np.asarray(levels), jax.random.split(key, len(levels)), strict=True):
        grid, cdf = level_cdf(flow, level)
        draws.append(np.interp(np.asarray(jax.random.uniform(own, (CHAINS,))), cdf, grid))
    return jnp.asarray(np.stack(draws, axis=1)[..., None], jnp.float32)


@eqx.filter_jit
def run(flow, positions, key, levels, sizes, steps):
    start_key, key = jax.random.split(key)
    kernel, keys = ladder.build_kernel(steps), jax.random.split(start_key, positions.shape[0])
    states = jax.vmap(lambda x, k: ladder.init(x, double_well, flow, k))(positions, keys)
    keys = jax.random.split(key, positions.shape[0])
    return jax.vmap(lambda k, s: kernel(k, s, double_well, flow, levels, sizes))(keys, states)


@pytest.mark.parametrize("name", FLOWS)
def test_every_level_keeps_its_law(name, getkey):
    """From exact draws of every level, independent ones of each chain: a Kolmogorov-Smirnov test, 1e-5 is 4.4 sigma."""
    flow = FLOWS[name]()
    before = exact_draws(flow, LEVELS, getkey())
    states, info = run(flow, before, getkey(), LEVELS, SIZES, 3)
    for k, level in enumerate(LEVELS):
        grid, cdf = level_cdf(flow, float(level))
        after = np.asarray(states.position)[:, k, 0]
        assert kstest(after, lambda v, g=grid, c=cdf: np.interp(v, g, c)).pvalue > 1e-5
        assert np.mean(after != np.asarray(before)[:, k, 0]) > 0.5
    # Mismatched, so that a wrong acceptance would show.
    assert np.all(np.mean(info.exchange_rate, axis=(0, 1)) < 0.97)
    assert np.all(np.mean(info.walk_acceptance_rate, axis=(0, 1)) < 0.99)
    x, log_q = states.position[:, -1], states.log_q[:, -1]
    np.testing.assert_allclose(flow.log_prob(x), log_q, atol=1e-4)


def test_levels_differ_so_much_that_a_wrong_one_would_show():
    """The power of the test above."""
    flow = _stretched()
    draws = np.asarray(exact_draws(flow, LEVELS, jax.random.key(0)))[..., 0]
    for k, other in ((0, 0.7), (1, 1.0), (2, 0.7)):
        grid, cdf = level_cdf(flow, other)
        assert kstest(draws[:, k], lambda v, g=grid, c=cdf: np.interp(v, g, c)).pvalue < 1e-12


def test_local_moves_at_the_target_take_the_latents_along(getkey):
    flow = FLOWS["a defensive mixture"]()
    states, _ = run(flow, exact_draws(flow, LEVELS, getkey()), getkey(), LEVELS, SIZES, 1)
    x = states.position[:, -1] + 0.1
    keys = jax.random.split(getkey(), CHAINS)
    moved = jax.vmap(lambda s, x, k: ladder.move_target(s, x, double_well(x), flow, k))(states, x, keys)
    latents = jax.tree.map(lambda a: a[:, -1], moved.latents)
    y, log_q = flow.push(latents)
    np.testing.assert_allclose(y, x, atol=1e-5)
    np.testing.assert_allclose(log_q, moved.log_q[:, -1], atol=1e-4)
    np.testing.assert_array_equal(moved.position[:, :-1], states.position[:, :-1])


def test_the_shortest_ladder_is_the_independence_move(getkey):
    """The same mean acceptance and the same law, over 3000 chains each."""
    flow = _stretched()
    start = exact_draws(flow, LEVELS[-1:], getkey())
    states, info = run(flow, start, getkey(), LEVELS[-1:], SIZES[-1:], 2)

    @eqx.filter_jit
    def independence(x, key):
        states = jax.vmap(lambda x: flow_move.init(x, double_well, flow))(x)
        keys = jax.random.split(key, CHAINS)
        return jax.vmap(lambda k, s: flow_move.build_kernel(2)(k, s, double_well, flow))(keys, states)

    others, other = independence(start[:, 0], getkey())
    rates = np.asarray(info.exchange_rate)[..., 0].mean(axis=1), np.asarray(other.acceptance_rate)
    error = np.hypot(*(r.std() / np.sqrt(CHAINS) for r in rates))
    assert abs(rates[0].mean() - rates[1].mean()) < 4.5 * error
    grid, cdf = level_cdf(flow, 1.0)
    for x in (states.position[:, 0, 0], others.position[:, 0]):
        assert kstest(np.asarray(x), lambda v: np.interp(v, grid, cdf)).pvalue > 1e-5
    # One arrival is one accepted proposal, or a second that took the place of the first.
    accepted = np.asarray(info.arrivals)
    assert 0 < accepted.mean() < 2
    assert np.all(np.asarray(info.walk_acceptance_rate) == 0)


def test_fresh_states_climb_two_levels_a_step_where_nothing_is_rejected(getkey):
    flow = Untransformed(Gaussian([0.0]))
    levels = jnp.linspace(0, 1, 7)[1:]

    def density(x):
        return flow.base.log_prob(x)

    state = ladder.init(jnp.zeros((6, 1)), density, flow, getkey())
    state, info = ladder.build_kernel(12)(getkey(), state, density, flow, levels, jnp.ones(6))
    np.testing.assert_allclose(info.exchange_rate, 1.0)
    # The first arrives after three steps, and one more with each.
    assert float(info.arrivals) == 10


class Quartic(sf.System):
    """Independent sites in a potential that is known exactly, and a Gaussian that misses its shape."""

    n: int = eqx.field(static=True, default=64)
    quartic: float = 0.15

    @property
    def space(self):
        return sf.Euclidean(self.n)

    def energy(self, x):
        return jnp.sum(0.5 * x**2 + self.quartic * x**4)

    def base(self, kT):
        return Gaussian(jnp.zeros(self.n))

    def known_states(self):
        return jnp.zeros((1, self.n))


def exact_of(system):
    weight = lambda x: np.exp(-0.5 * x**2 - system.quartic * x**4)  # noqa: E731
    z = quad(weight, -8, 8)[0]
    energy = quad(lambda x: (0.5 * x**2 + system.quartic * x**4) * weight(x), -8, 8)[0] / z
    return system.n * np.log(z), system.n * energy


# A flow that is not trained.
POOR = {"rounds": Rounds(most=0), "polish": 0, "start": Start(warm_up=60), "chains": 32}


@pytest.fixture(scope="module")
def poor():
    """A study with a flow whose log weight has a variance of about 8."""
    return sf.run_study(Quartic(), 1.0, sampler=FlowMCMC(draws=100, **POOR), progress=False)


def test_a_poor_flow_costs_time_not_truth(poor):
    diagnostics, found = (poor[name].to_dataset().isel(kT=0) for name in ("diagnostics", "thermodynamics"))
    log_z, energy = exact_of(Quartic())
    assert float(diagnostics["ess_forward"]) < 0.1
    assert float(diagnostics["levels"]) > 2
    assert float(diagnostics["round_trips"]) > 100
    assert float(found["log_z_err"]) < 0.15
    assert abs(float(found["log_z"]) - log_z) < 4.5 * float(found["log_z_err"])
    assert abs(float(diagnostics["log_z_mbar"]) - log_z) < 4.5 * float(diagnostics["log_z_mbar_err"])
    assert abs(float(found["energy"]) - energy) < 4.5 * float(found["energy_err"])
    # What speaks of a low ESS falls silent where the ladder carries the weight.
    said = str(diagnostics["warning"].values)
    assert not any(word in said for word in ("ESS", "overlap", "accepted", "ladder"))
    assert "along a ladder" in str(diagnostics["log_z_method"].values)


def test_averages_come_from_all_levels_where_these_know_better(poor):
    """Which ones do is a matter of the seed: states of one ladder pass from level to level."""
    found, diagnostics = (poor[name].to_dataset().isel(kT=0) for name in ("thermodynamics", "diagnostics"))
    draws = poor["sample_stats"].to_dataset().isel(kT=0)
    energy, m = (draws[name].transpose("chain", "draw").values for name in ("energy", "order_parameter"))
    alone = thermodynamics(energy, m, Estimate(0.0, 0.0), kT=1.0)
    said = str(diagnostics["averages_method"].values)
    assert said.startswith("states at all levels of the ladder together, by MBAR: ")
    pooled = said.split(": ")[1].split(";")[0].split(", ")
    assert len(pooled) >= 2
    for name in ("energy", "order_parameter_abs", "heat_capacity", "susceptibility"):
        assert float(found[f"{name}_err"]) <= alone[name].error
        assert (float(found[name]) == alone[name].value) == (name not in pooled)
        assert abs(float(found[name]) - alone[name].value) < 4 * alone[name].error


def test_exchange_rates_are_even(poor):
    diagnostics = poor["diagnostics"].to_dataset().isel(kT=0)
    mean = 1 - float(diagnostics["ladder_barrier"]) / (float(diagnostics["levels"]) - 1)
    assert float(diagnostics["exchange_rate"]) > 0.75 * mean


def test_without_the_ladder_the_same_flow_says_nothing():
    sampler = FlowMCMC(draws=100, ladder=2, **POOR)
    diagnostics = sf.run_study(Quartic(), 1.0, sampler=sampler, progress=False)["diagnostics"].to_dataset().isel(kT=0)
    assert float(diagnostics["levels"]) == 2
    assert float(diagnostics["global_acceptance_rate"]) < 0.1
    assert "the forward ESS is" in str(diagnostics["warning"].values)


class FarWells(sf.System):
    """Two equal wells, 12 widths apart."""

    space = sf.Euclidean(1)

    def energy(self, x):
        return -jnp.logaddexp(-0.5 * x[0] ** 2, -0.5 * (x[0] - 12.0) ** 2)

    def base(self, kT):
        return Gaussian([0.0], [1.3])  # of one of them alone


def test_a_mode_that_no_state_from_the_flow_reaches_is_said():
    """Half of the chains start in it, and exchanges move states, so that states of the flow arrive at all targets."""
    options = POOR | {"start": Start(particles=0, states=[[0.0], [12.0]], warm_up=60)}
    result = sf.run_study(FarWells(), 1.0, sampler=FlowMCMC(draws=60, ladder=4, **options), progress=False)
    diagnostics = result["diagnostics"].to_dataset().isel(kT=0)
    assert float(diagnostics["round_trips"]) > 100
    assert float(diagnostics["undercoverage"]) > 0.3
    assert "almost never proposed by the flow" in str(diagnostics["warning"].values)
    # How much of Z is there neither weights nor the number of chains can tell.
    assert float(diagnostics["log_z_systematic"]) == np.inf
    assert "the error of log Z has no bound" in str(diagnostics["warning"].values)


def test_so_is_one_that_few_chains_are_in():
    """One of 32, as where a chain left by itself the modes that are known; all of its draws are proposed as good as
    never. One half of Z is there."""
    states = [[12.0], *[[0.0]] * 31]
    options = {"start": Start(particles=0, states=states, warm_up=60), "rounds": sf.Rounds(most=0)}
    result = sf.run_study(FarWells(), 1.0, sampler=FlowMCMC(chains=32, draws=60, **options), progress=False)
    found = result["thermodynamics"].to_dataset().isel(kT=0)
    assert abs(float(found["log_z"]) - np.log(2 * np.sqrt(2 * np.pi))) < 2 * float(found["log_z_err"])
    assert "the error of log Z has no bound" in str(result["diagnostics"]["warning"].item())


class Apart(FarWells):
    """Nearer: by way of the levels states of the flow get to the other well too, though it never proposes them."""

    def energy(self, x):
        return -jnp.logaddexp(-0.5 * x[0] ** 2, -0.5 * (x[0] - 7.0) ** 2)

    def base(self, kT):
        return Gaussian([0.0], [1.4])


def test_a_mode_that_the_ladder_reaches_is_not_missed():
    """Half of the search's particles are in it."""
    options = POOR | {"start": Start(particles=512, warm_up=60)}
    result = sf.run_study(Apart(), 1.0, sampler=FlowMCMC(draws=1000, ladder=8, **options), progress=False)
    diagnostics = result["diagnostics"].to_dataset().isel(kT=0)
    found = result["thermodynamics"].to_dataset().isel(kT=0)
    assert float(diagnostics["undercoverage"]) < 2e-3
    assert "almost never proposed" not in str(diagnostics["warning"].values)
    # Of a search of 512 particles, of which half are held out.
    assert float(diagnostics["log_z_systematic"]) < 0.005
    exact = np.log(2 * np.sqrt(2 * np.pi))
    assert abs(float(found["log_z"]) - exact) < 4 * float(found["log_z_err"]) < 0.3
    assert abs(float(found["order_parameter"]) - 3.5) < 4 * float(found["order_parameter_err"])


def test_what_has_no_weight_that_is_a_number_is_never_taken(getkey):
    flow = Untransformed(Gaussian([0.0]))

    def density(x):
        return jnp.where(x[0] > 0.5, jnp.nan, -0.5 * jnp.sum(x**2))

    @eqx.filter_jit
    def many(key):
        keys = jax.random.split(key, 200)
        states = jax.vmap(lambda k: ladder.init(jnp.zeros((3, 1)), density, flow, k))(keys)
        return jax.vmap(lambda k, s: ladder.build_kernel(5)(k, s, density, flow, LEVELS, SIZES))(keys, states)

    states, info = many(getkey())
    assert np.all(np.asarray(states.position) <= 0.5)
    assert np.all(np.isfinite(np.asarray(info.log_weights)[..., 1:]))
    assert np.all(np.isfinite(np.asarray(info.walk_acceptance_rate)))
    assert np.any(np.isneginf(np.asarray(info.log_weights)[..., 0]))


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: Ladder(levels=1), "2 at least"),
        (lambda: Ladder(levels="many"), "how many, 2 at least"),
        (lambda: Ladder(levels=[0.0]), "two levels or more, rising from 0"),
        (lambda: Ladder(levels=[0.0, 0.5, 0.4, 1.0]), "rising from 0"),
        (lambda: Ladder(levels=[0.1, 1.0]), "rising from 0"),
        (lambda: Ladder(steps=0), "at least 1"),
        (lambda: FlowMCMC(ladder="long"), "give a Ladder"),
    ],
)
def test_ladders_that_cannot_be(make, sentence):
    with pytest.raises(StudyError, match=sentence):
        make()


def test_levels_may_be_given():
    options = {"draws": 20, "moves": Moves(local=2)} | POOR
    for given, count in ((4, 4), ([0.0, 0.2, 1.0], 3)):
        sampler = FlowMCMC(ladder=Ladder(levels=given, steps=1), **options)
        found = sf.run_study(Quartic(4), 1.0, sampler=sampler, progress=False)["diagnostics"].to_dataset()
        assert float(found["levels"].values[0]) == count
        assert float(found["ladder_steps"].values[0]) == 1
