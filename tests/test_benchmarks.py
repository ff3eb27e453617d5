"""Benchmarks are run by hand; that they still fit the library is seen here."""

import importlib
from pathlib import Path

import pytest

FOLDER = Path(__file__).parent.parent / "benchmarks"


@pytest.mark.parametrize("name", sorted(path.stem for path in FOLDER.glob("*.py") if path.stem != "__init__"))
def test_a_benchmark_imports(name):
    try:
        importlib.import_module(f"benchmarks.{name}")
    except ModuleNotFoundError as missing:
        # Real data and the like, which only benchmarks need.
        if (missing.name or "").startswith(("statphys_flows", "benchmarks", "systems")):
            raise
        pytest.skip(f"needs {missing.name}")
