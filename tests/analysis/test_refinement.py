"""Where further points go."""

import numpy as np
import pytest

from statphys_flows.analysis import refinement


def test_points_go_where_a_curve_bends():
    x = np.linspace(0, 1, 11)
    found = refinement(x, np.tanh(30 * (x - 0.45)), 0 * x, 4)
    assert np.all(np.abs(found - 0.45) < 0.2)
    assert np.all(np.diff(found) > 0)


def test_points_go_where_a_straight_line_is_known_least():
    x = np.asarray([3.0, 0.0, 1.0, 2.0])
    np.testing.assert_array_equal(refinement(x, 2 * x, [0.5, 0.1, 0.1, 0.1], 1), [2.5])


def test_an_interval_is_halved_again_only_where_it_needs_it():
    x = np.asarray([0.0, 1.0, 2.0])
    found = refinement(x, x**2, 0 * x, 2)
    np.testing.assert_array_equal(found, [0.5, 1.5])


def test_what_makes_no_sense():
    with pytest.raises(ValueError, match="three lists"):
        refinement([0, 1], [0], [0, 1], 1)
    with pytest.raises(ValueError, match="at least 1"):
        refinement([0, 1], [0, 1], [0, 1], 0)
