"""What a ladder between a flow and its target says of itself; of two levels, of the flow's proposals: `diagnostics`."""

from statphys_flows.results import variable as v
from statphys_flows.results.variable import Variable

_GROUP, _OF_A_FLOW = ("diagnostics",), (v.FLOW,)

ROWS = (
    Variable(
        "log_z_mbar",
        _GROUP,
        "1",
        "log Z from all levels of the ladder together (MBAR)",
        error=True,
        given_by=_OF_A_FLOW,
    ),
    Variable(
        "ladder_barrier",
        _GROUP,
        "1",
        "barrier between the flow and its target",
        "sum of 1 - exchange rate over neighbouring levels",
        "a draw is independent after about 2 + 4 times this number of steps",
        given_by=_OF_A_FLOW,
    ),
    Variable(
        "ladder_steps",
        _GROUP,
        "1",
        "steps along the ladder between two draws",
        given_by=_OF_A_FLOW,
    ),
    Variable(
        "passes_per_draw",
        _GROUP,
        "1",
        "passes through the flow's map for each draw",
        comment="of all levels, with one for each sweep of local moves; also without a ladder",
        given_by=_OF_A_FLOW,
    ),
    Variable(
        "passes_per_independent_draw",
        _GROUP,
        "1",
        "passes through the flow's map for each independent draw",
        "passes per draw times 2 tau",
        "with tau the largest autocorrelation time",
    ),
    Variable(
        "round_trips",
        _GROUP,
        "1",
        "states that came from the flow to the target by the ladder",
        given_by=_OF_A_FLOW,
        heading="round trips",
        decimals=0,
    ),
    Variable(
        "round_trips_per_draw",
        _GROUP,
        "1",
        "the same for each draw of each chain",
        given_by=_OF_A_FLOW,
    ),
)
