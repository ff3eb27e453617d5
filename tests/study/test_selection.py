"""What works on a result works on what is selected of it, and values are those that were meant."""

import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pytest
import xarray as xr

import statphys_flows as sf
from statphys_flows.analysis import consistency
from statphys_flows.analysis.decimals import decimals

KT = [0.3, 0.6, 1.3, 2.0]
SAMPLER = sf.LocalMCMC(chains=8, draws=40, warm_up=20)


class Spring(sf.System):
    tilt: float = 0.0
    space = sf.Euclidean(1, extent=1.0)

    def energy(self, x):
        return jnp.sum(x**2) + self.tilt * x[0]


STUDY = sf.Study(Spring(), KT, sampler=SAMPLER)


@pytest.fixture(scope="module")
def whole():
    # As arrays in 32 bits, which is what jnp.linspace gives.
    return sf.run_study(Spring(), jnp.asarray(KT), sampler=SAMPLER, progress=False)


@pytest.fixture(scope="module")
def tilted():
    return sf.run_study(Spring(), [0.5, 1.0], scan={"tilt": [0.1, 0.7]}, sampler=SAMPLER, progress=False)


@pytest.fixture(
    params=["whole", "one", "slice", "two", "reloaded", "reloaded one", "one tilt", "one point", "tilt of one point"]
)
def selected(request, whole, tilted, tmp_path):
    """A result or a part of it, and the temperatures that it holds."""
    if request.param == "whole":
        return whole, KT
    if request.param == "one":
        return whole.sel(kT=1.3), [1.3]
    if request.param == "slice":
        return whole.sel(kT=slice(0.5, 1.5)), [0.6, 1.3]
    if request.param == "two":
        return whole.sel(kT=[2.0, 0.3]), [2.0, 0.3]
    if request.param == "one tilt":
        return tilted.sel(tilt=0.7), [0.5, 1.0]
    if request.param == "one point":
        return tilted.sel(tilt=0.7, kT=0.5), [0.5]
    if request.param == "tilt of one point":
        return tilted.sel(kT=0.5), [0.5]
    whole.to_netcdf(tmp_path / "result.nc")
    tree = sf.load(tmp_path / "result.nc")
    return (tree, KT) if request.param == "reloaded" else (tree.sel(kT=1.3), [1.3])


def test_a_page_figures_and_a_summary(selected, tmp_path):
    tree, kT = selected
    assert sf.write_page(tree, tmp_path / "page.html").exists()
    assert sf.write_figures(tree, tmp_path)
    assert all(f"{t:.4g}" in sf.summary(tree) for t in kT)
    sf.validate(tree)


def test_reweighting_to_the_points_themselves(selected):
    tree, kT = selected
    found = sf.reweight(tree)
    assert sorted(kT) == found["kT"].values.tolist()
    own = tree["thermodynamics"]["energy"]
    for t in kT:
        here, there = found["energy"].sel(kT=t), own.sel(kT=t) if "kT" in own.dims else own
        # Pooled draws know more than those of one point: within 4 errors of what the point says by itself.
        error = tree["thermodynamics"]["energy_err"]
        error = error.sel(kT=t) if "kT" in error.dims else error
        assert np.all(np.abs(here - there) < 4 * error)


def test_transitions_and_consistency_work_or_say_why_not(selected):
    tree, kT = selected
    if len(kT) < 4:
        with pytest.raises(ValueError, match="at least 4 values of a parameter, but this study has"):
            sf.locate_transitions(tree)
    else:
        assert sf.locate_transitions(tree).sizes["transition"] > 0
    if tree["thermodynamics"]["energy"].size > 1:
        assert len(consistency(tree)["kT"]) == len(kT)
    else:
        with pytest.raises(ValueError, match="one point cannot be compared with others"):
            consistency(tree)


def test_more_points_are_added_to_what_is_there(whole, monkeypatch):
    ran = []
    monkeypatch.setattr(
        "statphys_flows.study.execution.run.run_point", lambda system, at, *a, **k: ran.append(at["kT"]) or whole
    )
    with pytest.raises(Exception):  # noqa: B017, PT011 (what runs is no point)
        STUDY.extend(whole.sel(kT=1.3), kT=[1.3, 0.9], progress=False)
    assert ran == [0.9]


def test_nothing_to_refine_between(whole):
    with pytest.raises(sf.StudyError, match="one value of kT, and nothing to refine between: extend it instead"):
        STUDY.refine(whole.sel(kT=1.3), progress=False)


def test_parts_are_put_together(whole):
    parts = [whole.sel(kT=0.3), whole.sel(kT=[0.6, 2.0])]
    found = sf.concat(*parts)
    assert found["thermodynamics"]["kT"].values.tolist() == [0.3, 0.6, 2.0]
    for name in ("energy", "heat_capacity"):
        xr.testing.assert_equal(found["thermodynamics"][name], whole["thermodynamics"][name].sel(kT=[0.3, 0.6, 2.0]))


def test_without_its_temperature(whole, tmp_path):
    tree = whole.sel(kT=1.3, drop=True)
    for each in (
        sf.summary,
        sf.reweight,
        sf.locate_transitions,
        sf.validate,
        lambda t: sf.write_page(t, tmp_path / "p"),
    ):
        with pytest.raises(ValueError, match=r"has lost its temperature: select it with result.sel\(kT=1.3\)"):
            each(tree)


@pytest.mark.parametrize(
    "given",
    [
        np.float32(0.3),
        jnp.float32(0.3),
        jnp.asarray([0.3], jnp.float32),
        [np.float32(0.3)],
        (jnp.float32(0.3),),
        xr.DataArray(np.asarray([0.3], np.float32)),
        np.asarray([0.3], np.float16),
        np.asarray([0.3], ml_dtypes.bfloat16),
        0.3,
        [0.3],
    ],
    ids=repr,
)
def test_numbers_in_few_bits_are_the_decimals_that_were_meant(given, whole):
    expected = [0.3]
    assert sf.Study(Spring(), given).kT == tuple(expected)
    assert sf.Study(Spring(), 1.0, scan={"tilt": given}).scan["tilt"] == tuple(expected)
    assert STUDY._axes_of(whole)["kT"] == tuple(KT)
    assert sf.reweight(whole, kT=given)["kT"].values.tolist() == expected


def test_numbers_in_64_bits_stay_as_they_are():
    values = np.asarray([0.1 + 0.2, np.pi, 1e-300, 7.0])
    np.testing.assert_array_equal(decimals(values), values)
    np.testing.assert_array_equal(decimals([np.float32(0.3), 0.30000001192092896]), [0.3, 0.30000001192092896])
    np.testing.assert_array_equal(decimals(range(3)), [0.0, 1.0, 2.0])


def test_a_mean_field_is_found_again():
    potential = sf.CosinePotential()
    system = sf.PairParticles(potential, n=8, dimension=1, lengths=2 * np.pi)
    assert sf.mean_field(system, jnp.asarray([0.3, 0.4], jnp.float32))["kT"].values.tolist() == [0.3, 0.4]
