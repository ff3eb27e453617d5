"""Every threshold of the library, each with its reason.

A line says what is compared with it, and what it costs: the false-alarm rate of a warning (how often it is given
although nothing is wrong), or the work that a decision saves. Nothing is imported here, so that every other file may
use it.
"""

# --- Declarations ---
# Of the largest value of a pair potential: a jump at half the box or at the cut-off that is refused. 32 bits make 1e-6.
JUMP_OF_A_POTENTIAL = 1e-3
# Of its steepest slope: a jump of the force at half the box that gives a warning. Such a potential is valid, so it is
# not refused.
KINK_OF_A_POTENTIAL = 1e-3
# log ∫p of a prior in standard errors, above which it is refused as not normalised. False alarms: 2e-9 for normal
# errors, and these are: rms pulls of 0.6 to 1.1, none above 2.4, over nine laws and 20 keys (`benchmarks.priors`).
NORMALISATION_OF_A_PRIOR = 6.0
# Z is refused where U/kT rises by less than a tenth of this along a line, from 10⁴ to 10⁸ lengths; to look closely,
# less than this. No U with a Z does: exp(-U/kT) must fall faster than distances grow, by e⁹ and more.
LEAST_RISE = 5.0
# And only where it lies no more than this many kT above what is near: an energy that is cut off high up passes.
PLATEAU = 20.0
# Of the largest probed value of a potential: u(r) and u(-r) that differ by more are refused as not even. 32 bits make
# 1e-6 of a function that is written in one way or another.
ODD_PART_OF_A_POTENTIAL = 1e-4
# Overlap of a prior's draws with a Gaussian, below which nothing is said of its normalisation.
LEAST_OVERLAP_OF_A_PRIOR = 0.03
# Of a prior's draws: how many may have density 0. In 32 bits a few of many fall on the very edge; more are refused.
PRIOR_DRAWS_ON_THE_EDGE = 1e-3
# The most variables of a prior whose normalisation is checked: more leave too few draws for each.
MOST_VARIABLES_OF_A_PRIOR = 100
# An eccentricity from here on is refused: the solver of Kepler's equation is not tested there.
LARGEST_ECCENTRICITY = 0.99
# Of a turn: a planet's phase may be wrong by so much for the arithmetic is; data so far from the epoch are refused.
LARGEST_PHASE_ERROR = 2e-3
# The share of a base's draws inside hard walls, below which the bound on log Z from their mean is +inf: it would
# rest on too few.
LEAST_SHARE_INSIDE_WALLS = 0.25
# In max|Δx| of configurations of unit size: a path of an interpolant that misses one of its ends by more is refused,
# and is not linear. Rounding makes less.
MISSED_END_OF_A_PATH = 1e-3
# Rows for each variable, below which samples are refused: a Gaussian in d dimensions has d(d+3)/2 parameters, and a
# flow many more.
FEWEST_SAMPLES_PER_DIMENSION = 10
# In kT, and in rounding errors of U: an energy counts as linear in what is scanned if it deviates by less from it.
LARGEST_NONLINEARITY, ROUNDINGS_OF_AN_ENERGY = 1e-3, 16
# Arrays that an energy closes over become arguments of compiled programs if they have so many bytes or more; smaller
# ones cost less as constants of the program.
LARGE_CONSTANTS = 2**20

# --- Which of two ways is faster ---
# Sites of an interval up to which a sine transform is a matrix product: an FFT has length 2(N+1), often twice a prime.
LONGEST_INTERVAL_BY_MATRIX = 256
# The same for an axis of a lattice, on a CPU by far.
LONGEST_AXIS_BY_MATRIX = 64
# The cost of a mode for one particle in terms of a pair: few particles with many modes are summed in pairs.
COST_OF_A_MODE = 0.05
# Points of a grid beyond which a state's lowest eigenvalue is taken on a coarser one: it would take longer than the
# state.
MOST_POINTS_FOR_AN_EIGENVALUE = 8192

# --- Gaussians about a state ---
# Eigenvalues of a scaled Hessian below this fraction of the largest are rounding: 32 bits give 1e-7 times the
# dimension.
FLAT = 1e-5
# One standard deviation from the centre U/kT rises by 1/2 where the curvature tells the width. Outside a factor of four
# of that the distance over which it does rise by 1/2 is looked for, at the cost of 200 energies for each direction.
MISLEADING_RISE = (0.125, 2.0)
# Energies rounded to more than this many kT do not tell a rise of 1/2.
ROUNDED_RISE = 0.05

