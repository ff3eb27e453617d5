"""A potential from a plain function."""

from collections.abc import Callable

import equinox as eqx

from statphys_flows.systems.potentials.potential import Potential


class UserPotential(Potential):
    """W(r) = function(r), for a function that is already at hand.

    For parameters that are to be scanned, subclass `Potential` and write them as fields.

    **Arguments:**

    - `function`: displacement of shape (d,), nearest image → scalar, even, written with `jax.numpy`. It should not see
      the seam at half the box: periodic, or as good as zero there.
    - `cutoff`: the distance from which on the function is 0, if there is one; refused if it is beyond half the box.
    - `diameter`: of a core at whose centre W is infinite, if there is one.
    """

    function: Callable = eqx.field(static=True)
    cutoff: float | None = None
    diameter: float | None = None

    def __call__(self, r):
        return self.function(r)

    def reach(self):
        return self.cutoff

    def core(self):
        return self.diameter
