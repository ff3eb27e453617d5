"""Only one run at a time for each file, and one worker for each point, on whatever machines they are."""

import contextlib
import json
import os
import socket
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from statphys_flows.errors import StudyError

# A lock that is being written is empty for a moment: it is read this many times, this many seconds apart.
_LOOKS, _APART = 10, 0.1
# Who holds a lock says so all these seconds, by its time; after so many without a word another machine takes it over.
_BEAT, _SILENT = 10.0, 120.0


@contextlib.contextmanager
def hold_lock(out: Path) -> Iterator[None]:
    """Reserve `out` for this run, by a file `out.lock` beside it that says which process holds it. The file is made in
    one step that fails if it exists (`O_EXCL`, also on network file systems), touched every ten seconds, and removed at
    the end in every case. A lock whose process on this machine has ended, or that was silent for two minutes, is taken
    over.

    **Raises:** `StudyError` if another run holds it."""
    path, own = lock_of(out), _identity()
    text = _acquire(path, own)
    if text is not None:
        raise StudyError(_refusal(out, text))
    with _beating(path, own):
        yield


@contextlib.contextmanager
def claim(path: Path) -> Iterator[bool]:
    """Reserve the file `path` in the same way if nobody else holds it; whether that went well."""
    own = _identity()
    if _acquire(path, own) is not None:
        yield False
        return
    with _beating(path, own):
        yield True


@contextlib.contextmanager
def _beating(path: Path, own: str) -> Iterator[None]:
    """Say that the lock is held, until it is not, and remove it."""
    ended = threading.Event()

    def beat() -> None:
        while not ended.wait(_BEAT):
            with contextlib.suppress(OSError):
                os.utime(path)

    threading.Thread(target=beat, daemon=True).start()
    try:
        yield
    finally:
        ended.set()
        if _text(path) == own:
            path.unlink(missing_ok=True)


def lock_of(out: Path) -> Path:
    return out.with_name(out.name + ".lock")


def _acquire(path: Path, own: str) -> str | None:
    """Make the lock; None, or what the lock of another says."""
    text = None
    for _ in range(_LOOKS):
        try:
            with path.open("x") as file:
                file.write(own)
            return None
        except FileExistsError:
            pass
        except OSError as error:
            path.unlink(missing_ok=True)
            raise StudyError(f"Cannot write {path}: {error.strerror}. Make room, or choose another out.") from error
        text = _text(path)
        if not text:
            time.sleep(_APART)
        elif _is_stale(path, text):
            _remove_stale(path)
        else:
            break
    return text or ""


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
        if (text := _text(path)) and _is_stale(path, text):
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
        {
            "pid": os.getpid(),
            "host": socket.gethostname(),
            "since": now,
            "started": _start_time(os.getpid()),
            "beats": _BEAT,
        }
    )


def _holder(text: str) -> dict:
    try:
        holder = json.loads(text)
        return holder if isinstance(holder, dict) and isinstance(holder.get("pid"), int) else {}
    except ValueError:
        return {}


def _is_stale(path: Path, text: str) -> bool:
    """Whether the process that wrote a lock has certainly ended, which can be found out only on this machine, or was
    silent for so long that it must have."""
    holder = _holder(text)
    if os.name != "posix" or holder.get("host") != socket.gethostname():
        return "beats" in holder and _silence(path) > _SILENT
    try:
        os.kill(holder["pid"], 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        pass  # it is running, and belongs to another user
    # Process numbers are reused.
    now, then = _start_time(holder["pid"]), holder.get("started")
    return None not in (now, then) and now != then


def _silence(path: Path) -> float:
    """Seconds since a lock was touched, by the clock of the disk that it is on: those of machines differ."""
    clock = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        clock.touch()
        return clock.stat().st_mtime - path.stat().st_mtime
    except OSError:
        return 0.0
    finally:
        clock.unlink(missing_ok=True)


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
    holder, path = _holder(text), lock_of(out)
    if not holder:
        return f"{path} says that a run is writing {out}, but not which run: if there is none, delete it."
    who = f"process {holder['pid']} on {holder.get('host')}, since {holder.get('since')}"
    return (
        f"{out} is being written by another run ({who}): wait until it has ended, or choose another out. If that "
        f"process does not exist any more, delete {path}."
    )
