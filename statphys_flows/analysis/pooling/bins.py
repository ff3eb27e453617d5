"""Pooled draws in bins, by the groups that the bootstrap draws."""

import numpy as np

from statphys_flows.analysis.pooling.pool import Pool

Array = np.ndarray


class GroupedBins:
    """The draws of a `pool` in `count` bins, of which `index`, (N,), says each draw's."""

    def __init__(self, pool: Pool, index: Array, count: int):
        self.groups, self.count = pool.multiplicity.shape[1], count
        self._cells = index + count * np.repeat(np.arange(self.groups), len(index) // self.groups)
        self._multiplicity = pool.multiplicity.astype(float)
        self._shares, self._moved = pool.shares(), np.exp(pool.log_z - pool.log_z_replicas)

    def sum_groups(self, weights: Array) -> Array:
        """The weights, (N,), summed in each bin of each group, (groups, count)."""
        return np.bincount(self._cells, weights, self.groups * self.count).reshape(self.groups, self.count)

    def sum_replicas(self, weights: Array) -> Array:
        """The same in each replica, (B, count), which `pool` follows."""
        # The denominators of weights to first order in a replica's Z: draws of point k have 1/moved_k of the weight.
        sums = [
            (self._multiplicity @ self.sum_groups(weights * share)) / self._moved[:, [k]]
            for k, share in enumerate(self._shares)
        ]
        return np.sum(sums, axis=0)
