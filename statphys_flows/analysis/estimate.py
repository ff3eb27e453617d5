"""A number with its error."""

from typing import NamedTuple


class Estimate(NamedTuple):
    """`value` ± `error`: value ± 1.96 error claims to cover the truth 95% of the time, as a standard error would.

    An error of NaN says that none could be estimated, inf that the data do not bound it.
    """

    value: float
    error: float
