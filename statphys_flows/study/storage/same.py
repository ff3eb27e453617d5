"""Whether two runs are of the same study."""

import json
import warnings
from pathlib import Path
from typing import Any

import xarray as xr

from statphys_flows.errors import StudyError
from statphys_flows.study.storage.programs import TRACED_BY
from statphys_flows.study.storage.provenance import differences


def configuration_of(tree: xr.DataTree, where: Path | str) -> dict[str, Any]:
    """The configuration that a result was made from.

    **Raises:** `StudyError` if it has none."""
    try:
        return json.loads(tree.attrs["configuration"])
    except (KeyError, ValueError) as error:
        raise StudyError(f"{where} was not written by a study: choose another out.") from error


def check_same(old: dict[str, Any], new: dict[str, Any], where: Path | str) -> None:
    """Refuse to continue a run of another configuration, naming what differs.

    **Raises:** `StudyError`."""
    found = differences(*_comparable(old, new, where))
    if found:
        raise StudyError(
            f"{where} belongs to another study, which differs in {'; '.join(found[:4])}"
            f"{' and more' if len(found) > 4 else ''}. Set it back, choose another out, or pass "
            "overwrite=True (--overwrite)."
        )


def _comparable(old: dict[str, Any], new: dict[str, Any], where: Path | str) -> tuple[dict, dict]:
    """Both with the programs that both have. Without any, and with a warning, if one comes from an earlier version of
    this library, or from another JAX, which writes other programs of the same functions."""
    there, here = old.get("programs"), new.get("programs")
    if there == here:
        return old, new
    common: set[str] = set()
    if there is not None and here is not None and there.get(TRACED_BY) == here.get(TRACED_BY):
        common = there.keys() & here.keys()
    else:
        reason = "was traced by another version of JAX" if there and here else "is not known"
        warnings.warn(
            f"What the energy uses in {where} {reason}: only the source of the system is compared. If an array, a "
            "helper function or a global was changed since, start again with overwrite=True (--overwrite).",
            stacklevel=4,
        )

    def keep_common(configuration: dict) -> dict:
        programs = configuration.get("programs", {})
        return configuration | {"programs": {name: value for name, value in programs.items() if name in common}}

    return keep_common(old), keep_common(new)
