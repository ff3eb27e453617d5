"""The attributes of a result's root."""

from typing import NamedTuple


class Attribute(NamedTuple):
    """`always`: whether every result has it."""

    name: str
    text: str
    always: bool = True


ATTRIBUTES = (
    Attribute("title", "system and number of temperatures"),
    Attribute(
        "configuration",
        "everything that decides the numbers, as JSON: system with its parameters and a hash of its source, `kT`, "
        "`seed`, sampler, precision; and in `programs` hashes of energy, order parameter, observables, known states, "
        "base and reference as JAX traces them, with every array that they use",
    ),
    Attribute("seed", "of all random numbers"),
    Attribute("versions", "of Python and the packages, as JSON"),
    Attribute(
        "thresholds",
        "by which the library judged (when a flow is good enough, when a warning is due), as JSON: name and value, as "
        "in `statphys_flows/thresholds.py`, where the reasons stand",
    ),
    Attribute("device", "platform, number and kind of devices"),
    Attribute("measure", "what Z integrates over"),
    Attribute(
        "energy_convention",
        "factors and self-terms of U that others may define differently, in words; empty if there are none",
    ),
    Attribute("sites", "number of sites, particles or components"),
    Attribute(
        "strategy",
        "how the flows of the scan were trained: `conditional`, one for all points, or `neighbours`; both where points "
        "were added that were trained differently",
    ),
    Attribute(
        "goal",
        "the `precision` that was asked for, the largest errors by name, and `most_draws`, as JSON; what each point "
        "reached stands beside its numbers, and what ended it in `diagnostics/stopped_by`",
        always=False,
    ),
    Attribute("history", "when and by what it was written"),
    Attribute("Conventions", "CF"),
    Attribute("no_transitions", "why there is no group `transitions`, where there is none", always=False),
    Attribute("joined", "of `sf.concat`: the configurations of both results, as JSON", always=False),
    Attribute(
        "transfer",
        "of `sf.run_size_study`: 1 if each size started from a flow of the size before where it could, 0 if not",
        always=False,
    ),
    Attribute("size", "of each result in `sf.run_size_study`", always=False),
)
# Those that hold JSON.
JSON = ("configuration", "goal", "versions", "thresholds")
