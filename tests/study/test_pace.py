"""How long a run still takes, with a clock that a test sets."""

import math

import pytest

from statphys_flows.study.execution.pace import Pace


class Clock:
    """Each lap takes as long as was said."""

    def __init__(self):
        self.seconds = 0.0

    def lap(self):
        return self.seconds


def run_point(pace, clock, training, rounds, sampling, pieces):
    clock.seconds = 1.0
    pace.tick("warming up")
    for i in range(rounds):
        clock.seconds = training
        pace.tick(f"training, ESS 0.{i}", i + 1, 16)
    for i in range(pieces):
        clock.seconds = sampling
        pace.tick("sampling", i + 1, pieces)
    clock.seconds = 0.0


def test_nothing_is_known_before_a_point_samples():
    clock = Clock()
    pace = Pace(clock, 3)
    assert math.isnan(pace.of_all)
    pace.tick("warming up")
    clock.seconds = 2.0
    pace.tick("training, ESS 0.1", 1, 16)
    assert math.isnan(pace.of_all)


def test_one_point_that_samples():
    clock = Clock()
    pace = Pace(clock, 1)
    run_point(pace, clock, 2.0, 4, 0.5, 0)
    for i in range(3):
        clock.seconds = 0.5
        pace.tick("sampling", i + 1, 12)
    # Rounds that were not needed do not come.
    pieces_left = 9 * 0.5
    assert pace.of_this_point == pytest.approx(pieces_left)
    assert pace.of_all == pace.of_this_point


def test_the_first_piece_includes_what_led_to_it():
    clock = Clock()
    pace = Pace(clock, 1)
    clock.seconds = 60.0  # to start the chains, and to tune them
    pace.tick("sampling", 1, 12)
    assert math.isnan(pace.of_all)
    clock.seconds = 0.5
    pace.tick("sampling", 2, 12)
    assert pace.of_all == pytest.approx(10 * 0.5)


def test_so_does_that_of_every_point():
    clock = Clock()
    pace = Pace(clock, 3)
    for _ in range(2):
        for i in range(12):
            clock.seconds = 0.5 if i else 60.0
            pace.tick("sampling", i + 1, 12)
        clock.seconds = 0.0
        pace.point_done()
    clock.seconds = 1.0
    pace.tick("warming up")
    assert pace.of_all == pytest.approx(60.0 + 11 * 0.5)


def test_so_does_the_end_of_a_point():
    clock = Clock()
    pace = Pace(clock, 3, start_from=False)
    run_point(pace, clock, 2.0, 8, 0.5, 12)
    clock.seconds = 7.0  # for estimates, and the file
    pace.point_done()
    each = 1.0 + 8 * 2.0 + 12 * 0.5 + 7.0
    assert pace.of_all == pytest.approx(2 * each)
    run_point(pace, clock, 2.0, 8, 0.5, 12)
    assert pace.of_this_point == pytest.approx(7.0)


def test_points_that_take_as_long_as_those_before():
    clock = Clock()
    pace = Pace(clock, 10)
    run_point(pace, clock, 2.0, 8, 0.5, 12)
    pace.point_done()
    # One is known, the first: others need half of its training.
    each = 1.0 + 4 * 2.0 + 12 * 0.5
    assert pace.of_all == pytest.approx(1.0 + 8 * 2.0 + 12 * 0.5 + 8 * each)
    for _ in range(3):
        run_point(pace, clock, 2.0, 2, 0.5, 12)
        pace.point_done()
    assert pace.of_all == pytest.approx(6 * (1.0 + 2 * 2.0 + 12 * 0.5))
    # Half of the next.
    run_point(pace, clock, 2.0, 2, 0.5, 0)
    assert pace.of_this_point == pytest.approx(12 * 0.5)


def test_points_that_learn_by_themselves():
    clock = Clock()
    pace = Pace(clock, 3, start_from=False)
    run_point(pace, clock, 2.0, 8, 0.5, 12)
    pace.point_done()
    assert pace.of_all == pytest.approx(2 * (1.0 + 8 * 2.0 + 12 * 0.5))


def test_points_that_were_there_cost_nothing():
    clock = Clock()
    pace = Pace(clock, 4)
    for _ in range(2):
        clock.seconds = 0.01
        pace.point_done(was_there=True)
    run_point(pace, clock, 2.0, 2, 0.5, 12)
    pace.point_done()
    assert pace.of_all == pytest.approx(1.0 + 2 * 2.0 + 12 * 0.5)


def test_a_goal_that_asks_for_more_pieces():
    clock = Clock()
    pace = Pace(clock, 1)
    run_point(pace, clock, 2.0, 2, 0.5, 12)
    pace.tick("sampling, log_z 1 ± 0.1 (wanted 0.05)")
    clock.seconds = 0.5
    pace.tick("sampling", 13, 40)
    assert pace.of_this_point == pytest.approx(27 * 0.5)
