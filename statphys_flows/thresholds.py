"""Every threshold by which the library judges a number, each with its reason.

A line says what is compared with it, and what it costs: the false-alarm rate of an alarm (how often it sounds where
nothing is wrong), or the work that a decision saves. Nothing is imported here, so that every other file may use it.
"""

# Declarations
# ------------
# Of the largest value of a pair potential: a jump at half the box or at the cut-off that is refused. 32 bits make 1e-6.
JUMP_OF_A_POTENTIAL = 1e-3
# Of its steepest slope: a jump of the force at half the box that is warned of. Valid all the same, so seldom worth it.
KINK_OF_A_POTENTIAL = 1e-3
# log ∫p of a prior in standard errors, from which on it is refused as not normalised. False alarms: 2e-9 for normal
# errors, and these are: rms pulls of 0.6 to 1.1, none above 2.4, over nine laws and 20 keys (`benchmarks.priors`).
NORMALISATION_OF_A_PRIOR = 6.0
# Z is refused where U/kT rises by less than a tenth of this along a line, from 10⁴ to 10⁸ lengths; to look closely,
# less than this. No U with a Z does: exp(-U/kT) must fall faster than distances grow, by e⁹ and more.
LEAST_RISE = 5.0
# And only where it lies no more than this many kT above what is near: an energy that is cut off high up passes.
PLATEAU = 20.0
# Arrays that an energy closes over become arguments of what is compiled, from so many bytes on: below, a program that
# holds them costs less than the detour.
LARGE_CONSTANTS = 2**20

# Gaussians about a state
# -----------------------
# Eigenvalues of a scaled Hessian below this fraction of the largest are rounding: 32 bits give 1e-7 times the
# dimension.
FLAT = 1e-5
# One standard deviation from the centre U/kT rises by 1/2 where the curvature tells the width. Outside a factor of four
# of that the distance over which it does rise by 1/2 is looked for, at the cost of 200 energies for each direction.
MISLEADING_RISE = (0.125, 2.0)
# Energies rounded to more than this many kT do not tell a rise of 1/2.
ROUNDED_RISE = 0.05

# Local moves
# -----------
# The condition number of the correlations within chains from which on local moves are preconditioned by all of the
# covariance: below it that saves less than about half of them, at n² more operations for each.
CORRELATED = 10.0
# The most dimensions in which it is: a product with a matrix of 512 × 512 takes as long as many an energy.
LARGEST_DENSE = 512

# How often local moves are made
# ------------------------------
# A schedule with fewer of them has to be cheaper by this factor: they are what reaches where the flow does not go.
CHEAPER = 0.8

# log q
# -----
# The error of log q from which on a round's figures do not count: errors of 0.05 change an acceptance by 5% at most.
SOLVER_TOLERANCE = 0.05
# From here on log q is worthless, and training goes back to the best flow; below, it goes on with a finer solver.
WORTHLESS_LOG_Q = 20 * SOLVER_TOLERANCE
# Below this a solver is finer than training needs, at a third of the cost more.
FINE_LOG_Q = SOLVER_TOLERANCE / 30
# In the frozen phase log q shall be right to this, far below the spread of the log weights.
ROUND_TRIP_TOLERANCE = 1e-3
# A finer solver is taken only if the error falls below this fraction of what it was: else it is rounding.
STILL_FALLING = 0.7

