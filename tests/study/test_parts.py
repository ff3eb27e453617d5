"""Finished points on disk: what cannot be trusted is set aside, and is not there."""

import equinox as eqx
import jax.numpy as jnp
import pytest
import xarray as xr

import statphys_flows as sf
from statphys_flows.study.storage.parts import Parts

CONFIGURATION = {"seed": 0, "kT": [1.0]}


@pytest.fixture
def parts(tmp_path):
    return Parts(tmp_path / "a.nc", CONFIGURATION, resume=False)


def tree(value=1.0):
    return xr.DataTree.from_dict({"thermodynamics": xr.Dataset({"log_z": value}, attrs={"note": "as it was"})})


def names(parts):
    return sorted(path.name for path in parts.folder.iterdir() if path.name != "configuration.json")


def test_what_is_saved_is_there(parts):
    saved = tree()
    parts.save("kT_1.0", saved, None)
    loaded = parts.load("kT_1.0")
    assert loaded.identical(saved)
    assert loaded.attrs == saved.attrs == {}
    assert parts.load("kT_2.0") is None


@pytest.mark.parametrize("damage", ["garbage", "truncated", "empty"])
def test_a_damaged_tree(parts, damage):
    parts.save("kT_1.0", tree(), None)
    path = parts.path("kT_1.0")
    whole = path.read_bytes()
    path.write_bytes({"garbage": b"no such thing" * 50, "truncated": whole[: len(whole) // 2], "empty": b""}[damage])
    with pytest.warns(UserWarning, match=r"kT_1\.0\.nc is damaged: it is set aside as kT_1\.0\.nc\.set_aside"):
        assert parts.load("kT_1.0") is None
    assert not parts.has("kT_1.0")
    assert names(parts) == ["kT_1.0.nc.set_aside"]


def test_a_tree_of_another_study(parts, tmp_path):
    """Or of none: somebody has put it there."""
    other = Parts(tmp_path / "b.nc", CONFIGURATION | {"seed": 1}, resume=False)
    other.save("kT_1.0", tree(2.0), None)
    other.path("kT_1.0").rename(parts.path("kT_1.0"))
    with pytest.warns(UserWarning, match=r"kT_1\.0\.nc is not of this study: it is set aside"):
        assert parts.load("kT_1.0") is None
    tree().to_netcdf(parts.path("kT_2.0"))
    with pytest.warns(UserWarning, match="is not of this study"):
        assert parts.load("kT_2.0") is None


def test_the_programs_of_another_jax_are_no_other_study(tmp_path):
    """They are compared when the folder is opened, which knows which ones may differ."""
    one = Parts(tmp_path / "a.nc", CONFIGURATION | {"programs": {"energy": "1"}}, resume=False)
    one.save("kT_1.0", tree(), None)
    one.configuration.unlink()
    assert Parts(tmp_path / "a.nc", CONFIGURATION | {"programs": {}}, resume=True).load("kT_1.0") is not None


@pytest.mark.parametrize("damage", ["garbage", "missing", "another structure"])
def test_a_flow_that_cannot_be_read_takes_its_point_with_it(parts, damage):
    flow = sf.Gaussian(jnp.arange(3.0))
    parts.save("kT_1.0", tree(), flow)
    assert eqx.tree_equal(parts.load_flow("kT_1.0", flow), flow)
    path, like = parts.flow("kT_1.0"), flow
    if damage == "garbage":
        path.write_bytes(b"no such thing")
    elif damage == "missing":
        path.unlink()
    else:
        like = sf.Gaussian(jnp.arange(4.0))
    with pytest.warns(UserWarning, match=r"kT_1\.0\.flow is (damaged|missing): .*computed again"):
        assert parts.load_flow("kT_1.0", like) is None
    assert not parts.has("kT_1.0")
    assert not parts.has_flow("kT_1.0")
