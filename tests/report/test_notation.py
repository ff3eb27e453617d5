import math

import pytest

from statphys_flows.report.notation import duration, with_error


@pytest.mark.parametrize(
    ("value", "error", "text"),
    [
        (-197.35021, 0.00144, "-197.3502(14)"),
        (0.649248, 0.012, "0.649(12)"),
        (0.01, 0.0999, "0.01(10)"),
        (12.34, 0.98, "12.34(98)"),
        (12.34, 0.996, "12.3(1.0)"),
        (12.3, 4.5, "12.3(4.5)"),
        (12.3, 9.96, "12(10)"),
        (1234.0, 45.0, "1234(45)"),
        (12345.0, 1450.0, "12300(1400)"),
        (0.0, 0.001, "0.0000(10)"),
        (1.234e-5, 1.2e-7, "1.234(12)e-05"),
        (2.5e8, 1e6, "2.500(10)e+08"),
        (1.0, math.nan, "1"),
        (1.0, math.inf, "1(inf)"),
        (2.5, 0.0, "2.5"),
        (math.nan, 0.1, "-"),
    ],
)
def test_with_error(value, error, text):
    assert with_error(value, error) == text


@pytest.mark.parametrize(("seconds", "text"), [(1.26, "1.3 s"), (192, "3.2 min"), (7200, "2.0 h"), (math.nan, "-")])
def test_duration(seconds, text):
    assert duration(seconds) == text
