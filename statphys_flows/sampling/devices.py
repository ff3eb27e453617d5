"""Chains side by side on the devices of this process, or of all processes of one `jax.distributed` run."""

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from statphys_flows.errors import StudyError


def over_devices(chains: Any) -> Any:
    """A pytree of arrays whose leading axes are chains, spread over the devices, over as many of them as divide the
    number of chains; as it is where that is one.

    What is computed from it follows: compiled code is split along the chains, and what chains have in common, a flow
    and its training, is on every device. Random numbers do not depend on it; sums over chains round differently. In a
    `jax.distributed` run every process has to call this with the same chains, and all devices are used.

    **Raises:** `StudyError` where the devices of several processes do not divide the number of chains."""
    several = jax.process_count() > 1
    devices, numbers = jax.devices() if several else jax.local_devices(), {x.shape[0] for x in jax.tree.leaves(chains)}
    count = math.gcd(len(devices), *numbers)
    if several and count < len(devices):
        raise StudyError(
            f"{min(numbers)} chains cannot be divided among the {len(devices)} devices of {jax.process_count()} "
            f"processes: give a multiple of {len(devices)}."
        )
    if count == 1:
        return chains
    along = NamedSharding(Mesh(np.asarray(devices[:count]), ("chains",)), PartitionSpec("chains"))
    return jax.tree.map(lambda leaf: _put(leaf, along), chains)


def _put(leaf: Any, along: NamedSharding) -> Any:
    if not jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
        return jax.device_put(leaf, along)
    # Typed keys cannot go to devices of other processes; their bits can.
    return jax.random.wrap_key_data(jax.device_put(jax.random.key_data(leaf), along), impl=jax.random.key_impl(leaf))


def on_host(array: Any, dtype: Any = None) -> np.ndarray:
    """An array of NumPy, with the chains of all processes, in each of them."""
    if isinstance(array, jax.Array) and not (array.is_fully_addressable or array.is_fully_replicated):
        array = multihost_utils.process_allgather(array, tiled=True)
    return np.asarray(array, dtype)


def everywhere(known: bool) -> bool:
    """Whether something is known to all processes: what one of them skips, no other may compute."""
    if jax.process_count() == 1:
        return known
    return bool(np.all(multihost_utils.process_allgather(np.asarray(known))))
