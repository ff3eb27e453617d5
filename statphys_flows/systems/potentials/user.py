"""A potential from a plain function."""

from collections.abc import Callable

import equinox as eqx

from statphys_flows.errors import StudyError
from statphys_flows.numbers import check_real
from statphys_flows.systems.potentials.potential import Potential


class UserPotential(Potential):
    """W(r) = function(r), for a function that is already at hand.

    For parameters that are to be scanned, subclass `Potential` and write them as fields.

    **Arguments:**

    - `function`: displacement of shape (d,), nearest image → scalar, even, written with `jax.numpy`. At half the box,
      where the nearest image changes, a jump of its value is refused, and one of its slope is warned of: it should be
      periodic, or 0 from there on (see `PairParticles`).
    - `cutoff`: the distance from which on the function is 0, if there is one; refused if it is beyond half the box, or
      if the function is not 0 there.
    - `diameter`: of a core at whose centre W is infinite, if there is one.
    """

    function: Callable = eqx.field(static=True)
    cutoff: float | None = None
    diameter: float | None = None

    def __check_init__(self):
        if not callable(self.function):
            raise StudyError(f"UserPotential({self.function!r}): give a function of the displacement r.")
        for name in ("cutoff", "diameter"):
            if (value := getattr(self, name)) is not None:
                check_real(f"UserPotential({name}", value, positive=True, advice="a length is a positive number")

    def __call__(self, r):
        return self.function(r)

    def reach(self):
        return self.cutoff

    def core(self):
        return self.diameter
