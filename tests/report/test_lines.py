"""Lines of a scan, on Curie-Weiss magnets drawn from their exact laws."""

import numpy as np
import pytest
import xarray as xr

from statphys_flows.analysis import locate_transitions
from statphys_flows.report.groups import numbers
from statphys_flows.report.lines import lines_of
from statphys_flows.report.tables import transitions
from tests.analysis.curie_weiss import exact, sizes, study
from tests.report.fake import fake_tree

SMALL = {"chains": 16, "draws": 40}
KT = np.linspace(0.8, 1.2, 5)

pytestmark = pytest.mark.filterwarnings("error")


def with_transitions(tree: xr.DataTree) -> xr.DataTree:
    tree["transitions"] = xr.DataTree(locate_transitions(tree))
    return tree


@pytest.mark.parametrize("quantity", ["energy", "heat_capacity", "susceptibility_abs", "binder_cumulant"])
def test_the_curve_passes_through_the_points(quantity):
    found = lines_of(study(32, KT, **SMALL))
    (line,) = found.lines
    assert (found.along, found.by, found.fixed) == ("kT", "", {})
    x, y, error = numbers(line.points, quantity, "kT")
    on, curve, band = numbers(line.curve, quantity, "kT")
    assert len(on) == 101
    np.testing.assert_allclose(on[::25], x)
    assert np.all(np.abs(curve[::25] - y) < 4 * np.hypot(error, band[::25]))
    truth = np.asarray([exact(32, kT)[quantity] for kT in on])
    assert np.mean(np.abs(curve - truth) < 3 * band) > 0.9


def test_a_gap_where_draws_do_not_overlap():
    (line,) = lines_of(study(400, [0.5, 0.6, 1.7, 1.8], **SMALL)).lines
    known = np.isfinite(line.curve["energy"].values)
    assert known[0]
    assert known[-1]
    assert not known.all()


def test_a_line_for_each_value_of_a_field():
    found = lines_of(with_transitions(study(32, KT, field=(0.0, 0.1), **SMALL)))
    assert (found.along, found.by) == ("kT", "field")
    assert [line.value for line in found.lines] == [0.0, 0.1]
    for line in found.lines:
        assert line.points["energy"].dims == line.curve["energy"].dims == ("kT",)
        assert set(line.transitions["field"].values) <= {line.value}
    cold = [float(line.curve["order_parameter"][0]) for line in found.lines]
    assert abs(cold[0]) < 0.2 < cold[1]


def test_a_field_along_the_abscissa_at_one_temperature():
    found = lines_of(with_transitions(study(32, [0.7], field=np.linspace(-0.1, 0.1, 5), **SMALL)))
    assert (found.along, found.by, found.fixed) == ("field", "", {"kT": 0.7})
    (line,) = found.lines
    assert line.curve["energy"].dims == ("field",)
    assert set(line.transitions["parameter"].values) == {"field"}


def test_a_field_that_is_called_like_a_column_of_the_transitions():
    """A `barrier` may be scanned, or a `size`: each keeps a column of its own beside that of the transition."""
    fields = [0.0, 0.02]
    plain = study(64, np.linspace(0.85, 1.15, 5), field=fields, chains=16, draws=400)
    groups = {n: node.to_dataset().rename(field="barrier") for n, node in plain.children.items()}
    groups["sample_stats"] = groups["sample_stats"].rename(energy_derivative_field="energy_derivative_barrier")
    tree = xr.DataTree.from_dict(groups)
    found, expected = locate_transitions(tree), locate_transitions(plain)
    for name in ("location", "barrier", "barrier_err"):
        np.testing.assert_array_equal(found[name], expected[name])
    np.testing.assert_array_equal(found["barrier_parameter"], expected["field"])
    tree["transitions"], plain["transitions"] = xr.DataTree(found), xr.DataTree(expected)
    ours, theirs = ([line.transitions for line in lines_of(each).lines] for each in (tree, plain))
    assert [rows.sizes for rows in ours] == [rows.sizes for rows in theirs]
    assert any("location" in rows for rows in ours)
    assert transitions(tree, ["kT", "barrier"])["barrier"] == transitions(plain, ["kT", "field"])["field"]


def test_further_parameters_stay_at_their_first_value():
    tree = study(32, KT, field=(0.0, 0.1), **SMALL)
    groups = {name: node.to_dataset().expand_dims(coupling=[1.0, 2.0]) for name, node in tree.children.items()}
    found = lines_of(xr.DataTree.from_dict(groups))
    first = {"field": 0.0, "coupling": 1.0}
    assert found.by in first
    assert found.fixed == {name: value for name, value in first.items() if name != found.by}
    assert len(found.lines) == 2
    assert all(line.points["energy"].dims == ("kT",) for line in found.lines)


def test_where_the_energy_is_not_linear_each_line_has_its_own_draws():
    tree = study(32, KT, field=(0.0, 0.1), **SMALL)
    tree["sample_stats"]["energy_derivative_field"].attrs["energy_is_linear"] = "no"
    for line in lines_of(tree).lines:
        alone = lines_of(tree.sel(field=line.value)).lines[0]
        xr.testing.assert_allclose(line.curve, alone.curve)
        assert np.isfinite(line.curve["energy"].values).all()
    (along_the_field,) = lines_of(tree.isel(kT=[0])).lines
    assert not along_the_field.curve


@pytest.mark.parametrize("missing", ["sample_stats", "draws", "one point"])
def test_no_curve_of_what_cannot_be_pooled(missing):
    tree = study(32, KT, **SMALL)
    if missing == "sample_stats":
        del tree["sample_stats"]
    elif missing == "draws":
        tree["sample_stats"]["energy"].values[:] = np.nan
    else:
        tree = tree.isel(kT=[0])
    (line,) = lines_of(tree).lines
    assert not line.curve
    assert numbers(line.points, "energy", "kT") is not None


def test_nothing_of_an_empty_tree():
    assert lines_of(xr.DataTree()).lines == []
    tree = fake_tree()
    del tree["thermodynamics"]
    assert lines_of(tree).lines == []


def test_sizes():
    found = lines_of(with_transitions(sizes([64, 16, 32], KT)))
    assert (found.along, found.by) == ("kT", "size")
    assert [line.value for line in found.lines] == [16, 32, 64]
    assert all(line.curve for line in found.lines)
    assert set(found.joint["method"].values) <= {"binder_crossing", "finite_size_fit"}
    assert "binder_crossing" in found.joint["method"].values
    for line in found.lines:
        assert set(line.transitions["size"].values) <= {line.value}
        assert np.isnan(line.transitions["size_2"].values).all()
