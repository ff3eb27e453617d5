"""What is recorded of every draw: `posterior` and `sample_stats`; and all coordinates."""

from statphys_flows.analysis.selection import DERIVATIVE
from statphys_flows.results import variable as v
from statphys_flows.results.variable import Variable

_BOTH, _POSTERIOR, _STATS, _COORDINATES = (
    ("posterior", "sample_stats"),
    ("posterior",),
    ("sample_stats",),
    ("coordinates",),
)
_OF_A_FLOW = (v.FLOW,)
_DRAWS = ("chain", "draw")

ROWS = (
    Variable(
        "phi",
        _POSTERIOR,
        v.ORDER,
        "field",
        comment="of fields on an `Interval` (here) or a `Lattice` (with its axes in place of `site`), in 32 bits",
        dims=(*_DRAWS, "site"),
        given_by=v.OF_THE_SPACE,
    ),
    Variable(
        "x",
        _POSTERIOR,
        "1",
        "configuration",
        comment="in `Euclidean` (here) or a `ParticleBox` (with `particle` before `component`), in place of `phi`, in "
        "32 bits",
        dims=(*_DRAWS, "component"),
        given_by=v.OF_THE_SPACE,
    ),
    Variable("lp", _STATS, "1", "log density", "-U/kT"),
    Variable("energy", _BOTH, v.ENERGY, "energy U"),
    Variable("order_parameter", _BOTH, v.ORDER, "order parameter m"),
    Variable("log_weight", _STATS, "1", "log weight of the chain's state", "-U/kT - log q", given_by=_OF_A_FLOW),
    Variable(
        "acceptance_rate",
        _STATS,
        "1",
        "local acceptance",
        comment="mean acceptance probability of the local moves; NaN in draws without local moves",
    ),
    Variable(
        "global_acceptance_rate",
        _STATS,
        "1",
        "global acceptance",
        comment="mean acceptance probability of the flow's proposals",
        given_by=_OF_A_FLOW,
    ),
    Variable(
        "is_global",
        _STATS,
        "1",
        "whether a proposal of the flow was accepted",
        comment="in this draw, 1 or 0",
        given_by=_OF_A_FLOW,
    ),
    Variable(
        f"{DERIVATIVE}<field>",
        _STATS,
        v.DERIVATIVE,
        "derivative of U by <field>",
        "dU/d(<field>)",
        "of every field that is scanned",
    ),
    Variable("<observable>", _STATS, v.OWN, "<observable>"),
    Variable(
        "proposal_log_weight",
        _STATS,
        "1",
        "log weight of every proposal of the flow",
        "-U/kT - log q",
        dims=("chain", "proposal"),
        given_by=_OF_A_FLOW,
    ),
    Variable("kT", _COORDINATES, v.ENERGY, "temperature kT", comment="in the order that they were given", dims=("kT",)),
    Variable("<field>", _COORDINATES, v.OWN, "<field>", comment="of every field that is scanned", dims=("<field>",)),
    Variable("chain", _COORDINATES, "1", "chain", comment="from 0", dims=("chain",)),
    Variable("draw", _COORDINATES, "1", "draw", comment="from 0, of the frozen phase", dims=("draw",)),
    Variable(
        "proposal",
        _COORDINATES,
        "1",
        "proposal",
        comment="a dimension without a coordinate: proposals 0 to `Moves.flow` - 1 belong to draw 0, and so on",
        dims=("proposal",),
    ),
    Variable(
        "step",
        _COORDINATES,
        "1",
        "training step",
        comment="optimiser steps taken by the end of the round",
        dims=("step",),
    ),
    Variable(
        "order_parameter_bin",
        _COORDINATES,
        v.ORDER,
        "order parameter m",
        comment="centre of the bin",
        dims=("order_parameter_bin",),
    ),
    Variable(
        "site",
        _COORDINATES,
        "1",
        "lattice site",
        comment="from 1 to N, on an `Interval`",
        dims=("site",),
        given_by=v.OF_THE_SPACE,
    ),
    Variable(
        "s",
        _COORDINATES,
        "1",
        "position along the interval",
        comment="site times spacing, on an `Interval`",
        dims=("site",),
        given_by=v.OF_THE_SPACE,
    ),
    Variable(
        "component",
        _COORDINATES,
        "1",
        "component",
        comment="from 0, in `Euclidean` and a `ParticleBox`",
        dims=("component",),
        given_by=v.OF_THE_SPACE,
    ),
    Variable(
        "particle",
        _COORDINATES,
        "1",
        "particle",
        comment="from 0, in a `ParticleBox`",
        dims=("particle",),
        given_by=v.OF_THE_SPACE,
    ),
    *(
        Variable(
            axis,
            _COORDINATES,
            "1",
            f"site along {axis}",
            comment="from 0, on a `Lattice`",
            dims=(axis,),
            given_by=v.OF_THE_SPACE,
        )
        for axis in ("x", "y", "z")
    ),
    Variable("transition", _COORDINATES, "1", "transition", comment="from 0", dims=("transition",)),
)
