"""What putting points together adds."""

import numpy as np
import xarray as xr

import statphys_flows as sf
from statphys_flows.study.assemble import assemble
from statphys_flows.study.scan import Scan


def test_the_profile_says_that_it_is_no_log_z():
    m = np.random.default_rng(0).normal(size=(1, 16, 50))
    dims = ("kT", "chain", "draw")
    stats = xr.Dataset({"order_parameter": (dims, m), "energy": (dims, m**2)}, {"kT": [1.0]})
    empty = xr.Dataset(coords={"kT": [1.0]})
    names = ("thermodynamics", "posterior", "training", "diagnostics")
    point = xr.DataTree.from_dict({**dict.fromkeys(names, empty), "sample_stats": stats})
    profiles = assemble({"kT_1.0": point}, Scan(1.0), sf.ContinuumPhi4(sites=4))["profiles"]
    for name in ("free_energy", "free_energy_err"):
        assert profiles[name].attrs["comment"].startswith("-kT log p(m)")
        assert profiles[name].attrs["long_name"].endswith("free energy")
