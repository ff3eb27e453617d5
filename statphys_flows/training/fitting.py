"""Which objective fits a flow."""

from statphys_flows.errors import StudyError
from statphys_flows.flows import Proposal
from statphys_flows.training.objectives.interpolant import Interpolant
from statphys_flows.training.objectives.likelihood import MaximumLikelihood
from statphys_flows.training.objectives.objective import Objective
from statphys_flows.training.objectives.paths import Linear
from statphys_flows.training.objectives.score import DenoisingScore


def fitting_objective(flow: Proposal, given: Objective | None = None) -> Objective | None:
    """The objective by which a flow learns from samples: the `given` one, or that of its recipe; None if there are only
    its weights to learn.

    **Raises:** `StudyError` for an objective of the velocity where the flow has none."""
    suited = flow.recipe.objective
    if suited == "weights":
        return None
    if given is not None:
        if not (given.solves_map or flow.follows_ode):
            name = type(given).__name__
            raise StudyError(
                f"Rounds(objective={name}()) trains continuous flows, but this system has a {type(flow).__name__}; "
                "leave objective out, or write MaximumLikelihood() or ReverseKL()."
            )
        return given
    # On a torus no point is the centre from which a trigonometric path could turn; a geodesic needs none.
    objectives = {
        "interpolant": Interpolant,
        "linear interpolant": lambda: Interpolant(Linear()),
        "score": DenoisingScore,
        "likelihood": MaximumLikelihood,
    }
    return objectives[suited]()
