"""Measured velocities and the scales of their priors: checks, and defaults from the data."""

from dataclasses import dataclass

import jax.numpy as jnp
import numpy as np

from statphys_flows.errors import StudyError
from statphys_flows.numbers import is_count, whole
from statphys_flows.thresholds import LARGEST_ECCENTRICITY, LARGEST_PHASE_ERROR


@dataclass(frozen=True)
class Data:
    """Times from `epoch` on, velocities, errors, shape (n,), in 64 bits; `instruments` are positions in `names`."""

    times: np.ndarray
    velocities: np.ndarray
    errors: np.ndarray
    instruments: np.ndarray
    names: tuple[str, ...]
    epoch: int


@dataclass(frozen=True)
class Settings:
    """Planets and priors, as arrays of the shapes that the fields of `RadialVelocity` have."""

    planets: int
    period: np.ndarray
    semi_amplitude: np.ndarray
    eccentricity_max: float
    jitter: np.ndarray
    offset: np.ndarray


def check_data(times, velocities, errors, instruments, epoch, names) -> Data:
    """The data in 64 bits, times reduced. **Raises:** `StudyError` as `RadialVelocity` describes."""
    columns = {"times": times, "velocities": velocities, "errors": errors}
    columns = {name: _floats(name, values) for name, values in columns.items()}
    t, v, s = columns.values()
    if t.ndim != 1 or t.size < 1:
        raise StudyError(f"RadialVelocity(times=...) has shape {t.shape}; give a list of at least one time.")
    for name, values in columns.items():
        if values.shape != t.shape:
            raise StudyError(
                f"RadialVelocity({name}=...) has shape {values.shape}, but there are {t.size} times; give one entry "
                "for each."
            )
        if not np.all(np.isfinite(values)):
            bad = int(np.argmin(np.isfinite(values)))
            raise StudyError(
                f"RadialVelocity({name}=...) is {values[bad]} at entry {bad}; leave out what was not measured."
            )
    if not np.all(s > 0):
        bad = int(np.argmin(s > 0))
        raise StudyError(
            f"RadialVelocity(errors=...) is {s[bad]} at entry {bad}; an error is a standard deviation, a positive "
            "number."
        )
    index, labels = _instruments(instruments, names, t.size)
    if epoch is None:
        epoch = round(float(t.mean()))
        t = t - epoch
    elif float(epoch) != round(float(epoch)):
        raise StudyError(f"RadialVelocity(epoch={epoch!r}): give a whole number of days, and times counted from it.")
    return Data(t, v, s, index, labels, int(epoch))


