"""What the scan says as a whole: `consistency` and `transitions`. Names and words are those of the analysis, which
makes these groups and labels them itself, so that they can be had of any tree."""

from statphys_flows.analysis.pooling.consistency import ABOUT, WARNING
from statphys_flows.analysis.transitions.labels import COLUMNS
from statphys_flows.results.variable import Variable

ROWS = (
    *(
        Variable(name, ("consistency",), "1", long_name, comment=comment, error=True)
        for name, (long_name, comment) in ABOUT.items()
    ),
    Variable("warning", ("consistency",), "", WARNING),
    *(
        Variable(name, ("transitions",), each.units, each.long_name, comment=each.comment, error=each.is_estimate)
        for name, each in COLUMNS.items()
    ),
    Variable("<parameter>", ("transitions",), "own", "<parameter>", comment="of every other parameter of the scan"),
)
