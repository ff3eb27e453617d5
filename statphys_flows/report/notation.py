"""Numbers formatted for people."""

import math


def with_error(value: float, error: float) -> str:
    """Value with its error in parentheses, in units of the last digit: -197.3502(14) is -197.3502 ± 0.0014.

    The error has two digits. Without an error, the value has six digits; without a value, a dash. An error without
    bound is (inf).
    """
    if not math.isfinite(value):
        return "-"
    if error == math.inf:
        return f"{value:.6g}(inf)"
    if not math.isfinite(error) or error <= 0:
        return f"{value:.6g}"
    exponent = math.floor(math.log10(max(abs(value), error)))
    if exponent >= 7 or exponent <= -4:
        return f"{_to_fixed(value / 10.0**exponent, error / 10.0**exponent)}e{exponent:+03d}"
    return _to_fixed(value, error)


def _to_fixed(value: float, error: float) -> str:
    # Rounding first: the two digits of 0.0999 are one place higher than its logarithm suggests.
    error = float(f"{error:.1e}")
    place = math.floor(math.log10(error)) - 1
    decimals = max(0, -place)
    if error < 1:
        return f"{value:.{decimals}f}({error * 10**decimals:.0f})"
    if decimals:
        return f"{value:.{decimals}f}({error:.{decimals}f})"
    return f"{round(value, -place):.0f}({round(error, -place):.0f})"


def plain(value: float, decimals: int) -> str:
    """`value` with this many decimals; "-" if it is not finite."""
    return f"{value:.{decimals}f}" if math.isfinite(value) else "-"


def duration(seconds: float) -> str:
    """Seconds in words, in minutes or hours if that is easier to read; "-" if not finite."""
    if not math.isfinite(seconds):
        return "-"
    if seconds < 100:
        return f"{seconds:.1f} s"
    if seconds < 5400:
        return f"{seconds / 60:.1f} min"
    return f"{seconds / 3600:.1f} h"