# --- Basins of a cloud of samples ---
# Of all samples: a minimum with fewer is not a basin of its own.
LEAST_SHARE_OF_A_BASIN = 1 / 2000
# Of all samples: where the basins hold fewer together, no mixture is made of them.
LEAST_SHARE_OF_ALL_BASINS = 0.9
# Squared standard deviations of the harmonic approximation, and kT: minima that are nearer to each other are one.
SAME_MINIMUM = 4.0
# Samples for each dimension, from which on they tell the shape of a basin. One with fewer is explored by walkers of its
# own, at the cost of 200 steps of each.
ENOUGH_SAMPLES_OF_A_BASIN = 10

# --- Mean-field theory and latent fields ---
# Order parameter below which a state is the gas.
LARGEST_ORDER_PARAMETER_OF_A_GAS = 1e-4
# Of the largest mode of W: what is smaller is rounding, and not an attraction.
NEGLIGIBLE_ATTRACTION = 1e-12
# kT: beside the gas, at m = 0.02, a branch has an excess free energy of order m⁴. One that lies lower than this below
# the gas there has not come out of it: it is called secondary.
EXCESS_BESIDE_THE_GAS = 1e-4
# A density whose highest Fourier modes are below this is resolved: in energies they meet modes of W as small.
RESOLVED_DENSITY = 1e-8
# And above this it is refused: of a potential with a kink the modes fall slowly, and the answer would be wrong to the
# eye.
COARSE_DENSITY = 1e-4
# kT: a mode enters the latent field where its energy N λ_k/2, with all particles at one point, is above this. What is
# left out is weighed, not lost.
NEGLIGIBLE_MODE_ENERGY = 5e-3
# The amplitude of a droplet in terms of its fluctuations, below which it is not a branch of its own: its centre is not
# defined, and the Gaussian about the gas covers both.
DISTINCT_FROM_UNIFORM = 4.0
# What log q of all particles together may be off by for the grid of the latent field; a finer one is taken.
COARSE_LATENT_GRID = 5e-3

# --- Local moves ---
# The condition number of the correlations within chains above which local moves are preconditioned by the full
# covariance: below it that saves less than about half of them, at n² more operations for each.
CORRELATED = 10.0
# The most dimensions in which it is: a product with a matrix of 512 × 512 takes as long as many an energy.
LARGEST_DENSE = 512

# --- How often local moves are made ---
# A schedule with fewer of them has to be cheaper than the usual one by this factor: only they reach states that the
# flow does not propose.
CHEAPER = 0.8

# --- log q ---
# The error of log q above which a round's figures do not count: errors of 0.05 change an acceptance by 5% at most.
SOLVER_TOLERANCE = 0.05
# Above this error log q is worthless, and training goes back to the best flow; below, it uses a finer solver.
WORTHLESS_LOG_Q = 20 * SOLVER_TOLERANCE
# Below this a solver is finer than training needs, at a third of the cost more.
FINE_LOG_Q = SOLVER_TOLERANCE / 30
# In the frozen phase log q must be right to this, or to this fraction of the spread of the log weights.
ROUND_TRIP_TOLERANCE = 1e-3
# A finer solver is taken only if the error falls below this fraction of what it was: else it is rounding.
STILL_FALLING = 0.7

# --- Training ---
# Mean absolute deviations above the running mean: a loss that is higher is a blow-up, not noise; the step is rejected.
BLOWN_UP_LOSS = 20.0

# --- Candidate flows ---
# What a sharper flow may miss of what a safer one has found, as a fraction of the states in the buffer. Its own log Z
# would be off by about as much; the buffer holds thousands of states, so much less could not be seen.
MOST_UNDERCOVERED = 1e-3
# And of the held-out particles of the search, which reach tails that few chains reach.
MOST_MISSED = 1e-3
# The score above which a flow that was trained for the whole scan is used unchanged.
READY = 0.5
# The score below which a flow is not taken even if it covers more: errors would be large.
HOPELESS = 0.1
# The score above which an adopted flow is polished at once: an interpolant would undo the training by reverse KL.
POLISHED = 0.02
# The fraction of a flow behind hard walls above which reverse KL has too few batches without such a draw.
TOO_MUCH_OUTSIDE = 1e-3
# Rounds have levelled off if the last two improved the flow by less than this factor: more would not help.
LEVELLED_OFF = 1.02
# The fraction of training steps that may be rejected without a warning: a few rejections are normal.
MOST_REJECTED = 0.01
# Of the largest coefficient of a pair potential's Fourier modes: a positive one above this repels. What is below is
# weighed, at the cost of some acceptance.
REPULSIVE = 1e-3
# A stage of training ends after so many rounds or more if its best score (the smaller of two ESS) is too low to be of
# use, and the last two have not at least doubled it. Scores below the last of these numbers all count as nothing.
PATIENCE, RISE, NOTHING = 4, 2.0, 1e-3
# A candidate is of no use below this score, or below a tenth of the score of the flow kept so far. Each further
# round would cost as much as the rounds before, for a flow that is not taken.
USELESS, USELESS_BESIDE = 0.02, 0.1

