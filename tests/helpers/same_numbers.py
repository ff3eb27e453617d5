"""Two results that should hold the same."""

from collections.abc import Collection

import xarray as xr


def assert_same_numbers(first: xr.DataTree, second: xr.DataTree, leave_out: Collection[str] = ()) -> None:
    """Every group in full, but for how long it took and what is left out."""
    assert set(first.children) == set(second.children)
    for name in first.children:
        a, b = first[name].to_dataset(), second[name].to_dataset()
        apart = [v for v in a.variables if str(v).startswith("seconds_") or v in leave_out]
        xr.testing.assert_equal(a.drop_vars(apart), b.drop_vars(apart))
