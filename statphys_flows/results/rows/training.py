"""Figures of the phase that does not count: `training`. Those that `diagnostics` has too stand there."""

from statphys_flows.results import variable as v
from statphys_flows.results.variable import Variable

_GROUP = ("training",)
_OF_A_FLOW = (v.FLOW,)

ROWS = (
    Variable("loss", _GROUP, "1", "training loss", comment="per degree of freedom", given_by=_OF_A_FLOW),
    Variable(
        "global_acceptance",
        _GROUP,
        "1",
        "global acceptance",
        comment="mean acceptance probability of the flow's proposals",
        given_by=_OF_A_FLOW,
    ),
    Variable(
        "local_acceptance",
        _GROUP,
        "1",
        "local acceptance",
        comment="mean acceptance probability of the local moves",
        given_by=(v.FLOW, v.LOCAL),
    ),
    Variable("rejected", _GROUP, "1", "training steps rejected so far", given_by=_OF_A_FLOW),
    Variable(
        "evaluations",
        _GROUP,
        "1",
        "evaluations of the energy, and of the velocity or a layer of the flow, so far",
        given_by=_OF_A_FLOW,
    ),
    Variable(
        "solver_error",
        _GROUP,
        "1",
        "largest error of log q",
        "|log q(forward) - log q(reverse)|",
        "over a few draws; a round in which it is above 0.05 does not count",
        given_by=_OF_A_FLOW,
    ),
    Variable(
        "candidate",
        _GROUP,
        "",
        "name of the candidate flow that the round trained",
        comment="`diagnostics/candidate` says which was kept",
        given_by=_OF_A_FLOW,
    ),
    Variable(
        "inverse_temperature",
        _GROUP,
        "1",
        "level of tempering",
        comment="from 0, the reference, to 1, the target; of samplers that temper, instead of the rest",
        given_by=(v.SMC, v.TEMPERING),
    ),
)