# --- Errors of averages ---
# Chains from which on each is one group of the jackknife; fewer are cut into so many blocks, together.
ENOUGH_CHAINS, ENOUGH_BLOCKS = 16, 32
# Draws to a block: with fewer, what is dropped at the start of a chain would matter, and data are refused as too few.
SHORTEST_BLOCK = 4
# How often independent blocks are taken to be correlated, by which the length of blocks is chosen.
UNLIKELY_IF_INDEPENDENT = 0.01
# Of the replicas of a bootstrap: a few may have no value, as where a root left the range. With more the error is NaN.
MOST_UNDEFINED_REPLICAS = 0.05
# Correlation times 2τ: shorter blocks are not independent, and a warning says that errors may be too small.
SHORTEST_BLOCK_IN_CORRELATION_TIMES = 5
# Of kT: from here on a warning says that the rounding of energies may show in their mean: at 10⁵ kT in 32 bits.
COARSE_ENERGIES = 1e-2

# --- Chains ---
# p below which a drift common to all chains is reported: false alarms at one point in 200, whatever the number of
# quantities looked at (Bonferroni). At one in 1000 a drift that puts means of 128 chains of 100 draws 7 errors off is
# reported in 69% of runs instead of 83%, and no test of that level does better than about 84%.
DRIFT = 5e-3
# Chains below which a t test of this level detects almost nothing: of 8 it takes 5 standard errors, of 4 eleven.
CHAINS_FOR_DRIFT = 8
# R-hat above which a warning says that the chains have not mixed.
LARGEST_R_HAT = 1.05
# Errors of chains by which given draws may miss ⟨(x - ⟨x⟩)·∇U⟩ = n kT: by chance of 16 chains once in 30 000.
OF_ANOTHER_ENERGY = 5.0
# Of the states: how many may rest on local moves alone, without a warning.
UNDERCOVERED_FRACTION = 2e-3
# R-hat above which chains are each in a place of its own: the spread of their means is √3 times that within them.
STUCK = 2.0
# Correlation between the means of both halves of the chains above which a warning says that chains stay where they
# are: that of stationary chains of 1.6 correlation times. Below, it says that they are short; of 3.3 correlation times
# and 128 chains one in 500 is taken for the other.
CHAIN_MEMORY = 0.6

