"""Points of ℝⁿ."""

from typing import ClassVar

import jax.numpy as jnp

from statphys_flows.bases import Base, Diagonal, Gaussian, Mixture
from statphys_flows.bases.factors import at_least_rounding
from statphys_flows.flows import Proposal, Untransformed, coordinate_splines, hierarchical_coupling, spline_coupling
from statphys_flows.spaces import Euclidean
from statphys_flows.theory.basins import basin_mixture
from statphys_flows.theory.laplace import laplace_mixture
from statphys_flows.treatments.candidates import Candidates
from statphys_flows.treatments.registry import register_treatment
from statphys_flows.treatments.treatment import Treatment

# Of the base of a `HierarchicalCoupling`: its second Gaussian's width, and share at the start.
_WIDER, _SHARE = 1.5, 0.1
# The reference is so much wider than the scale on which interesting states lie.
_REFERENCE = 2.0
# Of that scale, or of the particles' spread: local moves before anything is tuned.
_STEP = 0.1


class EuclideanTreatment(Treatment):
    """A Gaussian in each mode, as they are; coordinates each by itself; Gaussians in the modes, carried on by a spline
    `CouplingFlow`; then the same from one broad Gaussian. Every coordinate is a parameter of its own, with its own
    scale, which chains tell."""

    scales_from_chains: ClassVar[bool] = True
    candidates_from_samples: ClassVar[bool] = True
    looks_for_widening: ClassVar[bool] = True

    def candidates(self, system, kT, key, samples):
        space = system.space
        if samples is None:
            location, scale = jnp.zeros(space.shape), jnp.full(space.shape, float(space.scale))
        else:
            location, scale = _frame(samples)
        broad = Gaussian(location, scale)
        own = system.base(kT)
        base = laplace_mixture(system, kT) if own is None else own
        if base is None and samples is not None:
            base = basin_mixture(system, kT, samples)

        def couple(base: Base):
            return lambda: spline_coupling(key, base, location=location, scale=scale)

        # If some coordinates set the scale of others, U falls without end, or to a minimum far from most of the weight.
        hierarchy = {} if samples is None else {"hierarchical_coupling": lambda: _hierarchical(key, samples)}
        if base is None:
            return Candidates({**hierarchy, "broad_coupling": couple(broad)})
        first = {"gaussians": lambda: Untransformed(base)}
        if isinstance(base, Mixture) and own is None:
            # If only a few of many modes are known, only the coordinate-wise flow can reach the others.
            apart = {"coordinate_splines": lambda: coordinate_splines(broad, location=location, scale=scale)}
            return Candidates({**first, **apart, "coupling": couple(base), "broad_coupling": couple(broad)})
        return Candidates({**first, "coupling": couple(base), **hierarchy})

    def draws_anew(self, system, kT):
        # Where states are known there is a Laplace approximation, which is the same each time.
        return system.known_states() is None and system.base(kT) is None

    def reference(self, system, kT, flows):
        del kT, flows
        space = system.space
        return Gaussian(jnp.zeros(space.shape), jnp.full(space.shape, _REFERENCE * space.scale))

    def preconditioner(self, system, flows, particles):
        del flows
        if particles is not None:
            return Diagonal(_STEP * at_least_rounding(jnp.std(particles, axis=0), particles))
        return Diagonal(jnp.full(system.space.shape, _STEP * system.space.scale))

    def tempering_preconditioner(self, reference):
        del reference
        return

    def features(self, system, positions):
        """The configuration itself."""
        del system
        return positions

    def coverage_in_words(self, space):
        return f"a Gaussian about the origin on the scale of {type(space).__name__}'s extent"


def _hierarchical(key, samples) -> Proposal:
    """From a Gaussian as wide as the bulk of the samples, and with a small probability from a wider one: if flow and
    chains both leave out a tail, no weight shows it."""
    low, median, high = jnp.quantile(samples, jnp.asarray([0.16, 0.5, 0.84]), axis=0)
    scale = at_least_rounding(0.5 * (high - low), samples)
    base = Mixture([Gaussian(median, scale), Gaussian(median, _WIDER * scale)], weights=[1 - _SHARE, _SHARE])
    return hierarchical_coupling(key, base, location=median, scale=scale)


def _frame(samples):
    """Centre and spread, such that splines, which end four spreads away, reach all samples: a well that only few
    of the samples are in lies many standard deviations from the others."""
    low, high = jnp.min(samples, axis=0), jnp.max(samples, axis=0)
    scale = at_least_rounding(jnp.maximum(jnp.std(samples, axis=0), (high - low) / 7), samples)
    return jnp.clip(jnp.mean(samples, axis=0), high - 3.9 * scale, low + 3.9 * scale), scale


register_treatment(Euclidean, EuclideanTreatment())
