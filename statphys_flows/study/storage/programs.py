"""The programs of a system as JAX traces them, with everything that they close over: they decide a study's numbers.

Whatever an energy uses (a helper function, an array, a global, a class attribute that is not a field, another method)
is in its traced program, as an operation or as a constant. Names of variables and functions, and addresses, are not.
"""

import functools
from collections.abc import Callable, Iterable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.extend import core

from statphys_flows.study.storage.digests import Digest, digest_of, without_addresses
from statphys_flows.systems import System, with_array_parameters
from statphys_flows.systems.lifting import forget, identify

# Parameters of operations that change no number: names, locations of arrays, rules for derivatives (the program of the
# gradient contains their effect).
_SILENT = {
    "name",
    "debug_info",
    "ctx_mesh",
    "in_shardings",
    "out_shardings",
    "in_layouts",
    "out_layouts",
    "donated_invars",
    "keep_unused",
    "inline",
    "compiler_options_kvs",
    "jvp_jaxpr_fun",
    "jvp_jaxpr_thunk",
    "fwd_jaxpr_thunk",
    "bwd",
}
# The name of the entry for the version of JAX that traced them: another version writes other programs.
TRACED_BY = "traced_by"
# The programs that define the meaning of a result's numbers; the others decide where a run starts.
MEANING = (TRACED_BY, "energy", "order_parameter", "observables")


def programs(system: System, kT: Iterable[float]) -> dict[str, str]:
    """A digest for each function of a system. Fields that are floats are arguments, so the digest does not depend on
    their values. If a function needs them as numbers (NumPy, a branch), they are those of `system`, and temperatures
    are the lowest and the highest of `kT`."""
    system = with_array_parameters(system)
    x = jax.ShapeDtypeStruct(system.space.shape, jnp.result_type(float))
    kT = sorted({min(kT), max(kT)})
    found = {
        TRACED_BY: f"jax {jax.__version__}",
        # With its gradient, for which the user may have defined a rule.
        "energy": _digest(lambda system, x: jax.value_and_grad(lambda x: system.energy(x))(x), system, x),
        "order_parameter": _digest(lambda system, x: system.order_parameter(x), system, x),
        "observables": _digest(lambda system, x: dict(system.observables(x)), system, x),
        "known_states": _digest(lambda system: system.known_states(), system)
        or _call_or_unknown(lambda: digest_of(system.known_states())),
        "base": _of_density(lambda system, kT: system.base(kT), system, kT, x),
        "reference": _of_density(lambda system, kT: system.reference(kT), system, kT, x),
        "symmetries": _call_or_unknown(lambda: ", ".join(sorted(system.symmetries()))),
        "space": _call_or_unknown(lambda: digest_of(system.space)),
    }
    return {name: "unknown" if value is None else value for name, value in found.items()}


def _of_density(density: Callable[[System, Any], Any], system: System, kT: list[float], x) -> str:
    key = jax.eval_shape(lambda: jax.random.key(0))

    def draw_and_score(system, kT, key, x):
        found = density(system, kT)
        return None if found is None else (found.sample(key), found.log_prob(x))

    if (abstract := _digest(draw_and_score, system, jax.ShapeDtypeStruct((), x.dtype), key, x)) is not None:
        return abstract

    def at(kT: float) -> str:
        found = density(system, kT)
        return _digest(lambda _, key, x: (found.sample(key), found.log_prob(x)), system, key, x) or digest_of(found)

    return _call_or_unknown(lambda: "; ".join(f"kT={t:.17g}: {at(t)}" for t in kT))


def _call_or_unknown(function: Callable[[], str]) -> str:
    try:
        return function()
    except Exception:  # a faulty system is refused elsewhere, in a sentence
        return "unknown"


def _digest(function: Callable, system: System, *arguments) -> str | None:
    """The digests of a function of a system and abstract arguments: of its operations, and of the arrays that it closes
    over. None if it cannot be traced."""
    arrays, rest = eqx.partition(system, eqx.is_array)
    shapes = jax.tree.map(lambda a: jax.ShapeDtypeStruct(a.shape, a.dtype), arrays)

    def trace(arrays, *arguments):
        return function(eqx.combine(arrays, rest), *arguments)

    try:
        traced, result = jax.make_jaxpr(trace, return_shape=True)(shapes, *arguments)
    except Exception:
        try:  # with the numbers of the system
            traced, result = jax.make_jaxpr(functools.partial(trace, arrays), return_shape=True)(*arguments)
        except Exception:
            return None
    program, data = Digest(), Digest()
    program.text(str(jax.tree.structure(result)))
    _write(traced.jaxpr, traced.consts, program, data)
    return f"{program} {data}"


def _write(jaxpr, constants, program: Digest, data: Digest) -> None:
    """The operations of a program into one digest, its constants into another; variables are numbered in order."""
    numbers: dict[Any, int] = {}

    def name(variable) -> str:
        if isinstance(variable, core.Literal):
            value = np.asarray(variable.val)
            return f"{value.dtype}{value.shape}{value.tobytes().hex()}"
        return f"{numbers.setdefault(variable, len(numbers))}:{variable.aval.str_short()}"

    program.text("|".join(name(v) for v in (*jaxpr.constvars, *jaxpr.invars)))
    for constant in constants:
        data.array(constant)
    for equation in jaxpr.eqns:
        program.text(f"{equation.primitive.name} {' '.join(map(name, equation.invars))}")
        for key in sorted(equation.params.keys() - _SILENT):
            program.text(key)
            _write_value(equation.params[key], program, data)
        program.text(" ".join(name(v) for v in equation.outvars))
    program.text(" ".join(map(name, jaxpr.outvars)))


def _write_value(value: Any, program: Digest, data: Digest) -> None:
    if isinstance(value, core.ClosedJaxpr):
        _write(value.jaxpr, value.consts, program, data)
    elif isinstance(value, core.Jaxpr):
        _write(value, (), program, data)
    elif isinstance(value, (tuple, list)):
        program.text(f"{len(value)} of")
        for each in value:
            _write_value(each, program, data)
    elif isinstance(value, (np.ndarray, jax.Array)):
        data.array(value)
    elif callable(value) and not isinstance(value, type):
        program.text(digest_of(value))  # a callback
    else:
        program.text(without_addresses(repr(value)))


# The programs of the systems of this session, by the keys with which JAX identifies a system.
_SEEN: dict[tuple, tuple[str, ...]] = {}


def forget_changed(system: System, found: dict[str, str]) -> None:
    """Forget what was compiled if the same system had other programs before: JAX identifies it by its fields and its
    functions, not by the globals and arrays that these use."""
    if (name := identify(system)) is None:
        return
    now = tuple(value for each, value in found.items() if each != "sampler" and "kT" not in value)
    if _SEEN.setdefault(name, now) != now:
        jax.clear_caches()
        forget()
        _SEEN.clear()
        _SEEN[name] = now
