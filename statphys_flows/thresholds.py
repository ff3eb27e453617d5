"""Every threshold by which the library judges a number, each with its reason.

A line says what is compared with it, and what it costs: the false-alarm rate of an alarm (how often it sounds where
nothing is wrong), or the work that a decision saves. Nothing is imported here, so that every other file may use it.
"""

# Arrays that an energy closes over become arguments of what is compiled, from so many bytes on: below, a program that
# holds them costs less than the detour.
LARGE_CONSTANTS = 2**20
