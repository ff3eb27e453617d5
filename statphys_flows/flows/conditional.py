"""One set of parameters for a whole scan: flows that depend on temperature, couplings, fields."""

import itertools
from collections.abc import Sequence

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import paramax
from jaxtyping import Array, Float, Int, PyTree

from statphys_flows.bases import Base
from statphys_flows.errors import StudyError
from statphys_flows.flows.flow import Flow, make_strongly_typed
from statphys_flows.flows.proposal import Proposal
from statphys_flows.numbers import as_numbers


class ConditionalFlow(eqx.Module):
    r"""A flow for each value of a condition c, for example c = (kT,) or (kT, coupling), with shared parameters

    $$\theta(c) = \sum_{|j| \le \text{order}} \theta_j\, T_{j_1}(\hat c_1) \cdots T_{j_k}(\hat c_k),$$

    with the Chebyshev polynomials T_n and the condition ĉ scaled to [-1, 1] over its grid. `conditional` makes it.

    θ are the parameters of the map. The base and everything that is not trained (frames of coupling flows, step counts)
    belong to the system at c: they are kept for every point of the grid and interpolated in between. `at` and
    `at_index` give an ordinary flow, which samples, trains and weighs like any other. Both are differentiable in θ and
    may be traced.

    **Fields:**

    - `base`: the grid's bases, leaves stacked along a leading axis of length P. (Trained only where a base would be.)
    - `parameters`: θ_j, leaves stacked along a leading axis.
    - `fixed`: the rest of the grid's flows, leaves stacked along a leading axis; under a stopped gradient.
    - `conditions`: the grid (P, k), not trained.
    """

    base: Base
    parameters: PyTree
    fixed: PyTree
    conditions: Float[Array, "P k"]
    order: int = eqx.field(static=True)
    # The values along each axis of a product grid, for interpolation; empty for a scattered one.
    axes: tuple[tuple[float, ...], ...] | None = eqx.field(static=True)

    def at(self, condition) -> Flow:
        """The flow at a condition of shape (k,), or a number if k is 1.

        At a grid point it is `at_index` of that point. Elsewhere the base is interpolated multilinearly if the
        grid is a product of axes (a grid of one parameter always is), and otherwise taken from the nearest point.
        Conditions beyond the grid are moved to its nearest edge.
        """
        c = jnp.asarray(condition, self.conditions.dtype).reshape(-1)
        if c.shape != self.conditions.shape[1:]:
            raise StudyError(
                f"ConditionalFlow.at(condition): {c.size} numbers, but this flow depends on {self.conditions.shape[1]}."
            )
        low, high = self._range
        c = jnp.clip(c, low, high)
        weights = self._weights(c)
        nearest = jnp.argmax(weights)

        def blend(a):
            if not eqx.is_inexact_array(a):
                return a[nearest]
            # Not a matrix product, which accelerators would round.
            return jnp.sum(weights.astype(a.dtype).reshape(-1, *[1] * (a.ndim - 1)) * a, axis=0)

        return self._assemble(c, blend)

    def at_index(self, index: int | Int[Array, ""]) -> Flow:
        """The flow at the grid's point of this index, with that point's own base."""
        return self._assemble(jax.lax.stop_gradient(self.conditions)[index], lambda a: a[index])

    def with_frames_of(self, flows: Sequence[Proposal]) -> "ConditionalFlow":
        """With the weights of the bases, and the solver steps, of a flow for each point of the grid."""
        base = _stack([flow.base for flow in flows])
        found = eqx.tree_at(lambda c: c.base, self, base)
        if flows[0].follows_ode:
            steps = jnp.stack([flow.steps for flow in flows])  # pyright: ignore[reportAttributeAccessIssue]
            found = eqx.tree_at(lambda c: c.fixed.steps, found, steps)
        return found

    @property
    def _range(self):
        grid = jax.lax.stop_gradient(self.conditions)
        return jnp.min(grid, axis=0), jnp.max(grid, axis=0)

    def _assemble(self, c, pick) -> Flow:
        base, fixed = jax.tree.map(
            lambda a: pick(a) if eqx.is_array(a) else a, (self.base, _stop_gradients(self.fixed))
        )
        functions = self._functions(c)

        def expand(a):
            return jnp.sum(functions.astype(a.dtype).reshape(-1, *[1] * (a.ndim - 1)) * a, axis=0)

        flow = eqx.combine(jax.tree.map(expand, self.parameters), fixed)
        return eqx.tree_at(lambda f: f.base, flow, base, is_leaf=lambda x: x is None)

    def _functions(self, c) -> Float[Array, " functions"]:
        """Products of Chebyshev polynomials of c, the constant first."""
        low, high = self._range
        width = jnp.where(high > low, high - low, 1)
        y = jnp.where(high > low, 2 * (c - low) / width - 1, 0)
        polynomials = [jnp.ones_like(y), y]
        for _ in range(2, self.order + 1):
            polynomials.append(2 * y * polynomials[-1] - polynomials[-2])
        degrees = _degrees(self.order, y.shape[0])
        return jnp.prod(jnp.stack(polynomials)[degrees, np.arange(y.shape[0])], axis=1)

    def _weights(self, c) -> Float[Array, " P"]:
        """The weight of each grid point in the interpolation at c."""
        grid = jax.lax.stop_gradient(self.conditions)
        if self.axes is None:
            low, high = self._range
            width = jnp.where(high > low, high - low, 1)
            return jax.nn.one_hot(jnp.argmin(jnp.sum(((grid - c) / width) ** 2, axis=1)), grid.shape[0], dtype=c.dtype)
        weights = jnp.ones(grid.shape[0], c.dtype)
        for axis, values in enumerate(self.axes):
            knots = jnp.asarray(values, c.dtype)
            hats = jax.vmap(lambda hat, c=c[axis], knots=knots: jnp.interp(c, knots, hat))(jnp.eye(len(values)))
            weights = weights * hats[jnp.searchsorted(knots, grid[:, axis])]
        return weights


