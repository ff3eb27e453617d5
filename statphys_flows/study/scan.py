"""The grid of a study: temperatures, and fields of the system."""

import itertools
from collections.abc import Container, Iterator, Mapping, Sequence

import numpy as np
import xarray as xr

from statphys_flows.analysis import refinement
from statphys_flows.analysis.decimals import decimals
from statphys_flows.errors import StudyError
from statphys_flows.systems import System, float_parameters, with_fields

# The parameters of one point, "kT" first.
Parameters = dict[str, float]


class Scan:
    """All combinations of temperatures and of values of the system's fields.

    `axes` contains the values of each parameter, in the order in which they were given, "kT" first.
    """

    def __init__(self, kT, scan: Mapping | None = None):
        if scan is not None and not isinstance(scan, Mapping):
            raise StudyError(
                f'scan is a {type(scan).__name__}: write scan={{"field": [...]}}, with the values of each field.'
            )
        self.axes = {"kT": _values("kT", kT, positive=True)}
        self.axes |= {str(name): _values(str(name), values) for name, values in (scan or {}).items() if name != "kT"}
        if scan is not None and "kT" in scan:
            raise StudyError('scan contains "kT"; give temperatures as kT=[...], and other parameters in scan.')

    @property
    def names(self) -> tuple[str, ...]:
        """The parameters, "kT" first."""
        return tuple(self.axes)

    def check(self, system: System) -> None:
        """Refuse names that are not parameters of `system`, and values that it does not accept.

        **Raises:** `StudyError`."""
        known = float_parameters(system)
        for name in self.names[1:]:
            if name not in known:
                has = ", ".join(known) or "none"
                raise StudyError(
                    f"scan[{name!r}]: {type(system.unwrapped).__name__} has no parameter of this name that is a single "
                    f"float; it has {has}."
                )
        for point in self.points():
            at(system, point)

    def points(self) -> Iterator[Parameters]:
        """Every point, in the order in which they are run: from the hottest down, and back and forth along the other
        parameters, so that each is a neighbour of the one before."""
        kT = sorted(self.axes["kT"], reverse=True)
        yield from _snake({**self.axes, "kT": tuple(kT)})

    def missing(self, done: Container[str]) -> list[Parameters]:
        """The points whose names are not in `done`, in the order in which they are run."""
        return [point for point in self.points() if name_of(point) not in done]

    def in_given_order(self) -> Iterator[Parameters]:
        """Every point, in the order in which values were given, the last parameter fastest."""
        for values in itertools.product(*self.axes.values()):
            yield dict(zip(self.axes, values, strict=True))

    def __len__(self) -> int:
        return int(np.prod([len(values) for values in self.axes.values()]))


def at(system: System, point: Parameters) -> System:
    """`system` with its fields as at `point`.

    **Raises:** `StudyError` if it refuses a value."""
    values = {name: value for name, value in point.items() if name != "kT"}
    if not values:
        return system
    try:
        return with_fields(system, values)
    except (ValueError, TypeError) as error:
        where = ", ".join(f"{name}={value:g}" for name, value in values.items())
        raise StudyError(f"{type(system.unwrapped).__name__} refuses {where}: {error}") from error


def join_values(old: Sequence[float], new) -> tuple[float, ...]:
    """All values, rising; falling if the old ones fall."""
    values = sorted({*map(float, old), *map(float, np.atleast_1d(decimals(new)))})
    falls = len(old) > 1 and old[0] > old[-1]
    return tuple(values[::-1] if falls else values)


def label(point: Parameters) -> str:
    """A point in words, for people."""
    return ", ".join(f"{name}={value:.4g}" for name, value in point.items())


def number(scan: Scan) -> str:
    """The number of points, in words."""
    what = "temperature" if len(scan.names) == 1 else "point"
    return f"{len(scan)} {what}{'s' if len(scan) > 1 else ''}"


def name_of(point: Parameters) -> str:
    """A point in words, exactly: the name of its files."""
    return ",".join(f"{name}_{value!r}" for name, value in point.items())


def points_between(
    data: xr.Dataset, axes: Mapping[str, tuple[float, ...]], points: int, quantity: str, along: str | None
) -> tuple[str, np.ndarray]:
    """The parameter along which a `quantity` of `thermodynamics` is to be refined, the one with most values if none is
    given, and so many new values of it (`analysis.refinement`).

    **Raises:** `StudyError` for a parameter with one value or none, or an unknown quantity."""
    along = along or max(axes, key=lambda name: len(axes[name]))
    if along not in axes:
        raise StudyError(f"along={along!r}: this result scans {', '.join(axes)}.")
    if len(axes[along]) < 2:
        raise StudyError(f"This result has one value of {along}, and nothing to refine between: extend it instead.")
    if quantity not in data:
        raise StudyError(f"quantity={quantity!r} is not in this result; it has {', '.join(map(str, data))}.")
    others = [name for name in axes if name != along]
    values, errors = (data[name].mean(others).values for name in (quantity, f"{quantity}_err"))
    return along, refinement(data[along].values, values, errors, points)


def _snake(axes: Mapping[str, tuple[float, ...]]) -> Iterator[Parameters]:
    (name, values), *others = axes.items()
    for i, value in enumerate(values):
        rest = list(_snake(dict(others))) if others else [{}]
        for point in rest if i % 2 == 0 else reversed(rest):
            yield {name: value, **point}


def _values(name: str, given, *, positive: bool = False) -> tuple[float, ...]:
    where = name if name == "kT" else f"scan[{name!r}]"
    what = "temperature" if name == "kT" else "value"
    try:
        values = decimals(given)
    except (TypeError, ValueError) as error:
        raise StudyError(
            f"{where}={given!r} is not a list of numbers; write for example {name}=[0.5, 1.0, 2.0]."
        ) from error
    if values.ndim > 1:
        raise StudyError(f"{where} has shape {values.shape}; give one {what} or a one-dimensional list of them.")
    values = np.atleast_1d(values)
    if values.size == 0:
        raise StudyError(f"{where} is empty; give at least one {what}.")
    for i, value in enumerate(values):
        if not np.isfinite(value) or (positive and value <= 0):
            must = "positive and finite" if positive else "finite"
            raise StudyError(f"{where}[{i}] is {value}; {what}s must be {must}.")
        if value in values[:i]:
            first = int(np.flatnonzero(values == value)[0])
            raise StudyError(f"{where}[{i}] and {where}[{first}] are both {value}; give every {what} once.")
    return tuple(float(v) for v in values)
