"""Fields along Fourier modes on a torus."""

import jax


def field_of(key, modes):
    re, im = jax.random.normal(key, (2, modes.many))
    return jax.lax.complex(re, im)
