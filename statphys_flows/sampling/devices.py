"""Chains side by side on the devices of this process."""

import math
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec


def over_devices(chains: Any) -> Any:
    """A pytree of arrays whose leading axes are chains, spread over the local devices, over as many of them as divide
    the number of chains; as it is where that is one.

    What is computed from it follows: compiled code is split along the chains, and what chains have in common, a flow
    and its training, is on every device. Random numbers do not depend on it; sums over chains round differently.
    """
    devices = jax.local_devices()
    count = math.gcd(len(devices), *(leaf.shape[0] for leaf in jax.tree.leaves(chains)))
    if count == 1:
        return chains
    return jax.device_put(
        chains, NamedSharding(Mesh(np.asarray(devices[:count]), ("chains",)), PartitionSpec("chains"))
    )
