"""The learning rate over a training."""

import jax.numpy as jnp
from jaxtyping import Array, Float, Int

# Steps of the linear rise, at most, and as a fraction of all; where the rate begins and ends, as fractions of its peak.
_RISE, _RISING = 20, 10
_FIRST, _LAST = 0.1, 0.02


def learning_rate(step: Int[Array, ""], total_steps: int | Int[Array, ""], peak: float) -> Float[Array, ""]:
    """A linear rise to `peak`, then a cosine down to a fiftieth of it at `total_steps`.

    Adam's first steps are of full size in a direction that is almost unknown: a good flow would get worse. The same
    as `optax.warmup_cosine_decay_schedule`, but for `total_steps` that may be traced: a longer training then runs the
    program of a shorter one.
    """
    total = jnp.asarray(total_steps, jnp.int32)
    rise = jnp.minimum(_RISE, total // _RISING)
    risen = 1 - jnp.clip(step, 0, rise) / jnp.maximum(rise, 1)
    linear = (_FIRST * peak - peak) * risen + peak
    left = total - rise
    cosine = 0.5 * (1 + jnp.cos(jnp.pi * jnp.minimum(step - rise, left) / left))
    return jnp.where(step < rise, linear, peak * ((1 - _LAST) * cosine + _LAST))
