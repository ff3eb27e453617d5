"""Observables on the torus: ideal gas, lattices, clusters, labels."""

import numpy as np
import pytest
import xarray as xr

from statphys_flows.errors import StudyError
from statphys_flows.systems.particles.observables import (
    cluster_fraction,
    density_mode_amplitudes,
    first_modes,
    pair_correlation,
    structure_factor,
)

RNG = np.random.default_rng(7)


def square_lattice(side):
    return np.stack(np.meshgrid(np.arange(side), np.arange(side)), -1).reshape(-1, 2) / side


def labelled(values):
    return xr.DataArray(values, dims=("chain", "draw", "particle", "component"), coords={"chain": [3, 4]})


@pytest.mark.parametrize("dimension", [1, 2, 3])
def test_the_ideal_gas_has_no_structure(dimension):
    """S(k) = 1 and g(r) = 1, at every N."""
    n, draws = 12, 800
    lengths = np.asarray([1.0, 1.5, 0.8])[:dimension]
    x = RNG.uniform(size=(draws, n, dimension)) * lengths
    s = structure_factor(x, lengths, order=2)
    # |Σ e^{ikx}|²/N is exponential with mean 1 for large N; those of one shell are as good as independent.
    error = 1 / np.sqrt(draws * s["multiplicity"] / 2)
    assert np.all(np.abs(s - 1) < 5 * error)
    edges = np.linspace(0, 0.5 * lengths.min(), 6)
    g = pair_correlation(x, lengths, edges)
    ball = {1: 2.0, 2: np.pi, 3: 4 * np.pi / 3}[dimension]
    expected = draws * n * (n - 1) / 2 * ball * np.diff(edges**dimension) / np.prod(lengths)
    assert np.all(np.abs(g - 1) < 5 / np.sqrt(expected))


def test_a_lattice_has_bragg_peaks():
    x = square_lattice(4)[None, None]
    s = structure_factor(x, 1.0, order=4)
    np.testing.assert_allclose(s.sel(wave_number=8 * np.pi, method="nearest").isel(chain=0), 16, rtol=1e-10)
    np.testing.assert_allclose(s.isel(chain=0, wave_number=slice(0, 3)), 0, atol=1e-10)
    peak = pair_correlation(x, 1.0, [0.24, 0.26]).item()
    ideal = 0.5 * 16 * 15 * np.pi * (0.26**2 - 0.24**2)
    np.testing.assert_allclose(peak, 32 / ideal, rtol=1e-12)  # two bonds a site


def test_amplitudes_agree_with_those_of_a_run(x64):
    x = RNG.uniform(size=(9, 2)) * [1.0, 2.0]
    amplitudes = density_mode_amplitudes(x, (1.0, 2.0), order=2)
    k = np.stack([amplitudes["k_x"], amplitudes["k_y"]], axis=1) / (2 * np.pi) * [1.0, 2.0]
    for name, index in (("x1", (1, 0)), ("x2", (2, 0)), ("y1", (0, 1)), ("y2", (0, 2))):
        value = amplitudes.values[np.all(np.round(k) == index, axis=1)]
        np.testing.assert_allclose(first_modes(x, (1.0, 2.0))[f"density_mode_{name}"], value[0], rtol=1e-10)


def test_clusters_reach_over_the_boundary():
    x = np.asarray([[0.98, 0.5], [0.02, 0.5], [0.06, 0.5], [0.5, 0.5], [0.5, 0.53], [0.7, 0.1]])
    assert cluster_fraction(x, 1.0, 0.05).item() == 0.5
    assert cluster_fraction(x, 1.0, 0.035).item() == 2 / 6
    assert cluster_fraction(x, 1.0, 0.01).item() == 1 / 6
    assert cluster_fraction(x, 1.0, 0.5).item() == 1.0
    assert cluster_fraction(x + 17.3, 1.0, 0.05).item() == 0.5


def test_labels_are_kept():
    x = labelled(RNG.uniform(size=(2, 5, 6, 2)))
    for result, dims in (
        (cluster_fraction(x, 1.0, 0.2), ("chain", "draw")),
        (density_mode_amplitudes(x, 1.0), ("chain", "draw", "mode")),
        (structure_factor(x, 1.0), ("chain", "wave_number")),
        (pair_correlation(x, 1.0), ("chain", "distance")),
    ):
        assert result.dims == dims
        assert result["chain"].values.tolist() == [3, 4]
        assert {"units", "long_name"} <= set(result.attrs)
        assert np.all(np.isfinite(result))


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda x: pair_correlation(x, 1.0, [0.0, 0.6]), "at most half the shortest side, 0.5"),
        (lambda x: pair_correlation(x[:, :1], 1.0), "at least two particles"),
        (lambda x: cluster_fraction(x, 1.0, 0.7), "at most half the shortest side"),
        (lambda x: structure_factor(x[0, 0], 1.0), "particle, component"),
    ],
)
def test_bad_input_is_refused(call, words):
    with pytest.raises(StudyError, match=words):
        call(RNG.uniform(size=(3, 6, 2)))
