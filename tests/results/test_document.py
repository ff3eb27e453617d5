"""docs/result.md holds the table of results."""

from pathlib import Path

import pytest

import statphys_flows as sf
from statphys_flows.results.document import rewritten, tables

PAGE = (Path(sf.__path__[0]).parent / "docs" / "result.md").read_text(encoding="utf-8")


def test_the_page_is_up_to_date():
    """If not: python -m statphys_flows.results.document."""
    assert rewritten(PAGE) == PAGE


def test_a_table_that_was_changed_by_hand_is_written_anew():
    row = next(line for line in PAGE.splitlines() if line.startswith("| `heat_capacity`"))
    assert rewritten(PAGE.replace(row, "| `heat_capacity` | wrong |")) == PAGE
    assert rewritten(PAGE.replace(row + "\n", "")) == PAGE


def test_a_page_without_a_section():
    with pytest.raises(ValueError, match="no section 'training'"):
        rewritten(PAGE.replace("## training", "## something else"))


def test_every_section_has_the_rows_of_its_group():
    assert "| `loss` |" in tables()["training"]
    assert "| `loss` |" not in tables()["diagnostics"]
    assert "| `thresholds` |" in tables()["Root attributes"]
