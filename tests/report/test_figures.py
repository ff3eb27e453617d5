import importlib
import subprocess
import sys

import numpy as np
import pytest
import xarray as xr
from matplotlib.figure import Figure

from statphys_flows.analysis import locate_transitions
from statphys_flows.errors import StudyError
from statphys_flows.report import figures
from statphys_flows.results.schema import of_a_sampler
from tests.analysis.curie_weiss import sizes, study
from tests.report.fake import fake_tree

ALL = {
    f"{name}.png" for name in ("free_energy", "transitions", "order_parameter", "training", "configurations", "log_z")
}
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
    names = [name.removesuffix(".png") for name in sorted(ALL)]
    drawn = [figure for name in names if (figure := getattr(figures, name)(tree)) is not None]
    for figure in drawn:
        figure.canvas.draw()
    return drawn


@pytest.mark.parametrize("make", TREES.values(), ids=TREES)
def test_all_are_drawn(make):
    tree = make()
    several = tree["thermodynamics"].sizes["kT"] > 1  # of one temperature nothing shows a transition
    assert len(draw_all(tree)) == len(ALL) - (not several)


def test_files_are_whole_pngs(tmp_path):
    written = figures.write_figures(fake_tree(), tmp_path / "new" / "folder")
    assert {path.name for path in written} == ALL == {path.name for path in (tmp_path / "new" / "folder").iterdir()}
    assert all(path.read_bytes().endswith(b"IEND\xaeB`\x82") for path in written)


@pytest.mark.parametrize("name", list(fake_tree().children))
def test_a_missing_group_costs_its_figures_only(name):
    tree = fake_tree()
    del tree[name]
    assert len(draw_all(tree)) >= len(ALL) - (2 if name == "thermodynamics" else 1)


