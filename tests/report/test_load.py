import pytest
import xarray as xr

from statphys_flows.errors import StudyError
from statphys_flows.report.load import load
from tests.report.fake import fake_tree


def test_round_trip(tmp_path):
    tree = fake_tree()
    tree.to_netcdf(tmp_path / "result.nc")
    again = load(tmp_path / "result.nc")
    xr.testing.assert_allclose(again["thermodynamics"].to_dataset(), tree["thermodynamics"].to_dataset())
    assert again.attrs["configuration"] == tree.attrs["configuration"]


def test_the_file_is_closed(tmp_path):
    path = tmp_path / "result.nc"
    fake_tree(kT=[1.0]).to_netcdf(path)
    load(path)
    fake_tree(kT=[2.0]).to_netcdf(path)  # would fail on an open file
    assert load(path)["thermodynamics"]["kT"].values == [2.0]


def test_missing_file(tmp_path):
    with pytest.raises(StudyError, match="does not exist"):
        load(tmp_path / "none.nc")


def test_folder(tmp_path):
    with pytest.raises(StudyError, match="is a folder"):
        load(tmp_path)


@pytest.mark.parametrize("content", [b"", b"not netCDF at all", b"\x89HDF\r\n\x1a\n" + bytes(100)])
def test_not_netcdf(tmp_path, content):
    path = tmp_path / "notes.nc"
    path.write_bytes(content)
    with pytest.raises(StudyError, match="cannot be read as netCDF"):
        load(path)


def test_another_programs_netcdf(tmp_path):
    xr.Dataset({"rain": ("day", [1.0])}).to_netcdf(tmp_path / "rain.nc")
    with pytest.raises(StudyError, match="not a result of statphys-flows"):
        load(tmp_path / "rain.nc")
