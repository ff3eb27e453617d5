"""Draws that another program has made: log Z, averages, and what is wrong with them."""

import arviz_base
import emcee
import jax.numpy as jnp
import numpy as np
import pytest
import xarray as xr
from scipy.integrate import quad

import statphys_flows as sf
from statphys_flows import StudyError, from_samples
from tests.helpers import transfer_operator


class Well(sf.System):
    space = sf.Euclidean(2)

    def energy(self, x):
        return 3 * (x[0] ** 2 - 1) ** 2 + 0.5 * x[1] ** 2 + 0.3 * x[0]

    def order_parameter(self, x):
        return x[0]


KT, CHAINS, DRAWS = 0.5, 16, 300
FEW = {"steps": 300, "progress": False}


def weight(x):
    return np.exp(-(3 * (x**2 - 1) ** 2 + 0.3 * x) / KT)


Z = quad(weight, -4, 4)[0]
LOG_Z, MEAN = np.log(Z) + 0.5 * np.log(2 * np.pi * KT), quad(lambda x: x * weight(x), -4, 4)[0] / Z


@pytest.fixture(scope="module")
def draws():
    """Independent ones, by the inverse of the distribution."""
    grid = np.linspace(-2.5, 2.5, 20_001)
    cdf = np.cumsum(weight(grid))
    rng = np.random.default_rng(0)
    x = np.interp(rng.random((CHAINS, DRAWS)), cdf / cdf[-1], grid)
    return np.stack([x, rng.normal(0, np.sqrt(KT), x.shape)], axis=-1)


@pytest.fixture(scope="module")
def result(draws):
    return from_samples(Well(), kT=KT, positions=draws, **FEW)


def one_point(result):
    return (result[name].to_dataset().isel(kT=0) for name in ("thermodynamics", "diagnostics"))


def test_log_z_and_averages(result, draws):
    found, diagnostics = one_point(result)
    assert abs(float(found["log_z"]) - LOG_Z) < 4 * float(found["log_z_err"]) < 0.05
    assert abs(float(found["order_parameter"]) - MEAN) < 4 * float(found["order_parameter_err"])
    np.testing.assert_allclose(float(found["order_parameter"]), draws[..., 0].mean(), rtol=1e-5)
    assert diagnostics["warning"].item() == ""
    assert not sf.validate(result)
    assert result["sample_stats"]["energy"].sizes == {"kT": 1, "chain": CHAINS, "draw": DRAWS}
    assert "trained on the other" in result["thermodynamics"]["log_z"].attrs["comment"]
    assert np.isfinite(result["profiles"]["free_energy"]).any()


def test_what_users_have(result, draws):
    """The same numbers, whatever holds them."""
    array = xr.DataArray(np.moveaxis(draws, 0, 1), dims=("step", "walker", "component"))

    class Backend:
        def get_chain(self):
            return np.moveaxis(draws, 0, 1)

    tree = arviz_base.from_dict({"posterior": {"x": draws, "lp": draws[..., 0]}})
    for given, options in (
        (array, {"chain_dim": "walker", "draw_dim": "step"}),
        (Backend(), {}),
        (tree, {}),
        (draws.tolist(), {}),
        (draws[None], {}),
    ):
        if isinstance(given, list):
            given = np.asarray(given)
        found = from_samples(Well(), kT=KT, positions=given, **options, **FEW)
        xr.testing.assert_identical(found["thermodynamics"].to_dataset(), result["thermodynamics"].to_dataset())


def test_one_long_chain(draws):
    found, _ = one_point(from_samples(Well(), kT=KT, positions=draws.reshape(-1, 2), **FEW))
    assert abs(float(found["log_z"]) - LOG_Z) < 4 * float(found["log_z_err"]) < 0.1


def test_several_temperatures(draws):
    """Draws at 2 kT of twice the energy are draws at kT: log Z differs by a constant that is known."""

    class Twice(Well):
        strength: float = 1.0

        def energy(self, x):
            return self.strength * super().energy(x)

    found = from_samples(Well(), kT=[KT, 1.0], positions=[draws, draws[::-1]], **FEW)
    warnings = found["diagnostics"]["warning"].values
    assert warnings[0] == ""
    assert "are of another U or temperature" in warnings[1]


