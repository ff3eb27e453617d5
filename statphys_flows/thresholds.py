"""Every threshold by which the library judges a number, each with its reason.

A line says what is compared with it, and what it costs: the false-alarm rate of an alarm (how often it sounds where
nothing is wrong), or the work that a decision saves. Nothing is imported here, so that every other file may use it.
"""

# Of the largest value of a pair potential: a jump at half the box or at the cut-off that is refused. 32 bits make 1e-6.
JUMP_OF_A_POTENTIAL = 1e-3
# Of its steepest slope: a jump of the force at half the box that is warned of. Valid all the same, so seldom worth it.
KINK_OF_A_POTENTIAL = 1e-3
# log ∫p of a prior in standard errors, from which on it is refused as not normalised. False alarms: 2e-9 for normal
# errors, and these are: rms pulls of 0.6 to 1.1, none above 2.4, over nine laws and 20 keys (`benchmarks.priors`).
NORMALISATION_OF_A_PRIOR = 6.0
