"""A funnel: one coordinate sets the scale of the others, over many orders of magnitude."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from statphys_flows import Euclidean, FlowMCMC, Gaussian, Hamiltonian, System, run_study
from statphys_flows.bases import Mixture
from statphys_flows.flows import HierarchicalCoupling, hierarchical_coupling
from statphys_flows.sampling.adaptive.stages import polish_rounds
from statphys_flows.treatments import flows_for


class Funnel(System):
    """x₀ ~ N(0, 4), the others N(0, e^{x₀}), normalised: log Z = 0."""

    space = Euclidean(4)

    def energy(self, x):
        first = 0.5 * (x[0] / 2) ** 2 + jnp.log(2.0) + 0.5 * jnp.log(2 * jnp.pi)
        return first + jnp.sum(0.5 * x[1:] ** 2 * jnp.exp(-x[0]) + 0.5 * (x[0] + jnp.log(2 * jnp.pi)))

    def order_parameter(self, x):
        return x[0]


def draws(n: int, seed: int = 0):
    rng = np.random.default_rng(seed)
    first = 2 * rng.normal(size=(n, 1))
    return jnp.asarray(np.concatenate([first, np.exp(first / 2) * rng.normal(size=(n, 3))], axis=1), jnp.float32)


def test_it_is_tried_where_other_flows_do_not_fit():
    candidates = flows_for(Funnel(), kT=1.0, key=jax.random.key(0), samples=draws(500))
    last = candidates[len(candidates) - 1]
    assert isinstance(last, HierarchicalCoupling)
    # Its base is as wide as the bulk of the samples, and has a wider part.
    assert isinstance(last.base, Mixture)
    bulk, wide = (np.asarray(c.scale.scale) for c in last.base.components)
    np.testing.assert_allclose(bulk, [2.0, 1.3, 1.3, 1.3], rtol=0.3)
    assert np.all(wide > bulk)


def test_it_comes_first_where_samples_run_down_to_no_minimum():
    open_end = Hamiltonian(lambda x: 0.1 * x[0] + 0.5 * x[1] ** 2 * jnp.exp(-x[0]), space=Euclidean(2))
    candidates = flows_for(open_end, kT=1.0, key=jax.random.key(0), samples=draws(300)[:, :2])
    assert isinstance(candidates[0], HierarchicalCoupling)


def test_it_is_polished_unless_said_otherwise():
    flow = hierarchical_coupling(
        jax.random.key(0), Gaussian(jnp.zeros(4)), location=jnp.zeros(4), scale=jnp.ones(4), layers=2, width=8
    )
    assert polish_rounds(FlowMCMC().adaptation, Funnel(), flow) == 16
    assert polish_rounds(FlowMCMC(polish=3).adaptation, Funnel(), flow) == 3
    assert polish_rounds(FlowMCMC().adaptation, Funnel()) == 0


@pytest.mark.slow
def test_log_z_of_a_funnel():
    sampler = FlowMCMC(chains=64, draws=200, rounds=4, polish=6)
    result = run_study(Funnel(), kT=1.0, seed=0, sampler=sampler, progress=False)
    value, error = (float(result["thermodynamics"][name].values[0]) for name in ("log_z", "log_z_err"))
    assert abs(value) < 4 * error
    assert error < 0.1
    low, high = np.quantile(result["sample_stats"]["order_parameter"].values, [0.02, 0.98])
    assert low < -3.0  # exact: -4.1
    assert high > 3.0
