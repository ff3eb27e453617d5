"""Mixtures of bases, one component for each known state."""

from collections.abc import Callable
from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import logsumexp
from jaxtyping import Array, Float, PRNGKeyArray

from statphys_flows.bases.base import Base
from statphys_flows.bases.factors import Factor
from statphys_flows.errors import StudyError
from statphys_flows.numbers import as_numbers
from statphys_flows.precision import full_precision


class Mixture(Base):
    """ρ(x) = Σ_k w_k ρ_k(x).

    A continuous flow is a diffeomorphism: from one Gaussian it must tear space to reach two wells. With a component in
    every known state it need not do this. The weights w_k need not be known: they are re-estimated while the flow is
    trained.

    **Arguments:**

    - `components`: the bases ρ_k, on the same space.
    - `orbits`: one integer for each component; components of one orbit are images of each other under a symmetry of
      the system and share their weight equally. If not given, every component is its own orbit.
    - `weights`: one positive number for each orbit, not necessarily normalised; equal over components if not given.

    The first component's covariance preconditions local moves.
    """

    is_mixture: ClassVar[bool] = True
    components: tuple[Base, ...]
    log_orbit_weights: Float[Array, " orbits"]
    orbits: tuple[int, ...] = eqx.field(static=True)

    def __init__(self, components, orbits=None, weights=None):
        self.components = tuple(components)
        if not self.components or not all(isinstance(c, Base) for c in self.components):
            raise StudyError(f"Mixture(components={components!r}): give one base or more, for example two Gaussians.")
        self.orbits = tuple(range(len(self.components))) if orbits is None else tuple(int(i) for i in orbits)
        if len(self.orbits) != len(self.components) or set(self.orbits) != set(range(max(self.orbits) + 1)):
            raise StudyError(
                f"Mixture(orbits={self.orbits}): give one orbit number for each of the {len(self.components)} "
                "components, counting from 0 without gaps."
            )
        weights = self._multiplicity if weights is None else as_numbers("Mixture(weights", weights)
        if weights.shape != (max(self.orbits) + 1,) or not np.all(np.isfinite(weights) & (weights > 0)):
            raise StudyError(
                f"Mixture(weights={weights.tolist()}): give one positive number for each of the {max(self.orbits) + 1} "
                "orbits."
            )
        self.log_orbit_weights = jnp.log(jnp.asarray(weights / weights.sum(), dtype=jnp.result_type(float)))

    @property
    def _multiplicity(self) -> np.ndarray:
        return np.bincount(self.orbits).astype(float)

    @property
    def log_weights(self) -> Float[Array, " components"]:
        """log w_k, normalised."""
        share = self.log_orbit_weights - jnp.log(jnp.asarray(self._multiplicity, self.log_orbit_weights.dtype))
        return jax.nn.log_softmax(share[np.asarray(self.orbits)])

    @property
    def _means(self):
        return jnp.stack([c.mean for c in self.components])

    @property
    @full_precision()
    def mean(self):
        return jnp.exp(self.log_weights) @ self._means

    @property
    def preconditioner(self) -> Factor:
        return self.components[0].preconditioner

    def sample(self, key: PRNGKeyArray):
        which, draw = jax.random.split(key)
        return self._draw(draw, jax.random.categorical(which, self.log_weights))

    def sample_coupled(self, key: PRNGKeyArray, x):
        which, draw = jax.random.split(key)
        index = jax.random.categorical(which, self._joint(x))
        return self._draw(draw, index), self._means[index]

    def walk(self, key: PRNGKeyArray, x, size):
        """That of a component which is drawn by its responsibility for x: reversible, because w_k ρ_k(x) P_k(x → x') is
        symmetric for each k."""
        which, move = jax.random.split(key)
        index = jax.random.categorical(which, self._joint(x))
        return self._of_one(lambda component, key: component.walk(key, x, size), move, index)

    def log_prob(self, x):
        return logsumexp(self._joint(x))

    def log_responsibilities(self, x) -> Float[Array, " orbits"]:
        """log P(orbit | x) under the mixture."""
        joint = self._joint(x)
        orbits = np.asarray(self.orbits)
        each = [logsumexp(joint[orbits == o]) for o in range(max(self.orbits) + 1)]
        return jax.nn.log_softmax(jnp.stack(each))

    @property
    def orbit_weights(self) -> Float[Array, " orbits"]:
        """The weight of each orbit."""
        return jax.nn.softmax(self.log_orbit_weights)

    def with_orbit_weights(self, weights: Float[Array, " orbits"]) -> "Mixture":
        """The same components under other weights, one positive number for each orbit."""
        return eqx.tree_at(lambda m: m.log_orbit_weights, self, jnp.log(weights / jnp.sum(weights)))

    def _joint(self, x) -> Float[Array, " components"]:
        stacked = _stack(self.components)
        if stacked is None:
            return self.log_weights + jnp.stack([c.log_prob(x) for c in self.components])
        return self.log_weights + eqx.filter_vmap(lambda c: c.log_prob(x))(stacked)

    def _draw(self, key, index):
        return self._of_one(lambda component, key: component.sample(key), key, index)

    def _of_one(self, draw: Callable, key, index):
        """`draw(component, key)` of the component with this index."""
        stacked = _stack(self.components)
        if stacked is None:
            # Every component draws and one draw is kept: vmap evaluates all branches anyway, and components are few.
            keys = jax.random.split(key, len(self.components))
            return jnp.stack([draw(c, k) for c, k in zip(self.components, keys, strict=True)])[index]
        return draw(jax.tree.map(lambda a: a[index] if eqx.is_array(a) else a, stacked), key)


def _stack(components: tuple[Base, ...]) -> Base | None:
    """Components of one kind and size as one component with a leading axis, so that dozens of them cost no more to
    compile than one; None if they differ in kind or size."""
    arrays, rest = zip(*(eqx.partition(c, eqx.is_array) for c in components), strict=True)
    shapes = [[(a.shape, a.dtype) for a in jax.tree.leaves(each)] for each in arrays]
    alike = all(eqx.tree_equal(rest[0], r) for r in rest) and all(s == shapes[0] for s in shapes)
    if not alike or not all(jax.tree.structure(a) == jax.tree.structure(arrays[0]) for a in arrays):
        return None
    return eqx.combine(jax.tree.map(lambda *a: jnp.stack(a), *arrays), rest[0])
