"""Observables on the torus: ideal gas, lattices, clusters, labels."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import xarray as xr

import statphys_flows as sf
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


def label(values):
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
    x = label(RNG.uniform(size=(2, 5, 6, 2)))
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


@pytest.mark.parametrize("n", [2, 40, 300])
@pytest.mark.parametrize("lengths", [(2.0,), (1.0, 1.5), (1.0, 0.5, 2.0)])
def test_what_is_counted_in_a_run_is_what_stored_draws_say(n, lengths, x64):
    """In any image; 300 particles row by row."""
    d = len(lengths)
    x = RNG.uniform(-3, 3, size=(3, n, d)) * lengths
    # Half of the particles in a knot, so that clusters have all sizes.
    x[:, : n // 2] = np.asarray(lengths) + 0.1 * RNG.normal(size=(3, n // 2, d)) * lengths
    distance = 0.4 * min(lengths) * n ** (-1 / d)

    def count(function):
        return np.asarray(jax.jit(jax.vmap(function))(jnp.asarray(x)))

    index = (-1, 2, 1)[:d]
    amplitude = np.abs(np.exp(2j * np.pi * (x @ (np.asarray(index) / lengths))).mean(axis=-1))
    np.testing.assert_allclose(count(sf.DensityModeAt(index, lengths)), amplitude, atol=1e-12)
    np.testing.assert_allclose(count(sf.StructureFactorAt(index, lengths)), n * amplitude**2, atol=1e-12)
    edges = [0.0, 0.1 * min(lengths), 0.5 * min(lengths)]
    stored = np.stack([pair_correlation(one, lengths, edges) for one in x])
    for i, (low, high) in enumerate(itertools.pairwise(edges)):
        np.testing.assert_allclose(count(sf.PairCorrelationAt(low, high, lengths)), stored[:, i], rtol=1e-12)
    largest = cluster_fraction(x, lengths, distance)
    assert n == 2 or np.unique(largest).size > 1
    np.testing.assert_allclose(count(sf.LargestCluster(distance, lengths)), largest, rtol=1e-12)


def test_a_chain_of_particles_is_one_cluster():
    """In whatever order they are numbered: labels have the whole chain to go along."""
    x = jnp.asarray(RNG.permutation(np.linspace(0.0, 0.9, 64)))[:, None]
    assert sf.LargestCluster(0.02, 1.0)(x) == 1.0
    assert sf.LargestCluster(0.01, 1.0)(x) == 1 / 64


def test_a_gas_is_asked_for_them_in_a_study():
    """No file of the library is touched; the ideal gas has S(k) = 1 and g(r) = 1."""
    gas = sf.PairParticles(sf.UserPotential(lambda r: 0.0 * jnp.sum(r)), n=6, dimension=2)
    asked = sf.WithObservables(
        gas,
        {
            "structure_factor_10": sf.StructureFactorAt((1, 0), 1.0),
            "pair_correlation_near": sf.PairCorrelationAt(0.0, 0.3, 1.0),
            "largest_cluster": sf.LargestCluster(0.1, 1.0),
        },
    )
    sampler = sf.LocalMCMC(sf.RandomWalk(), chains=64, draws=100, warm_up=40, moves=4)
    result = sf.run_study(asked, kT=1.0, sampler=sampler, progress=False)
    found = result["thermodynamics"].to_dataset().isel(kT=0)
    for name in ("structure_factor_10", "pair_correlation_near"):
        assert abs(float(found[name]) - 1) < 4.5 * float(found[f"{name}_err"]) < 0.5
    stored = cluster_fraction(result["posterior"]["x"].isel(kT=0), 1.0, 0.1)
    every = result["sample_stats"]["largest_cluster"].isel(kT=0).sel(draw=stored["draw"])
    np.testing.assert_allclose(every, stored, rtol=1e-6)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: sf.DensityModeAt((0, 0), 1.0), "not all of them 0"),
        (lambda: sf.DensityModeAt(1, 1.0), "one integer for each axis"),
        (lambda: sf.StructureFactorAt((1.5, 0), 1.0), "one integer for each axis"),
        (lambda: sf.StructureFactorAt((1, 0), -1.0), "positive length"),
        (lambda: sf.StructureFactorAt((1, 0, 0), 1.0)(jnp.zeros((4, 2))), "has 3 axes, but a configuration has shape"),
        (lambda: sf.LargestCluster(0.1, (1.0, 1.0, 1.0))(jnp.zeros((4, 2))), r"a configuration has shape \(4, 2\)"),
        (lambda: sf.LargestCluster(0.6, 1.0), "at most half the shortest side of the box, 0.5"),
        (lambda: sf.LargestCluster("0.1", 1.0), "give a positive distance"),
        (lambda: sf.PairCorrelationAt(0.3, 0.2, 1.0), "the smaller one first"),
        (lambda: sf.PairCorrelationAt(0.3, 0.6, 1.0), "at most half the shortest side of the box, 0.5"),
        (lambda: sf.PairCorrelationAt(0.1, 0.2, 1.0)(jnp.zeros((1, 2))), "at least two particles"),
    ],
)
def test_what_cannot_be_counted_is_refused(call, words):
    with pytest.raises(StudyError, match=words):
        call()


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
