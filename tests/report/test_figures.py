import subprocess
import sys

import numpy as np
import pytest
import xarray as xr
from matplotlib.figure import Figure

from statphys_flows.errors import StudyError
from statphys_flows.report import figures
from tests.report.fake import fake_tree

ALL = {"free_energy.png", "order_parameter.png", "training.png", "configurations.png", "log_z.png"}
TREES = {
    "field": lambda: fake_tree(),
    "plane": lambda: fake_tree(space="euclidean"),
    "line": lambda: fake_tree(space="euclidean", components=1),
    "one temperature": lambda: fake_tree(kT=[0.05]),
    "many temperatures": lambda: fake_tree(kT=np.linspace(0.5, 2, 12), space="euclidean"),
    "temperatures in falling order": lambda: fake_tree(kT=[2.0, 1.0, 0.5]),
}

pytestmark = pytest.mark.filterwarnings("error")


def draw_all(tree) -> list[Figure]:
    """Drawn, not saved: that is where matplotlib finds most faults, at a tenth of the time."""
    names = ("free_energy", "order_parameter", "training", "configurations", "log_z")
    drawn = [figure for name in names if (figure := getattr(figures, name)(tree)) is not None]
    for figure in drawn:
        figure.canvas.draw()
    return drawn


@pytest.mark.parametrize("make", TREES.values(), ids=TREES)
def test_all_are_drawn(make):
    assert len(draw_all(make())) == len(ALL)


def test_files_are_whole_pngs(tmp_path):
    written = figures.write_figures(fake_tree(), tmp_path / "new" / "folder")
    assert {path.name for path in written} == ALL == {path.name for path in (tmp_path / "new" / "folder").iterdir()}
    assert all(path.read_bytes().endswith(b"IEND\xaeB`\x82") for path in written)


@pytest.mark.parametrize("name", list(fake_tree().children))
def test_a_missing_group_costs_its_figure_only(name):
    tree = fake_tree()
    del tree[name]
    assert len(draw_all(tree)) >= len(ALL) - 1


# Figure -> (group, variable) that it reads.
READS = {
    "free_energy": [
        ("thermodynamics", name + suffix)
        for name in ("free_energy", "energy", "heat_capacity")
        for suffix in ("", "_err")
    ],
    "order_parameter": [("posterior", "order_parameter"), ("profiles", "free_energy"), ("profiles", "free_energy_err")],
    "training": [("training", name) for name in ("loss", "ess_forward", "global_acceptance")],
    "configurations": [("posterior", name) for name in ("phi", "x", "order_parameter", "energy")],
    "log_z": [
        ("diagnostics", f"log_z_{name}{suffix}") for name in ("importance", "reverse", "bar") for suffix in ("", "_err")
    ],
}


@pytest.mark.parametrize("space", ["field", "euclidean"])
@pytest.mark.parametrize("figure", READS)
def test_missing_or_nan_variables(figure, space):
    for group, name in READS[figure]:
        missing, blank = fake_tree(kT=[0.05, 0.1], space=space), fake_tree(kT=[0.05, 0.1], space=space)
        if name not in missing[group].data_vars:
            continue
        del missing[group][name]
        blank[group][name].values[:] = np.nan
        for tree in (missing, blank):
            drawn = getattr(figures, figure)(tree)
            if drawn is not None:
                drawn.canvas.draw()


def test_nan_at_one_temperature():
    tree = fake_tree(space="euclidean")
    for group in tree.children.values():
        for variable in group.data_vars.values():
            if variable.dtype.kind == "f":
                variable[0] = np.nan
    assert len(draw_all(tree)) == len(ALL)


def test_an_empty_tree_has_no_figures(tmp_path):
    assert figures.write_figures(xr.DataTree(), tmp_path) == []


def test_axes_carry_long_names_and_units():
    tree = fake_tree()
    tree["thermodynamics"]["energy"].attrs = {"long_name": "mean energy", "units": "kJ/mol"}
    figure = figures.free_energy(tree)
    assert figure is not None
    assert [ax.get_ylabel() for ax in figure.axes] == ["free energy", "mean energy [kJ/mol]", "heat capacity"]


def test_log_z_is_relative_to_bar():
    figure = figures.log_z(fake_tree())
    assert figure is not None
    bar = figure.axes[0].containers[-1].lines[0]
    np.testing.assert_allclose(bar.get_ydata(), 0.0)


def test_every_point_of_log_z_is_in_view_with_one_temperature():
    figure = figures.log_z(fake_tree(kT=[0.05]))
    assert figure is not None
    low, high = figure.axes[0].get_xlim()
    assert all(low < container.lines[0].get_xdata()[0] < high for container in figure.axes[0].containers)


def test_a_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "taken").touch()
    with pytest.raises(StudyError, match="--out-dir"):
        figures.write_figures(fake_tree(kT=[1.0]), tmp_path / "taken")


def test_pyplot_and_the_backend_are_left_alone():
    code = "import sys, statphys_flows.report.figures; print('matplotlib.pyplot' in sys.modules)"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "False"
