"""Where walkers are a good flow's own draws, local moves only have to be tuned before anything counts."""

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import pytest

import statphys_flows as sf
from statphys_flows.flows import LatentField, latent_field
from statphys_flows.sampling import adapt
from statphys_flows.sampling.adaptive import adapt as driver
from statphys_flows.treatments import particle_box

KT = 0.0892


def well(n=16):
    return sf.PairParticles(sf.PeriodicWell(a=4.0, b=1.0), n=n, dimension=2)


def options(**given):
    return sf.FlowMCMC(**{"chains": 32, "draws": 40, "rounds": sf.Rounds(buffer=256)} | given)


@pytest.fixture
def moves_made(monkeypatch):
    """How many local moves each warm-up is asked for."""
    asked, warm_chains = [], driver.warm_chains

    def noted(system, kT, seed_key, warm_key, adaptation, found, flow=None):
        asked.append(adaptation.start.warm_up)
        return warm_chains(system, kT, seed_key, warm_key, adaptation, found, flow)

    monkeypatch.setattr(driver, "warm_chains", noted)
    return asked


def test_a_latent_field_is_good_at_once(moves_made, getkey):
    """With the weights of gas and droplet found from its own draws, where they were equal before."""
    found = adapt(well(128), KT, getkey(), options().adaptation)
    assert moves_made == [40]
    assert found.warm_up == 40
    assert found.history["step"].tolist() == [0]
    assert found.score > 0.95
    assert isinstance(found.flow, LatentField)
    assert np.ptp(found.flow.component_weights) > 0.05


def test_so_it_is_where_one_phase_has_nearly_all_the_weight(moves_made, getkey):
    """Walkers are as seldom in the other as the target is, and not in half of all cases."""
    found = adapt(well(128), 0.087, getkey(), options().adaptation)
    assert moves_made == [40]
    assert found.score > 0.95


@pytest.mark.parametrize(
    "given",
    [
        {"start": sf.Start(states=jnp.zeros((1, 16, 2)), warm_up=50)},
        {"start": sf.Start(warm_up=50), "rounds": sf.Rounds(buffer=256, target_ess=0.9999, most=1, draws=1)},
    ],
    ids=["given_states", "not_good_enough"],
)
def test_else_the_warm_up_is_a_long_one(given, moves_made, getkey):
    found = adapt(well(), KT, getkey(), options(**given).adaptation)
    assert moves_made[-1] == 50
    assert found.warm_up is None


def test_the_step_size_is_tuned_all_the_same(getkey):
    """Of local moves of a frozen phase: their acceptance is 0.574 but for what so few moves leave."""
    result = sf.run_study(well(), kT=KT, seed=0, sampler=options(), progress=False)
    rate = result["diagnostics"].to_dataset()["local_acceptance_rate"].item()
    assert abs(rate - 0.574) < 0.12


@pytest.mark.parametrize("branch", [0, 1], ids=["gas", "droplet"])
def test_a_field_without_one_of_the_phases_is_noticed(branch, monkeypatch):
    """Though all walkers start in the other: between phases of 16 particles local moves pass, or draws reach them."""

    def one_phase(system, kT):
        field = latent_field(system, kT)
        assert field is not None
        return eqx.tree_at(
            lambda f: (f.branches, f.log_weights), field, (field.branches[branch : branch + 1], jnp.zeros(1))
        )

    monkeypatch.setattr(particle_box, "latent_field", one_phase)
    result = sf.run_study(well(), kT=KT, seed=0, sampler=options(draws=100), progress=False)
    diagnostics = result["diagnostics"].to_dataset()
    assert str(diagnostics["warning"].values[0]) != "", diagnostics