def conditional(flows: Sequence[Proposal], conditions, order: int = 2) -> ConditionalFlow:
    """The untrained `ConditionalFlow` over a grid of conditions.

    θ_0 starts at the flows' common parameters and the rest at zero: at every grid point it is the flow given for it.

    **Arguments:**

    - `flows`: an untrained flow for each condition, all with the same class, options and key. Only their bases and
      untrained values may differ.
    - `conditions`: an array (P, k) of distinct rows, or (P,) for one parameter.
    - `order`: highest total degree of the Chebyshev polynomials; fewer than the number of values of a parameter.

    **Raises:** `StudyError` if the flows are not built in the same way, or the conditions or the order do not fit them.
    """
    grid = as_numbers("conditional(conditions", conditions)
    grid = grid[:, None] if grid.ndim == 1 else grid
    _check_grid(grid, len(flows), order)
    trained, fixed = zip(*[_partition(flow) for flow in flows], strict=True)
    _check_alike(trained, fixed, [flow.base for flow in flows])
    terms = _degrees(order, grid.shape[1]).shape[0]
    parameters = jax.tree.map(lambda a: jnp.zeros((terms, *a.shape), a.dtype).at[0].set(a), trained[0])
    base, fixed = _stack([flow.base for flow in flows]), _stack(fixed)
    dtype = jnp.result_type(float)
    axes = tuple(tuple(float(v) for v in np.unique(column.astype(dtype))) for column in grid.T)
    product = int(np.prod([len(values) for values in axes])) == len(grid)
    built = ConditionalFlow(base, parameters, fixed, jnp.asarray(grid, dtype), order, axes if product else None)
    return make_strongly_typed(built)


def points_of(flow: ConditionalFlow) -> int:
    """P, the number of points of a `ConditionalFlow`'s grid.

    **Raises:** `StudyError` for a flow of another kind."""
    if not isinstance(flow, ConditionalFlow):
        raise StudyError(
            f"Conditional trains a ConditionalFlow, but got a {type(flow).__name__}; write "
            "conditional(flows, conditions), or use the objective itself."
        )
    return flow.conditions.shape[0]


def _degrees(order: int, k: int) -> np.ndarray:
    """Multi-indices of k numbers with sum at most `order`, lowest first."""
    every = itertools.product(range(order + 1), repeat=k)
    return np.asarray(sorted((j for j in every if sum(j) <= order), key=lambda j: (sum(j), j)))


def _is_frozen(leaf) -> bool:
    return isinstance(leaf, paramax.NonTrainable)


def _partition(flow: Proposal) -> tuple[PyTree, PyTree]:
    """What is trained of the map, and the rest of the flow but its base."""
    bare = eqx.tree_at(lambda f: f.base, flow, None)
    # Prefixes of the tree: a NonTrainable node counts as one leaf, and stays.
    return eqx.partition(bare, jax.tree.map(eqx.is_inexact_array, bare, is_leaf=_is_frozen))


def _stop_gradients(tree):
    return jax.tree.map(lambda a: jax.lax.stop_gradient(a) if eqx.is_inexact_array(a) else a, tree)


def _stack(trees):
    """Arrays stacked; everything else (for example functions) from the first."""
    return jax.tree.map(lambda *leaves: jnp.stack(leaves) if eqx.is_array(leaves[0]) else leaves[0], *trees)


def _check_grid(grid: np.ndarray, flows: int, order: int) -> None:
    if grid.ndim != 2 or grid.shape[0] != flows or flows == 0:
        raise StudyError(
            f"conditional(conditions): shape {grid.shape} for {flows} flows; give an array (P, k), one row of k "
            "parameters for each flow."
        )
    if not np.all(np.isfinite(grid)) or len(np.unique(grid, axis=0)) < flows:
        raise StudyError("conditional(conditions): give finite and distinct conditions, one for each flow.")
    fewest = min(len(np.unique(column)) for column in grid.T)
    if not 0 <= order < fewest:
        raise StudyError(
            f"conditional(order={order}): a parameter has {fewest} values, which determine polynomials up to degree "
            f"{fewest - 1}; lower the order or add conditions."
        )


def _check_alike(trained: Sequence[PyTree], fixed: Sequence[PyTree], bases: Sequence[Base]) -> None:
    for i in range(1, len(trained)):
        for what, trees in (("map", [*zip(trained, fixed, strict=True)]), ("base", bases)):
            if _skeleton(trees[i]) != _skeleton(trees[0]):
                raise StudyError(
                    f"conditional(flows): the {what} of flow {i} is not built like that of flow 0; use the same "
                    "classes, options and shapes for every condition."
                )
        paths = jax.tree_util.tree_leaves_with_path(trained[0])
        for (path, first), other in zip(paths, jax.tree.leaves(trained[i]), strict=True):
            if not np.array_equal(np.asarray(first), np.asarray(other)):
                raise StudyError(
                    f"conditional(flows): the parameter {jax.tree_util.keystr(path)} of flow {i} does not start where "
                    "that of flow 0 does; build all flows with the same key and options, and train afterwards."
                )


def _skeleton(tree):
    """What must agree for two trees to be stacked. Functions are closures and never equal: their types count."""
    leaves, structure = jax.tree.flatten(tree)
    return [(a.shape, a.dtype) if eqx.is_array(a) else type(a) if callable(a) else a for a in leaves], structure
