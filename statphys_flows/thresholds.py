"""Every threshold by which the library judges a number, each with its reason.

A line says what is compared with it, and what it costs: the false-alarm rate of an alarm (how often it sounds where
nothing is wrong), or the work that a decision saves. Nothing is imported here, so that every other file may use it.
"""

# Two densities whose overlap (`analysis.overlap`, 1 if equal) is less have no reliable difference of log Z (Klimovich,
# Shirts & Mobley, 2015). A warning of flow and chains: no false alarms are known, for lognormal weights with a forward
# ESS of 2% overlap by 0.45; what it adds is the flow that lies within a small part of the target, where that ESS is
# near 1. In scans a link below it is not used: MBAR knows less there than each point by itself.
LEAST_OVERLAP = 0.03
