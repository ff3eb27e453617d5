"""Displacements on a periodic lattice, up to its point group."""

import functools

import numpy as np

from statphys_flows.spaces import Lattice


@functools.cache
def displacement_orbits(lattice: Lattice) -> tuple[tuple[tuple[int, ...], ...], np.ndarray]:
    """The orbits of displacements r under reflections of each axis and exchanges of axes of equal length: the full
    point group for a cube or square, a smaller group for other shapes.

    **Returns:** one representative for each orbit, with 0 ≤ r_μ ≤ L_μ/2 and the components of exchangeable axes in
    descending order, nearest first; and the index of its orbit for each r, an array of the lattice's shape.
    """
    folded = np.stack(
        np.meshgrid(*[np.minimum(np.arange(n), n - np.arange(n)) for n in lattice.shape], indexing="ij"), axis=-1
    )
    for length in set(lattice.shape):
        axes = [a for a, n in enumerate(lattice.shape) if n == length]
        folded[..., axes] = -np.sort(-folded[..., axes], axis=-1)
    flat = folded.reshape(-1, len(lattice.shape))
    found = sorted({tuple(int(c) for c in r) for r in flat}, key=lambda r: (sum(c * c for c in r), r))
    number = {r: i for i, r in enumerate(found)}
    index = np.asarray([number[tuple(int(c) for c in r)] for r in flat], np.int32).reshape(lattice.shape)
    return tuple(found), index


@functools.cache
def orbit_sizes(lattice: Lattice) -> np.ndarray:
    """The number of displacements in each orbit."""
    return np.bincount(displacement_orbits(lattice)[1].ravel())


@functools.cache
def orbit_shares(source: Lattice, target: Lattice) -> np.ndarray:
    """The shares in which the weight of each orbit of `source` (of all its displacements together) goes to the orbits
    of `target`: an array (orbits of source, orbits of target) whose rows sum to one. Every displacement keeps its
    value, modulo the lengths if the target is smaller."""
    representatives, index = displacement_orbits(source)
    there = displacement_orbits(target)[1]
    folded = np.meshgrid(*[np.minimum(np.arange(n), n - np.arange(n)) for n in source.shape], indexing="ij")
    images = there[tuple(r % n for r, n in zip(folded, target.shape, strict=True))]
    shares = np.zeros((len(representatives), there.max() + 1))
    np.add.at(shares, (index, images), 1.0)
    return shares / orbit_sizes(source)[:, None]
