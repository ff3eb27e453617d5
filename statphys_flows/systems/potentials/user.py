"""A potential from a plain function."""

from collections.abc import Callable

import equinox as eqx

from statphys_flows.errors import StudyError
from statphys_flows.numbers import check_real
from statphys_flows.systems.potentials.potential import Potential


class UserPotential(Potential):
    """W(r) = function(r), for a function that you already have.

    To scan parameters of the potential, subclass `Potential` and write them as fields.

    **Arguments:**

    - `function`: displacement of shape (d,), nearest image → scalar, even, written with `jax.numpy`. At half the box,
      where the nearest image changes, a jump of its value is refused, and a jump of its slope gives a warning: the
      function should be periodic, or 0 from there on (see `PairParticles`).
    - `cutoff`: the distance beyond which the function is 0, if there is one. It is refused if it is beyond half the
      box, or if the function is not 0 there.
    - `diameter`: the diameter of a core at whose centre W is infinite, if there is one.
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
