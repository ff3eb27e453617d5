"""Particles through a latent field: exact where the identity makes it so."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import statphys_flows as sf
from statphys_flows import Optimiser, ReverseKL
from statphys_flows.flows import MovedLatentField, latent_field
from statphys_flows.flows.latent.branches import DropletBranch, GasBranch
from statphys_flows.flows.latent.build import phases
from statphys_flows.flows.latent.modes import TorusModes
from statphys_flows.flows.latent.radial import RadialBranch
from statphys_flows.flows.velocities import PairVelocity
from statphys_flows.sampling import adapt
from statphys_flows.sampling.adaptive import adapt as driver
from statphys_flows.sampling.coverage.scores import log_q_error
from statphys_flows.training import FitState, fit
from statphys_flows.treatments import flows_for
from tests.helpers.particle_reference import generalised_cosine_log_z, hmf_log_z, pair_log_z_1d
from tests.helpers.torus_modes import field_of

SIGMAS = 4.5
CIRCLE = 2 * np.pi


def hmf(n=16):
    return sf.PairParticles(sf.CosinePotential(), n=n, dimension=1, lengths=CIRCLE)


def well(n=64):
    return sf.PairParticles(sf.PeriodicWell(a=4.0, b=1.0), n=n, dimension=2)


def generalised(n):
    return sf.PairParticles(sf.GeneralisedCosinePotential(0.6), n=n, dimension=1, lengths=CIRCLE)


def droplet_of(system, kT):
    field = latent_field(system, kT)
    branch = phases(system, kT, field.modes, np.asarray(field.strengths))[-1]
    assert isinstance(branch, DropletBranch)
    return branch


@eqx.filter_jit
def draws(field, key, n):
    return field.sample_and_log_prob(key, n)


def log_weights(system, kT, x, log_q):
    return np.asarray(-jax.vmap(system.energy)(x) / kT - log_q, float)


def test_the_field_on_the_grid_is_the_field_at_its_points(modes, getkey, x64):
    c = field_of(getkey(), modes)
    axes = [np.arange(modes.grid) * length / modes.grid for length in modes.lengths]
    points = jnp.asarray(np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 2))
    direct = np.sqrt(2) * (np.exp(1j * np.asarray(points) @ modes.wave_vectors.T) @ np.asarray(c)).real
    np.testing.assert_allclose(modes.on_grid(c).ravel(), direct, atol=1e-11)
    np.testing.assert_allclose(modes.at(c, points), direct, atol=1e-11)
    mean = np.mean(np.exp(1j * np.asarray(points[:7]) @ modes.wave_vectors.T), axis=0)
    np.testing.assert_allclose(modes.density(points[:7]), mean, atol=1e-12)


def test_particles_follow_the_tilted_density(modes, getkey, x64):
    """Modes of the draws against the integral of the density on a fine grid."""
    c = 0.4 * field_of(getkey(), modes)
    n = 20000
    x = eqx.filter_jit(modes.sample)(getkey(), c, n)
    fine = TorusModes(modes.harmonics, modes.lengths, 128)
    weight = np.exp(np.asarray(fine.on_grid(c)))
    weight /= weight.mean()
    spectrum = np.fft.ifftn(weight)
    exact = spectrum[tuple(np.asarray(modes.harmonics).T % fine.grid)]
    np.testing.assert_allclose(modes.log_normaliser(c), np.log(np.mean(np.exp(fine.on_grid(c)))), atol=1e-10)
    # The variance of e^{ikx} is at most 1.
    assert np.max(np.abs(np.asarray(modes.density(x)) - exact)) < SIGMAS / np.sqrt(n)


def test_a_droplet_branch_is_normalised(getkey, x64):
    """∫ g dh by importance sampling from q, against the exact integral of a Gaussian that q covers."""
    branch = droplet_of(hmf(64), 0.25)
    c = jax.vmap(branch.sample)(jax.random.split(getkey(), 20000))
    log_q = jax.vmap(branch.log_prob)(c)
    target = GasBranch(jnp.full(1, 0.2))
    # A ring of many little Gaussians: one at each of 64 angles, at the droplet's radius.
    angles = jnp.exp(2j * jnp.pi * jnp.arange(64) / 64)
    each = jax.vmap(lambda a: jax.vmap(target.log_prob)(c - branch.profile * a))(angles)
    ratio = np.exp(np.asarray(jax.scipy.special.logsumexp(each, axis=0) - np.log(64) - log_q))
    ratio = np.where(np.isfinite(ratio), ratio, 0.0)
    assert abs(ratio.mean() - 1) < SIGMAS * ratio.std() / np.sqrt(ratio.size)
    assert ratio.std() < 2


@pytest.mark.parametrize(("system", "kT"), [(hmf(64), 0.25), (well(), 0.08)])
def test_the_centre_of_a_droplet_moves_with_it(system, kT, getkey, x64):
    branch = droplet_of(system, kT)
    c = branch.sample(getkey())
    shift = jnp.asarray([0.3 * length for length in branch.modes.lengths])
    moved = c * jnp.exp(-1j * jnp.asarray(branch.modes.wave_vectors) @ shift)
    away = (branch.centre(moved) - branch.centre(c) - shift) / jnp.asarray(branch.modes.lengths)
    np.testing.assert_allclose(away - jnp.round(away), 0.0, atol=1e-9)
    np.testing.assert_allclose(branch.log_prob(moved), branch.log_prob(c), rtol=1e-9)


def test_a_radial_branch_is_normalised_and_knows_no_angle(getkey, x64):
    """∫ g dh by importance sampling from q, against the exact integral of a Gaussian that q covers."""
    (branch,) = latent_field(generalised(64), 0.31).branches
    assert isinstance(branch, RadialBranch)
    c = jax.vmap(branch.sample)(jax.random.split(getkey(), 20000))
    log_q = jax.vmap(branch.log_prob)(c)
    target = jax.vmap(GasBranch(jnp.asarray([0.15, 0.06])).log_prob)(c)
    ratio = np.exp(np.asarray(target - log_q))
    assert abs(ratio.mean() - 1) < SIGMAS * ratio.std() / np.sqrt(ratio.size)
    assert ratio.std() < 10
    turned = c[:5] * jnp.exp(0.7j * jnp.asarray([1, 2]))
    np.testing.assert_allclose(jax.vmap(branch.log_prob)(turned), log_q[:5], rtol=1e-6)


@pytest.mark.parametrize("n", [64, 512])
def test_a_weak_first_order_transition_is_one_branch(n, getkey, x64):
    """At T_t(0.6) = 0.306887843 neither phase is a Gaussian: on the table along the order parameter that is no loss."""
    system, kT = generalised(n), 0.306887843
    field = latent_field(system, kT)
    x, log_q = draws(field, getkey(), 4000)
    log_w = log_weights(system, kT, x, log_q)
    weight = np.exp(log_w - log_w.max())
    assert weight.sum() ** 2 / np.sum(weight**2) > 0.98 * weight.size
    error = weight.std() / weight.mean() / np.sqrt(weight.size)
    assert abs(np.log(weight.mean()) + log_w.max() - generalised_cosine_log_z(n, 0.6, kT)) < SIGMAS * error


@pytest.mark.parametrize("kT", [0.3, 0.5, 0.7])
def test_log_z_of_the_hmf_model(kT, getkey, x64):
    """Importance weights, forward and reverse: the weight of a draw is that of its field alone."""
    system, n = hmf(), 4000
    field = latent_field(system, kT)
    x, log_q = draws(field, getkey(), n)
    log_w = log_weights(system, kT, x, log_q)
    exact = hmf_log_z(16, kT)
    ratio = np.exp(np.where(np.isfinite(log_w), log_w, -np.inf) - exact)
    assert abs(ratio.mean() - 1) < SIGMAS * ratio.std() / np.sqrt(n)
    # The field drawn afresh from p(h | x) has, over draws weighted to the target, the reverse weights 1/w of mean 1/Z.
    good = np.isfinite(log_w)
    again = log_weights(system, kT, x[good], eqx.filter_jit(field.log_prob)(x[good], getkey()))
    back = ratio[good] * np.exp(exact - again)
    assert abs(back.sum() / n - 1) < SIGMAS * back.std() / np.sqrt(n)


def test_the_lebesgue_measure_adds_the_volume(getkey, x64):
    systems = [
        sf.PairParticles(sf.CosinePotential(), n=8, dimension=1, lengths=CIRCLE, measure=m)
        for m in ("normalised", "lebesgue")
    ]
    fields = [latent_field(system, 0.6) for system in systems]
    x, _ = draws(fields[0], getkey(), 3)
    one, other = (field.log_prob(x, jax.random.key(0)) for field in fields)
    np.testing.assert_allclose(other + 8 * np.log(CIRCLE), one, atol=1e-9)


def test_acceptance_does_not_fall_with_the_number_of_particles(getkey):
    """The published figures at kT = 0.0892 are 0.94 for the gas and 0.98 for the droplet at N = 512."""
    for n in (64, 512):
        system = well(n)
        field = latent_field(system, 0.0892)
        x, log_q = draws(field, getkey(), 256)
        log_w = log_weights(system, 0.0892, x, log_q)
        droplet = np.asarray(jax.vmap(system.order_parameter)(x)) > 0.5
        for inside, least in ((droplet, 0.93), (~droplet, 0.85)):
            chosen = log_w[inside & np.isfinite(log_w)]
            acceptance = np.mean(np.exp(np.minimum(0, chosen[None] - chosen[:, None])))
            assert acceptance > least


@pytest.mark.slow
def test_a_study_of_the_hmf_model():
    result = sf.run_study(hmf(), kT=[0.5], seed=0, sampler=sf.FlowMCMC(chains=32, draws=100), progress=False)
    point = result["thermodynamics"].to_dataset().sel(kT=0.5)
    assert abs(float(point["log_z"]) - hmf_log_z(16, 0.5)) < SIGMAS * float(point["log_z_err"])


# Attraction and repulsion: the field, and then a velocity


def attracted_and_repelled(n=8):
    """W = -1.4 cos θ + 0.4 cos 2θ."""
    return sf.PairParticles(sf.GeneralisedCosinePotential(1.4), n=n, dimension=1, lengths=CIRCLE)


def exact_with_repulsion(kT, n=8):
    # Of the sum over i < j, to which i = j is added.
    log_z, error = pair_log_z_1d(lambda r: -(1.4 * np.cos(r) - 0.4 * np.cos(2 * r)) / n, n, CIRCLE, kT, power=12)
    return log_z + 1.0 / (2 * kT), error


def test_a_moved_field_weighs_to_z_forwards_and_backwards(getkey, x64):
    system, kT, n = attracted_and_repelled(), 0.5, 4000
    field, moved = flows_for(system, kT=kT, key=getkey())
    assert isinstance(moved, MovedLatentField)
    exact, reference_error = exact_with_repulsion(kT)
    spreads = []
    for flow in (field, moved):
        x, log_q = draws(flow, getkey(), n)
        log_w = log_weights(system, kT, x, log_q)
        good = np.isfinite(log_w)
        ratio = np.exp(np.where(good, log_w, -np.inf) - exact)
        error = np.hypot(ratio.std() / np.sqrt(n), reference_error)
        assert abs(ratio.mean() - 1) < SIGMAS * error
        again = log_weights(system, kT, x[good], eqx.filter_jit(flow.log_prob)(x[good], getkey()))
        back = ratio[good] * np.exp(exact - again)
        assert abs(back.sum() / n - 1) < SIGMAS * np.hypot(back.std() / np.sqrt(n), reference_error)
        spreads.append(ratio.std())
    # Linear response already knows what repulsion does.
    assert spreads[1] < spreads[0]


def test_reverse_kl_moves_particles_and_leaves_the_field(getkey):
    system, kT = attracted_and_repelled(), 0.5
    _, moved = flows_for(system, kT=kT, key=getkey())
    trained, _, losses = eqx.filter_jit(
        lambda flow, key: fit(
            flow,
            FitState.create(flow, Optimiser(batch=128)),
            ReverseKL(),
            jnp.zeros((1, *system.space.shape)),
            lambda x: system.energy(x) / kT,
            key,
            steps=60,
            total_steps=60,
            optimiser=Optimiser(batch=128),
        )
    )(moved, getkey())
    assert eqx.tree_equal(trained.field, moved.field)
    key = getkey()
    spreads = []
    for flow in (moved, trained):
        x, log_q = draws(flow, key, 4000)
        log_w = log_weights(system, kT, x, log_q)
        spreads.append(np.std(log_w[np.isfinite(log_w)]))
    assert spreads[1] < spreads[0]
    assert np.mean(losses[-20:]) < np.mean(losses[:20])


def test_a_moved_field_is_polished_though_nothing_has_trained_it_before(getkey, monkeypatch):
    """It is a later candidate without an interpolant of its own to come nearer by."""
    options = sf.FlowMCMC(
        chains=8,
        moves=sf.Moves(local=1, flow=1),
        start=sf.Start(warm_up=4),
        rounds=sf.Rounds(most=1, draws=1, buffer=16, good_enough=0.9999, optimiser=Optimiser(batch=4)),
        polish=sf.Polish(most=1, steps=1),
    )
    monkeypatch.setattr(driver, "variational_bound", lambda *arguments: jnp.nan)  # never nearer
    found = adapt(attracted_and_repelled(), 0.5, getkey(), options.adaptation)
    assert found.history["step"].size == 2


@pytest.mark.parametrize(("system", "kT"), [(well(8), 0.0892), (generalised(8), 0.31), (attracted_and_repelled(), 0.5)])
def test_the_error_of_a_moved_field_is_that_of_its_map(system, kT, getkey):
    """Not what q(h) is off, which two fields for one draw would show, nor what the field found no place for."""
    field = latent_field(system, kT)

    def error(velocity, steps, draws=256):
        flow = MovedLatentField(field, velocity, steps)
        return float(log_q_error(system, jnp.asarray(kT), flow, jax.random.key(1), draws))

    start = PairVelocity(system.space)
    moving = eqx.tree_at(lambda v: (v.plain, v.crowded), start, replace_fn=lambda a: a + 0.1)
    assert error(start, 4) < 2e-3
    assert error(moving, 1) > 20 * error(moving, 32)
    assert error(moving, 1) > 0.1
    broken = eqx.tree_at(lambda v: v.plain, start, replace_fn=lambda a: a + jnp.nan)
    assert not error(broken, 4) < np.inf
