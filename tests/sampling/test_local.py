"""Local kernels in a study: each is tuned to its acceptance, alone or beside a flow."""

import blackjax
import jax.numpy as jnp
import numpy as np
import pytest

import statphys_flows as sf
from statphys_flows import HMC, NUTS, LocalMCMC, StudyError, UserKernel
from tests.helpers.registry import KERNELS


class Harmonic(sf.System):
    """Scales that differ by 100."""

    space = sf.Euclidean(4)

    def energy(self, x):
        return 0.5 * jnp.sum((x / jnp.asarray([0.03, 0.3, 1.0, 3.0])) ** 2)


class Steep(sf.System):
    """A double well whose walls rise with the fourth power: some chains start where U is thousands of kT."""

    space = sf.Euclidean(1)

    def energy(self, x):
        return 3.0 * (x[0] ** 2 - 1) ** 2


@pytest.mark.parametrize("name", KERNELS)
def test_chains_that_start_far_out_come_in(name):
    """One step size for all would be that of the others, at which these would reject every move."""
    # Barker's steps know where the force points, and not how strong it is.
    warm_up = 1200 if name.startswith("barker") else 300
    sampler = LocalMCMC(KERNELS[name], chains=64, draws=50, warm_up=warm_up)
    result = sf.run_study(Steep(), kT=1.0, sampler=sampler, progress=False)
    assert float(result["sample_stats"]["energy"].max()) < 15.0
    exact = 0.58211795  # by quadrature
    found = result["thermodynamics"].to_dataset().isel(kT=0)
    assert abs(float(found["energy"]) - exact) < 4.5 * float(found["energy_err"]) < 0.3


@pytest.mark.parametrize("name", KERNELS)
def test_alone_they_give_the_same_tree(name, tmp_path):
    sampler = LocalMCMC(KERNELS[name], chains=32, draws=60, warm_up=400, moves=4)
    result = sf.run_study(Harmonic(), kT=1.0, sampler=sampler, progress=False)
    found = result["thermodynamics"].to_dataset().isel(kT=0)
    assert abs(float(found["energy"]) - 2.0) < 4.5 * float(found["energy_err"])
    assert np.isnan(float(found["log_z"]))
    diagnostics = result["diagnostics"].to_dataset().isel(kT=0)
    target = sampler.local.target_acceptance
    # HMC is accepted well up to the limit of its stability, and tuning comes near to that from below.
    assert -0.15 < float(diagnostics["local_acceptance_rate"]) - target < (0.15 if name != "hmc" else 0.35)
    assert np.isnan(float(diagnostics["ess_forward"]))
    result.to_netcdf(tmp_path / "local.nc")
    assert "log Z from" not in str(diagnostics["warning"].values)  # of which there is none
    assert sf.summary(sf.load(tmp_path / "local.nc"))


def test_a_flow_takes_any_of_them_as_its_local_move():
    sampler = sf.FlowMCMC(
        local=HMC(steps=3),
        chains=16,
        draws=20,
        start=sf.Start(warm_up=60),
        rounds=sf.Rounds(buffer=64, most=1, train_steps=5),
    )
    result = sf.run_study(Harmonic(), kT=1.0, sampler=sampler, progress=False)
    found = result["thermodynamics"].to_dataset().isel(kT=0)
    exact = 2 * np.log(2 * np.pi) + np.log(0.03 * 0.3 * 3.0)
    assert abs(float(found["log_z"]) - exact) < 4.5 * float(found["log_z_err"]) + 1e-4


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: HMC(steps=0), "steps=0"),
        (lambda: NUTS(max_doublings=True), "max_doublings=True"),
        (
            lambda: UserKernel(blackjax.mala.init, blackjax.mala.build_kernel(), acceptance=1.0),
            "a probability between 0 and 1",
        ),
        (lambda: LocalMCMC(NUTS), r"LocalMCMC\(NUTS\(\)\)"),
        (lambda: LocalMCMC(chains=1), "at least 2 chains"),
        (lambda: LocalMCMC(moves=0), "moves=0"),
    ],
)
def test_refusals(make, sentence):
    with pytest.raises(StudyError, match=sentence):
        make()
