"""Every progress takes what a study tells it, in the order that `Progress` says."""

import inspect

import pytest

import statphys_flows as sf
from tests.helpers.registry import PROGRESS

METHODS = ("start", "tick", "point_done", "close")


@pytest.fixture(params=PROGRESS)
def kind(request):
    return PROGRESS[request.param]


def test_it_takes_what_a_study_says(kind, capsys):
    """More ticks than foreseen, fewer, and none for a point that was on disk. Results go to standard output, and
    nothing else does."""
    progress = kind()
    assert isinstance(progress, sf.Progress)
    assert progress.start(3, 2) is None
    for ticks in (5, 1, 0):
        for i in range(ticks):
            assert progress.tick(f"kT=1, piece {i}") is None
        assert progress.point_done() is None
    assert progress.close() is None
    assert capsys.readouterr().out == ""


def test_it_may_be_closed_in_the_middle(kind):
    progress = kind()
    progress.start(2, 4)
    progress.tick("kT=1: warming up")
    progress.close()


@pytest.mark.parametrize("method", METHODS)
def test_the_arguments_are_those_of_the_contract(kind, method):
    own, contract = (inspect.signature(getattr(each, method)) for each in (kind, sf.Progress))
    assert own == contract
