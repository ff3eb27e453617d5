"""Flows in ℝⁿ that start from few of many modes: splines for each coordinate by itself."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import statphys_flows as sf
from statphys_flows.bases import Gaussian, Mixture
from statphys_flows.flows import CoordinateSplines, Untransformed, coordinate_splines
from statphys_flows.treatments import flows_for
from statphys_flows.treatments.euclidean import _frame


def test_coordinate_splines_act_on_each_coordinate_alone(getkey):
    n = 4
    flow = coordinate_splines(Gaussian(jnp.zeros(n)), location=jnp.zeros(n), scale=jnp.ones(n))
    noise = iter(jax.random.split(getkey(), 100))

    def rough(leaf):
        return leaf + 0.3 * jax.random.normal(next(noise), leaf.shape) if eqx.is_inexact_array(leaf) else leaf

    flow = eqx.tree_at(lambda f: f.bijection.bijections[1], flow, replace_fn=lambda inner: jax.tree.map(rough, inner))
    z = jax.random.normal(getkey(), (n,))
    jacobian = jax.jacfwd(lambda z: flow.forward(z[None])[0][0])(z)
    np.testing.assert_allclose(jacobian - jnp.diag(jnp.diag(jacobian)), 0.0, atol=1e-6)
    assert jnp.max(jnp.abs(jnp.diag(jacobian) - 1)) > 0.01
    log_det = flow.forward(z[None])[1][0]
    np.testing.assert_allclose(log_det, jnp.sum(jnp.log(jnp.diag(jacobian))), atol=1e-5)


def test_a_well_that_few_samples_are_in_is_within_reach():
    x = jnp.concatenate([jnp.full((999, 1), 1.7), jnp.full((1, 1), -1.7)])
    location, scale = _frame(x)
    assert float(jnp.max(jnp.abs(x - location) / scale)) < 4
    normal = jax.random.normal(jax.random.key(0), (4000, 3))
    location, scale = _frame(normal)
    np.testing.assert_allclose(location, 0.0, atol=0.1)
    np.testing.assert_allclose(scale, 1.0, atol=0.25)


class Wells(sf.System):
    """Eight independent coordinates with two wells each, of unlike weight; seeds in four of 256 modes."""

    space = sf.Euclidean(8)

    def energy(self, x):
        return jnp.sum(-0.3 * x - 4 * x**2 + x**4)

    def known_states(self):
        signs = np.array([[1, 1, 1, 1, 1, 1, 1, 1], [-1] * 8, [1, -1] * 4, [-1, -1, 1, 1] * 2])
        return jnp.asarray(np.sqrt(2.0) * signs, jnp.float32)


def test_known_states_bring_four_candidates():
    candidates = flows_for(Wells(), kT=1.0, key=jax.random.key(0), samples=Wells().known_states())
    assert len(candidates) == 4
    assert isinstance(candidates[0], Untransformed)
    assert isinstance(candidates[0].base, Mixture)
    assert isinstance(candidates[1], CoordinateSplines)
    assert len(candidates[1:]) == 3


@pytest.mark.slow
def test_from_four_of_256_modes_log_z_is_that_of_all():
    x = np.linspace(-4, 4, 8001)
    exact = 8 * np.log(np.sum(np.exp(0.3 * x + 4 * x**2 - x**4)) * (x[1] - x[0]))
    sampler = sf.FlowMCMC(rounds=sf.Rounds(good_enough=0.5, most=10))
    result = sf.run_study(Wells(), kT=1.0, sampler=sampler, progress=False)
    found = result["thermodynamics"].to_dataset().isel(kT=0)
    assert abs(float(found["log_z"]) - exact) < 4.5 * float(found["log_z_err"])
    assert float(found["log_z_err"]) < 0.05
    assert result["diagnostics"]["candidate"].values[0] == "coordinate_splines"
