"""Velocities of particles: symmetries, the torus, and what linear response promises."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import statphys_flows as sf
from statphys_flows import FlowMCMC, StudyError, analysis
from statphys_flows.bases import UniformTorus
from statphys_flows.flows import ContinuousFlow, DensityModeVelocity, LatentField, PairVelocity
from statphys_flows.flows.velocities.particles.particle_modes import linear_response
from statphys_flows.sampling.adaptive.warm_up import warm_up
from statphys_flows.spaces import ParticleBox
from statphys_flows.systems.potentials import SoftRepulsion
from statphys_flows.treatments import flows_for
from tests.helpers.particle_reference import pair_log_z_1d
from tests.helpers.registry import PARTICLES, VELOCITIES

velocity_at = eqx.filter_jit(lambda velocity, t, x: velocity(t, x))


@pytest.fixture(params=PARTICLES)
def velocity(request, getkey, x64):
    return VELOCITIES[request.param](getkey())


def test_it_commutes_with_exchanges_and_translations_and_knows_the_torus(velocity, getkey):
    box, t = velocity.box, jnp.asarray(0.4)
    lengths = jnp.asarray(box.lengths)
    x = lengths * jax.random.uniform(getkey(), box.shape)
    here, divergence = velocity_at(velocity, t, x)
    order = jax.random.permutation(getkey(), box.n)
    images = x + lengths * jax.random.randint(getkey(), box.shape, -2, 3)
    for y, expected in (
        (x[order], here[order]),
        (x + 0.3 * lengths, here),
        (images, here),
        (-x, -here),
    ):
        there, divergence_there = velocity_at(velocity, t, y)
        np.testing.assert_allclose(there, expected, atol=1e-9 * np.max(np.abs(here)))
        np.testing.assert_allclose(divergence_there, divergence, rtol=1e-9)


def test_pairs_are_smooth_where_kernels_end_and_particles_meet(x64):
    """v is continuous as a pair passes through the reach, and finite for particles at one point."""
    velocity = VELOCITIES["pairs_2d"](jax.random.key(0))
    t = jnp.asarray(0.3)
    x = jnp.tile(jnp.asarray([[0.1, 0.2]]), (8, 1)).at[1].add(jnp.asarray([0.25, 0.0]))
    value, divergence = velocity_at(velocity, t, x)
    assert np.all(np.isfinite(value))
    assert np.isfinite(divergence)
    steps = [velocity_at(velocity, t, x.at[1, 0].set(0.1 + velocity.reach + s)) for s in (-1e-5, 1e-5)]
    np.testing.assert_allclose(steps[0][0], steps[1][0], atol=1e-8)
    np.testing.assert_allclose(steps[0][1], steps[1][1], atol=1e-4 * abs(float(divergence)))


def test_a_reach_beyond_half_the_box_is_refused():
    with pytest.raises(StudyError, match=r"at most 0\.5, half the shortest side"):
        PairVelocity(ParticleBox(4, (1.0, 2.0)), reach=0.7)


@pytest.mark.parametrize("strength", [-0.4, 0.8])
def test_linear_response_is_nearly_exact_for_many_particles(strength, getkey):
    """U/kT = a N |ρ̂_1|²: for N → ∞, N |ρ̂_1|² is exponential with mean 1/(1 + a), and so is that of the flow."""
    box = ParticleBox(256, 2 * np.pi, 1)
    start = linear_response(jnp.asarray([strength]), jnp.asarray([[1.0]]))
    flow = ContinuousFlow(UniformTorus.in_box(box), DensityModeVelocity(box, [[1]], start))
    x, log_q = eqx.filter_jit(lambda f, key: f.sample_and_log_prob(key, 2000))(flow, getkey())
    x = np.asarray(x, float)[..., 0]
    s = box.n * (np.cos(x).mean(axis=1) ** 2 + np.sin(x).mean(axis=1) ** 2)
    log_w = -strength * s - np.asarray(log_q, float)
    # An exponential variable has the deviation of its mean; corrections are of order 1/N.
    assert abs(s.mean() * (1 + strength) - 1) < 4 / np.sqrt(2000) + 4 / box.n
    assert analysis.importance_ess(log_w[None]) > 0.99
    untrained = -strength * (np.cos(x).mean(axis=1) ** 2 + np.sin(x).mean(axis=1) ** 2)
    assert analysis.importance_ess(log_w[None]) > analysis.importance_ess(box.n * untrained[None])


def test_which_flow_fits_which_particles(getkey):
    def kinds(system):
        return [
            type(f) if isinstance(f, LatentField) else type(f.velocity) for f in flows_for(system, kT=1.0, key=getkey())
        ]

    attractive = sf.PairParticles(sf.CosinePotential(), n=8, dimension=1, lengths=2 * np.pi)
    soft = sf.PairParticles(SoftRepulsion(1.0, 0.2, 0.4), n=8, dimension=2)
    assert kinds(attractive) == [LatentField]
    assert kinds(soft) == [PairVelocity]

    class Trapped(sf.System):
        space = ParticleBox(4, 1.0)

        def energy(self, x):
            return jnp.sum(jnp.cos(2 * np.pi * x))

    with pytest.raises(StudyError, match=r"symmetries\(\) return frozenset"):
        flows_for(Trapped(), kT=1.0, key=getkey())


def test_a_free_particle_does_not_run_out_of_digits(getkey):
    """Every move is accepted, and the step is bounded all the same."""
    system = sf.PairParticles(SoftRepulsion(1.0, 0.2, 0.4), n=1, dimension=2)
    start = jax.random.uniform(getkey(), (8, 1, 2))
    factor = system.base(1.0).preconditioner
    arguments = (system, jnp.asarray(1.0), start, factor, getkey(), sf.MALA())
    walk = warm_up(*arguments, moves=2000, buffer=64, rescale=None)
    assert np.max(np.abs(walk.positions)) < 1000
    assert walk.step_size <= 10


@pytest.mark.slow
def test_a_study_of_repulsion_on_a_ring():
    """log Z against quadrature, positions in the box, and the conventions in the file."""
    potential = SoftRepulsion(strength=3.0, range=0.4, cutoff=1.5)
    system = sf.PairParticles(potential, n=4, dimension=1, lengths=4.0, scaling="pairwise")
    exact, error = pair_log_z_1d(
        lambda r: np.where(r < 1.5, 3.0 * (np.exp(-3.125 * r**2) - np.exp(-3.125 * 1.5**2)), 0), 4, 4.0, 1.0
    )
    sampler = FlowMCMC(chains=64, draws=60, rounds=3, polish=2)
    result = sf.run_study(system, kT=[1.0], sampler=sampler, seed=0, progress=False)
    thermodynamics, diagnostics = (result[g].to_dataset().isel(kT=0) for g in ("thermodynamics", "diagnostics"))
    off = float(thermodynamics["log_z"]) - exact
    assert abs(off) < 4 * np.hypot(float(thermodynamics["log_z_err"]), error)
    assert float(diagnostics["ess_forward"]) > 0.6
    x = result["posterior"]["x"].values
    assert np.all((x >= 0) & (x < 4))
    assert result.attrs["energy_convention"].startswith("U = sum_(i<j) W, i = j left out")
