"""Trees in NetCDF files: written completely or not at all, and read back with a clear error if they are damaged."""

from pathlib import Path

import xarray as xr

from statphys_flows.errors import StudyError
from statphys_flows.files import whole_file
from statphys_flows.study.storage.aside import refuse_what_is_no_damage
from statphys_flows.study.storage.journal import RESUME


class DamagedError(StudyError):
    """What a file says cannot be trusted."""


def write_tree(tree: xr.DataTree, path: Path) -> None:
    """Write a NetCDF file, completely or not at all."""
    with whole_file(path, RESUME) as temporary:
        tree.to_netcdf(temporary)


def read_tree(path: Path) -> xr.DataTree:
    """Read a file of ours into memory.

    **Raises:** `DamagedError`, a `StudyError`, if it is damaged; `StudyError` if it cannot be read."""
    try:
        with xr.open_datatree(path, engine="netcdf4") as tree:
            return tree.load()
    except Exception as error:
        refuse_what_is_no_damage(path, error)
        raise DamagedError(
            f"{path} is damaged ({type(error).__name__}): delete it, and resume=True computes its contents again."
        ) from error
