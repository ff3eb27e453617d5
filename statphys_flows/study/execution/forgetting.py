"""Memory that a process does not need any more: programs of studies before, and what compiling left behind."""

import ctypes
import gc
import sys
from pathlib import Path

import jax

# Of the memory maps that a process may have: programs of studies before are forgotten where all take more than the
# first share when a study begins, or more than the second when a point does. A study takes 2000 to 12 000 of the usual
# 65 530, and 0.1 to 0.8 GB, so that three or four stay; a point that needs them again compiles them again.
AT_A_STUDY, AT_A_POINT = 0.25, 0.75


def forget_programs(share: float) -> bool:
    """Have JAX forget all compiled programs if this process has more than a share of the memory maps that it may have:
    beyond all of them nothing can be compiled ("Cannot allocate memory"), however much memory is free. Each energy that
    is declared anew, as in a loop, has programs of its own. Whether they were forgotten; never where the system does
    not say how many there are."""
    maps, most = Path("/proc/self/maps"), Path("/proc/sys/vm/max_map_count")
    if not (maps.exists() and most.exists()):
        return False
    with maps.open() as file:
        count = sum(1 for _ in file)
    if count <= share * int(most.read_text()):
        return False
    jax.clear_caches()
    gc.collect()
    return True


def give_back_memory() -> None:
    """What compiling took and does not need any more, 0.6 of the 1.5 GB of a small lattice, stays with the process
    otherwise. Only the C library of Linux can be told."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None
    if trim is not None:
        trim(0)
