"""A result as one page for a browser."""

import base64
import io
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import jinja2
import xarray as xr

from statphys_flows.analysis.selection import over_the_scan
from statphys_flows.files import whole_file
from statphys_flows.report import tables
from statphys_flows.report.figures import figures_of
from statphys_flows.report.groups import parameters_of, points, sizes

_TEMPLATE = Path(__file__).with_name("page.html.jinja")


def write_page(tree: xr.DataTree, path: str | Path) -> Path:
    """Writes the result as an HTML page: what was run, why the numbers may not be right, tables and figures, and the
    complete configuration. The page contains everything, including the figures, and can be sent as one file.

    **Returns:** its path.

    **Raises:** `StudyError` if it cannot be written.
    """
    path = Path(path)
    text = page(tree)
    with whole_file(path, "Make room there, or give another page with --html.") as temporary:
        temporary.write_text(text, encoding="utf-8")
    return path


def page(tree: xr.DataTree) -> str:
    """Returns the text of the page that `write_page` writes."""
    tree = over_the_scan(tree)
    found = sizes(tree)
    results = [_result(study, f"size {size:g}") for size, study in found.items()] or [_result(tree, "")]
    joint: dict[str, Any] = {"transitions": {}, "figures": {}}
    if found:
        joint = {
            "transitions": tables.transitions(tree, parameters_of(next(iter(found.values())))),
            "figures": _images(tree),
        }
    environment = jinja2.Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    environment.filters["rows"] = _rows
    template = environment.from_string(_TEMPLATE.read_text(encoding="utf-8"))
    title = str(tree.attrs.get("title", "")) or "Result"
    return template.render(title=title, results=results, joint=joint, legend=tables.LEGEND)


def _result(tree: xr.DataTree, name: str) -> dict[str, Any]:
    conventions = [str(tree.attrs.get(each, "")).strip() for each in ("measure", "energy_convention")]
    said = ("Z integrates over", "The energy:")
    return {
        "name": name,
        "facts": tables.facts(tree),
        "warnings": tables.warnings(tree),
        "assumptions": _assumptions(tree),
        "thermodynamics": tables.thermodynamics(tree),
        "conventions": [f"{start} {text}." for start, text in zip(said, conventions, strict=True) if text],
        "transitions": tables.transitions(tree, parameters_of(tree)),
        "figures": _images(tree),
        "sampling": tables.sampling(tree),
        "circumstances": tables.circumstances(tree),
        "configuration": _configuration(tree),
    }


def _assumptions(tree: xr.DataTree) -> list[str]:
    data = points(tree, "diagnostics")
    if "assumption" not in data:
        return []
    return sorted({str(text) for text in data["assumption"].values.ravel() if str(text)})


def _configuration(tree: xr.DataTree) -> str:
    try:
        return json.dumps(json.loads(tree.attrs.get("configuration", "null")), indent=1)
    except (TypeError, ValueError):
        return ""


def _images(tree: xr.DataTree) -> dict[str, str]:
    """PNG files in base64 by name."""
    images = {}
    for name, figure in figures_of(tree).items():
        file = io.BytesIO()
        figure.savefig(file, dpi=130, format="png")
        images[name.removesuffix(".png").replace("_", " ")] = base64.b64encode(file.getvalue()).decode("ascii")
    return images


def _rows(columns: Iterable[list[str]]) -> list[tuple[str, ...]]:
    return list(zip(*columns, strict=True))
