import json

import numpy as np
import xarray as xr

from statphys_flows.report.summary import summary
from statphys_flows.report.tables import warnings
from tests.report.fake import fake_tree


def test_says_what_was_run_and_what_came_out():
    text = summary(fake_tree())
    for expected in (
        "ContinuumPhi4(sites=50, a=0.1, field=0.0, discretisation=trapezoid)",
        "seed     3",
        "-293.93(29)",  # log Z
        "8.8180(98)",  # F
        "kink_count",  # the system's own observable
        "R-hat",
        "compiling 24.0 s, training 2.1 min, sampling 32.0 s",
        "jax 0.10.2",
        "kT = 0.03: forward ESS 0.11 is below 0.2",
    ):
        assert expected in text


def test_a_scanned_field_has_its_values_and_not_the_one_that_the_system_had():
    tree = fake_tree()
    configuration = json.loads(tree.attrs["configuration"])
    tree.attrs["configuration"] = json.dumps(configuration | {"scan": {"a": [0.2, 0.3, 0.4], "field": [1.5]}})
    assert "a=3 values from 0.2 to 0.4, field=1.5" in summary(tree)


def test_one_row_for_each_temperature_in_every_table():
    rows = [line.split()[0] for line in summary(fake_tree(kT=[0.25, 0.75])).splitlines() if line.strip()]
    assert rows.count("0.25") == rows.count("0.75") == 3


def test_fits_a_terminal():
    tables = [line for line in summary(fake_tree()).splitlines() if "(" in line and line.split()[0][:1].isdigit()]
    assert tables
    assert max(map(len, tables)) <= 80


def test_warnings_name_their_temperature():
    assert warnings(fake_tree()) == ["kT = 0.03: forward ESS 0.11 is below 0.2: errors of log Z may be too small"]


def test_warnings_of_the_scan_as_a_whole_follow():
    tree = fake_tree(kT=[1.0, 2.0])
    said = {"warning": ("kT", ["", "log Z of this point differs"])}
    tree["consistency"] = xr.DataTree(xr.Dataset(said, {"kT": [1.0, 2.0]}))
    assert warnings(tree)[-1] == "kT = 2: log Z of this point differs"


def test_no_warnings_of_nothing():
    assert warnings(None) == warnings(xr.DataTree()) == []


def test_values_that_are_not_known_are_dashes():
    tree = fake_tree(kT=[1.0, 2.0])
    tree["thermodynamics"]["energy"].values[0] = np.nan
    tree["thermodynamics"]["energy_err"].values[1] = np.nan
    first, second = (line.split() for line in summary(tree).splitlines()[6:8])
    assert first[0] == "1"
    assert first[3] == "-"
    assert second[3] == "52"


def test_each_group_may_be_missing():
    for name in fake_tree().children:
        tree = fake_tree()
        del tree[name]
        assert summary(tree)
    assert summary(xr.DataTree()) is not None


def test_a_broken_configuration_does_not_hide_the_numbers():
    tree = fake_tree()
    tree.attrs["configuration"] = "{"
    assert "-293.93(29)" in summary(tree)


def test_a_long_list_of_options_is_wrapped():
    tree = fake_tree()
    options = ", ".join(f'"option_{i}": {i}' for i in range(30))
    tree.attrs["configuration"] = f'{{"sampler": {{{options}}}}}'
    assert max(map(len, summary(tree).splitlines())) < 120
