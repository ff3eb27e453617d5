"""`from_samples`: a result from draws that were made elsewhere."""

from os import PathLike
from typing import Any

import numpy as np
import xarray as xr

from statphys_flows.errors import StudyError
from statphys_flows.sampling.samplers.given import GivenSamples
from statphys_flows.study.execution.progress import Progress
from statphys_flows.study.study import Study
from statphys_flows.systems import System


def from_samples(
    system: System,
    *,
    kT: Any = None,
    positions: Any,
    chain_dim: str = "chain",
    draw_dim: str = "draw",
    seed: int = 0,
    out: str | PathLike | None = None,
    overwrite: bool = False,
    progress: bool | Progress = True,
    **options: Any,
) -> xr.DataTree:
    """The result that a study would have, of draws of exp(-U/kT) that another program has made.

    A flow is trained on the first half of each chain; with its log weights at the second half, and at draws of its own,
    log Z follows by Bennett's acceptance ratio. Averages are over all draws. Warnings say where draws are too few, too
    correlated, not of this U and kT, or lack a mode that a search for modes finds.

    **Arguments:**

    - `system`: whose draws they are.
    - `kT`: the temperature at which they were drawn, or several.
    - `positions`: draws (chain, draw, *space.shape), or (draw, *space.shape) of one chain; for several temperatures a
      list of such arrays, or one with a first axis for them. A NumPy array; an `xarray.DataArray` with dimensions
      `chain_dim` and `draw_dim` (and "kT"); an ArviZ tree, of which the group `posterior` is taken; or a sampler or
      backend of emcee, or anything with its `get_chain()`, (draw, walker, n).
    - `seed`, `out`, `overwrite`, `progress`: as in `run_study`.
    - `options`: `steps`, `particles`, `good_enough`, `thin` of a `GivenSamples`.

    **Raises:** `StudyError` for positions of another shape, draws that are not finite or too few for an error bar, or
    no temperature.
    """
    if kT is None:
        raise StudyError("from_samples(kT=...): say at which temperature these were drawn; kT=1 for a posterior.")
    if not isinstance(system, System):
        raise StudyError(f"from_samples needs a System, but got {type(system).__name__}.")
    temperatures, draws = _check_positions(system, kT, _as_numbers(system, positions, chain_dim, draw_dim))
    try:
        sampler = GivenSamples(kT=temperatures, positions=draws, **options)
    except TypeError as error:
        raise StudyError(f"from_samples: {error}; its options are steps, particles, good_enough and thin.") from error
    return Study(system, list(temperatures), seed, sampler, strategy="neighbours").run(
        out, overwrite=overwrite, progress=progress
    )


def _as_numbers(system: System, positions: Any, chain_dim: str, draw_dim: str) -> Any:
    if hasattr(positions, "get_chain"):
        return np.moveaxis(np.asarray(positions.get_chain()), 0, 1)
    posterior = getattr(positions, "children", {}).get("posterior", getattr(positions, "posterior", None))
    if posterior is not None:
        data = posterior.to_dataset() if hasattr(posterior, "to_dataset") else posterior
        names = [str(name) for name in data.data_vars]
        name = system.space.variable if system.space.variable in names else names[0] if len(names) == 1 else None
        if name is None:
            raise StudyError(
                f"positions has the variables {', '.join(names)}, and none is called {system.space.variable}: give the "
                "one that holds the configurations."
            )
        positions = data[name]
    if isinstance(positions, xr.DataArray):
        missing = [dim for dim in (chain_dim, draw_dim) if dim not in positions.dims]
        if missing:
            raise StudyError(
                f"positions has the dimensions {', '.join(map(str, positions.dims))}, and not {missing[0]!r}: name "
                "them by chain_dim=... and draw_dim=...."
            )
        first = ["kT"] if "kT" in positions.dims else []
        return positions.transpose(*first, chain_dim, draw_dim, ...).values
    return positions


def _check_positions(system: System, kT: Any, positions: Any) -> tuple[tuple[float, ...], np.ndarray]:
    """Temperatures, and draws (temperature, chain, draw, *space.shape), of what a user has.

    **Raises:** `StudyError`."""
    shape = system.space.shape
    temperatures = tuple(float(t) for t in np.atleast_1d(np.asarray(kT, float)))
    given = positions if isinstance(positions, list | tuple) else [positions]
    if len(given) == 1 and np.ndim(given[0]) == 3 + len(shape):
        given = list(given[0])
    if len(given) != len(temperatures):
        raise StudyError(
            f"positions are of {len(given)} temperatures, and kT names {len(temperatures)}: give one array of draws "
            "for each."
        )
    arrays = [_one(np.asarray(each), shape) for each in given]
    if len({array.shape for array in arrays}) > 1:
        raise StudyError("positions differ in their numbers of chains or draws: give as many for each temperature.")
    return temperatures, np.stack(arrays)


def _one(array: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """(chain, draw, *shape); one long chain is cut into four, which stand for chains."""
    if array.dtype.kind not in "fiu":
        raise StudyError(f"positions have dtype {array.dtype}: give real numbers.")
    if array.shape[1:] == shape and array.ndim == 1 + len(shape):
        count = len(array) // 4
        array = array[len(array) - 4 * count :].reshape(4, count, *shape)
    if array.ndim != 2 + len(shape) or array.shape[2:] != shape:
        wanted = ", ".join(map(str, ("chain", "draw", *shape)))
        raise StudyError(f"positions have shape {array.shape}: this system's are ({wanted}), or without chains.")
    if array.shape[0] < 2:
        return _one(array[0], shape)
    bad = np.argwhere(~np.isfinite(array))
    if len(bad):
        raise StudyError(f"positions hold NaN or infinity, first in chain {bad[0][0]}, draw {bad[0][1]}: remove those.")
    return array
