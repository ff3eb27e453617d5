"""The arguments of `--kT`, `--scan`, `--set` and `--precision`, turned into numbers."""

from __future__ import annotations

import ast
import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

from statphys_flows.errors import StudyError

_GRAMMAR = "write 0.05, or 0.5,1,2, or 0.5:2:16 for 16 values from 0.5 to 2"
_TRUE, _FALSE = {"true", "yes", "on", "1"}, {"false", "no", "off", "0"}


def parse_kT(text: str) -> tuple[float, ...]:
    """`0.05` -> (0.05,); `0.5,1,2` -> (0.5, 1.0, 2.0); `0.5:2:16` -> 16 evenly spaced from 0.5 to 2, both included."""
    try:
        return _values(text)
    except ValueError:
        raise StudyError(f"--kT {text!r} is not understood: {_GRAMMAR}.") from None


def parse_scan(settings: Sequence[str]) -> dict[str, tuple[float, ...]]:
    """Values by field of `settings`, each `field=values` with values as in `parse_kT`."""
    found: dict[str, tuple[float, ...]] = {}
    for setting in settings:
        name, equals, text = setting.partition("=")
        if not (name and equals):
            raise StudyError(
                f"--scan {setting!r} is not understood: write --scan field=values, for example --scan field=-0.1,0,0.1."
            )
        if name == "kT":
            raise StudyError(f"--scan {setting!r}: temperatures are given as --kT {text or '0.5:2:16'}.")
        if name in found:
            raise StudyError(f"--scan {name} is given twice: give all its values together, --scan {name}=1,2,3.")
        try:
            found[name] = _values(text)
        except ValueError:
            raise StudyError(f"--scan {setting!r}: {text!r} is not understood: {_GRAMMAR}.") from None
    return found


def parse_precision(settings: Sequence[str]) -> dict[str, float | str]:
    """Largest errors by name of `settings`, each `name=0.01` or `name=1%`."""
    found: dict[str, float | str] = {}
    for setting in settings:
        name, equals, text = setting.partition("=")
        try:
            if not (name and equals):
                raise ValueError
            found[name] = text if text.endswith("%") else float(text)
        except ValueError:
            raise StudyError(
                f"--precision {setting!r} is not understood: write --precision log_z=0.01, or heat_capacity=1%."
            ) from None
    return found


def parse_part(text: str) -> tuple[int, int]:
    """`3/32` -> (3, 32)."""
    k, slash, n = text.partition("/")
    try:
        if not slash:
            raise ValueError
        return int(k), int(n)
    except ValueError:
        raise StudyError(f"--part {text!r} is not understood: write 3/32 for the third of 32.") from None


def _values(text: str) -> tuple[float, ...]:
    return _space_evenly(text) if ":" in text else tuple(float(word) for word in text.split(","))


def _space_evenly(text: str) -> tuple[float, ...]:
    first, last, count = text.split(":")
    a, b, n = float(first), float(last), int(count)
    if n < 2:
        raise ValueError
    inner = (a + (b - a) * i / (n - 1) for i in range(1, n - 1))
    return (a, *inner, b)  # b itself, which the formula can miss by a rounding error


def replace_fields(system: Any, settings: Sequence[str]) -> Any:
    """Returns the system with the fields of `settings`, each `field=value`, replaced and read as what it replaces."""
    from statphys_flows.systems import with_fields

    # What a wrapper of observables holds has the fields.
    inner = getattr(system, "unwrapped", system)
    fields = {f.name: f for f in dataclasses.fields(inner) if f.init}
    values = {}
    for setting in settings:
        name, equals, text = setting.partition("=")
        if not equals:
            raise StudyError(
                f"--set {setting!r} is not understood: write --set field=value, for example --set field=0.02."
            )
        if name not in fields:
            known = ", ".join(fields) or "no fields"
            raise StudyError(f"{type(inner).__name__} has no field {name!r} to set; it has {known}.")
        values[name] = _read(name, text, getattr(inner, name), fields[name].type)
    try:
        return dataclasses.replace(system, **values) if inner is system else with_fields(system, values)
    except StudyError:
        raise
    except (ValueError, TypeError) as error:
        raise StudyError(f"{type(inner).__name__} refuses {', '.join(settings)}: {error}") from error


def _read(name: str, text: str, current: Any, annotation: Any) -> Any:
    reader, expected = _reader(current, annotation)
    if reader is None:
        raise StudyError(f"The field {name!r} is a {type(current).__name__} and cannot be set from the shell.")
    try:
        return reader(text)
    except (ValueError, TypeError, SyntaxError):
        raise StudyError(f"--set {name}={text}: {name} is {current!r} now, so {expected} is expected.") from None


def _reader(current: Any, annotation: Any) -> tuple[Callable[[str], Any] | None, str]:
    """The function that reads a value like `current`, and a name of such values for the error message."""
    if isinstance(current, bool):
        return _read_bool, "true or false"
    if isinstance(current, int) and annotation not in (float, "float"):
        return int, "a whole number"
    if isinstance(current, (int, float)):
        return float, "a number"
    if isinstance(current, str):
        return str, "a word"
    if isinstance(current, (tuple, list)):
        return lambda text: type(current)(_read_numbers(text)), "numbers with commas between"
    if hasattr(current, "dtype") and hasattr(current, "shape"):
        return lambda text: _read_array(text, current), f"numbers with commas between, of shape {current.shape},"
    if current is None:
        return _read_anything, "a number, a word in quotes or None"
    return None, ""


def _read_bool(text: str) -> bool:
    if text.lower() not in _TRUE | _FALSE:
        raise ValueError
    return text.lower() in _TRUE


def _read_numbers(text: str) -> list[Any]:
    return [_read_anything(word) for word in text.split(",") if word.strip()]


def _read_anything(text: str) -> Any:
    return ast.literal_eval(text.strip())


def _read_array(text: str, current: Any) -> Any:
    import numpy as np

    values = np.array(_read_numbers(text), dtype=current.dtype).reshape(current.shape)
    if isinstance(current, np.ndarray | np.generic):
        return values
    import jax.numpy as jnp

    return jnp.asarray(values)
