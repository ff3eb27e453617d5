"""Where the shell has JAX keep what it compiles. Imports no JAX: its settings are read when it is imported."""

import contextlib
import hashlib
import os
import platform
from pathlib import Path

import platformdirs

# The most that is kept, in bytes: a study leaves 5 to 30 MB. Programs that were not written lately go first.
_MOST = 2 * 1024**3
_SETTING = "JAX_COMPILATION_CACHE_DIR"


def keep_programs() -> Path | None:
    """Have compiled programs kept in the user's cache folder, for the next process; the folder, or None if the user
    has set one. Programs are for one kind of processor: homes of clusters are shared between several."""
    if _SETTING in os.environ:
        return None
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    features = next((line for line in lines if line.startswith(("flags", "Features"))), platform.node())
    kind = f"{platform.machine()}-{hashlib.sha256(features.encode()).hexdigest()[:8]}"
    programs = platformdirs.user_cache_path("statphys_flows") / "programs"
    _prune(programs, _MOST)
    folder = programs / kind
    for name, value in kept_in(folder).items():
        os.environ.setdefault(name, value)
    return folder


def kept_in(folder: Path) -> dict[str, str]:
    """The settings of a process that keeps all its programs in a folder."""
    return {_SETTING: str(folder), "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0"}


def _prune(folder: Path, most: int) -> None:
    """Delete the oldest files until at most so many bytes are left. Others may do the same at the same time, and a
    program that is gone is compiled again."""
    found = []
    for path in folder.rglob("*"):
        with contextlib.suppress(OSError):
            if path.is_file():
                status = path.stat()
                found.append((status.st_mtime, status.st_size, path))
    kept = 0
    for _, size, path in sorted(found, key=lambda each: each[0], reverse=True):
        kept += size
        if kept > most:
            with contextlib.suppress(OSError):
                path.unlink()
