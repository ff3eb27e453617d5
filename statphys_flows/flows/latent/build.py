"""The latent field of a system of particles, from its mean-field theory."""

import dataclasses
from collections.abc import Sequence

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from statphys_flows.bases import UniformTorus
from statphys_flows.errors import StudyError
from statphys_flows.flows.flow import make_strongly_typed
from statphys_flows.flows.latent.branches import Branch, DropletBranch, GasBranch
from statphys_flows.flows.latent.latent_field import LatentField
from statphys_flows.flows.latent.modes import TorusModes
from statphys_flows.flows.latent.radial import radial_branch
from statphys_flows.systems import PairParticles
from statphys_flows.theory.mean_field import mean_field_branches
from statphys_flows.thresholds import COARSE_LATENT_GRID, DISTINCT_FROM_UNIFORM, NEGLIGIBLE_MODE_ENERGY

_FIELD_DRAWS = 64
_GAP_STEPS = 60
# Points along each axis, at least and at most.
_GRIDS, _FINEST = {1: 256, 2: 64, 3: 32}, {1: 8192, 2: 512, 3: 128}
# Draws of a branch that tell the error of its grid.
_TRIED = 8


def latent_field(system: PairParticles, kT: float) -> LatentField | None:
    """A `LatentField` with branches for the gas and the droplet, as far as mean-field theory has them; None if the
    potential has no attractive Fourier modes with which to sample it.

    On a circle, if one mode orders, both phases and the states between them are one `RadialBranch`. Otherwise the gas
    is the Gaussian nearest in reverse Kullback-Leibler divergence: spreads σ_k with
    1/(N σ_k²) = 1/βλ_k - 1 + E|ρ̂_k(h)|², where E is over the Gaussian itself. The droplet is Laplace's approximation.

    **Raises:** `StudyError` if the droplet is so narrow that no grid resolves it.
    """
    lengths = system.space.lengths
    modes = system.potential.modes(lengths)
    if modes is None:
        return None
    n = system.n
    strengths = -np.asarray(modes.coefficients, float) / kT * (1 if system.scaling == "mean-field" else n)
    kept = 0.5 * n * strengths > NEGLIGIBLE_MODE_ENERGY
    if not kept.any():
        return None
    indices, strengths = np.asarray(modes.indices)[kept], strengths[kept]
    harmonics, grid = tuple(tuple(int(i) for i in m) for m in indices), _GRIDS[len(lengths)]
    while True:
        field = TorusModes(harmonics, tuple(lengths), grid)
        radial = radial_branch(field, strengths, n)
        branches = phases(system, kT, field, strengths) if radial is None else [radial]
        if n * _grid_error(field, branches) < COARSE_LATENT_GRID:
            break
        grid *= 2
        if grid > _FINEST[len(lengths)]:
            raise StudyError(
                f"{type(system).__name__}: at kT = {kT:g} the particles condense to less than a {grid // 8}th of the "
                "box, which the latent field does not resolve; raise kT."
            )
    log_volume = 0.0 if system.space.normalised else np.log(system.space.volume)
    arrays = [jnp.asarray(a, jnp.result_type(float)) for a in (strengths, np.zeros(len(branches)), log_volume)]
    base = UniformTorus.in_box(system.space)
    return make_strongly_typed(LatentField(base, field, arrays[0], tuple(branches), arrays[1], arrays[2], n))


def phases(system: PairParticles, kT: float, field: TorusModes, strengths: np.ndarray) -> list[Branch]:
    """A branch for the gas and one for the droplet, if they are phases."""
    branches: list[Branch] = []
    droplet = _droplet(system, kT, field, strengths)
    # Well below its spinodal the gas is not a phase, and a Gaussian about h = 0 has no weight.
    if droplet is None or strengths.max() < 1.1:
        spreads = _gas_spreads(field, strengths, system.n)
        branches.append(GasBranch(jnp.asarray(spreads, jnp.result_type(float))))
    if droplet is not None:
        branches.append(droplet)
    return branches


def _grid_error(field: TorusModes, branches: Sequence[Branch]) -> float:
    """The change of log ∫e^u of one particle on a grid twice as fine, for fields drawn from the branches."""
    finer = dataclasses.replace(field, grid=2 * field.grid)
    errors = []
    for branch in branches:
        for c in np.asarray(_draw(branch), complex):
            if np.all(np.isfinite(c)):
                errors.append(abs(_log_normaliser(field, c) - _log_normaliser(finer, c)))
    return max(errors, default=0.0)


