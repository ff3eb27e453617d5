"""How much memory a process can have."""

import re
from pathlib import Path
from typing import Any

from statphys_flows.errors import StudyError

_UNITS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}
_SYSTEM = Path("/")


def free_memory(root: Path = _SYSTEM) -> int | None:
    """Bytes that are free, on the machine and of what the batch system or container grants; None if the system does not
    say. `root` is where `proc` and `sys` are."""
    path = root / "proc/meminfo"
    if not path.exists():
        return None
    (line,) = [line for line in path.read_text().splitlines() if line.startswith("MemAvailable")]
    return min([int(line.split()[1]) * 1024, *_granted(root)])


def _granted(root: Path) -> list[int]:
    """What is left of each limit of the control groups of this process, of version 2 or 1, and of those above them."""
    path = root / "proc/self/cgroup"
    found = []
    for line in path.read_text().splitlines() if path.exists() else []:
        _, controllers, group = line.split(":", 2)
        if controllers == "":
            top, names = root / "sys/fs/cgroup", ("memory.max", "memory.current")
        elif "memory" in controllers.split(","):
            top, names = root / "sys/fs/cgroup/memory", ("memory.limit_in_bytes", "memory.usage_in_bytes")
        else:
            continue
        own = top / group.strip("/")
        for folder in (own, *own.parents):
            limit, used = (_number(folder / name) for name in names)
            if limit is not None and used is not None:
                found.append(max(0, limit - max(0, used - _cached(folder))))
            if folder == top:
                break
    return found


def _cached(folder: Path) -> int:
    """Bytes of files that were read and can be given up at any time: they count as used there."""
    try:
        lines = (folder / "memory.stat").read_text().splitlines()
    except OSError:
        return 0
    known = dict(line.split() for line in lines)
    return int(known.get("total_inactive_file", known.get("inactive_file", 0)))


def _number(path: Path) -> int | None:
    """None for no limit, or no file."""
    try:
        text = path.read_text().strip()
    except OSError:
        return None
    return int(text) if text.isdigit() else None


def bytes_of(memory: Any) -> int:
    """Bytes of a number, or of a text such as `"4GB"`.

    **Raises:** `StudyError` for anything else."""
    found = re.fullmatch(r"([0-9]*\.?[0-9]+(?:E\+?[0-9]+)?)\s*([KMGT]?)B?", str(memory).strip().upper())
    size = float(found[1]) * _UNITS[found[2]] if found else 0.0
    if isinstance(memory, bool) or size <= 0:
        raise StudyError(f'memory={memory!r} is not understood: write "4GB" or "500MB", or a number of bytes.')
    return int(size)
