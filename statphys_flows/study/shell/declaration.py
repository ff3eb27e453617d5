"""From a user's file to a Study, and from the shell's arguments to the Study's fields."""

from __future__ import annotations

import importlib.machinery
import importlib.util
import sys
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from statphys_flows.errors import StudyError
from statphys_flows.study.execution.surroundings import DECLARED
from statphys_flows.study.shell.settings import parse_kT, parse_precision, parse_scan, replace_fields

if TYPE_CHECKING:
    from statphys_flows.study import Study

_LIBRARY = Path(__file__).resolve().parents[2]


def load_study(path: str | Path) -> Study:
    """Imports the Python file `path` and returns the `study` it declares."""
    from statphys_flows.study import Study

    path = Path(path)
    if not path.exists():
        raise StudyError(f"{path} does not exist. To write a system to start from: statphys-flows new {path}")
    if not path.is_file():
        raise StudyError(f"{path} is a folder: name the Python file that declares the study.")
    module = _import(path)
    if not hasattr(module, "study"):
        raise StudyError(f"{path} declares no `study`. {_advice(module)}")
    if not isinstance(module.study, Study):
        kind = type(module.study).__name__
        raise StudyError(f"`study` in {path} is of type {kind}; write study = sf.Study(system, kT=...).")
    return module.study


def with_changes(
    study: Study,
    *,
    kT: str | None,
    seed: int | None = None,
    settings: Sequence[str] = (),
    scan: Sequence[str] = (),
    precision: Sequence[str] = (),
    most_draws: int | None = None,
) -> Study:
    """Returns the study with the shell's arguments in place of the values in the file."""
    changes: dict[str, Any] = {}
    if settings:
        changes["system"] = replace_fields(study.system, settings)
    if kT is not None:
        changes["kT"] = parse_kT(kT)
    if seed is not None:
        changes["seed"] = seed
    if scan:
        changes["scan"] = parse_scan(scan)
    if precision:
        changes["precision"] = parse_precision(precision)
    if most_draws is not None:
        changes["most_draws"] = most_draws
    scanned = changes.get("scan", study.scan)
    for setting in settings:
        if (name := setting.partition("=")[0]) in scanned:
            raise StudyError(
                f"--set {setting}: {name} is scanned, at {', '.join(f'{v:g}' for v in scanned[name])}; to use this "
                f"value instead, write --scan {setting}."
            )
    return replace(study, **changes) if changes else study


def _import(path: Path) -> ModuleType:
    path = path.resolve()
    name = _module_name(path)
    loader = importlib.machinery.SourceFileLoader(name, str(path))
    spec = importlib.util.spec_from_file_location(name, path, loader=loader)
    assert spec is not None  # a loader was given
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look up their module there
    try:
        with _folder_importable(path.parent):
            loader.exec_module(module)
    except (Exception, SystemExit) as error:
        del sys.modules[name]
        raise StudyError(_failure(path, error)) from error
    return module


def _module_name(path: Path) -> str:
    """A name that shadows no real module and is the same in each run: it is stored with the result."""
    name = stem = DECLARED + path.stem
    count = 1
    while (taken := sys.modules.get(name)) is not None and taken.__file__ != str(path):
        count += 1
        name = f"{stem}_{count}"
    return name


@contextmanager
def _folder_importable(folder: Path) -> Iterator[None]:
    sys.path.insert(0, str(folder))
    try:
        yield
    finally:
        if str(folder) in sys.path:
            sys.path.remove(str(folder))


def _failure(path: Path, error: BaseException) -> str:
    """The user's own part of the traceback, with the last frame last, as in Python."""
    frames = [f for f in traceback.extract_tb(error.__traceback__) if _is_users(Path(f.filename), path.parent)]
    where = "".join(f"  {Path(f.filename).name}, line {f.lineno}: {f.line}\n" for f in frames)
    what = "".join(traceback.format_exception_only(error)).rstrip()
    if isinstance(error, StudyError):
        what = str(error)  # already a sentence
    return f"{path.name} fails to import:\n{where}{what}"


def _is_users(file: Path, folder: Path) -> bool:
    """Whether a frame's file belongs to the user: in or below the declaration's folder, but not in an installed
    package."""
    inside = folder in file.parents
    return inside and "site-packages" not in file.parts and _LIBRARY not in file.parents


def _advice(module: ModuleType) -> str:
    from statphys_flows.systems import System

    own = {name: value for name, value in vars(module).items() if _is_declared(name, value, module)}
    systems = [name for name, value in own.items() if isinstance(value, System)]
    classes = [name for name, value in own.items() if isinstance(value, type) and issubclass(value, System)]
    if systems or classes:
        system = systems[0] if systems else f"{classes[0]}()"
        return f"Add the line\n    study = sf.Study({system}, kT=1.0)"
    return f"It declares {', '.join(own)}." if own else "It declares nothing."


def _is_declared(name: str, value: Any, module: ModuleType) -> bool:
    """Whether the file defines this itself and does not import it."""
    if name.startswith("_") or isinstance(value, ModuleType):
        return False
    return not callable(value) or getattr(value, "__module__", module.__name__) == module.__name__