# --- log Z, and what no chain has visited ---
# A state is undercovered if its weight is e to this power times the median: a flow proposes it so many times too
# seldom, and a chain would be held there for as many draws. Of lognormal weights with an ESS of 0.5 none in 10⁸ is. Of
# a poor flow's, whose log weights spread further, if it is so many spreads above: of lognormal weights 3 in 10⁵ are.
UNDERCOVERED_LOG_WEIGHT, UNDERCOVERED_SPREADS = 5.0, 4.0
# Gap between two estimates of log Z, in its own errors, beyond which the error of log Z includes it, in quadrature. By
# chance it adds 0.5% of the gap's variance on average, which no pull would show.
LOG_Z_GAP = 3.0
# The same, beyond which a warning says so. False alarms: for normal errors 1e-4 of the points, of two gaps each.
WARNED_LOG_Z_GAP = 4.0
# Of the weights at draws of the target one in so many, the largest, are capped in the reverse ESS: one rare state that
# a flow misses is reported by warnings, and does not decide how good the flow is for all others.
CAPPED = 200
# And what log Z may be off by beside its errors: below this the solver's own error in log q decides.
NUMERICS_OF_LOG_Z = 1e-3
# Of a point, a warning: forward ESS below which Bennett's ratio rests on a few tens of a few thousand proposals.
LEAST_FORWARD_ESS = 0.02
# Of a point, a warning: missing mass from which a mode is missing or has the wrong weight; it is 0 in 99% of points
# where nothing is missing (FALSE_ALARMS), so that this adds no false alarm.
MISSING_MASS = 0.005
# Of a point, warnings: acceptances below which modes are exchanged seldom or never, and local moves hardly move. A
# tuned step size is accepted at 0.23 and more.
LEAST_GLOBAL_ACCEPTANCE, LEAST_LOCAL_ACCEPTANCE = 0.05, 0.2
# Of a point, a warning: error of log q that shows beside errors of log Z of a hundredth.
LARGEST_LOG_Q_ERROR = 0.02
# Pareto shape of importance weights from which they have no variance, to which errors refer, and from which more draws
# hardly help (Vehtari et al., arXiv:1507.02646).
INFINITE_VARIANCE, USELESS_PARETO_SHAPE = 0.5, 0.7
# Rate at which two neighbouring levels exchange, below which a warning is due: a tour of the ladder takes its inverse
# times the number of levels.
RARE_EXCHANGE = 0.1
# Populations of SMC whose log Z spread by more than this disagree about what there is; and their averages, which weigh
# all alike though those with more of a mode have the larger Z, are off by more than a fraction of their errors.
SPREAD_OF_POPULATIONS = 0.15
# Two densities whose overlap (`analysis.overlap`, 1 if equal) is less have no reliable difference of log Z (Klimovich,
# Shirts & Mobley, 2015). A warning of flow and chains: no false alarms are known, for lognormal weights with a forward
# ESS of 2% overlap by 0.45; what it adds is the flow that lies within a small part of the target, where that ESS is
# near 1. In scans a link below it is not used: MBAR knows less there than each point by itself.
LEAST_OVERLAP = 0.03
# Two states whose overlap Σ_n w_n p_kn p_ln/min(n_k, n_l) is below this share nothing: MBAR refuses what only they
# link, since a difference of log Z would be noise.
SHARED_OVERLAP = 1e-10
# How often `missing_mass` is more than 0 where nothing is missing, at most, over all directions that it looks at.
FALSE_ALARMS = 0.01
# A tail along a line counts as a power law if the density falls no faster than this power of the distance over a
# factor of four: what lies beyond 20 standard deviations is then 10⁻⁸ or more. Gaussians and exponentials fall faster
# there, by hundreds and by tens of powers: no false alarms.
STEEPEST_TAIL = 8.0
# Of the weight, beyond 20 standard deviations, or beyond the outermost of some thousand draws in one coordinate: Z may
# not exist. Where it does, about 1/1000 lies beyond the outermost; of sixteen double wells in 32 dimensions, whose
# barriers a mean over all rays takes for valleys in one point of ten, no estimate of 200 was above 0.007.
BEYOND = 0.1
# Of the weight: how much of it may lie where neither search, flow nor chains reach, without a warning.
UNREACHED_WEIGHT = 1e-4

# --- Reweighting and consistency ---
# What the weights at a target have to be worth: draws, as a fraction of those of one point, and groups. Below, NaN.
FEWEST_DRAWS_AT_A_TARGET, FEWEST_GROUPS_AT_A_TARGET = 0.05, 8.0
# The same in a bin of a profile, in draws: from fewer, of another temperature, its weight would be that of what is
# typical there, and too small by any factor.
FEWEST_DRAWS_IN_A_BIN, FEWEST_GROUPS_IN_A_BIN = 16.0, 8.0
# Errors by which log Z, energy or heat capacity of a point may differ from what the scan says, without a warning: by
# chance in one case of 16 000, for normal errors.
LARGEST_INCONSISTENCY = 4.0
# Temperatures from which on energies are integrated over them.
FEWEST_TEMPERATURES_OF_AN_INTEGRAL = 4
# Of an error: two sums of the same numbers may differ by so much. What exceeds that of its draws by more is kept.
ROUNDING_OF_AN_ERROR = 1e-6

# --- Transitions ---
# Values of a parameter from which on a transition is looked for along it; fewer are refused.
FEWEST_POINTS_OF_A_LINE = 4
# Sizes from which on a finite-size fit, and an order of the transition, are looked for.
FEWEST_SIZES = 3
# Errors by which a maximum has to stand above both ends of the range: by chance once in 740, for each.
SIGNIFICANT_MAXIMUM = 3.0
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
# Of the density, smoothed: peaks from this share of the highest on count, and dips of this depth in kT. Both sides of a
# dip hold this share of the weight: a few draws far out have a peak of their own.
LOWEST_PEAK, LEAST_DIP, LEAST_SHARE_OF_A_PHASE = 1e-3, 0.2, 0.02
# Of the range: two values of an energy that differ by less are one.
SAME_VALUE = 1e-9
# Bins of a window in which a log density is fitted; fewer tell nothing of its shape.
FEWEST_BINS_OF_A_FIT = 12
# Weight of a fit among several below which it is left out of their average, for its time.
NEGLIGIBLE_FIT = 0.01
# Draws in a window about a dip or a peak; of fewer the log density has an error of 1 or more anyway.
FEWEST_DRAWS_OF_A_DIP = 8.0
# Of several fits of one number, one whose error is so many times the least tells nothing of it.
TELLING_ERROR = 2.0
