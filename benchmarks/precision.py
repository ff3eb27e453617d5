"""The effect of products in TF32 on an energy and on a base, over 20 orientations. Products that do not request the
highest precision are computed from factors rounded to ten bits of mantissa, as an NVIDIA card may do.

python -m benchmarks.precision
"""

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend import core

from statphys_flows.bases import Dense
from statphys_flows.precision import full_precision

DRAWS, ORIENTATIONS = 10_000, 20


def round_to_ten_bits(x):
    """Rounded to ten bits of mantissa, half to even."""
    bits = jax.lax.bitcast_convert_type(x, jnp.uint32)
    bits = (bits + 0xFFF + ((bits >> 13) & 1)) & jnp.uint32(0xFFFFE000)
    return jax.lax.bitcast_convert_type(bits, jnp.float32)


def emulate(function, *arguments):
    """The function's value with products in TF32 wherever its program does not fix the precision."""
    closed, shape = jax.make_jaxpr(function, return_shape=True)(*arguments)
    found = _evaluate(closed.jaxpr, closed.consts, jax.tree.leaves(arguments))
    return jax.tree.unflatten(jax.tree.structure(shape), found)


def _evaluate(jaxpr, constants, arguments):
    values = dict(zip((*jaxpr.constvars, *jaxpr.invars), (*constants, *arguments), strict=True))
    for equation in jaxpr.eqns:
        inputs = [v.val if isinstance(v, core.Literal) else values[v] for v in equation.invars]
        inner = equation.params.get("jaxpr", equation.params.get("call_jaxpr"))
        if isinstance(inner, core.ClosedJaxpr) and equation.primitive.name in ("jit", "pjit", "custom_jvp_call"):
            found = _evaluate(inner.jaxpr, inner.consts, inputs)
        else:
            if equation.primitive.name == "dot_general" and equation.params["precision"] is None:
                inputs = [round_to_ten_bits(x) for x in inputs]
            found = equation.primitive.bind(*inputs, **equation.params)
            found = found if equation.primitive.multiple_results else [found]
        values.update(zip(equation.outvars, found, strict=True))
    return [v.val if isinstance(v, core.Literal) else values[v] for v in jaxpr.outvars]


def targets(ratio: float, dimension: int):
    """Covariances whose scales differ by up to `ratio`, turned at random: their principal axes and scales."""
    for seed in range(ORIENTATIONS):
        turn = np.linalg.qr(np.random.default_rng(seed).normal(size=(dimension, dimension)))[0]
        yield turn, np.geomspace(1.0, ratio, dimension)


def energy_errors(kept: bool) -> list[float]:
    """The error of ½xᵀPx in kT, rms over draws, for scales that differ by up to 10 in 16 dimensions."""
    errors = []
    for turn, scales in targets(10.0, 16):
        x = np.asarray(np.random.default_rng(0).normal(size=(DRAWS, scales.size)) * scales @ turn.T, np.float32)
        matrix = np.asarray((turn / scales**2) @ turn.T, np.float32)

        def energy(x, matrix=matrix):
            return 0.5 * x @ jnp.asarray(matrix) @ x

        found = emulate(jax.vmap(full_precision()(energy) if kept else energy), jnp.asarray(x))
        exact = 0.5 * np.einsum("ni,ij,nj->n", *(a.astype(float) for a in (x, matrix, x)))
        errors.append(np.sqrt(np.mean((np.asarray(found, float) - exact) ** 2)))
    return errors


def widths(kept: bool) -> list[float]:
    """The width of draws of a dense Gaussian along its narrowest axis, over the correct width, for a ratio of scales of
    3000."""
    found = []
    for turn, scales in targets(3000.0, 2):
        factor = Dense(jnp.asarray(np.linalg.cholesky((turn * scales**2) @ turn.T), jnp.float32))
        z = jax.random.normal(jax.random.key(0), (DRAWS, scales.size), jnp.float32)
        x = emulate(jax.vmap(factor.apply if kept else lambda z, lower=factor.lower: lower @ z), z)
        along = [
            np.asarray(a, float) @ turn[:, 0] for a in (x, np.asarray(z, float) @ np.asarray(factor.lower, float).T)
        ]
        found.append(np.sqrt(np.mean(along[0] ** 2) / np.mean(along[1] ** 2)))
    return found


def main() -> None:
    print("| | ½xᵀPx off by, in kT | narrowest width of a dense Gaussian's draws, over what it should be |")
    print("| --- | --- | --- |")
    for name, kept in (("as JAX has it", False), ("here", True)):
        off, wide = energy_errors(kept), widths(kept)
        print(f"| {name} | {min(off):.2g} to {max(off):.2g} | {min(wide):.3f} to {max(wide):.3f} |")


if __name__ == "__main__":
    main()
