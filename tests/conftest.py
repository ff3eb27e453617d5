"""Fixtures of all tests.

Nothing here imports JAX: the tests of the shell and of the oracle run without it.
"""

import os
import shutil
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path

import pytest

from tests.helpers import checked

_MAPS = Path("/proc/self/maps")
_CACHE = "JAX_COMPILATION_CACHE_DIR"


def pytest_configure(config):
    # A warning that our own code gives, or is blamed for, is a failure; what third-party packages say among themselves
    # is theirs.
    config.addinivalue_line("filterwarnings", "error:::statphys_flows")
    # Nearly all of the time goes into compiling programs that run for milliseconds: the compiler is told to do little.
    # Set to 0 and to an empty string, these variables make the tests run what users run, in about twice the time.
    os.environ.setdefault("JAX_DISABLE_MOST_OPTIMIZATIONS", "1")
    # Later versions have no such flag, and end the process where they read one that they do not know.
    if version("jaxlib").startswith("0.10."):
        os.environ.setdefault("XLA_FLAGS", "--xla_cpu_use_fusion_emitters=false")
    # A cache of compiled programs, which tests that start another Python share with this one. JAX reads the variables
    # when it is imported, hence before any test is collected.
    if _CACHE not in os.environ:
        config._own_compilation_cache = os.environ[_CACHE] = tempfile.mkdtemp(prefix="compiled-")
        os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0.5"
    # Annotations are checked at every call, shapes across the arguments of one too: before the package is imported.
    checked.install()


def pytest_unconfigure(config):
    folder = getattr(config, "_own_compilation_cache", None)
    if folder is not None:
        os.environ.pop(_CACHE, None)
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(autouse=True, scope="module")
def _forget_compiled_programs():
    """Thousands of compiled programs in one process use up its memory maps, and the compiler then crashes."""
    yield
    _forget()


@pytest.fixture(autouse=True)
def _forget_in_time():
    """The same within a file that compiles much, well below the 65 530 maps that a process has by default."""
    yield
    if _MAPS.exists() and _MAPS.read_bytes().count(b"\n") > 25_000:
        _forget()


def _forget():
    if (jax := sys.modules.get("jax")) is not None:
        jax.clear_caches()


@pytest.fixture
def getkey():
    """A function that returns a fresh key at each call, the same sequence in every test."""
    import jax

    keys = (jax.random.fold_in(jax.random.key(20210526), i) for i in range(1_000_000))
    return lambda: next(keys)


@pytest.fixture
def optimised():
    """Programs compiled as users have them, for a test that runs them for long: convolutions gain a factor of ten."""
    import jax

    before = jax.config.read("jax_disable_most_optimizations")
    jax.config.update("jax_disable_most_optimizations", False)
    yield
    jax.config.update("jax_disable_most_optimizations", before)


@pytest.fixture
def x64():
    """64-bit arithmetic for one test, and for that test alone."""
    import jax

    with jax.enable_x64(True):
        yield
