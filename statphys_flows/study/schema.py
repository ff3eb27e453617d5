"""The variables of `diagnostics` for every sampler, which are NaN if a sampler has no such quantity; and those of
`thermodynamics` about the order parameter."""

LOG_Z = ("log_z_importance", "log_z_reverse", "log_z_bar")
OF_A_SAMPLER = (
    "overlap",
    "ess_forward",
    "ess_reverse",
    "undercoverage",
    "missing_mass",
    "largest_weight",
    "mixing_rate_bound",
    "global_acceptance_rate",
    "step_size",
    "local_moves",
    "local_every",
    "levels",
    "exchange_rate",
    "rejected_steps",
    "candidate",
    "defensive_share",
    "energy_evaluations",
    "gradient_evaluations",
    "evaluations_per_draw",
    "velocity_evaluations",
    "ode_steps",
    "log_q_round_trip_error",
    "seconds_compiling",
    "seconds_training",
    "seconds_sampling",
)
OF_THE_ORDER_PARAMETER = (
    "order_parameter",
    "order_parameter_abs",
    "susceptibility",
    "susceptibility_abs",
    "binder_cumulant",
)