def test_a_mode_that_is_missing_is_said(draws):
    lacking = draws * np.where(draws[..., :1] < 0, 1.0, [-1.0, 1.0])
    found, diagnostics = one_point(from_samples(Well(), kT=KT, positions=lacking, **FEW))
    warning = diagnostics["warning"].item()
    assert "a mode is missing" in warning
    assert float(found["log_z_err"]) > 0.1


def test_draws_of_another_temperature_are_said(draws):
    _, diagnostics = one_point(from_samples(Well(), kT=0.7, positions=draws, **FEW))
    assert "are of another U or temperature" in diagnostics["warning"].item()


def test_the_evidence_of_a_chain_of_emcee():
    """Two Gaussians of weights 0.7 and 0.3, ±2 apart: log Z = log 2π."""

    class Two(sf.System):
        space = sf.Euclidean(2)

        def energy(self, x):
            return 0.5 * x[1] ** 2 - jnp.logaddexp(
                jnp.log(0.7) - 0.5 * (x[0] - 2) ** 2, jnp.log(0.3) - 0.5 * (x[0] + 2) ** 2
            )

    def log_density(x):
        first, second = (np.log(w) - 0.5 * (x[0] - at) ** 2 for w, at in ((0.7, 2.0), (0.3, -2.0)))
        return -0.5 * x[1] ** 2 + np.logaddexp(first, second)

    sampler = emcee.EnsembleSampler(32, 2, log_density)
    sampler._random.seed(0)
    start = np.random.default_rng(0).normal(0, 2, (32, 2))
    sampler.run_mcmc(start, 1500, progress=False)
    found, diagnostics = one_point(
        from_samples(Two(), kT=1.0, positions=sampler.get_chain(discard=500).swapaxes(0, 1), **FEW)
    )
    assert abs(float(found["log_z"]) - np.log(2 * np.pi)) < 4 * float(found["log_z_err"]) < 0.1
    assert "of another U" not in diagnostics["warning"].item()


@pytest.mark.slow
def test_a_field_that_mala_has_drawn():
    system, kT = sf.ContinuumPhi4(sites=32, a=0.1), 0.1
    drawn = sf.run_study(system, kT, sampler=sf.LocalMCMC(chains=32, draws=400, moves=20, thin=1), progress=False)
    positions = drawn["posterior"][system.space.variable].isel(kT=0)
    found, _ = one_point(from_samples(system, kT=kT, positions=positions, progress=False))
    exact = transfer_operator.continuum_phi4(32, 0.1, 1 / kT).log_z
    assert abs(float(found["log_z"]) - exact) < 4 * float(found["log_z_err"])
    assert float(found["log_z_err"]) < 0.1


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"kT": None}, "say at which temperature these were drawn"),
        ({"positions": np.zeros((4, 50, 3))}, r"this system's are \(chain, draw, 2\)"),
        ({"positions": np.zeros((4, 50, 2)) * np.nan}, "NaN or infinity, first in chain 0, draw 0"),
        ({"positions": np.zeros((4, 3, 2))}, "too little for an error bar"),
        ({"positions": np.zeros((4, 50, 2), dtype=str)}, "give real numbers"),
        ({"kT": [1.0, 2.0]}, "are of 1 temperatures, and kT names 2"),
        ({"kT": -1.0}, "positive"),
        ({"positions": xr.DataArray(np.zeros((4, 50, 2)), dims=("a", "b", "c"))}, "and not 'chain'"),
        ({"stepps": 3}, "its options are steps"),
        ({"system": None}, "needs a System"),
        ({"kT": [1.0, 2.0], "positions": [np.zeros((4, 50, 2)), np.zeros((4, 60, 2))]}, "give as many for each"),
    ],
)
def test_bad_input(change, sentence):
    given = {"system": Well(), "kT": KT, "positions": np.zeros((4, 50, 2)), **FEW} | change
    with pytest.raises(StudyError, match=sentence):
        from_samples(given.pop("system"), **given)
