"""The page of a result: whole, correct HTML, and honest."""

import base64
import json
from html.parser import HTMLParser

import numpy as np
import pytest
import xarray as xr

from statphys_flows.analysis import locate_transitions
from statphys_flows.errors import StudyError
from statphys_flows.report import tables, write_page
from statphys_flows.report.page import page
from tests.analysis.curie_weiss import sizes, study
from tests.report.fake import fake_tree

VOID = {"meta", "img", "br"}


class Read(HTMLParser):
    """Text, images and links; fails where tags do not match."""

    def __init__(self, text):
        super().__init__()
        self.open, self.texts, self.images, self.addresses = [], [], [], []
        self.feed(text)
        assert not self.open

    def handle_starttag(self, tag, attrs):
        if tag not in VOID:
            self.open.append(tag)
        for name, value in attrs:
            if name in ("src", "href"):
                (self.images if tag == "img" else self.addresses).append(value)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data)


def test_it_holds_every_table_and_figure_and_fetches_nothing(tmp_path):
    tree = fake_tree()
    path = write_page(tree, tmp_path / "result.html")
    read = Read(path.read_text(encoding="utf-8"))
    assert read.addresses == []
    assert len(read.images) == 6
    for image in read.images:
        head, _, data = image.partition(",")
        assert head == "data:image/png;base64"
        assert base64.b64decode(data, validate=True).startswith(b"\x89PNG")
    for columns in (*tables.thermodynamics(tree), tables.sampling(tree)):
        for heading, cells in columns.items():
            assert {heading, *filter(None, cells)} <= set(read.texts)
    shown = next(t for t in read.texts if t.startswith("{"))
    assert json.loads(shown) == json.loads(tree.attrs["configuration"])
    assert [p.name for p in tmp_path.iterdir()] == ["result.html"]


def test_warnings_come_before_the_numbers():
    text = page(fake_tree())
    assert text.index("kT = 0.03: forward ESS 0.11") < text.index("<h3>Thermodynamics")
    assert "speaks against" not in text
    quiet = fake_tree()
    quiet["diagnostics"] = quiet["diagnostics"].to_dataset().drop_vars("warning")
    assert "Nothing was found that speaks against these numbers." in page(quiet)


def test_what_users_wrote_is_text():
    tree = fake_tree()
    tree.attrs["title"] = "<b>Well & co</b>"
    text = page(tree)
    assert "<b>Well" not in text
    assert "<b>Well & co</b>" in Read(text).texts


def test_of_several_sizes_each_has_its_tables_and_the_transitions_follow():
    tree = sizes([16, 32], np.linspace(0.8, 1.2, 5))
    tree["transitions"] = xr.DataTree(locate_transitions(tree))
    read = Read(page(tree))
    assert [t for t in read.texts if t.startswith("size ")] == ["size 16", "size 32"]
    assert "All sizes" in read.texts
    assert "binder_crossing" in read.texts


def test_a_result_that_lacks_groups_has_a_page():
    tree = study(16, [1.0])
    assert "Thermodynamics" in page(tree)


def test_a_folder_that_is_not_there(tmp_path):
    with pytest.raises(StudyError, match="--html"):
        write_page(fake_tree(), tmp_path / "none" / "page.html")