# Figure -> (group, variable) that it reads.
READS = {
    "free_energy": [
        ("thermodynamics", name + suffix)
        for name in ("free_energy", "energy", "heat_capacity")
        for suffix in ("", "_err")
    ],
    "transitions": [
        ("thermodynamics", name + suffix)
        for name in ("susceptibility", "binder_cumulant", "order_parameter", "order_parameter_abs")
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


def test_another_estimate_of_log_z_is_drawn_beside_the_others(monkeypatch):
    module = importlib.import_module("statphys_flows.report.figures.log_z")
    rows = of_a_sampler()
    more = [row._replace(name=f"log_z_{i}", heading=f"estimate {i}") for i, row in enumerate(rows) if row.error]
    monkeypatch.setattr(module, "of_a_sampler", lambda: [*more, *rows])
    tree = fake_tree()
    for row in more:
        tree["diagnostics"][row.name] = tree["diagnostics"]["log_z_bar"]
    figure = figures.log_z(tree)
    assert figure is not None
    drawn = [container.lines[0] for container in figure.axes[0].containers]
    assert len({(line.get_marker(), line.get_color()) for line in drawn}) == 3 + len(more)


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


# Scans, on Curie-Weiss magnets drawn from their exact laws.

KT = np.linspace(0.7, 1.2, 5)


def magnet(kT=KT, field=(0.0,)) -> xr.DataTree:
    tree = study(32, kT, field, chains=16, draws=40)
    tree["transitions"] = xr.DataTree(locate_transitions(tree))
    return tree


@pytest.fixture(scope="module")
def tilted() -> xr.DataTree:
    return magnet(KT[1:], (0.0, 0.1))


@pytest.fixture(scope="module")
def magnets() -> xr.DataTree:
    tree = sizes([16, 32, 64], KT)
    tree["transitions"] = xr.DataTree(locate_transitions(tree))
    return tree


def curves_in(ax) -> list[np.ndarray]:
    return [line.get_xydata() for line in ax.lines if len(line.get_xydata()) == 101]


def verticals_in(ax) -> list[float]:
    return [line.get_xdata()[0] for line in ax.lines if line.get_transform() != ax.transData]


def legend_of(figure) -> list[str]:
    return [text.get_text() for legend in figure.legends for text in legend.get_texts()]


@pytest.mark.parametrize("draw", [figures.free_energy, figures.transitions])
def test_curves_and_transitions_are_drawn(draw):
    tree = magnet()
    figure = draw(tree)
    figure.canvas.draw()
    found = tree["transitions"].to_dataset().dropna("transition", subset=["location"])
    assert found.sizes["transition"] > 0
    for ax in figure.axes:
        assert len(curves_in(ax)) == 1
        assert len(ax.collections) > 1  # the band of the curve, and error bars
        np.testing.assert_allclose(sorted(verticals_in(ax)), np.sort(found["location"].values))
    methods = [text.partition(":")[0] for text in legend_of(figure)]
    assert methods == [f"peak of {m.removesuffix('_peak').replace('_', ' ')}" for m in found["method"].values]


def test_points_are_joined_where_there_is_no_curve():
    tree = magnet()
    del tree["sample_stats"]
    for ax in figures.free_energy(tree).axes:
        assert not curves_in(ax)
        assert ax.containers[0].lines[0].get_linestyle() == "-"


def test_no_marks_without_transitions():
    tree = magnet()
    del tree["transitions"]
    figure = figures.free_energy(tree)
    assert not any(verticals_in(ax) for ax in figure.axes)
    assert not figure.legends


def test_an_error_wider_than_the_scan_leaves_the_axis():
    tree = magnet()
    tree["transitions"]["location_err"].values[:] = 100.0
    assert all(0.5 < limit < 1.5 for ax in figures.free_energy(tree).axes for limit in ax.get_xlim())


@pytest.mark.parametrize("draw", [figures.free_energy, figures.transitions])
def test_a_line_and_a_name_for_each_value_of_a_field(draw, tilted):
    figure = draw(tilted)
    figure.canvas.draw()
    assert all(len(curves_in(ax)) == len(ax.containers) == 2 for ax in figure.axes)
    assert {"field = 0", "field = 0.1"} <= set(legend_of(figure))


def test_the_field_on_the_abscissa_at_one_temperature():
    tree = magnet([0.8], np.linspace(-0.1, 0.1, 5))
    for draw in (figures.free_energy, figures.transitions):
        figure = draw(tree)
        figure.canvas.draw()
        assert figure.axes[-1].get_xlabel() == "field"
        assert "kT = 0.8" in figure.get_suptitle()
        assert all(len(curves_in(ax)) == 1 for ax in figure.axes)


def test_the_susceptibility_is_about_the_absolute_value_where_the_mean_vanishes():
    for field, name in ((0.0, "susceptibility_abs"), (0.1, "susceptibility")):
        tree = magnet(field=(field,))
        shown = figures.transitions(tree).axes[0].containers[0].lines[0].get_ydata()
        np.testing.assert_allclose(shown, tree["thermodynamics"][name].values)


def test_several_sizes_in_one_figure(magnets):
    figure = figures.transitions(magnets)
    figure.canvas.draw()
    assert all(len(curves_in(ax)) == 3 for ax in figure.axes)
    legend = legend_of(figure)
    assert {"size = 16", "size = 32", "size = 64", "crossings of neighbouring sizes"} <= set(legend)
    found = magnets["transitions"].to_dataset()
    fits = found["location"].values[found["method"].values.astype(str) == "finite_size_fit"]
    assert len(fits) == 1
    assert all(fits[0] in verticals_in(ax) for ax in figure.axes)
    assert any(text.startswith("finite-size fit: kT = ") for text in legend)
    crossings = found["location"].values[found["method"].values.astype(str) == "binder_crossing"]
    marked = [container.lines[0].get_xdata()[0] for container in figure.axes[1].containers[3:]]
    np.testing.assert_allclose(marked, crossings)
    assert figures.free_energy(magnets) is None


def test_several_sizes_without_transitions(magnets):
    alone = xr.DataTree.from_dict({name: node for name, node in magnets.children.items() if name != "transitions"})
    figure = figures.transitions(alone)
    assert legend_of(figure) == ["size = 16", "size = 32", "size = 64"]


def test_each_size_has_a_folder(magnets, tmp_path):
    written = figures.write_figures(magnets, tmp_path)
    names = [
        "transitions.png",
        *(f"size_{n}/{name}.png" for n in (16, 32, 64) for name in ("free_energy", "transitions")),
    ]
    assert [path.relative_to(tmp_path).as_posix() for path in written] == names
    assert all(path.exists() for path in written)


def test_other_figures_say_at_which_value_of_a_field():
    tree = fake_tree()
    groups = {name: node.to_dataset().expand_dims(field=[0.25, 0.5], axis=1) for name, node in tree.children.items()}
    for group in ("thermodynamics", "diagnostics"):
        groups[group] = groups[group].transpose("kT", "field", ...)
    scanned = xr.DataTree.from_dict(groups)
    drawn = [figures.order_parameter(scanned), figures.training(scanned), figures.log_z(scanned)]
    assert all("field = 0.25" in figure.get_suptitle() for figure in drawn)
    one = scanned.isel(kT=[0])
    assert figures.log_z(one).axes[0].get_xlabel() == "field"
    assert legend_of(figures.order_parameter(one)) == ["field = 0.25", "field = 0.5"]
    assert [ax.get_title() for ax in figures.configurations(one).axes[:2]] == ["field = 0.25", "field = 0.5"]


def test_histograms_of_many_temperatures_do_not_cover_each_other():
    figure = figures.order_parameter(fake_tree(kT=np.linspace(0.5, 2, 16), space="euclidean"))
    assert figure is not None
    assert len(figure.axes[0].patches) == 7


def test_candidates_that_were_not_kept_are_dashed():
    tree = fake_tree(kT=[0.5, 1.0])
    steps = tree["training"].sizes["step"]
    first = np.where(np.arange(steps) < steps // 2, 0.0, 1.0)
    columns = {"training": (("kT", "step"), np.stack([first, first])), "diagnostics": ("kT", np.array([1.0, 0.0]))}
    for name, column in columns.items():
        tree[name] = xr.DataTree(tree[name].to_dataset().assign(candidate=column))
    figure = figures.training(tree)
    assert figure is not None
    # The loss is of every step, and drawn smoothed; the ESS is of a few rounds.
    styles = [line.get_linestyle() for line in figure.axes[1].lines]
    assert styles == ["--", "-", "-", "--"]
    assert "not kept" in figure.axes[-1].get_xlabel()
    assert "not kept" not in figures.training(fake_tree()).axes[-1].get_xlabel()
