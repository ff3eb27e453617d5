"""The provenance of a result: the configuration as plain data, versions, device."""

import dataclasses
import datetime
import hashlib
import importlib.metadata
import inspect
import json
import platform
from collections.abc import Mapping, Sequence
from typing import Any

import equinox as eqx
import jax
import numpy as np

import statphys_flows
from statphys_flows import thresholds
from statphys_flows.precision import chosen_precision, full_precision
from statphys_flows.sampling import Sampler
from statphys_flows.study.storage.digests import Digest, digest_of, instructions_of, is_own, without_addresses
from statphys_flows.study.storage.programs import TRACED_BY, programs
from statphys_flows.systems import System
from statphys_flows.systems.parameters import with_unwrapped
from statphys_flows.treatments import treatment_of

_PACKAGES = ("jax", "jaxlib", "equinox", "optax", "diffrax", "blackjax", "flowjax", "numpy", "xarray")


@full_precision()
def configuration(system: System, axes: Mapping[str, Sequence[float]], seed: int, sampler: Sampler) -> dict[str, Any]:
    """Everything that decides the numbers, as JSON-able data: two studies with the same configuration give the same
    numbers on the same machine. `axes` are the values of the scanned parameters, temperatures as "kT"."""
    scanned = {name: [float(v) for v in values] for name, values in axes.items() if name != "kT"}
    return {
        "system": _describe(system),
        "kT": [float(t) for t in axes["kT"]],
        **({"scan": scanned} if scanned else {}),
        "seed": int(seed),
        "sampler": {"class": type(sampler).__qualname__, "parameters": _fields(sampler)},
        "precision": _precision(),
        "programs": programs(system, axes["kT"]) | {"sampler": digest_of(_functions(sampler))} | _of_space(system),
    }


def _of_space(system: System) -> dict[str, str]:
    """The digest of the user's own space and its treatment, which decide where walkers start and what flows there are.
    The library's own change with its version."""
    treatment = treatment_of(system.space)
    kinds = [kind for thing in (system.space, treatment) for kind in type(thing).__mro__ if is_own(kind)]
    return {"treatment": digest_of([treatment, *kinds])} if kinds else {}


def _describe(system: System) -> dict[str, Any]:
    inner = system.unwrapped
    found = {
        "class": type(inner).__qualname__,
        "module": type(inner).__module__,
        "parameters": _fields(inner),
        "code": _code(type(inner)),
    }
    # What wraps it, without it.
    return found if inner is system else found | {"wrapped": _plain(with_unwrapped(system, None))}


def _precision() -> str:
    """JAX's precision, and that of matrix products if the user has set one."""
    products = chosen_precision()
    found = str(jax.numpy.result_type(float))
    return found if products in (None, "highest") else f"{found}, products {products}"


def attributes(system: System, size: str, seed: int, configuration: dict[str, Any]) -> dict[str, Any]:
    """The attributes of a result's root; `size` describes its extent in words."""
    now = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {
        "title": f"{type(system.unwrapped).__name__}: {size}",
        "Conventions": "CF-1.11",
        "history": f"{now} written by statphys_flows {statphys_flows.__version__}",
        "configuration": json.dumps(configuration),
        "seed": int(seed),
        "versions": json.dumps(versions()),
        "thresholds": json.dumps(list_thresholds()),
        "device": device(),
        "measure": system.space.measure,
        "energy_convention": system.conventions,
        "sites": system.space.size,
    }


def differences(old: Any, new: Any, path: str = "") -> list[str]:
    """The settings in which two configurations differ, as `name: old there, new here`."""
    if isinstance(old, dict) and isinstance(new, dict):
        names = [*old, *(name for name in new if name not in old)]
        return [d for n in names for d in differences(old.get(n), new.get(n), f"{path}.{n}" if path else n)]
    if old == new:
        return []
    name = path.replace(".parameters", "")
    if name.startswith("programs."):
        return [_describe_change(name.removeprefix("programs."), str(old), str(new))]
    if name == "system.code":
        return ["system.code: the source of the system's class has changed"]
    return [f"{name}: {old!r} there, {new!r} here"]


def _describe_change(what: str, old: str, new: str) -> str:
    if what == TRACED_BY:
        return f"JAX: {old} there, {new} here"
    if what == "treatment":
        return "the space or its treatment (edited, or something that it uses)"
    if what == "sampler":
        return "a function of the sampler (edited, or something that it uses)"
    # The operations and the arrays of each: see `programs`.
    told_apart = " " in old and " " in new and "kT" not in old + new
    same_program = told_apart and old.split()[0] == new.split()[0]
    how = "an array that it uses has other values" if same_program else "edited, or something that it uses"
    return f"{what} ({how})"


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that decide the numbers."""
    found = {"python": platform.python_version(), "statphys_flows": statphys_flows.__version__}
    for package in _PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            found[package] = "not installed"
    return found


def list_thresholds() -> dict[str, Any]:
    """The library's thresholds by name. They are no part of the configuration: a user does not set them, and like the
    rest of the library's code they change with its version."""
    return {name: value for name, value in vars(thresholds).items() if name.isupper()}


def device() -> str:
    """Platform, kind and number of JAX's devices."""
    devices = jax.devices()
    return f"{devices[0].platform}: {len(devices)} x {devices[0].device_kind}"


def _fields(module: Any) -> dict[str, Any]:
    values = {f.name: (getattr(module, f.name), f.metadata) for f in dataclasses.fields(module)}
    return {n: _identity(v) if v is not None and "by_digest" in how else _plain(v) for n, (v, how) in values.items()}


def _identity(module: eqx.Module | np.ndarray) -> str:
    """A class, and the digest of all arrays with the names of where they stand."""
    digest = Digest()
    for path, leaf in jax.tree_util.tree_flatten_with_path(module)[0]:
        digest.text(jax.tree_util.keystr(path))
        if eqx.is_array(leaf):
            digest.array(leaf)
    return f"{type(module).__qualname__} sha256 {digest}"


def _functions(module: Any) -> list:
    """The user's own classes and functions in a sampler's fields, with everything that they use."""
    found: list = [type(module)] if is_own(type(module)) else []
    for field in dataclasses.fields(module):
        value = getattr(module, field.name)
        if isinstance(value, eqx.Module):
            found += _functions(value)
        elif callable(value):
            found.append(value)
    return found


def _plain(value: Any) -> Any:
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, (np.ndarray, np.generic, jax.Array)):
        array = np.asarray(value)
        return array.tolist() if array.size <= 32 else f"array {array.shape} sha256 {_sha(array.tobytes())}"
    if isinstance(value, frozenset):
        return sorted(map(str, value))
    if isinstance(value, (tuple, list)):
        return [_plain(v) for v in value]
    if isinstance(value, eqx.Module):
        return {"class": type(value).__qualname__, **_fields(value)}
    if callable(value):
        return f"{getattr(value, '__qualname__', repr(value))} sha256 {_code(value)}"
    if isinstance(value, Mapping):
        return {str(key): _plain(each) for key, each in value.items()}
    return without_addresses(repr(value))


def _code(thing: Any) -> str:
    try:
        return _sha(inspect.getsource(thing).encode())
    except (OSError, TypeError):  # typed at a prompt: there is no source
        found = instructions_of(thing)
        return _sha(found.encode()) if found else "unknown"


def _sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:16]
