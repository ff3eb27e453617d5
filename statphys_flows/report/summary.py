"""The summary that `statphys-flows show` prints."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

import xarray as xr

from statphys_flows.analysis.selection import over_the_scan
from statphys_flows.report import tables
from statphys_flows.report.groups import parameters_of, sizes
from statphys_flows.report.tables import Columns


def summary(tree: xr.DataTree) -> str:
    """Returns the result in plain text: what was run, the thermodynamics, the quality of the sampling, the time it
    took; for several sizes one after the other, and the transitions of all."""
    tree = over_the_scan(tree)
    if found := list(sizes(tree).values()):
        return "\n\n".join([*map(summary, found), _align(tables.transitions(tree, parameters_of(found[0])))]).rstrip()
    thermodynamics = [_align(table) for table in tables.thermodynamics(tree)]
    warnings = [f"  {line}" for line in tables.warnings(tree)]
    parts = [
        "\n".join([_wrap(str(tree.attrs.get("title", ""))), _facts(tables.facts(tree))]).strip(),
        *thermodynamics,
        textwrap.fill(tables.LEGEND, 88) if thermodynamics else "",
        _align(tables.transitions(tree, parameters_of(tree))),
        _align(tables.sampling(tree)),
        "\n".join(["Warnings", *warnings]) if warnings else "",
        _facts(tables.circumstances(tree)),
    ]
    return "\n\n".join(part for part in parts if part)


def _facts(named: dict[str, str]) -> str:
    return "\n".join(_wrap(f"{name:<9}{text}") for name, text in named.items())


def _wrap(line: str, width: int = 96) -> str:
    """Breaks a long line after commas, and aligns what follows."""
    rows, row = [], ""
    for piece in line.split(", "):
        if row and len(row) + len(piece) > width:
            rows.append(row + ",")
            row = " " * 9 + piece
        else:
            row = f"{row}, {piece}" if row else piece
    return "\n".join([*rows, row])


def _align(columns: Columns) -> str:
    if not columns:
        return ""
    widths = [max(map(len, [heading, *cells])) for heading, cells in columns.items()]
    rows = [list(columns), *zip(*columns.values(), strict=True)]
    return "\n".join(_row(row, widths) for row in rows)


def _row(cells: Sequence[str], widths: list[int]) -> str:
    return "  ".join(cell.rjust(width) for cell, width in zip(cells, widths, strict=True)).rstrip()
