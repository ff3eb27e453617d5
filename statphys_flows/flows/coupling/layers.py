"""The common part of coupling flows on ℝⁿ and on the torus: stacks of layers."""

import functools
from typing import Literal

import equinox as eqx
import flowjax.bijections as fb
import jax
import jax.numpy as jnp
from jaxtyping import Array, Int, PRNGKeyArray

# The functions of a coordinate that a network takes as input.
Seen = Literal["plain", "periodic", "squashed"]


def coupling_layers(
    key: PRNGKeyArray,
    dimension: int,
    transformer: fb.AbstractBijection,
    *,
    layers: int,
    width: int,
    depth: int,
    seen: Seen = "plain",
    start_at_zero: bool = True,
) -> fb.AbstractBijection:
    """`layers` couplings. In each, half of the coordinates, picked at random and then complemented, set the parameters
    with which `transformer` (a scalar bijection) acts on the other half. In one dimension: `transformer`.

    Every permutation is undone and the networks' last layers start at zero, so each layer starts as `transformer` with
    its own initial parameters, coordinate by coordinate.

    **Arguments:**

    - `width`, `depth`: width and number of hidden layers of the networks.
    - `seen`: the input of the networks for a coordinate x: `"plain"`, x; `"periodic"`, cos 2πx and sin 2πx;
      `"squashed"`, 5 asinh(x/5), so that points far out do not dominate the others.
    - `start_at_zero`: whether the last layers start at zero. If not, only their biases do, and the start is near the
      one above.
    """
    if dimension == 1:
        return fb.Vmap(eqx.filter_vmap(lambda: transformer, axis_size=1)(), in_axes=eqx.if_array(0))
    frozen = dimension // 2
    network_key, order_key = jax.random.split(key)
    # Its network is a placeholder: the networks of all layers are made together, in one compilation.
    coupling = fb.Coupling(
        key, transformer=transformer, untransformed_dim=frozen, dim=dimension, nn_width=1, nn_depth=0
    )
    outputs = int(coupling.conditioner.out_size)
    networks = _networks(jax.random.split(network_key, layers), frozen, outputs, width, depth, seen, start_at_zero)
    coupling = eqx.tree_at(lambda c: c.conditioner, coupling, networks)
    order = _permutations(_orders(order_key, dimension, layers))
    return fb.Scan(fb.Chain([order, coupling, fb.Invert(order)]))


class _Conditioner(eqx.Module):
    network: eqx.nn.MLP
    seen: Seen = eqx.field(static=True)

    def __call__(self, x):
        if self.seen == "periodic":
            angle = 2 * jnp.pi * x
            x = jnp.concatenate([jnp.cos(angle), jnp.sin(angle)])
        elif self.seen == "squashed":
            x = 5 * jnp.arcsinh(x / 5)
        return self.network(x)


@eqx.filter_jit
def _networks(keys, inputs: int, outputs: int, width: int, depth: int, seen: Seen, start_at_zero: bool):
    def network(key):
        size = 2 * inputs if seen == "periodic" else inputs
        made = eqx.nn.MLP(size, outputs, width, depth, jax.nn.silu, key=key)
        made = eqx.tree_at(lambda m: m.layers[-1].bias, made, replace_fn=jnp.zeros_like)
        if start_at_zero:
            made = eqx.tree_at(lambda m: m.layers[-1].weight, made, replace_fn=jnp.zeros_like)
        return _Conditioner(made, seen)

    return eqx.filter_vmap(network)(keys)


_permutations = eqx.filter_jit(eqx.filter_vmap(fb.Permute))


@functools.partial(jax.jit, static_argnums=(1, 2))
def _orders(key: PRNGKeyArray, dimension: int, layers: int) -> Int[Array, "layers dimension"]:
    """Random permutations, each followed by its reverse, which exchanges the halves: two layers move everything."""
    keys = jax.random.split(key, (layers + 1) // 2)
    orders = jax.vmap(lambda k: jax.random.permutation(k, dimension))(keys)
    return jnp.stack([orders, orders[:, ::-1]], axis=1).reshape(-1, dimension)[:layers]
