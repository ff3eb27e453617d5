"""Particles drawn in a field, by rejection: each is tried until it is accepted."""

from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from statphys_flows.flows.latent.modes import TorusModes
from tests.helpers.torus_modes import field_of


class Counted(TorusModes):
    """Modes that note at how many places the field was evaluated."""

    evaluated: ClassVar[list[int]] = []

    def at(self, c, x):
        jax.debug.callback(lambda: self.evaluated.append(x.shape[0]))
        return super().at(c, x)


def drawn_plainly(modes, key, c, n):
    """What `TorusModes.sample` draws, with every particle tried again in every try."""
    spacing = jnp.asarray(np.asarray(modes.lengths) / modes.grid)
    k, d = jnp.asarray(modes.wave_vectors), len(modes.lengths)
    slopes = sum(jnp.abs(modes.on_grid(1j * k[:, a] * c)) * spacing[a] / 2 for a in range(d))
    rest = np.sqrt(2) * jnp.sum(jnp.abs(c) * (jnp.abs(k) @ (spacing / 2)) ** 2) / 2
    bound = (modes.on_grid(c) + slopes + rest).ravel()
    cumulative = jnp.cumsum(jnp.exp(bound - jnp.max(bound)))
    x = np.full((n, d), np.nan)
    while np.isnan(x).any():
        key, *keys = jax.random.split(key, 4)
        height, place, accept = (jax.random.uniform(k, s) for k, s in zip(keys, ((n,), (n, d), (n,)), strict=True))
        cell = jnp.searchsorted(cumulative, height * cumulative[-1])
        new = (jnp.stack(jnp.unravel_index(cell, (modes.grid,) * d), axis=-1) + place - 0.5) * spacing
        accepted = np.log(accept) < modes.at(c, new) - bound[cell]
        x = np.where((np.isnan(x).any(axis=1) & accepted)[:, None], new, x)
    return x


@pytest.mark.parametrize("n", [1, 40, 512])
def test_a_particle_is_tried_until_it_is_accepted_and_then_no_more(modes, n, getkey, x64):
    """Else all would be, until the last of them is: here about ten times."""
    counted = Counted(modes.harmonics, modes.lengths, modes.grid)
    c, key = 0.8 * field_of(getkey(), modes), getkey()
    counted.evaluated.clear()
    x = eqx.filter_jit(counted.sample)(key, c, n)
    jax.effects_barrier()
    np.testing.assert_allclose(x, drawn_plainly(modes, key, c, n), rtol=1e-12)
    if n == 512:
        assert sum(counted.evaluated) < 5 * n


def test_particles_of_many_fields_are_those_of_each(modes, getkey, x64):
    """Of fields in which few tries are accepted, and of one that is not a number."""
    c = jnp.stack([scale * field_of(getkey(), modes) for scale in (0.0, 1.5, jnp.nan)])
    keys = jax.random.split(getkey(), 3)
    together = eqx.filter_jit(jax.vmap(lambda k, c: modes.sample(k, c, 70)))(keys, c)
    alone = [eqx.filter_jit(modes.sample)(k, one, 70) for k, one in zip(keys, c, strict=True)]
    np.testing.assert_allclose(together, alone, rtol=1e-12)
    assert np.isnan(together[2]).all()
    assert np.isfinite(together[:2]).all()
