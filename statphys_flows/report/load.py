"""Read a result back."""

from pathlib import Path

import xarray as xr

from statphys_flows.analysis.selection import sizes_of
from statphys_flows.errors import StudyError


def load(path: str | Path) -> xr.DataTree:
    """Returns the tree in the netCDF file `path`, in memory, the file closed."""
    path = Path(path)
    if not path.exists():
        raise StudyError(f"{path} does not exist. A result is written by: statphys-flows run FILE.py --out {path}")
    if not path.is_file():
        raise StudyError(f"{path} is a folder: name the .nc file in it.")
    try:
        with xr.open_datatree(path, engine="netcdf4") as tree:
            tree = tree.load()
    except (OSError, ValueError, RuntimeError) as error:
        raise StudyError(f"{path} cannot be read as netCDF: {_first_line(error)}.") from error
    if not sizes_of(tree) and "thermodynamics" not in tree.children and "diagnostics" not in tree.children:
        raise StudyError(
            f"{path} is a netCDF file, but not a result of statphys-flows: it has no group `thermodynamics`."
        )
    return tree


def _first_line(error: Exception) -> str:
    words = getattr(error, "strerror", None) or str(error)
    return (words.splitlines() or [type(error).__name__])[0].rstrip(".")