@eqx.filter_jit
def _draw(branch: Branch):
    return jax.vmap(branch.sample)(jax.random.split(jax.random.key(0), _TRIED))


def _log_normaliser(field: TorusModes, c: np.ndarray) -> float:
    """`TorusModes.log_normaliser` in 64 bits."""
    u = _on_grid(field, c)
    return float(np.log(np.mean(np.exp(u - u.max()))) + u.max())


def _on_grid(field: TorusModes, c: np.ndarray) -> np.ndarray:
    indices = np.asarray(field.harmonics)
    spectrum = np.zeros((field.grid,) * indices.shape[1], complex)
    spectrum[tuple((indices % field.grid).T)] = c
    return np.sqrt(2) * np.fft.ifftn(spectrum).real * spectrum.size


def _gas_spreads(field: TorusModes, strengths: np.ndarray, n: int) -> np.ndarray:
    normal = np.random.default_rng(0).normal(size=(2, _FIELD_DRAWS // 2, field.many))
    normal = np.concatenate([normal, -normal], axis=1)
    spreads = 1 / np.sqrt(n * np.maximum(1 / strengths - 1, 0.1 / strengths))
    for _ in range(_GAP_STEPS):
        c = spreads * (normal[0] + 1j * normal[1])
        order = np.mean([np.abs(_tilt_modes(field, one)) ** 2 for one in c], axis=0)
        found = 1 / np.sqrt(n * np.maximum(1 / strengths - 1 + order, 1e-3 / strengths))
        if np.max(np.abs(found / spreads - 1)) < 1e-4:
            break
        spreads = np.sqrt(spreads * found)
    return spreads


def _droplet(system: PairParticles, kT: float, field: TorusModes, strengths: np.ndarray) -> DropletBranch | None:
    theory = mean_field_branches(system, kT)
    if "droplet" not in theory["branch"].values or not bool(theory["stable"].sel(branch="droplet")):
        return None
    density = theory["density"].sel(branch="droplet").values
    indices = np.asarray(field.harmonics)
    spectrum = np.fft.ifftn(density)  # ρ̂_k, the mean of exp(i k·x)
    c = strengths * np.sqrt(2) * np.conj(spectrum[tuple((indices % np.asarray(density.shape)).T)])
    d, n = indices.shape[1], system.n
    points = np.stack(np.meshgrid(*[np.arange(field.grid) / field.grid] * d, indexing="ij"), axis=-1).reshape(-1, d)
    waves = np.exp(2j * np.pi * points @ indices.T)
    log_weight = np.sqrt(2) * (waves @ c).real
    weight = np.exp(log_weight - log_weight.max())
    weight /= weight.sum()
    phi = np.sqrt(2) * np.concatenate([np.real(waves), -np.imag(waves)], axis=1)
    centred = phi - weight @ phi
    hessian = np.diag(np.tile(1 / strengths, 2)) - (centred * weight[:, None]).T @ centred
    moved: np.ndarray = -1j * field.wave_vectors.T * c
    translations = np.linalg.qr(np.concatenate([np.real(moved), np.imag(moved)], axis=1).T)[0]
    outside = np.eye(2 * field.many) - translations @ translations.T
    # Translations are moved to the end of the spectrum, where they do not count.
    top = 10 * np.abs(hessian).max()
    values, vectors = np.linalg.eigh(outside @ hessian @ outside + top * translations @ translations.T)
    values, vectors = values[:-d], vectors[:, :-d]
    # Near a critical point the droplet is not larger than its fluctuations: its centre is undefined, and the Gaussian
    # about h = 0 covers both phases.
    if not (values[0] > 0 and np.linalg.norm(c) > DISTINCT_FROM_UNIFORM / np.sqrt(n * values[0])):
        return None
    dtype = jnp.result_type(float)
    return DropletBranch(
        modes=field,
        profile=jnp.asarray(c, jnp.result_type(dtype, jnp.complex64)),
        directions=jnp.asarray(vectors, dtype),
        spread=jnp.asarray(1 / np.sqrt(n * values), dtype),
        translations=jnp.asarray(translations.T, dtype),
    )


def _tilt_modes(field: TorusModes, c: np.ndarray) -> np.ndarray:
    """ρ̂_k of exp(u)/∫exp(u)."""
    indices, u = np.asarray(field.harmonics), _on_grid(field, c)
    weight = np.exp(u - u.max())
    return np.fft.ifftn(weight / weight.mean())[tuple((indices % field.grid).T)]
