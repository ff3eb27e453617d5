# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # From a Hamiltonian to a figure
#
# We write down a double well, compute its free energy at three temperatures, and compare it with an integral that
# NumPy can do. Then we do the same for a field with 24 degrees of freedom, for which no grid is possible. You need
# NumPy and a little xarray. Each part takes about half a minute on two cores. Most of that is compilation, which
# happens once.
#
# Open this file as a notebook with Jupytext, or run it: `python tutorials/from_hamiltonian_to_figure.py`. As a
# script it writes its figures only if you name a folder for them: `FIGURES=figures python tutorials/...`.

# %%
import os
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

import statphys_flows as sf


def finish(figure, name):
    """Save the figure if asked, and show it if there is a display."""
    if folder := os.environ.get("FIGURES"):
        Path(folder).mkdir(parents=True, exist_ok=True)
        figure.savefig(Path(folder) / f"{name}.png", dpi=120)
    if plt.get_backend().lower() != "agg":
        plt.show()
    plt.close(figure)


# %% [markdown]
# ## Your own system
#
# A system is a class with a `space` and an `energy`. Annotated fields are its parameters. `energy` takes one
# configuration, here an array of two numbers, and returns one number. Arithmetic works as in NumPy. For functions write
# `jax.numpy` instead of `numpy`, because the energy will be differentiated and compiled.


# %%
class DoubleWell(sf.System):
    """U(x) = barrier (x0² - 1)² + tilt x0 + x1²/2."""

    barrier: float = 8.0
    tilt: float = 0.1
    space = sf.Euclidean(2)

    def energy(self, x):
        return self.barrier * (x[0] ** 2 - 1) ** 2 + self.tilt * x[0] + 0.5 * x[1] ** 2

    def order_parameter(self, x):
        return x[0]


system = DoubleWell()
print("U at the two wells and on the barrier:", [float(system.energy(np.array([x, 0.0]))) for x in (-1.0, 1.0, 0.0)])

# %% [markdown]
# Look at it first. At kT = 0.5 the barrier is 16 kT high. A chain of local moves would stay in one well for millions of
# steps, and would not find the relative weight of the two wells, which the tilt determines.

# %%
x0, x1 = np.linspace(-1.8, 1.8, 181), np.linspace(-3, 3, 121)
energy = system.energy(np.array(np.meshgrid(x0, x1)))
figure, axes = plt.subplots(figsize=(5, 3.2), layout="constrained")
contours = axes.contourf(x0, x1, np.minimum(energy, 16), levels=16)
figure.colorbar(contours, label="U, cut at 16")
axes.set(xlabel="$x_0$", ylabel="$x_1$", title="The energy")
finish(figure, "energy")

# %% [markdown]
# ## Run it
#
# `FlowMCMC` contains the options of the sampler. The defaults are for real work; these are smaller, to be quick.
# Temperatures are run from the hottest down, and each starts from the trained flow of the one before.

# %%
quick = sf.FlowMCMC(chains=64, rounds=sf.Rounds(most=5, train_steps=100, buffer=4096, good_enough=0.5))
result = sf.run_study(system, kT=[0.5, 1.0, 2.0], sampler=quick, seed=0)
print(result)

# %% [markdown]
# The result is a tree of xarray datasets. `thermodynamics` has one number for each temperature, with its error.

# %%
thermodynamics = result["thermodynamics"].to_dataset()
print(thermodynamics[["log_z", "log_z_err", "free_energy", "energy", "heat_capacity"]].to_dataframe())

# %% [markdown]
# ## Is it right?
#
# In two dimensions the integral Z = ∫ exp(-U/kT) dx can be computed on a grid. Compare, in units of the stated error:
# two numbers out of three should be below 1, and about one in twenty above 2.

# %%
x0, x1 = np.linspace(-4, 4, 1601), np.linspace(-15, 15, 1601)
cell = (x0[1] - x0[0]) * (x1[1] - x1[0])
grid_energy = system.energy(np.array(np.meshgrid(x0, x1)))
exact = np.array([np.log(np.sum(np.exp(-grid_energy / kT)) * cell) for kT in thermodynamics["kT"].values])
off = (thermodynamics["log_z"] - exact) / thermodynamics["log_z_err"]
for kT, z, error, e, o in zip(
    thermodynamics["kT"].values,
    thermodynamics["log_z"].values,
    thermodynamics["log_z_err"].values,
    exact,
    off.values,
    strict=True,
):
    print(f"kT = {kT:g}: log Z = {z:.4f} ± {error:.4f}, by quadrature {e:.4f}: off by {o:+.1f} errors")
assert np.all(np.abs(off) < 5)

# %% [markdown]
# Without a grid, the result must be checked by other means. log Z is estimated in three ways that fail differently:
# from the flow's proposals, from the chains' states, and from both. `warning` is empty if nothing looks wrong.
# `assumption` says what was taken for granted: no number shows a mode that neither flow nor chains have reached.

# %%
diagnostics = result["diagnostics"].to_dataset()
print(diagnostics[["log_z_importance", "log_z_reverse", "log_z_bar"]].to_dataframe())
print(diagnostics[["ess_forward", "ess_reverse", "global_acceptance_rate", "r_hat"]].to_dataframe())
print("warnings:", [w for w in diagnostics["warning"].values if w] or "none")
print("assumed:", diagnostics["assumption"].values[0])

