"""Every threshold by which the library judges a number, each with its reason.

A line says what is compared with it, and what it costs: the false-alarm rate of an alarm (how often it sounds where
nothing is wrong), or the work that a decision saves. Nothing is imported here, so that every other file may use it.
"""

# p below which a drift common to all chains is told: false alarms at one point in 200, whatever the number of
# quantities looked at (Bonferroni). At one in 1000 a drift that puts means of 128 chains of 100 draws 7 errors off is
# told in 69% of runs instead of 83%, and no test of that level does better than about 84%.
DRIFT = 5e-3
# Chains below which a t test of this level sees next to nothing: of 8 it takes 5 standard errors, of 4 eleven.
CHAINS_FOR_DRIFT = 8
# Correlation between the means of both halves of the chains from which on chains are said to stay where they are: that
# of stationary chains of 1.6 correlation times. Below, they are said to be short; of 3.3 correlation times and 128
# chains one in 500 is taken for the other.
CHAIN_MEMORY = 0.6
# Gap between two estimates of log Z, in its own errors, beyond which the error of log Z holds it, in quadrature. By
# chance it adds 0.5% of the gap's variance on average, which no pull would show.
LOG_Z_GAP = 3.0