def check_settings(data: Data, planets, period, semi_amplitude, eccentricity_max, jitter, offset) -> Settings:
    """Planets and priors, with defaults from the data. **Raises:** `StudyError` as `RadialVelocity` describes."""
    planets = whole(planets)
    if not is_count(planets, 0) or planets > 2:
        raise StudyError(f"RadialVelocity(planets={planets!r}): write 0, 1 or 2.")
    period = _floats("period", period)
    if period.shape not in ((2,), (planets, 2)):
        raise StudyError(
            f"RadialVelocity(period=...) has shape {period.shape}; give one range (shortest, longest), or one for each "
            f"of the {planets} planets."
        )
    _check_ranges("period", period, "(1.0, 100.0)")
    if planets:
        _check_turns(data.times, period)
    if not 0 < float(eccentricity_max) < LARGEST_ECCENTRICITY:
        raise StudyError(
            f"RadialVelocity(eccentricity_max={eccentricity_max!r}): give a number between 0 and "
            f"{LARGEST_ECCENTRICITY}, for example 0.9."
        )
    means = np.asarray([data.velocities[data.instruments == j].mean() for j in range(len(data.names))])
    centred = data.velocities - means[data.instruments]
    # One velocity, or equal velocities, define no scale.
    error = float(np.median(data.errors))
    scale, extent = max(float(centred.std()), error), max(float(np.ptp(centred)), error)
    semi_amplitude = _pair("semi_amplitude", semi_amplitude, (error, 2 * extent))
    jitter = _pair("jitter", jitter, (0.01 * scale, 2 * scale))
    # Not compared with each other: K₀ is not a lower bound.
    for name, values in (("semi_amplitude", semi_amplitude), ("jitter", jitter)):
        if not np.all(np.isfinite(values) & (values > 0)):
            raise StudyError(f"RadialVelocity({name}={tuple(values.tolist())}): both must be positive numbers.")
    _check_ranges("jitter", jitter, "(0.1, 10.0)")
    if offset is None:
        offset = np.stack([means, np.full_like(means, scale)], axis=1)
    offset = _floats("offset", offset)
    if offset.shape not in ((2,), (means.size, 2)):
        raise StudyError(
            f"RadialVelocity(offset=...) has shape {offset.shape}; give (mean, standard deviation), or such a row for "
            f"each of the {means.size} instruments."
        )
    offset = np.broadcast_to(offset, (means.size, 2))
    if not np.all(np.isfinite(offset)) or not np.all(offset[:, 1] > 0):
        raise StudyError(
            f"RadialVelocity(offset={offset.tolist()}): a standard deviation must be positive, and all finite."
        )
    return Settings(planets, period, semi_amplitude, float(eccentricity_max), jitter, offset)


def _instruments(instruments, names, n: int) -> tuple[np.ndarray, tuple[str, ...]]:
    if instruments is None:
        return np.zeros(n, int), ("1",) if names is None else tuple(names)
    labels = np.asarray(instruments)
    if labels.shape != (n,):
        raise StudyError(
            f"RadialVelocity(instruments=...) has shape {labels.shape}, but there are {n} times; give one label for "
            "each."
        )
    if names is None:
        found, index = np.unique(labels, return_inverse=True)
        return index, tuple(str(label) for label in found)
    names = tuple(str(name) for name in names)
    if not np.issubdtype(labels.dtype, np.integer) or labels.min() < 0 or labels.max() >= len(names):
        raise StudyError(
            f"RadialVelocity(names={names}): with names given, instruments are positions in them, integers from 0 to "
            f"{len(names) - 1}; leave names out to give labels."
        )
    if len(np.unique(labels)) < len(names):
        raise StudyError(f"RadialVelocity(names={names}) names an instrument without velocities; leave it out.")
    return labels, names


def _check_turns(times: np.ndarray, period: np.ndarray) -> None:
    turns = float(np.abs(times).max() / period.min())
    dtype = jnp.result_type(float)
    if turns * float(jnp.finfo(dtype).eps) > LARGEST_PHASE_ERROR:
        raise StudyError(
            f"RadialVelocity: {turns:.3g} turns of the shortest period, {period.min():.3g}, are between the epoch and "
            f"the data, too many for {dtype}; raise the lower end of period, put epoch in the middle of the data, "
            'or switch on 64-bit arithmetic with jax.config.update("jax_enable_x64", True).'
        )


def _check_ranges(name: str, ranges: np.ndarray, example: str) -> None:
    for low, high in ranges.reshape(-1, 2).tolist():
        if not (np.isfinite(high) and 0 < low < high):
            raise StudyError(
                f"RadialVelocity({name}=({low!r}, {high!r})): give the lower end first, both positive and finite, for "
                f"example {example}."
            )


def _pair(name: str, values, default) -> np.ndarray:
    values = _floats(name, default if values is None else values)
    if values.shape != (2,):
        raise StudyError(f"RadialVelocity({name}=...) has shape {values.shape}; give two numbers.")
    return values


def _floats(name: str, values) -> np.ndarray:
    try:
        return np.asarray(values, np.float64)
    except (TypeError, ValueError) as error:
        raise StudyError(f"RadialVelocity({name}=...) contains something that is not a number: {error}.") from error