# %% [markdown]
# `ess_forward` and `ess_reverse` say how close the flow is to the Boltzmann weight: they are 1 if it is equal.
# `global_acceptance_rate` says how often its proposals are accepted. Each of them may lead to the other well.
#
# ## The figure
#
# The left panel shows the free energy with its error bars. The right panel shows the free energy along the order
# parameter, with the two wells and their tilt.

# %%
figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.4), layout="constrained")
kT = thermodynamics["kT"]
left.errorbar(kT, thermodynamics["free_energy"], 1.96 * thermodynamics["free_energy_err"], fmt="o", label="sampled")
left.plot(kT, -kT * exact, "k_", ms=14, label="quadrature")
left.set(xlabel="kT", ylabel="free energy F")
left.legend()
profiles = result["profiles"].to_dataset()
for t in profiles["kT"].values:
    one = profiles.sel(kT=t)
    value, error = one["free_energy"] - one["free_energy"].min(), 1.96 * one["free_energy_err"]
    right.fill_between(one["order_parameter_bin"], value - error, value + error, alpha=0.3)
    right.plot(one["order_parameter_bin"], value, label=f"kT = {t:g}")
right.set(xlabel="$x_0$", ylabel="F($x_0$) - min F")
right.legend()
finish(figure, "double_well")

# %% [markdown]
# Bins without any draw are empty: the data only say that their free energy is high.
#
# ## Save it and read it back
#
# One NetCDF file contains everything: draws, log weights, the configuration, versions and the seed.

# %%
result.to_netcdf("double_well.nc")
again = sf.load("double_well.nc")
assert again.identical(result)
print(sf.summary(again))

# %% [markdown]
# `run_study(..., out="double_well.nc")` writes the same file, and keeps each finished temperature on disk while it
# runs, so that `resume=True` can continue after an interruption.
#
# # A field
#
# The φ⁴ field on an interval, zero at both ends: $E = \int_0^1 [\frac a2 |\phi'|^2 + \frac1{4a}(1-\phi^2)^2]\,ds$.
# At low temperature it is near +1 or near -1, with a barrier in between. The system declares these two states, and half
# of the chains start in each. The observable `positive_midpoint` tells in which of them a configuration is.

# %%
field = sf.ContinuumPhi4(sites=24)
wells = field.known_states()
print("Energy of the two wells:", [float(field.energy(w)) for w in wells])
print("and of φ = 0:", float(field.energy(0 * wells[0])))
phi4 = sf.run_study(field, kT=[0.2, 0.5], sampler=quick, seed=0)
of_phi4 = phi4["thermodynamics"].to_dataset()
print(of_phi4[["log_z", "log_z_err"]].to_dataframe())
print(of_phi4[["order_parameter_abs", "positive_midpoint", "positive_midpoint_err"]].to_dataframe())

# %% [markdown]
# By symmetry `positive_midpoint` is ½. This is a test: the result is right only if the chains have moved back and
# forth. The acceptance of the flow's proposals says how often they did.

# %%
of_field = phi4["diagnostics"].to_dataset()
print(of_field[["global_acceptance_rate", "ess_forward", "r_hat"]].to_dataframe())
print("warnings:", [w for w in of_field["warning"].values if w] or "none")
half_off = (of_phi4["positive_midpoint"] - 0.5) / of_phi4["positive_midpoint_err"]
assert np.all(np.abs(half_off) < 5)

# %% [markdown]
# Draws are in `posterior`, with named axes: `phi` has `chain`, `draw` and `site`, and `s` is the position.

# %%
figure, axes = plt.subplots(1, 3, figsize=(11, 3.3), layout="constrained")
posterior = phi4["posterior"].to_dataset()
for panel, t in zip(axes, posterior["kT"].values, strict=False):
    paths = posterior["phi"].sel(kT=t).isel(draw=-1, chain=slice(0, None, 6))
    panel.plot(posterior["s"], paths.transpose("site", "chain"), lw=0.8)
    panel.set(xlabel="s", ylabel="φ(s)", title=f"kT = {t:g}", ylim=(-2.2, 2.2))
profiles = phi4["profiles"].to_dataset()
for t in profiles["kT"].values:
    one = profiles.sel(kT=t)
    value, error = (one["free_energy"] - one["free_energy"].min()) / t, 1.96 * one["free_energy_err"] / t
    axes[2].fill_between(one["order_parameter_bin"], value - error, value + error, alpha=0.3)
    axes[2].plot(one["order_parameter_bin"], value, label=f"kT = {t:g}")
axes[2].set(xlabel="m = ∫φ ds", ylabel="(F(m) - min F)/kT", ylim=(-0.2, 6))
axes[2].legend()
finish(figure, "field")

# %% [markdown]
# ## Exercise
#
# A field h tilts the two wells: `sf.ContinuumPhi4(sites=24, field=0.1)`.
#
# 1. Run it at kT = 0.2. How far is `positive_midpoint` from ½ now? Half of the walkers still start in each well.
# 2. To first order in h, log Z does not change and ⟨m⟩ = h χ, with χ the `susceptibility` at h = 0, which you have.
#    Does `order_parameter` agree within its error? From which h on does it not?
# 3. Lower the temperature to 0.05 and use the default sampler. What happens to `ess_forward`, and to which of the three
#    log Z?
