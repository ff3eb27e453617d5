"""The interpolant's quadratic loss against maximum likelihood through the ODE: same velocity, same start, same data.

    python -m benchmarks.interpolant_against_likelihood [--figure docs/interpolant_against_likelihood.png]

Checkerboard, two moons (a network on a Gaussian base) and the φ⁴ field on an interval (N = 32, a = 0.1, β = 20;
`PathVelocity` on both bases of `flows_for`; exact draws by the transfer operator). Each objective uses the best of the
rates 3e-3, 1e-2 and 2e-2, found on other seeds, and three runs, with all its steps, half of them and an eighth: a
cosine schedule is best at its end, so a shorter one reaches its best value sooner. The runs take turns, so that other
load on the machine affects all of them.

Held-out NLL uses the exact divergence and 16 solver steps, twice the 8 that the likelihood is trained with. (With 4 it
learns to exploit them: its loss falls below any entropy, and the true likelihood falls with it.) Only evaluations count
in which log q forwards and backwards agree to 0.1 over 256 draws; the others leave a gap in the curve. Seconds are
those of training, without compilation (by a discarded chunk before the clock starts) and without evaluations. "To
reach" is the first evaluation, in any run, at or below the worse of the two objectives' best values plus 0.01 nats; the
time for plus 0.05 is shown too.
"""

import argparse
import time
from collections.abc import Iterator
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from benchmarks.density_estimation import Toy, checkerboard, two_moons
from statphys_flows import ContinuousFlow, ContinuumPhi4, Gaussian, Interpolant, MaximumLikelihood, Optimiser
from statphys_flows.flows import NetworkVelocity
from statphys_flows.flows.flow import make_strongly_typed, round_trip_error
from statphys_flows.training import FitState, Linear, Objective, Trigonometric, fit
from statphys_flows.treatments import flows_for

SITES, WIDTH, BETA = 32, 0.1, 20.0
MARGINS = (0.01, 0.05)  # nats
EVALUATIONS = 16
SCHEDULES = (1.0, 0.5, 0.125)
SOLVER_STEPS = 8
_TRAINING, _HELD_OUT = 20000, 2048
_TOLERANCE = 0.1  # of log q in an evaluation
_BLUE, _ORANGE, _INK = "#20639b", "#d1661c", "#333333"


class Case(NamedTuple):
    """The start of both objectives, and the number of steps and the rate of each. `exact` is the held-out NLL of the
    target itself."""

    name: str
    flow: ContinuousFlow
    samples: jax.Array
    exact: float
    interpolant: Interpolant
    steps: dict[str, int]
    rates: dict[str, float]


class Curve(NamedTuple):
    """Seconds of training; held-out NLL after them, NaN if the solver is not accurate, and the error of log q."""

    seconds: np.ndarray
    nll: np.ndarray
    errors: np.ndarray
    compile_seconds: float


def toy(name: str, made: Toy, key, seed: int) -> Case:
    x = made.sample(np.random.default_rng([seed, len(name)]), _TRAINING + _HELD_OUT)
    mean, covariance = x[:_TRAINING].mean(axis=0), np.cov(x[:_TRAINING].T)
    velocity = NetworkVelocity(key, 2, location=mean, scale=np.sqrt(np.diag(covariance)))
    return Case(
        name,
        ContinuousFlow(Gaussian(mean, np.linalg.cholesky(covariance)), velocity),
        jnp.asarray(x, jnp.float32),
        made.entropy,
        Interpolant(Linear()),
        steps={"interpolant": 25600, "likelihood": 512},
        rates={"interpolant": 2e-2, "likelihood": 2e-2},
    )


def phi4(key, seed: int) -> list[Case]:
    system = ContinuumPhi4(sites=SITES, a=WIDTH)
    x, nll = exact_paths(np.random.default_rng(seed), _TRAINING + _HELD_OUT)
    return [
        Case(
            f"φ⁴, {base}",
            flow,
            jnp.asarray(x, jnp.float32),
            float(nll[_TRAINING:].mean()),
            Interpolant(Trigonometric()),
            steps={"interpolant": 5120, "likelihood": 256},
            rates={"interpolant": rate, "likelihood": 2e-2},
        )
        for (base, rate), flow in zip(
            (("bridge", 1e-2), ("wells", 3e-3)), flows_for(system, kT=1 / BETA, key=key), strict=True
        )
    ]


