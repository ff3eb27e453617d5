"""Only one run at a time for each file."""

import contextlib
import json
import os
import socket
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from statphys_flows.errors import StudyError

# A lock that is being written is empty for a moment: it is read this many times, this many seconds apart.
_LOOKS, _APART = 10, 0.1


@contextlib.contextmanager
def hold_lock(out: Path) -> Iterator[None]:
    """Reserve `out` for this run, by a file `out.lock` beside it that says which process holds it. The file is made in
    one step that fails if it exists (`O_EXCL`, also on network file systems), and removed at the end in every case. A
    lock whose process on this machine has ended is taken over.

    **Raises:** `StudyError` if another run holds it."""
    path, own = _lock_of(out), _identity()
    _acquire(out, path, own)
    try:
        yield
    finally:
        if _text(path) == own:
            path.unlink(missing_ok=True)


def _lock_of(out: Path) -> Path:
    return out.with_name(out.name + ".lock")


def _acquire(out: Path, path: Path, own: str) -> None:
    text = None
    for _ in range(_LOOKS):
        try:
            with path.open("x") as file:
                file.write(own)
            return
        except FileExistsError:
            pass
        except OSError as error:
            path.unlink(missing_ok=True)
            raise StudyError(f"Cannot write {path}: {error.strerror}. Make room, or choose another out.") from error
        text = _text(path)
        if not text:
            time.sleep(_APART)
        elif _is_stale(text):
            _remove_stale(path)
        else:
            break
    raise StudyError(_refusal(out, text or ""))


def _remove_stale(path: Path) -> None:
    """One run at a time reads the lock again and removes it, because another run may have made a new one meanwhile."""
    guard = path.with_name(path.name + ".removing")
    try:
        guard.open("x").close()
    except OSError:
        with contextlib.suppress(OSError):
            if time.time() - guard.stat().st_mtime > _LOOKS * _APART:  # from a run that was killed between two lines
                guard.unlink()
        time.sleep(_APART)
        return
    try:
        if (text := _text(path)) and _is_stale(text):
            path.unlink(missing_ok=True)
    finally:
        guard.unlink(missing_ok=True)


def _text(path: Path) -> str | None:
    try:
        return path.read_text()
    except OSError:
        return None


def _identity() -> str:
    now = datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    return json.dumps(
        {"pid": os.getpid(), "host": socket.gethostname(), "since": now, "started": _start_time(os.getpid())}
    )


def _holder(text: str) -> dict:
    try:
        holder = json.loads(text)
        return holder if isinstance(holder, dict) and isinstance(holder.get("pid"), int) else {}
    except ValueError:
        return {}


def _is_stale(text: str) -> bool:
    """Whether the process that wrote a lock has certainly ended, which can be found out only on this machine."""
    holder = _holder(text)
    if os.name != "posix" or holder.get("host") != socket.gethostname():
        return False
    try:
        os.kill(holder["pid"], 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        pass  # it is running, and belongs to another user
    # Process numbers are reused.
    now, then = _start_time(holder["pid"]), holder.get("started")
    return None not in (now, then) and now != then


def _start_time(pid: int) -> str | None:
    """When a process started, in any units; empty for a process that has ended but was not yet waited for; None if the
    system does not tell."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return "" if fields[0] in "ZX" else f"{boot} {fields[19]}"


def _refusal(out: Path, text: str) -> str:
    holder, path = _holder(text), _lock_of(out)
    if not holder:
        return f"{path} says that a run is writing {out}, but not which run: if there is none, delete it."
    who = f"process {holder['pid']} on {holder.get('host')}, since {holder.get('since')}"
    return (
        f"{out} is being written by another run ({who}): wait until it has ended, or choose another out. If that "
        f"process does not exist any more, delete {path}."
    )
