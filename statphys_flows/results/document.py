"""The tables of docs/result.md, made from the table of results. To write them anew, from the root of the repository:

    python -m statphys_flows.results.document

The prose between them is written by hand.
"""

import re
import sys
from pathlib import Path

from statphys_flows.results import variable as v
from statphys_flows.results.rows.attributes import ATTRIBUTES
from statphys_flows.results.schema import rows

# Group -> the heading of its section, where that is another.
_HEADINGS = {"coordinates": "Coordinates", "importance": "What `importance` returns"}
_UNITS = {
    "": "none",
    v.ENERGY: "*energy*",
    v.ORDER: "*order*",
    v.SUSCEPTIBILITY: "*order*²/*energy*",
    v.DERIVATIVE: "*energy*/field",
    v.OWN: "its own",
    v.PARAMETER: "of `parameter`",
    v.CONJUGATE: "*energy*, of a field *energy*/field",
    v.LOOKED_AT: "of what was looked at",
}


def tables() -> dict[str, str]:
    """The table of each section that has one, by the heading of the section."""
    found = {"Root attributes": _table(["attribute", "holds"], [[f"`{a.name}`", a.text] for a in ATTRIBUTES])}
    return found | {_HEADINGS.get(group, group): _of_group(group) for group in v.GROUPS}


def rewritten(page: str) -> str:
    """The page with these tables in place of those that it has, the first one of each section."""
    for heading, table in tables().items():
        section = re.compile(rf"(^## {re.escape(heading)}\n(?:(?!^## |^\|).*\n)*)(?:^\|.*\n?)+", re.M)
        page, count = section.subn(lambda match, table=table: match[1] + table, page)
        if count != 1:
            raise ValueError(f"The page has no section {heading!r} with a table: add one, with a line | of it.")
    return page


def _of_group(group: str) -> str:
    every = rows(group)
    by_sampler = any(row.given_by not in (v.EVERY, v.OF_THE_SPACE) for row in every)
    reweighted = group == "thermodynamics"
    columns = ["coordinate" if group == "coordinates" else "variable", "dimensions", "units", "meaning"]
    columns += ["of the samplers"] * by_sampler + ["`reweight`"] * reweighted
    lines = []
    for row in every:
        cells = [_names(row), _dims(row, group), _UNITS.get(row.units, row.units), _meaning(row)]
        cells += [_samplers(row)] * by_sampler + [row.reweighted] * reweighted
        lines.append(cells)
    return _table(columns, lines)


def _names(row: v.Variable) -> str:
    return ", ".join(f"`{name}`" for name in row.names)


def _dims(row: v.Variable, group: str) -> str:
    scan = ("kT",) if group in v.OVER_THE_SCAN else ()
    return ", ".join(f"`{dim}`" for dim in (*scan, *row.dims_in(group)))


def _meaning(row: v.Variable) -> str:
    formula = f"`{row.formula}`" if row.formula else ""
    # Markdown takes <...> for HTML where it is not code.
    words = [re.sub(r"(?<!`)<([^<>]*)>(?!`)", r"⟨\1⟩", text) for text in (row.long_name, row.comment)]
    return "; ".join(filter(None, (words[0], formula, words[1])))


def _samplers(row: v.Variable) -> str:
    named = row.given_by if row.given_by not in (v.EVERY, v.OF_THE_SPACE, v.SAMPLERS) else ()
    return ", ".join(f"`{name}`" for name in named) or "all"


def _table(columns: list[str], lines: list[list[str]]) -> str:
    cells = [columns, ["---"] * len(columns), *([cell.replace("|", "\\|") for cell in line] for line in lines)]
    return "".join(f"| {' | '.join(line)} |\n" for line in cells)


if __name__ == "__main__":
    path = Path(sys.argv[1] if len(sys.argv) > 1 else "docs/result.md")
    path.write_text(rewritten(path.read_text(encoding="utf-8")), encoding="utf-8")