# Candidate flows
# ---------------
# What a sharper flow may miss of what a safer one has found, as a fraction of the states in the buffer. Its own log Z
# would be off by about as much; the buffer holds thousands of states, so much less could not be seen.
MOST_UNCOVERED = 1e-3
# And of the held-out particles of the search, which have seen tails that few chains have.
MOST_MISSED = 1e-3
# The score from which on a flow that was trained for the whole scan is used as it is.
READY = 0.5
# The score below which a flow is not taken for what it covers: errors would be large, not small.
HOPELESS = 0.1
# The score from which on an adopted flow is polished as it is: an interpolant would undo what reverse KL has taught.
POLISHED = 0.02
# The fraction of a flow behind hard walls from which on too few batches are without such a draw for reverse KL.
TOO_MUCH_OUTSIDE = 1e-3
# Rounds have levelled off if the last two brought less than this factor: more would cost and not help.
LEVELLED_OFF = 1.02
# Training steps that may be rejected, as a fraction, before it is said: a few are what the guard is there for.
MOST_REJECTED = 0.01
# Of the largest coefficient of a pair potential's Fourier modes: a positive one above this repels. What is below is
# weighed, at the cost of some acceptance.
REPULSIVE = 1e-3
# A stage of training is given up after so many rounds or more whose best score (the smaller of two ESS) is below what
# is of any use, if the last two have not at least doubled it. Scores below the last of these are all the same: nothing.
PATIENCE, RISE, NOTHING = 4, 2.0, 1e-3
# A candidate is of no use below this score, or below a tenth of that of the flow that is there. Each further round
# would cost as much as the rounds before, for a flow that is not taken.
USELESS, USELESS_BESIDE = 0.02, 0.1

# Chains
# ------
# p below which a drift common to all chains is told: false alarms at one point in 200, whatever the number of
# quantities looked at (Bonferroni). At one in 1000 a drift that puts means of 128 chains of 100 draws 7 errors off is
# told in 69% of runs instead of 83%, and no test of that level does better than about 84%.
DRIFT = 5e-3
# Chains below which a t test of this level sees next to nothing: of 8 it takes 5 standard errors, of 4 eleven.
CHAINS_FOR_DRIFT = 8
# R-hat from which on chains are each in a place of its own: the spread of their means is √3 times that within them.
STUCK = 2.0
# Correlation between the means of both halves of the chains from which on chains are said to stay where they are: that
# of stationary chains of 1.6 correlation times. Below, they are said to be short; of 3.3 correlation times and 128
# chains one in 500 is taken for the other.
CHAIN_MEMORY = 0.6

# log Z, and what no chain has visited
# ------------------------------------
# A state is uncovered if its weight is e to this power times the median: a flow proposes it so many times too seldom,
# and a chain would be held there for as many draws. Of lognormal weights with an ESS of 0.5 none in 10⁸ is.
UNCOVERED_LOG_WEIGHT = 5.0
# Gap between two estimates of log Z, in its own errors, beyond which the error of log Z holds it, in quadrature. By
# chance it adds 0.5% of the gap's variance on average, which no pull would show.
LOG_Z_GAP = 3.0
# Of the weights at draws of the target one in so many, the largest, are capped in the reverse ESS: one rare state that
# a flow misses is for the alarms, and does not decide how good the flow is for all others.
CAPPED = 200
# Two densities whose overlap (`analysis.overlap`, 1 if equal) is less have no reliable difference of log Z (Klimovich,
# Shirts & Mobley, 2015). A warning of flow and chains: no false alarms are known, for lognormal weights with a forward
# ESS of 2% overlap by 0.45; what it adds is the flow that lies within a small part of the target, where that ESS is
# near 1. In scans a link below it is not used: MBAR knows less there than each point by itself.
LEAST_OVERLAP = 0.03
# How often `missing_mass` is more than 0 where nothing is missing, at most, over all directions that it looks at.
FALSE_ALARMS = 0.01
# A tail along a line counts as a power law if the density falls no faster than this power of the distance over a
# factor of four: what lies beyond 20 standard deviations is then 10⁻⁸ or more. Gaussians and exponentials fall faster
# there, by hundreds and by tens of powers: no false alarms.
STEEPEST_TAIL = 8.0
# Of the weight, beyond 20 standard deviations, or beyond the outermost of some thousand draws in one coordinate: Z may
# not exist. Where it does, about 1/1000 lies beyond the outermost, and an unbiased estimate is a hundred times too
# large in one case of a hundred at most.
BEYOND = 0.1

# Transitions
# -----------
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
