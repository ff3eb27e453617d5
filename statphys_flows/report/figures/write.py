"""All figures of a result, as files."""

from pathlib import Path

import xarray as xr
from matplotlib.figure import Figure

from statphys_flows.analysis.selection import over_the_scan
from statphys_flows.errors import StudyError
from statphys_flows.files import whole_file
from statphys_flows.report.figures.configurations import configurations
from statphys_flows.report.figures.free_energy import free_energy
from statphys_flows.report.figures.log_z import log_z
from statphys_flows.report.figures.order_parameter import order_parameter
from statphys_flows.report.figures.training import training
from statphys_flows.report.figures.transitions import transitions
from statphys_flows.report.groups import sizes
from statphys_flows.report.lines import lines_of


def write_figures(tree: xr.DataTree, folder: str | Path) -> list[Path]:
    """Writes the figures for which the tree has data into `folder`, made if missing; returns their paths.

    For several sizes, the figures of each size are in a separate folder `size_<n>`, beside the figure of all sizes.
    """
    folder, tree = Path(folder), over_the_scan(tree)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StudyError(
            f"Cannot write figures into {folder}: {error.strerror}. Give another with --out-dir."
        ) from error
    written = [_save(figure, folder / name) for name, figure in figures_of(tree).items()]
    for size, study in sizes(tree).items():
        written += write_figures(study, folder / f"size_{size:g}")
    return written


def figures_of(tree: xr.DataTree) -> dict[str, Figure]:
    """The figures for which the tree has data, by the names of their files; for several sizes, only that of all."""
    return {name: figure for name, figure in _figures(tree).items() if figure is not None}


def _figures(tree: xr.DataTree) -> dict[str, Figure | None]:
    lines = lines_of(tree)
    if sizes(tree):
        return {"transitions.png": transitions(tree, lines)}
    return {
        "free_energy.png": free_energy(tree, lines),
        "transitions.png": transitions(tree, lines),
        "order_parameter.png": order_parameter(tree),
        "training.png": training(tree),
        "configurations.png": configurations(tree),
        "log_z.png": log_z(tree),
    }


def _save(figure: Figure, path: Path) -> Path:
    with whole_file(path, "Make room there, or give another folder with --out-dir.") as temporary:
        figure.savefig(temporary, dpi=150, format="png")
    return path
