"""The result says how log Z was estimated: at every point, and of all together."""

import json

import jax.numpy as jnp
import numpy as np
import pytest

import statphys_flows as sf
from statphys_flows import thresholds
from statphys_flows.analysis import Estimate
from statphys_flows.sampling import Sampled, Sampler
from tests.analysis.harmonic_study import study as harmonic


class Spring(sf.System):
    space = sf.Euclidean(1, extent=1.0)

    def energy(self, x):
        return 0.5 * jnp.sum(x**2)


class Exact(Sampler):
    """Local moves, and the log Z of a spring, known beforehand."""

    by: str = "by quadrature"
    chains: int = 16
    draws: int = 20

    def run(self, system, kT, key, **options) -> Sampled:
        found = sf.LocalMCMC(chains=16, draws=20, warm_up=20).run(system, kT, key, **options)
        return found._replace(log_z=Estimate(0.5 * np.log(2 * np.pi * kT), 0.01), log_z_by=self.by)

    def pieces(self, system):
        return 12


def run(kT, sampler):
    return sf.run_study(Spring(), kT, sampler=sampler, progress=False)


def comment(tree):
    found = tree["thermodynamics"].to_dataset() if hasattr(tree, "children") else tree
    return found["log_z"].attrs["comment"]


LOCAL = sf.LocalMCMC(chains=16, draws=20, warm_up=20)


@pytest.fixture(scope="module")
def exact():
    return run([0.5, 0.7], Exact())


def test_of_one_sampler(exact, tmp_path):
    assert comment(exact) == "by quadrature"
    assert set(exact["diagnostics"]["log_z_method"].values) == {"by quadrature"}
    exact.to_netcdf(tmp_path / "exact.nc")
    assert comment(sf.load(tmp_path / "exact.nc")) == "by quadrature"
    assert comment(sf.reweight(exact, kT=0.6)).endswith("each by quadrature")


def test_of_a_sampler_that_knows_no_log_z_or_does_not_say():
    local = run([0.5, 0.7], LOCAL)
    assert comment(local) == "not estimated by LocalMCMC"
    assert comment(sf.reweight(local, kT=0.6)).startswith("not known, since no point has a log Z of its own")
    assert comment(run(0.5, Exact(by=""))) == "by Exact, which does not say how"


def test_of_points_by_several_samplers(exact, tmp_path):
    both = sf.concat(exact, run([0.6], Exact(by="by a look at a table")))
    expected = "by quadrature (at kT = 0.5; kT = 0.7); by a look at a table (at kT = 0.6)"
    assert comment(both) == expected
    assert expected in comment(sf.reweight(both, kT=0.55))
    # What was put together is taken apart again, and put together with something else.
    three = sf.concat(both, run([1.0], LOCAL))
    assert comment(three) == f"{expected}; not estimated by LocalMCMC (at kT = 1)"
    part = sf.concat(both.sel(kT=[0.6]), run([1.0], Exact(by="by a look at a table")))
    assert comment(part) == "by a look at a table"
    sf.validate(three)


def test_points_that_were_added(exact):
    wider = sf.Study(Spring(), [0.5, 0.7], sampler=Exact()).extend(exact, kT=[0.6], progress=False)
    assert comment(wider) == "by quadrature"


def test_of_a_tree_that_does_not_say():
    assert "not said how" in comment(sf.reweight(harmonic(), kT=0.6))


def test_the_thresholds_that_the_library_judged_by_are_in_the_result(exact):
    known = json.loads(exact.attrs["thresholds"])
    assert set(known) == {name for name in vars(thresholds) if name.isupper()}
    assert known["LEAST_OVERLAP"] == thresholds.LEAST_OVERLAP
    assert tuple(known["MISLEADING_RISE"]) == thresholds.MISLEADING_RISE
    assert "thresholds" not in exact.attrs["configuration"]
