"""Fixtures of all tests.

Nothing here imports JAX: the tests of the shell and of the oracle run without it.
"""

import os

import pytest


def pytest_configure(config):
    # A warning that our own code gives, or is blamed for, is a failure; what third-party packages say among themselves
    # is theirs.
    config.addinivalue_line("filterwarnings", "error:::statphys_flows")


@pytest.fixture(scope="session", autouse=True)
def compilation_cache(tmp_path_factory):
    """A cache of compiled programs that tests which start another Python share with this one."""
    folder = os.environ.get("JAX_COMPILATION_CACHE_DIR") or str(tmp_path_factory.mktemp("compiled"))
    settings = {"JAX_COMPILATION_CACHE_DIR": folder, "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0.5"}
    before = {name: os.environ.get(name) for name in settings}
    os.environ.update(settings)
    yield
    for name, value in before.items():
        os.environ.pop(name) if value is None else os.environ.__setitem__(name, value)


@pytest.fixture
def getkey():
    """A function that returns a fresh key at each call, the same sequence in every test."""
    import jax

    keys = (jax.random.fold_in(jax.random.key(20210526), i) for i in range(1_000_000))
    return lambda: next(keys)


@pytest.fixture
def x64():
    """64-bit arithmetic for one test, and for that test alone."""
    import jax

    with jax.enable_x64(True):
        yield
