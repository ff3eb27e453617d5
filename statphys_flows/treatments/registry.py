"""Which treatment a space has, and the flows that follow from it."""

from jaxtyping import Array, Float, PRNGKeyArray

from statphys_flows.errors import StudyError
from statphys_flows.flows import Proposal, site_field
from statphys_flows.precision import full_precision
from statphys_flows.spaces import Space
from statphys_flows.systems import MeanFieldSites, System
from statphys_flows.treatments.candidates import Candidates
from statphys_flows.treatments.treatment import Treatment

_REGISTERED: dict[type[Space], Treatment] = {}


def register_treatment(space: type[Space], treatment: Treatment) -> None:
    """Registers `treatment` (an object) for configurations on `space` (the class), from now on.

    **Raises:** `StudyError` if one is not a class of spaces, or the other not a treatment; if the treatment lacks a
    part; if the space has a treatment already.
    """
    if not (isinstance(space, type) and issubclass(space, Space)):
        raise StudyError(f"register_treatment({space!r}, ...): give the class of a space, for example MySpace.")
    kind = treatment if isinstance(treatment, type) else type(treatment)
    if not issubclass(kind, Treatment):
        raise StudyError(
            f"register_treatment({space.__name__}, {treatment!r}): give an object of a subclass of "
            "statphys_flows.Treatment."
        )
    if "candidates" in kind.__abstractmethods__:
        raise StudyError(
            f"{kind.__name__} lacks candidates; write def candidates(self, system, kT, key, samples): return "
            "Candidates({'a name': lambda: flow})."
        )
    if kind.__abstractmethods__:
        raise StudyError(f"{kind.__name__} lacks {min(kind.__abstractmethods__)}, which is abstract; write it.")
    if space in _REGISTERED:
        raise StudyError(
            f"{space.__name__} has a treatment already, {type(_REGISTERED[space]).__name__}; give a space of your own "
            "another name, or change that treatment."
        )
    _REGISTERED[space] = kind() if isinstance(treatment, type) else treatment


def treatments_of_users() -> list[tuple[type[Space], Treatment]]:
    """Those that were registered from outside of the library, for another process to `register_treatment`."""
    return [(space, each) for space, each in _REGISTERED.items() if not space.__module__.startswith("statphys_flows.")]


def is_registered(space: type[Space]) -> bool:
    """Whether this very class has a treatment."""
    return space in _REGISTERED


def treatment_of(space: Space) -> Treatment:
    """The treatment of a space.

    **Raises:** `StudyError` if none was registered."""
    for kind in type(space).__mro__:
        if kind in _REGISTERED:
            return _REGISTERED[kind]
    name = type(space).__name__
    raise StudyError(
        f"No treatment is known for {name}: write a class of statphys_flows.Treatment with the flows that fit it, and "
        f"statphys_flows.register_treatment({name}, ...) (docs/extending)."
    )


def flow_for(
    system: System, *, kT: float, key: PRNGKeyArray, samples: Float[Array, "samples ..."] | None = None
) -> Proposal:
    """An untrained flow with the structure of `system`: the first of `flows_for`.

    - `Interval`: a `ContinuousFlow` with a `PathVelocity`, odd and reflection symmetric where the system is.
    - `Lattice`: a `ContinuousFlow` on a free field, with a `LatticeVelocity`, odd if the system is; with a
      `BoundedLatticeVelocity` if an axis is Dirichlet. Either commutes with translations along periodic axes,
      so that it fits badly if U does not.
    - `ParticleBox`: a `LatentField` where particles attract each other by Fourier modes; else a `ContinuousFlow` from
      the ideal gas, with a `DensityModeVelocity` that starts from linear response, or a `PairVelocity` for potentials
      with cores. Both commute with exchanges and translations.
    - `Euclidean`: Gaussians, one for each mode that is known or that samples show, without a map (`Untransformed`).

    `MeanFieldSites` that attract each other have a `SiteField`, whatever their space.

    **Arguments:**

    - `system`, `kT`: what the flow is for; `system.base(kT)` is used if it gives one.
    - `key`: for initial weights.
    - `samples`: configurations that chains have visited, shape (samples, *space.shape), for centre and spread.

    **Raises:** `StudyError` if the space has no treatment.
    """
    return flows_for(system, kT=kT, key=key, samples=samples)[0]


@full_precision()
def flows_for(
    system: System, *, kT: float, key: PRNGKeyArray, samples: Float[Array, "samples ..."] | None = None
) -> Candidates:
    """Candidates to try in turn, safest first, each with a name; arguments as `flow_for`.

    - `Interval`: `variational_bridge`, which covers all states; `laplace_chains`, on the Laplace approximations of the
      known states, sharper if the wells are well apart.
    - `Lattice`: `free_field`, on the one about zero that is nearest to the target; `shifted_free_field`, on one about
      another constant (and its mirror image), if that is nearer.
    - `ParticleBox`: `latent_field` if particles attract each other; with repulsions, too, `moved_latent_field`, which
      moves the particles afterwards; without attractions `ideal_gas`.
    - `Euclidean`: `gaussians`, one for each mode, without a map; `coordinate_splines`, each coordinate by itself;
      `coupling`, a spline `CouplingFlow` from these Gaussians; `broad_coupling`, the same from one broad Gaussian;
      `hierarchical_coupling` for scales that depend on each other.

    `MeanFieldSites` that attract each other have `site_field`. On an `Interval` or a `Lattice`, a
    `base` that the system gives is the only candidate, `given_base`.
    """
    system = system.unwrapped
    field = site_field(system, kT) if isinstance(system, MeanFieldSites) else None
    if field is not None:
        return Candidates({"site_field": lambda: field})
    return treatment_of(system.space).candidates(system, kT, key, samples)
