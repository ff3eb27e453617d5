"""How often the intervals of a frozen proposal hold the truth where its log weight has a variance near 4."""

import jax.numpy as jnp
import numpy as np

import statphys_flows as sf
from benchmarks.ladder_report import Clock, diagnostic, estimate, ladder_in_words

DIMENSION = 32
# The proposal's variance s² in each direction: log w = const - ½ (s² - 1) z² of a normal z has the variance
# n (s² - 1)²/2 = 4.
WIDER = 1.5


class FromWider(sf.System):
    """A unit Gaussian, with a Gaussian of variance 3/2 for its proposal. log Z = (n/2) log 2π, ⟨U⟩ = n/2, and
    χ = 1/n of the mean over the components."""

    space = sf.Euclidean(DIMENSION)

    def energy(self, x):
        return 0.5 * jnp.sum(x**2)

    def base(self, kT):
        return sf.Gaussian(jnp.zeros(DIMENSION), jnp.full(DIMENSION, np.sqrt(WIDER * kT)))

    def known_states(self):
        return jnp.zeros((1, DIMENSION))


EXACT = {
    "log_z": 0.5 * DIMENSION * np.log(2 * np.pi),
    "energy": 0.5 * DIMENSION,
    "susceptibility": 1 / DIMENSION,
}


def coverage(quick: bool, seed: int) -> None:
    """With what the library chooses, and along a ladder of four levels."""
    for ladder in (None, 4):
        _coverage(quick, seed, ladder)


def _coverage(quick: bool, seed: int, ladder: int | None) -> None:
    """Nothing is trained: any score is enough, and the first candidate is the base as it is."""
    clock, seeds = Clock(), 5 if quick else 200
    rounds, levels = sf.Rounds(target_ess=0.0, good_enough=0.0), sf.Ladder(levels=ladder)
    sampler = sf.FlowMCMC(chains=32, draws=100, rounds=rounds, polish=0, ladder=levels)
    pulls: dict[str, list[float]] = {name: [] for name in EXACT}
    variances, warned = [], 0
    for own in range(seed, seed + seeds):
        result = sf.run_study(FromWider(), kT=1.0, seed=own, sampler=sampler, progress=False)
        for name, exact in EXACT.items():
            found = estimate(result, name, 1.0)
            pulls[name].append((found.value - exact) / found.error)
        weights = result["sample_stats"]["proposal_log_weight"].values
        variances.append(float(np.var(weights)))
        said = str(result["diagnostics"]["warning"].values[0])
        warned += bool(said)
        if own == seed:
            candidate = result["diagnostics"]["candidate"].values[0]
            ess = diagnostic(result, "ess_forward", 1.0)
            ladder = ladder_in_words(result, 1.0)
            print(f"candidate {candidate}, forward ESS {ess:.3f}, {ladder}; {clock():.0f} s; {said!r}", flush=True)
    print(f"variance of the log weights of proposals {np.mean(variances):.2f}; {warned} of {seeds} with a warning")
    for name, values in pulls.items():
        inside, spread = 100 * np.mean(np.abs(values) < 1.96), 100 * np.sqrt(0.0475 / seeds)
        print(
            f"{name}: {inside:.1f}% of {seeds} intervals hold the truth (95 ± {spread:.1f} expected); pulls "
            f"{np.mean(values):+.2f} ± {np.std(values):.2f}"
        )
    print(f"coverage: {clock():.0f} s in all", flush=True)
