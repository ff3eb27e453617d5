"""The common part of velocities that are plain networks."""

import equinox as eqx
import jax
import jax.numpy as jnp
import paramax
from jaxtyping import Array, Float, PRNGKeyArray

from statphys_flows.errors import StudyError
from statphys_flows.precision import full_precision


class TimedNetwork(eqx.Module):
    """A network of (x - location)/scale and of cos(πnt), n = 1, …, times; its last layer is zero at the start.

    `location` and `scale`, of shape (n,), are fixed: training does not move them.
    """

    network: eqx.nn.MLP
    location: paramax.NonTrainable[Float[Array, " n"]]
    scale: paramax.NonTrainable[Float[Array, " n"]]
    times: int = eqx.field(static=True)

    def __init__(self, key: PRNGKeyArray, dimension: int, out, *, width, depth, times, location, scale):
        dtype = jnp.result_type(float)
        location = jnp.zeros(dimension, dtype) if location is None else jnp.asarray(location, dtype)
        scale = jnp.ones(dimension, dtype) if scale is None else jnp.asarray(scale, dtype)
        if location.shape != (dimension,) or scale.shape != (dimension,):
            raise StudyError(
                f"location has shape {location.shape} and scale {scale.shape}: give each the shape ({dimension},)."
            )
        self.network = _network(key, dimension + times, out, width, depth)
        self.location, self.scale = paramax.NonTrainable(location), paramax.NonTrainable(scale)
        self.times = times

    @full_precision()
    def __call__(self, t, x) -> Float[Array, " ..."]:
        time = jnp.cos(jnp.pi * jnp.arange(1, self.times + 1) * t).astype(x.dtype)
        y = (x - self.location.unwrap()) / self.spread
        return self.network(jnp.concatenate([y, time]))

    @property
    def spread(self) -> Float[Array, " n"]:
        """The scale."""
        return self.scale.unwrap()


@eqx.filter_jit
def _network(key, inputs: int, out, width: int, depth: int) -> eqx.nn.MLP:
    # Smooth, so that divergences and solvers meet no kinks.
    made = eqx.nn.MLP(inputs, out, width, depth, jax.nn.silu, key=key)
    return eqx.tree_at(lambda m: (m.layers[-1].weight, m.layers[-1].bias), made, replace_fn=jnp.zeros_like)
