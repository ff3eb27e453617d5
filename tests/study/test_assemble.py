"""What putting points together adds."""

import numpy as np
import pytest
import xarray as xr

import statphys_flows as sf
from statphys_flows.study import assemble as assembling
from statphys_flows.study.assemble import assemble, complete
from statphys_flows.study.scan import Scan
from tests.analysis.curie_weiss import study


def test_words_are_padded_with_words(tmp_path):
    """A point that trained for fewer steps, or that an earlier version wrote, has gaps that NetCDF can write."""
    rng, points = np.random.default_rng(0), {}
    for kT, steps in ((1.0, 3), (2.0, 1)):
        stats = {name: (("kT", "chain", "draw"), rng.normal(size=(1, 16, 5))) for name in ("order_parameter", "energy")}
        words = np.asarray([["mixture"] * steps], object)
        training = {"loss": (("kT", "step"), np.ones((1, steps))), "flow": (("kT", "step"), words)}
        said = {"log_z_method": ("kT", np.asarray(["by hand"], object))} if steps > 1 else {}
        groups = {
            "thermodynamics": {"log_z": ("kT", [0.0])},
            "posterior": {},
            "sample_stats": stats,
            "training": training,
            "diagnostics": {"r_hat": ("kT", [1.0]), **said},
        }
        axes = {"training": {"step": np.arange(steps)}}
        points[f"kT_{kT}"] = xr.DataTree.from_dict(
            {name: xr.Dataset(data, {"kT": [kT], **axes.get(name, {})}) for name, data in groups.items()}
        )
    tree = assemble(points, Scan([1.0, 2.0]), sf.ContinuumPhi4(sites=4))
    tree.to_netcdf(tmp_path / "a.nc")
    there = sf.load(tmp_path / "a.nc")
    assert there["training"]["flow"].values.tolist() == [["mixture"] * 3, ["mixture", "", ""]]
    assert np.isnan(there["training"]["loss"].values[1]).tolist() == [False, True, True]
    assert there["thermodynamics"]["log_z"].attrs["comment"] == "by hand (at kT = 1); not said how (at kT = 2)"


def test_the_profile_says_that_it_is_no_log_z():
    m = np.random.default_rng(0).normal(size=(1, 16, 50))
    dims = ("kT", "chain", "draw")
    stats = xr.Dataset({"order_parameter": (dims, m), "energy": (dims, m**2)}, {"kT": [1.0]})
    empty = xr.Dataset(coords={"kT": [1.0]})
    names = ("thermodynamics", "posterior", "training", "diagnostics")
    point = xr.DataTree.from_dict({**dict.fromkeys(names, empty), "sample_stats": stats})
    profiles = assemble({"kT_1.0": point}, Scan(1.0), sf.ContinuumPhi4(sites=4))["profiles"]
    for name in ("free_energy", "free_energy_err"):
        assert profiles[name].attrs["comment"].startswith("-kT log p(m)")
        assert profiles[name].attrs["long_name"].endswith("free energy")


@pytest.mark.parametrize("refused", ["transitions", "consistency"])
def test_why_there_are_no_transitions_is_said_of_transitions_alone(refused, monkeypatch):
    def refuse(*arguments, **options):
        raise ValueError("not today")

    monkeypatch.setattr(assembling, "_pool_profiles", lambda profiles, draws: profiles)
    monkeypatch.setattr(assembling, {"transitions": "locate_transitions"}.get(refused, refused), refuse)
    tree = study(16, np.linspace(0.6, 1.4, 5))
    tree["profiles"] = xr.DataTree()
    whole = complete(tree)
    assert refused not in whole.children
    assert {"transitions", "consistency"} - {refused} <= set(whole.children)
    assert whole.attrs.get("no_transitions") == ("not today" if refused == "transitions" else None)
