"""A number with its error."""

from typing import NamedTuple


class Estimate(NamedTuple):
    """`value` ± `error`: value ± 1.96 error should cover the truth 95% of the time, like a standard error.

    An error of NaN means that none could be estimated; inf means that the data do not bound it.
    """

    value: float
    error: float
