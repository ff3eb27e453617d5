"""Checks of the arguments of the multistate Bennett acceptance ratio."""

import numpy as np
from numpy.typing import ArrayLike

Array = np.ndarray


def check_energies(reduced_energies: ArrayLike, counts: ArrayLike) -> tuple[Array, Array]:
    u, n = np.asarray(reduced_energies), np.asarray(counts)
    if u.ndim != 2 or n.shape != u.shape[:1]:
        raise ValueError(
            f"reduced_energies has shape {u.shape} and counts {n.shape}, but they are (state, sample) and (state,): "
            "energies of all samples in every state, and how many of the samples come from each."
        )
    if not np.issubdtype(n.dtype, np.integer) or (n < 0).any() or n.sum() != u.shape[1] or not n.any():
        raise ValueError(
            f"counts is {n.tolist()} (sum {n.sum()}), but it must contain whole numbers that add up to the "
            f"{u.shape[1]} samples of reduced_energies, and at least one."
        )
    if not np.issubdtype(u.dtype, np.floating):
        u = u.astype(np.float64)
    if not u.min() > -np.inf:
        k, i = np.argwhere(np.isnan(u) | np.isneginf(u))[0]
        raise ValueError(
            f"reduced_energies[{k}, {i}] is {u[k, i]}: a reduced energy is a number, or +inf where state {k} forbids "
            "the sample."
        )
    for k, (a, b) in enumerate(zip(np.cumsum(n) - n, np.cumsum(n), strict=True)):
        if np.isinf(u[k, a:b]).any():
            i = a + int(np.argmax(np.isinf(u[k, a:b])))
            raise ValueError(
                f"reduced_energies[{k}, {i}] is inf, but sample {i} comes from state {k}, which cannot forbid it: "
                "samples must be in the order of their states, the first counts[0] from state 0."
            )
    return u, n.astype(np.int64)


def check_weights(weights: ArrayLike | None, n: Array) -> Array | None:
    if weights is None:
        return None
    w = np.asarray(weights)
    if w.ndim not in (1, 2) or w.shape[-1] != n.sum():
        raise ValueError(f"weights has shape {w.shape}, but it is ({n.sum()},), or (replica, {n.sum()}).")
    if not (w.min() >= 0 and w.max() < np.inf and (w.max(axis=-1) > 0).all()):
        raise ValueError("weights contains one that is negative, NaN or inf, or a replica in which all are zero.")
    return w


def check_log_z(log_z: ArrayLike, states: int) -> Array:
    log_z = np.asarray(log_z, np.float64)
    if log_z.shape != (states,) or not np.isfinite(log_z).all():
        raise ValueError(f"log_z (or start) must be {states} finite numbers, one for each state, but is {log_z}.")
    return log_z


def refuse_forbidden(f: Array) -> None:
    if np.isinf(f).any():
        raise ValueError(
            f"State {np.argmax(np.isinf(f))} forbids every sample (all its reduced energies are inf): these samples "
            "do not determine its Z. Leave it out, or sample it."
        )
