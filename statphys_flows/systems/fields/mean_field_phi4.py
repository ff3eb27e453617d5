"""Mean-field φ⁴: a transition whose finite-size behaviour is known exactly."""

import equinox as eqx
import numpy as np

from statphys_flows.numbers import check_real, whole
from statphys_flows.systems.fields.mean_field_sites import MeanFieldSites


class MeanFieldPhi4(MeanFieldSites):
    r"""$$U(\phi) = \sum_i \Big[\frac{\phi_i^4}4 - \frac{\phi_i^2}2 - h\,\phi_i\Big]
    - \frac{J}{2N} \Big(\sum_i \phi_i\Big)^2,$$

    N double wells, each coupled equally to every other, i = j included (Desai & Zwanzig, J. Stat. Phys. 19 (1978) 1).
    At h = 0 there is a continuous transition of the mean-field class, for J = 1 at kT_c = 1.0580195, where J⟨φ²⟩ = kT
    in the single-site distribution exp(-V/kT). With the auxiliary field of (Σφ)²,

    $$Z = \Big(\frac{N}{2\pi\beta J}\Big)^{1/2} \int da\; e^{-N a^2/2\beta J}
    \Big[\int d\phi\; e^{-\beta V(\phi) + a\phi}\Big]^N,$$

    so two quadratures give every quantity exactly, at any N.

    **Arguments:**

    - `n`: N.
    - `coupling`: J > 0.
    - `field`: h.

    **Raises:** `StudyError` for J ≤ 0, or an N that is not a positive integer.

    The order parameter is m, the mean of φ. `susceptibility` in a result is (⟨m²⟩ - ⟨m⟩²)/kT. The susceptibility with a
    factor N, d⟨m⟩/dh = N (⟨m²⟩ - ⟨m⟩²)/kT, is N times that.
    """

    n: int = eqx.field(static=True, converter=whole)
    coupling: float = 1.0
    field: float = 0.0

    def __check_init__(self):
        _ = self.space  # refuses an invalid number of sites
        advice = "the sites must attract each other; give J > 0, for example coupling=1.0"
        check_real("MeanFieldPhi4(coupling", self.coupling, positive=True, advice=advice)
        check_real("MeanFieldPhi4(field", self.field)

    def site_energy(self, phi):
        return 0.25 * phi**4 - 0.5 * phi**2 - self.field * phi

    def symmetries(self):
        even = bool(np.all(np.asarray(self.field) == 0))
        return frozenset({"lattice", "permutation", "sign"} if even else {"lattice", "permutation"})
