"""Finite-size fits of synthetic Binder cumulants: pulls of X_c, ν and U* over 40 sets of 3 and of 4 sizes.

python -m benchmarks.finite_size
"""

from collections.abc import Callable

import numpy as np

from statphys_flows.analysis.transitions.finite_size import binder_fit
from tests.helpers.scaling_sets import LAWS, Law, random_law, sample_law

SETS = 40


def pulls(label: str, law_of: Callable[[int], Law]) -> None:
    for sizes in ((8, 12, 16), (8, 12, 16, 24)):
        off = []
        for seed in range(SETS):
            law = law_of(seed)
            fit = binder_fit(*sample_law(law, sizes, seed))
            if fit is not None:
                known = {"critical": law.critical, "nu": law.nu, "binder": law.binder}
                off.append([(getattr(fit, n).value - v) / getattr(fit, n).error for n, v in known.items()])
        rms = np.sqrt(np.mean(np.square(off), axis=0))
        print(
            f"{label}, {len(sizes)} sizes, {len(off)} sets: rms pull of X_c {rms[0]:.2f}, nu {rms[1]:.2f}, U* "
            f"{rms[2]:.2f}; means {np.round(np.mean(off, axis=0), 2)}",
            flush=True,
        )


if __name__ == "__main__":
    for label, law in LAWS.items():
        pulls(label, lambda _, law=law: law)
    pulls("a law of its own for every set", random_law)