def exact_paths(rng: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Independent draws (n, SITES) of the φ⁴ field, and -log p of each, (n,).

    The weight is a product over links. Integration from the left end gives, at each site, the weight of everything to
    its left. Then every site is drawn given its neighbour, from the right end inwards. The grid has 20 points per width
    of a link. Within a cell the density is constant, which changes the variance of a draw by 2e-4 of the link's.
    """
    spacing = 1 / (SITES + 1)
    stiffness = BETA * WIDTH / spacing
    grid = np.arange(-3, 3, 0.05 / np.sqrt(stiffness))
    step = grid[1] - grid[0]
    potential = BETA * spacing * (1 - grid**2) ** 2 / (4 * WIDTH)

    def link(phi):
        return 0.5 * stiffness * (phi[:, None] - grid) ** 2

    transfer = np.exp(-link(grid) - potential)  # to each site, with its own weight
    left = [-link(np.zeros(1))[0] - potential]
    for _ in range(SITES - 1):
        left.append(np.log(np.exp(left[-1] - left[-1].max()) @ transfer * step) + left[-1].max())
    x = np.zeros((n, SITES + 1))
    for site in reversed(range(SITES)):
        for rows in np.array_split(np.arange(n), n // 1000 + 1):
            log_p = left[site] - link(x[rows, site + 1])
            cumulative = np.cumsum(np.exp(log_p - log_p.max(axis=1, keepdims=True)), axis=1)
            below = np.sum(cumulative < (rng.uniform(size=(len(rows), 1)) * cumulative[:, -1:]), axis=1)
            x[rows, site] = grid[below] + step * (rng.uniform(size=len(rows)) - 0.5)
    x = x[:, :-1]
    last = left[-1] - 0.5 * stiffness * grid**2
    log_z = np.log(np.sum(np.exp(last - last.max())) * step) + last.max()
    energy = BETA * np.asarray(jax.vmap(ContinuumPhi4(sites=SITES, a=WIDTH).energy)(jnp.asarray(x)), float)
    return x, energy + log_z


@eqx.filter_jit
def _chunk(flow, state, objective: Objective, samples, key, steps: int, total: int, optimiser: Optimiser):
    def no_energy(x):
        return jnp.zeros((), x.dtype)

    return fit(flow, state, objective, samples, no_energy, key, steps=steps, total_steps=total, optimiser=optimiser)


@eqx.filter_jit
def _nll(flow: ContinuousFlow, x):
    return -jnp.mean(flow.log_prob(x))


def _with_steps(flow: ContinuousFlow, steps: int) -> ContinuousFlow:
    return eqx.tree_at(lambda f: f.steps, flow, jnp.asarray(steps, flow.steps.dtype))


def train_in_chunks(case: Case, objective: Objective, steps: int, rate: float, key) -> Iterator[Curve]:
    """The curve so far, after each chunk."""
    optimiser = Optimiser(learning_rate=rate)
    chunk = steps // EVALUATIONS
    flow = make_strongly_typed(_with_steps(case.flow, SOLVER_STEPS))
    state = make_strongly_typed(FitState.create(flow, optimiser))
    samples, held_out = case.samples[:_TRAINING], case.samples[_TRAINING:]

    def advance(flow, state, i):
        began = time.perf_counter()
        flow, state, _ = jax.block_until_ready(
            _chunk(flow, state, objective, samples, jax.random.fold_in(key, i), chunk, steps, optimiser)
        )
        return flow, state, time.perf_counter() - began

    first = advance(flow, state, 0)[2]
    compiling = first - advance(flow, state, 0)[2]
    seconds, nll, errors = [0.0], [], []
    for i in range(EVALUATIONS + 1):
        accurate = _with_steps(flow, 2 * SOLVER_STEPS)
        errors.append(float(round_trip_error(accurate, key, 256)))
        nll.append(float(_nll(accurate, held_out)) if errors[-1] < _TOLERANCE else np.nan)
        yield Curve(np.asarray(seconds), np.asarray(nll), np.asarray(errors), compiling)
        flow, state, took = advance(flow, state, i)
        seconds.append(seconds[-1] + took)


def compare(case: Case, key) -> dict[str, list[Curve]]:
    """For each objective a curve for each schedule; the runs take turns."""
    objectives = {"interpolant": case.interpolant, "likelihood": MaximumLikelihood()}
    runs = [
        (name, train_in_chunks(case, objective, round(part * case.steps[name]), case.rates[name], key))
        for name, objective in objectives.items()
        for part in SCHEDULES
    ]
    for _ in range(EVALUATIONS):
        for _, run in runs:
            next(run)
    found: dict[str, list[Curve]] = {name: [] for name in objectives}
    for name, run in runs:
        found[name].append(next(run))
    return found


def time_to(curves: list[Curve], nll: float) -> float:
    """Seconds to the first evaluation at or below `nll`, in the run that reaches it first."""
    return min(float(c.seconds[np.argmax(c.nll <= nll)]) if np.any(c.nll <= nll) else np.inf for c in curves)


def report(case: Case, curves: dict[str, list[Curve]]) -> float:
    """Prints a case; returns the NLL to reach."""
    best = {name: min(np.nanmin(c.nll) for c in runs) for name, runs in curves.items()}
    start = curves["likelihood"][0].nll[0]
    print(f"{case.name}: held-out NLL of the target itself {case.exact:.4f}, of the start {start:.4f}")
    for name, runs in curves.items():
        for part, run in zip(SCHEDULES, runs, strict=True):
            steps, total = round(part * case.steps[name]), run.seconds[-1]
            print(
                f"  {name:11s} {steps:5d} steps at {case.rates[name]:g}: {total:6.1f} s of training, "
                f"{1e3 * total / steps:6.2f} ms a step, {run.compile_seconds:4.1f} s of compiling; best NLL "
                f"{np.nanmin(run.nll):.4f} after {run.seconds[np.nanargmin(run.nll)]:.1f} s, last {run.nll[-1]:.4f}; "
                f"error of log q {run.errors[-1]:.0e}, {np.sum(np.isnan(run.nll))} evaluations not counted"
            )
    for margin in MARGINS:
        level = max(best.values()) + margin
        fast, slow = (time_to(curves[name], level) for name in ("interpolant", "likelihood"))
        print(
            f"  to reach {level:.4f}, {margin:g} above the worse best: interpolant {fast:.2f} s, likelihood "
            f"{slow:.2f} s; ratio 1/{slow / fast:.1f}",
            flush=True,
        )
    return max(best.values()) + MARGINS[0]


def figure_of(found: list[tuple[Case, dict[str, list[Curve]], float]]) -> Figure:
    """A panel for each set of data, both bases of φ⁴ in one; thinner lines are the shorter runs, dots "to reach"."""
    figure = Figure(figsize=(12, 4.3), layout="constrained")
    FigureCanvasAgg(figure)
    panels = [found[:1], found[1:2], found[2:]]
    titles = ["checkerboard", "two moons", f"φ⁴ on an interval, N = {SITES}, a = {WIDTH:g}, β = {BETA:g}"]
    colours = {"interpolant": _BLUE, "likelihood": _ORANGE}
    for axes, cases, title in zip(figure.subplots(1, 3), panels, titles, strict=True):
        for (_, curves, level), style in zip(cases, ("-", "--"), strict=False):
            for name, colour in colours.items():
                for run, width in zip(curves[name], (1.8, 1.0, 0.6), strict=True):
                    axes.plot(run.seconds[1:], run.nll[1:], color=colour, lw=width, ls=style)
                axes.plot(time_to(curves[name], level), level, "o", color=colour, ms=5, zorder=5)
        exact = cases[0][0].exact
        axes.axhline(exact, color=_INK, lw=0.8, ls=":")
        values = np.concatenate([run.nll[1:] for _, curves, _ in cases for runs in curves.values() for run in runs])
        top = np.nanquantile(values, 0.88)
        axes.set(xscale="log", xlabel="training time (s)", ylim=(exact - 0.04 * (top - exact), top))
        axes.set_title(title, fontsize=10, loc="left", color=_INK)
        axes.spines[["top", "right"]].set_visible(False)
    figure.axes[0].set_ylabel("held-out negative log likelihood (nats)")
    entries = {name: Line2D([], [], color=colour, lw=1.8) for name, colour in colours.items()}
    entries["φ⁴: from the bridge"] = Line2D([], [], color=_INK)
    entries["φ⁴: from the two wells"] = Line2D([], [], color=_INK, ls="--")
    entries["the target itself"] = Line2D([], [], color=_INK, lw=0.8, ls=":")
    handles = list(entries.values())
    figure.legend(handles, list(entries), loc="outside lower center", ncols=len(handles), frameon=False, fontsize=9)
    return figure


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=11)
    parser.add_argument("--figure", default="docs/interpolant_against_likelihood.png")
    arguments = parser.parse_args()
    key = jax.random.key(arguments.seed)
    cases = [
        toy("checkerboard", checkerboard(), key, arguments.seed),
        toy("two moons", two_moons(), key, arguments.seed),
        *phi4(key, arguments.seed),
    ]
    found = []
    for case in cases:
        curves = compare(case, key)
        found.append((case, curves, report(case, curves)))
    figure_of(found).savefig(arguments.figure, dpi=100)


if __name__ == "__main__":
    main()
