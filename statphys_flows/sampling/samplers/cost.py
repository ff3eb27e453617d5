"""What a point of a flow's sampler has cost."""

from statphys_flows.flows import Proposal
from statphys_flows.sampling.adaptive.candidates import Adapted
from statphys_flows.sampling.coverage.scores import EVALUATION_DRAWS
from statphys_flows.sampling.plan import Adaptation
from statphys_flows.sampling.record import Production


def cost(
    flow: Proposal,
    adaptation: Adaptation,
    adapted: Adapted,
    production: Production,
    run_for_each: float,
    passes: int,
    spent: float,
) -> dict[str, float]:
    """Evaluations of the whole point, adaptive phase included (not the fits of the bases, nor backward passes)."""
    moves, rounds = adaptation.moves, adaptation.rounds
    steps = adapted.history["step"]
    taken = steps[-1] if len(steps) else 0
    schedule = production.schedule
    assert schedule is not None
    adaptive, frozen = adaptation.chains * rounds.draws * len(steps), run_for_each * production.energy.size
    every = int(schedule.every)
    warm_up = adaptation.start.warm_up if adapted.warm_up is None else adapted.warm_up
    local = adaptive * (1 + moves.adaptive) + adaptation.chains * warm_up
    local += run_for_each * production.evaluations.sum() - frozen * passes
    proposals = adaptive * moves.flow + frozen * passes + EVALUATION_DRAWS * len(steps) + spent
    each = flow.evaluations_per_map
    return {
        "energy_evaluations": proposals + local,
        "gradient_evaluations": local,
        "evaluations_per_draw": float(production.evaluations.mean()),
        "velocity_evaluations": (proposals + adaptive + frozen / every) * each + taken * rounds.optimiser.batch,
        "passes_per_draw": passes + 1.0 / every,
        "ode_steps": flow.solver_steps,
    }
