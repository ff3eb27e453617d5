"""Every local kernel by name."""

import blackjax

import statphys_flows as sf


def _barker(key, state, logdensity_fn, step_size):
    return blackjax.barker.build_kernel()(key, state, logdensity_fn, step_size)


KERNELS = {
    "mala": sf.MALA(),
    "hmc": sf.HMC(steps=4),
    "nuts": sf.NUTS(max_doublings=4),
    "random_walk": sf.RandomWalk(),
    "barker_of_blackjax": sf.UserKernel(blackjax.barker.init, _barker, acceptance=0.4),
}
