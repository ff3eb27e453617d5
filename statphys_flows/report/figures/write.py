"""All figures of a result, as files."""

import os
from pathlib import Path

import xarray as xr
from matplotlib.figure import Figure

from statphys_flows.errors import StudyError
from statphys_flows.report.figures.configurations import configurations
from statphys_flows.report.figures.free_energy import free_energy
from statphys_flows.report.figures.log_z import log_z
from statphys_flows.report.figures.order_parameter import order_parameter
from statphys_flows.report.figures.training import training


def write_figures(tree: xr.DataTree, folder: str | Path) -> list[Path]:
    """Writes the figures that the tree has the data for into `folder`, made if missing; returns their paths."""
    folder = Path(folder)
    figures = {
        "free_energy.png": free_energy(tree),
        "order_parameter.png": order_parameter(tree),
        "training.png": training(tree),
        "configurations.png": configurations(tree),
        "log_z.png": log_z(tree),
    }
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return [_save(figure, folder / name) for name, figure in figures.items() if figure is not None]
    except OSError as error:
        raise StudyError(
            f"Cannot write figures into {folder}: {error.strerror}. Give another with --out-dir."
        ) from error


def _save(figure: Figure, path: Path) -> Path:
    """Whole or not at all."""
    partial = path.with_suffix(".partial")
    figure.savefig(partial, dpi=150, format="png")
    os.replace(partial, path)
    return path
