"""Flows in files."""

import pickle
from importlib.metadata import version
from os import PathLike
from pathlib import Path
from typing import Any

import statphys_flows
from statphys_flows.errors import StudyError
from statphys_flows.files import whole_file
from statphys_flows.flows.proposal import Proposal

_HEAD = "statphys_flows flow"
_PACKAGES = ("jax", "equinox", "flowjax")


def save_flow(flow: Proposal, path: str | PathLike) -> Path:
    """Write a flow to a file, with everything in it: `load_flow` needs nothing else.

    The file is a Python pickle: the versions of the library and its packages that wrote it can read it, or similar
    versions.

    **Returns:** its path.

    **Raises:** `StudyError` for a value that is not a flow, for a function in it that cannot be found by name, and if
    the file cannot be written.
    """
    path = Path(path)
    if not isinstance(flow, Proposal):
        raise StudyError(
            f"save_flow was given a {type(flow).__name__}: give a flow, such as the `flow` of the result of "
            "fit_density or train."
        )
    data = pickled(flow)
    with whole_file(path, "Make room there, or choose another file.") as temporary, temporary.open("wb") as file:
        pickle.dump((_HEAD, _versions()), file)
        file.write(data)
    return path


def pickled(flow: Proposal) -> bytes:
    """What `save_flow` writes.

    **Raises:** `StudyError` for a function in it that cannot be found by name."""
    try:
        return pickle.dumps(flow)
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        raise StudyError(
            f"{type(flow).__name__} cannot be saved ({error}): write functions that it uses with `def` at the top "
            "level of a module, not as lambdas or within another function."
        ) from error


def load_flow(path: str | PathLike) -> Proposal:
    """Read the flow that `save_flow` wrote: the same numbers, bit for bit. Reading a pickle can run any code: load only
    files that you trust.

    **Raises:** `StudyError` if there is no such file, or if it cannot be read. The message names the versions that
    wrote it if they differ.
    """
    path, written = Path(path), None
    if not path.is_file():
        raise StudyError(f"{path} does not exist. A flow is written by save_flow(flow, {str(path)!r}).")
    try:
        with path.open("rb") as file:
            head, written = pickle.load(file)
            if head == _HEAD and isinstance(flow := pickle.load(file), Proposal):
                return flow
    except Exception as error:
        differ = {} if written is None else {n: v for n, v in written.items() if _versions().get(n) != v}
        by = f"it was written with {', '.join(f'{n} {v}' for n, v in differ.items())}" if differ else "it is damaged"
        raise StudyError(f"{path} cannot be read as a flow ({type(error).__name__}: {error}): {by}.") from error
    raise StudyError(f"{path} does not contain a flow that save_flow wrote.")


def given_flow(where: str, given: Any) -> Proposal | None:
    """A flow as a user gives it, itself or as the path of a file, without what is mixed in only for safety; None if
    there is none. `where` is the option, for the message.

    **Raises:** `StudyError` for anything else, a flow without a map, and as `load_flow`."""
    if given is None:
        return None
    flow = load_flow(given) if isinstance(given, str | PathLike) else given
    if not isinstance(flow, Proposal):
        raise StudyError(
            f"{where}={given!r}) is a {type(given).__name__}: give a flow that was trained, or the path of a file that "
            "save_flow wrote."
        )
    if not flow.kept.has_map:
        raise StudyError(f"{where}=...): a {type(flow.kept).__name__} has no map that was trained; leave it out.")
    return flow.kept


def _versions() -> dict[str, str]:
    return {"statphys_flows": statphys_flows.__version__} | {name: version(name) for name in _PACKAGES}
