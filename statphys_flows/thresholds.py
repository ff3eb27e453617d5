"""Every threshold by which the library judges a number, each with its reason.

A line says what is compared with it, and what it costs: the false-alarm rate of an alarm (how often it sounds where
nothing is wrong), or the work that a decision saves. Nothing is imported here, so that every other file may use it.
"""

# A tail along a line counts as a power law if the density falls no faster than this power of the distance over a
# factor of four: what lies beyond 20 standard deviations is then 10⁻⁸ or more. Gaussians and exponentials fall faster
# there, by hundreds and by tens of powers: no false alarms.
STEEPEST_TAIL = 8.0

# Of the weight, beyond 20 standard deviations, or beyond the outermost of some thousand draws in one coordinate: Z may
# not exist. Where it does, about 1/1000 lies beyond the outermost, and an unbiased estimate is a hundred times too
# large in one case of a hundred at most.
BEYOND = 0.1

# How often `unvisited_weight` is more than 0 where nothing is missing, at most, over all directions that it looks at.
FALSE_ALARMS = 0.01

# Z is refused where U/kT rises by less than a tenth of this along a line, from 10⁴ to 10⁸ lengths; to look closely,
# less than this. No U with a Z does: exp(-U/kT) must fall faster than distances grow, by e⁹ and more.
LEAST_RISE = 5.0
# And only where it lies no more than this many kT above what is near: an energy that is cut off high up passes.
PLATEAU = 20.0
