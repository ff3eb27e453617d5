"""Every threshold by which the library judges a number, each with its reason.

A line says what is compared with it, and what it costs: the false-alarm rate of an alarm (how often it sounds where
nothing is wrong), or the work that a decision saves. Nothing is imported here, so that every other file may use it.
"""

# Transitions (analysis/transitions).
# By how many errors of a difference one of two numbers is above the other: by chance once in 740.
CLEAR = 3.0
# kT: a dip this deep between two phases is no fluctuation of a critical point, where it is 1 to 3 kT at any size.
DEEP_BARRIER = 5.0
# p of barrier ∝ N^p: 1/2 or more at first order in two dimensions or more, 0 at a critical point but for corrections.
GROWING_BARRIER = 0.1
# p of latent heat ∝ N^p: 1 at first order; below 0.75 (Curie-Weiss at its critical point) two humps of few degrees of
# freedom.
EXTENSIVE_LATENT_HEAT = 0.75
# p of N χ ∝ N^p: 1 at first order; γ/(νd) at continuous transitions, 7/8 in two dimensions, where it is highest.
POWER_OF_N = 0.95
# The same: below any continuous transition (1/2 in mean-field theory), so that what is below it has stopped growing.
FLAT_SUSCEPTIBILITY = 0.25
# kT: a dip between two peaks that is shallower is no sign of two phases; flat tops and critical points have such.
SHALLOWEST_DIP = 0.5
# kT: of a barrier with a larger error only a lower bound is said; the logarithm of a few draws is not normal.
LARGEST_BARRIER_ERROR = 1.0
# Draws in a window about a dip or a peak; of fewer the log density has an error of 1 or more anyway.
FEWEST_DRAWS_OF_A_DIP = 8.0
# Of several fits of one number, one whose error is so many times the least tells nothing of it.
TELLING_ERROR = 2.0
