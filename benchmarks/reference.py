"""Exact values from `data/reference`."""

import csv
import pathlib

_FILE = pathlib.Path(__file__).parent.parent / "data" / "reference" / "continuum_phi4.csv"


def reference(quantity: str, **where) -> float:
    """The value of `quantity` in the row whose columns equal `where`; numbers compare as numbers."""
    with _FILE.open() as file:
        rows = list(csv.DictReader(file))
    found = [r for r in rows if r["quantity"] == quantity and all(_same(r[k], v) for k, v in where.items())]
    if len(found) != 1:
        raise LookupError(f"{len(found)} reference values of {quantity} for {where} in {_FILE.name}")
    return float(found[0]["value"])


def _same(text: str, value) -> bool:
    return text == value if isinstance(value, str) else float(text) == float(value)
