"""Combine two results."""

import json
from pathlib import Path

import xarray as xr

from statphys_flows.analysis.pooling.reweighting import DERIVATIVE
from statphys_flows.errors import StudyError
from statphys_flows.study.assemble import assemble_known, axes_of, complete, points_of
from statphys_flows.study.execution.run import strategies_of
from statphys_flows.study.scan import Scan, join_values, name_of, number
from statphys_flows.study.storage.programs import MEANING
from statphys_flows.study.storage.same import check_same, configuration_of


def concat(first: xr.DataTree, second: xr.DataTree) -> xr.DataTree:
    """One result with the points of two results, of the same system at different temperatures or values of the scanned
    fields.

    Samplers and seeds may differ. The attribute `joined` contains both configurations, `history` and `strategy` combine
    those of both, and other attributes are those of `first`; units and descriptions stay. `profiles` are computed again
    over the range of both, and `transitions` over all points.

    **Raises:** `StudyError` if the systems differ, if a point is in both, or if the points of both together are not all
    combinations of their values.
    """
    configurations = [configuration_of(first, "The first result"), configuration_of(second, "The second result")]
    axes = [axes_of(first), axes_of(second)]
    if set(axes[0]) != set(axes[1]):
        raise StudyError(
            f"One result scans {', '.join(axes[0])} and the other {', '.join(axes[1])}: scan the same parameters in "
            "both, with a single value for one that is fixed."
        )
    check_same(_system(configurations[0], axes[0]), _system(configurations[1], axes[1]), Path("The first result"))
    points = points_of(first)
    if twice := sorted(points.keys() & (more := points_of(second)).keys()):
        raise StudyError(f"Both results contain the point {twice[0]}: drop it from one, for example with .sel.")
    points |= more
    merged = {name: join_values(axes[0][name], axes[1][name]) for name in axes[0]}
    scan = Scan(merged.pop("kT"), merged)
    if missing := [name_of(p) for p in scan.in_given_order() if name_of(p) not in points]:
        raise StudyError(f"The two results together lack the point {missing[0]}: run it with Study.extend first.")
    linear = all(_is_linear(tree, name) for tree in (first, second) for name in scan.names[1:])
    tree = assemble_known(points, scan, linear=linear)
    tree.attrs = {k: v for k, v in first.attrs.items() if k != "no_transitions"}
    whole: dict = configurations[0] | {"kT": list(scan.axes["kT"])}
    # The starting points of runs depend on the temperatures of each.
    if programs := whole.get("programs"):
        whole["programs"] = {name: programs[name] for name in MEANING if name in programs}
    if len(scan.names) > 1:
        whole["scan"] = {name: list(scan.axes[name]) for name in scan.names[1:]}
    tree.attrs |= {
        "title": f"{first.attrs['title'].partition(':')[0]}: {number(scan)}",
        "configuration": json.dumps(whole),
        "joined": json.dumps(configurations),
        "strategy": strategies_of(first.attrs.get("strategy", ""), second.attrs.get("strategy", "")),
        "history": f"{first.attrs['history']}\n{second.attrs['history']}",
    }
    return complete(tree)


def _is_linear(tree: xr.DataTree, name: str) -> bool:
    """Whether U was found to be linear in a field. For a single value this was not tested: there is no system here with
    which to test it, and draws are not reweighted along the field."""
    derivative = tree["sample_stats"].to_dataset()[DERIVATIVE + name]
    return derivative.sizes[name] > 1 and derivative.attrs.get("energy_is_linear") == "yes"


def _system(configuration: dict, axes: dict) -> dict:
    system = configuration["system"]
    parameters = {name: value for name, value in system["parameters"].items() if name not in axes}
    found = {"system": {**system, "parameters": parameters}, "precision": configuration["precision"]}
    if programs := configuration.get("programs"):
        found["programs"] = {name: programs[name] for name in MEANING if name in programs}
    return found
