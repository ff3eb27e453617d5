"""What workers have to have in common with the process that began a study."""

import os
import sys
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import jax

from statphys_flows.errors import StudyError
from statphys_flows.spaces import Space
from statphys_flows.study.storage.programs import forget_changed, programs
from statphys_flows.study.storage.provenance import versions
from statphys_flows.systems import System
from statphys_flows.treatments import is_registered, register_treatment, treatments_of_users

# What modules are called that the shell made of files.
DECLARED = "statphys_flows_declared_"
# Versions that may differ: they decide no number.
_MAY_DIFFER = ("python", "xarray")


class Surroundings(NamedTuple):
    """Versions of packages, the devices, and what users have registered."""

    versions: dict[str, str]
    devices: str
    treatments: list[tuple[type[Space], Any]]

    @staticmethod
    def here() -> "Surroundings":
        return Surroundings(versions(), _devices(), treatments_of_users())

    def take_over(self) -> None:
        """Register here what was registered there.

        **Raises:** `StudyError` where this process would find other numbers."""
        here = Surroundings.here()
        there = {f"{name} {value}" for name, value in self.versions.items() if name not in _MAY_DIFFER}
        own = {f"{name} {value}" for name, value in here.versions.items() if name not in _MAY_DIFFER}
        if there != own or self.devices != here.devices:
            wanted = [*sorted(there - own), *([self.devices] if self.devices != here.devices else [])]
            found = [*sorted(own - there), *([here.devices] if self.devices != here.devices else [])]
            raise StudyError(
                f"A worker has {', '.join(found)}, where the study was begun with {', '.join(wanted)}: its numbers "
                "would be others. Give all of them the same."
            )
        for space, treatment in self.treatments:
            if not is_registered(space):
                register_treatment(space, treatment)


def check_programs(system: System, kT: tuple[float, ...], known: dict[str, str]) -> None:
    """Forget what was compiled for an earlier version of a system.

    **Raises:** `StudyError` where its functions are others here."""
    here = programs(system, kT)
    if other := [name for name, value in here.items() if known.get(name, value) != value]:
        raise StudyError(
            f"A worker has another {other[0]} of {type(system.unwrapped).__name__} than the process that began the "
            "study: give both the same modules, and start workers anew after a change."
        )
    forget_changed(system, known)


def _devices() -> str:
    found = jax.local_devices()
    return f"{len(found)} × {found[0].platform}"


def environment() -> dict[str, str]:
    """The environment of a process that reads a job: the same modules can be imported as here, and those beside a file
    that the shell was given."""
    beside = [str(Path(module.__file__).parent) for module in declared() if module.__file__]
    return {**os.environ, "PYTHONPATH": os.pathsep.join([*(each for each in sys.path if each), *beside])}


def declared() -> list[ModuleType]:
    """Modules that no other process can import, for the shell made them of files."""
    return [module for name, module in list(sys.modules.items()) if name.startswith(DECLARED)]
