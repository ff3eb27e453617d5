"""Chains side by side on the devices of this process, or of all processes of one `jax.distributed` run."""

import math
from typing import Any

import jax
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import Mesh, NamedSharding, PartitionSpec


def over_devices(chains: Any) -> Any:
    """A pytree of arrays whose leading axes are chains, spread over the devices, over as many of them as divide the
    number of chains; as it is where that is one.

    What is computed from it follows: compiled code is split along the chains, and what chains have in common, a flow
    and its training, is on every device. Random numbers do not depend on it; sums over chains round differently. In a
    `jax.distributed` run every process has to call this with the same chains.
    """
    devices = jax.devices() if jax.process_count() > 1 else jax.local_devices()
    count = math.gcd(len(devices), *(leaf.shape[0] for leaf in jax.tree.leaves(chains)))
    if count == 1:
        return chains
    return jax.device_put(
        chains, NamedSharding(Mesh(np.asarray(devices[:count]), ("chains",)), PartitionSpec("chains"))
    )


def on_host(array: Any) -> np.ndarray:
    """An array of NumPy, with the chains of all processes, in each of them."""
    if isinstance(array, jax.Array) and not (array.is_fully_addressable or array.is_fully_replicated):
        return multihost_utils.process_allgather(array, tiled=True)
    return np.asarray(array)


def everywhere(known: bool) -> bool:
    """Whether something is known to all processes: what one of them skips, no other may compute."""
    if jax.process_count() == 1:
        return known
    return bool(np.all(multihost_utils.process_allgather(np.asarray(known))))
