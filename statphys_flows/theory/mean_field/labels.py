"""Units and names of what mean-field theory returns."""

import xarray as xr

# name: (units, long name, formula)
_LABELS = {
    "kT": ("energy", "temperature kT", ""),
    "free_energy": ("energy", "mean-field free energy per particle", "1/2 int int W rho rho + kT int rho log rho"),
    "energy": ("energy", "mean-field energy per particle", "1/2 int int W rho rho"),
    "relative_entropy": ("1", "relative entropy per particle", "int rho log rho, rho relative to the uniform density"),
    "order_parameter": ("1", "order parameter m", "first Fourier mode of the density, root mean square over the axes"),
    "curvature": ("energy", "smallest eigenvalue of the second variation", "kT + rho^1/2 W rho^1/2, no translations"),
    "stable": ("1", "whether the state is stable", "curvature > 0"),
    "density": ("1", "density relative to the uniform one", "rho ~ exp(-W rho/kT)"),
    "mean_field": ("energy", "mean field", "int W(x-y) rho(y) dy"),
    "field": ("1", "field that holds the order parameter", "lambda in rho ~ exp(-W rho/kT + lambda phi)"),
    "gas_spinodal": ("energy", "spinodal kT of the gas", "-min_k W_k; NaN if nothing attracts"),
    "spinodal": ("energy", "spinodal kT of the condensed branch", "where kT(m) is largest"),
    "transition": ("energy", "transition temperature kT", "where branch and gas have equal free energy, or meet"),
    "latent_energy": ("energy", "latent energy per particle", "energy of the gas minus that of the branch"),
    "transition_order_parameter": ("1", "order parameter of the branch at the transition", "int phi rho"),
    "transition_relative_entropy": ("1", "relative entropy of the branch at the transition", "int rho log rho"),
    "order": ("", "order of the transition", "first, continuous, secondary (out of another branch) or none"),
    "branch_kT": ("energy", "temperature kT along the branch", "as a function of its order parameter"),
    "branch_order_parameter": ("1", "order parameter along the branch", "int phi rho"),
    "branch_free_energy": ("energy", "free energy per particle along the branch", "relative to the gas at that kT"),
    "branch_energy": ("energy", "energy per particle along the branch", "relative to the gas"),
    "branch_relative_entropy": ("1", "relative entropy per particle along the branch", "int rho log rho"),
    "branch": ("", "branch of states", ""),
    **{axis: ("length", f"position {axis}", "") for axis in ("x", "y", "z")},
}


def describe(dataset: xr.Dataset) -> xr.Dataset:
    """`dataset` with `units`, `long_name` and, for formulas, `comment` on everything."""
    for name, variable in dataset.variables.items():
        units, text, formula = _LABELS.get(str(name), ("1", str(name), ""))
        variable.attrs |= {"units": units, "long_name": text}
        if formula:
            variable.attrs["comment"] = formula
    return dataset
