"""φ⁴ theory on an interval with Dirichlet ends: the first example of the assisted-sampling method."""

from typing import Literal

import equinox as eqx
import jax.numpy as jnp
import numpy as np

from statphys_flows.errors import StudyError
from statphys_flows.numbers import check_real, whole
from statphys_flows.spaces import Interval
from statphys_flows.systems.system import System


class ContinuumPhi4(System):
    r"""$$E(\phi) = \int_0^1 \Big[\frac a2 |\phi'|^2 + \frac1{4a}(1-\phi^2)^2 - h\,\phi\Big] ds,
    \qquad \phi(0) = \phi(1) = 0,$$

    weight $\exp(-E/kT)$. On N interior sites, with $\phi_0 = \phi_{N+1} = 0$,

    $$E = \frac{a}{2\,ds} \sum_{i=0}^{N} (\phi_{i+1}-\phi_i)^2
        + ds \sum_{i=1}^{N} \Big[\frac{(1-\phi_i^2)^2}{4a} - h\,\phi_i\Big].$$

    There are two wells φ ≈ ±1, with a kink of energy 2√2/3 at each end. At h = 0 the system is even. It is always
    symmetric under s → 1 - s.

    **Arguments:**

    - `sites`: N.
    - `a`: width of a kink, in units of the interval.
    - `field`: h.
    - `discretisation`: `"interior"`, ds = 1/(N + 1); or `"published"`, ds = 1/N with N + 1 links, the convention of
      the published runs (Gabrié, Rotskoff, Vanden-Eijnden, arXiv:2105.12603).

    **Raises:** `StudyError` for fewer than one site, a ≤ 0, or another discretisation.
    """

    sites: int = eqx.field(static=True, default=100, converter=whole)
    a: float = 0.1
    field: float = 0.0
    discretisation: Literal["interior", "published"] = eqx.field(static=True, default="interior")

    def __check_init__(self):
        if self.discretisation not in ("interior", "published"):
            raise StudyError(
                f'discretisation={self.discretisation!r}: write "interior" (ds = 1/(N+1)) or "published" (ds = 1/N).'
            )
        advice = "the width of a kink must be a positive number, for example a=0.1"
        check_real("ContinuumPhi4(a", self.a, positive=True, advice=advice)
        check_real("ContinuumPhi4(field", self.field)
        _ = self.space  # refuses sites < 1

    @property
    def space(self) -> Interval:
        interval = Interval(self.sites)  # refuses an invalid number of sites
        return interval if self.discretisation == "interior" else Interval(self.sites, 1.0 / self.sites)

    def energy(self, phi):
        ds = self.space.spacing
        step = jnp.diff(phi, prepend=0, append=0)
        well = (1 - phi**2) ** 2 / (4 * self.a) - self.field * phi
        return self.a / (2 * ds) * jnp.sum(step**2) + ds * jnp.sum(well)

    def order_parameter(self, phi):
        """The spatial mean ∫φ ds, so that its susceptibility is the response to `field`."""
        return self.space.spacing * jnp.sum(phi)

    def observables(self, phi):
        """`positive_midpoint`: 1 if φ > 0 at the site left of the middle (i = ⌈N/2⌉), which tells the wells apart."""
        return {"positive_midpoint": jnp.asarray(phi[(self.sites - 1) // 2] > 0, phi.dtype)}

    def known_states(self):
        """The two wells, ± tanh(s/√2a) tanh((1-s)/√2a): a kink's profile at each end."""
        s = jnp.arange(1, self.sites + 1) * self.space.spacing
        length = (self.sites + 1) * self.space.spacing
        well = jnp.tanh(s / (jnp.sqrt(2.0) * self.a)) * jnp.tanh((length - s) / (jnp.sqrt(2.0) * self.a))
        return jnp.stack([well, -well])

    def symmetries(self):
        even = bool(np.all(np.asarray(self.field) == 0))
        return frozenset({"sign", "reflection"} if even else {"reflection"})
