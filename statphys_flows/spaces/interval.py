"""Fields on an interval, zero at both ends."""

from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from statphys_flows.errors import StudyError
from statphys_flows.numbers import check_real, is_count, real, whole
from statphys_flows.spaces.space import Space


class Interval(Space):
    """A field φ(s) on an interval at equally spaced interior sites, with Dirichlet ends φ = 0.

    Site i = 1, …, N is at s = i·spacing; the ends i = 0 and i = N + 1 are not stored. Z integrates over ∏ᵢ dφᵢ.

    **Arguments:**

    - `sites`: N, at least 1.
    - `spacing`: the lattice spacing; 1/(N + 1) if not given, which makes the interval [0, 1].

    **Raises:** `StudyError` for fewer than one site or a spacing that is not positive.
    """

    symmetry_names: ClassVar[tuple[str, ...]] = ("sign", "reflection")
    reaches_infinity: ClassVar[bool] = True
    sites: int = eqx.field(static=True)
    spacing: float = eqx.field(static=True)

    def __init__(self, sites: int, spacing: float | None = None):
        if not is_count(sites):
            raise StudyError(
                f"sites={sites!r}: an interval needs an integer number of interior sites, at least 1; "
                "write for example sites=100."
            )
        self.sites = whole(sites)
        self.spacing = 1.0 / (self.sites + 1) if spacing is None else real(spacing)
        advice = "the lattice spacing must be a positive number"
        check_real("Interval(spacing", self.spacing, positive=True, advice=advice)

    @property
    def shape(self) -> tuple[int, ...]:
        return (self.sites,)

    @property
    def variable(self) -> str:
        return "phi"

    @property
    def dims(self) -> tuple[str, ...]:
        return ("site",)

    @property
    def measure(self) -> str:
        return "product of d(phi_i) over the interior sites"

    def coords(self) -> dict[str, tuple[str, np.ndarray]]:
        sites = np.arange(1, self.sites + 1)
        return {"site": ("site", sites), "s": ("site", sites * self.spacing)}

    def cover(self, key, n):
        # Half sine waves of either sign: smooth, zero at the ends, and in every region of the amplitude.
        profile = jnp.sin(jnp.pi * jnp.arange(1, self.sites + 1) / (self.sites + 1))
        return jax.random.normal(key, (n, 1)) * profile
