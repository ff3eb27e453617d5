"""Checks of the arguments of all estimators, in one place."""

import numpy as np
from numpy.typing import ArrayLike

Array = np.ndarray


def as_chains(samples: ArrayLike, name: str) -> Array:
    """`samples` as a float64 array (chain, draw). Raises ValueError for another shape, or for no samples."""
    array = np.asarray(samples, dtype=np.float64)
    if array.ndim != 2:
        raise ValueError(
            f"{name} has shape {array.shape}, but samples are (chain, draw). For a single chain write {name}[None, :]."
        )
    if array.size == 0:
        raise ValueError(f"{name} has shape {array.shape}: it contains no samples.")
    return array


def as_finite_chains(samples: ArrayLike, name: str) -> Array:
    """`as_chains`, and ValueError naming the first value that is NaN or infinite."""
    array = as_chains(samples, name)
    refuse(array, ~np.isfinite(array), name, "every sample must be finite; discard the chain, or fix its source")
    return array


def refuse(array: Array, bad: Array, name: str, advice: str) -> None:
    """Raise ValueError naming the first entry of (chain, draw) `array` where `bad` holds."""
    if bad.any():
        chain, draw = np.argwhere(bad)[0]
        raise ValueError(
            f"{name}[{chain}, {draw}] is {array[chain, draw]} ({bad.sum()} of {bad.size} values are like it): {advice}."
        )


def check_forward(log_w: ArrayLike, name: str) -> Array:
    """Log weights of proposals, (chain, n). Raises ValueError for NaN and +inf, and if every weight is zero."""
    log_w = as_chains(log_w, name)
    bad = np.isnan(log_w) | np.isposinf(log_w)
    refuse(log_w, bad, name, "a proposal's log weight -u(x) - log q(x) is a number, or -inf where u is +inf")
    if np.isneginf(log_w).all():
        raise ValueError(f"Every weight in {name} is zero: no proposal has a finite energy, so Z is unknown.")
    return log_w


def check_reverse(log_w: ArrayLike, name: str) -> Array:
    """Log weights of a chain's draws, (chain, draw). Raises ValueError for NaN and -inf, and if all are +inf."""
    log_w = as_chains(log_w, name)
    bad = np.isnan(log_w) | np.isneginf(log_w)
    refuse(log_w, bad, name, "a draw's log weight -u(x) - log q(x) is a number, or +inf where q(x) is zero")
    if np.isposinf(log_w).all():
        raise ValueError(f"Every weight in {name} is +inf: the proposal reaches no draw of the chain.")
    return log_w


def check_temperature(kT: float) -> float:
    """`kT` as a float. Raises ValueError unless it is finite and positive."""
    kT = float(kT)
    if not (np.isfinite(kT) and kT > 0):
        raise ValueError(f"kT is {kT}, but a temperature is finite and positive.")
    return kT
