"""Fields on an interval."""

from typing import ClassVar

import jax.numpy as jnp

from statphys_flows.flows import ContinuousFlow, PathVelocity
from statphys_flows.spaces import Interval
from statphys_flows.systems.symmetries import symmetries_of
from statphys_flows.theory.laplace import laplace_chains, variational_bridge
from statphys_flows.theory.seeding import states_of
from statphys_flows.treatments.candidates import Candidates
from statphys_flows.treatments.registry import register_treatment
from statphys_flows.treatments.treatment import Treatment


class IntervalTreatment(Treatment):
    """On the variational bridge, which covers all; then on the Laplace approximations of the known states.

    An interpolant alone brings a flow near, so that one flow can be trained for a whole scan."""

    points_of_one_flow: ClassVar[int | None] = 6

    def candidates(self, system, kT, key, samples):
        del key  # the velocity starts at zero
        own = system.base(kT)
        if own is not None:
            bases = {"given_base": own}
        else:
            bases = {"variational_bridge": variational_bridge(system, kT), "laplace_chains": laplace_chains(system, kT)}
        velocity = _velocity(system, samples)
        flows = {name: ContinuousFlow(base, velocity) for name, base in bases.items() if base is not None}
        return Candidates({name: lambda flow=flow: flow for name, flow in flows.items()})


def _velocity(system, samples) -> PathVelocity:
    space = system.space
    seen = [jnp.asarray(x) for x in (states_of(system), samples) if x is not None]
    # Four times a typical amplitude: the sines stay monotonic over what matters and bounded beyond it.
    reach = 4.0 * max([float(jnp.sqrt(jnp.mean(x**2))) for x in seen], default=1.0)
    symmetries = symmetries_of(system)
    return PathVelocity(
        space,
        10.0 / (space.spacing * (space.sites + 1)),
        even="sign" in symmetries,
        reflection="reflection" in symmetries,
        reach=reach,
    )


register_treatment(Interval, IntervalTreatment())
