"""How a proposal is best trained, in words that `training` turns into objectives."""

from typing import Literal, NamedTuple

# What a proposal learns: the velocity of an interpolant, along a path that turns about a centre or straight ("linear"),
# the score of a noising process, the density of samples, or only the weights of a mixture.
Suited = Literal["interpolant", "linear interpolant", "score", "likelihood", "weights"]


class Recipe(NamedTuple):
    """How a proposal is best trained.

    - `objective`: what it learns from samples.
    - `learning_rate`: as a multiple of the usual one.
    - `polishes`: whether reverse KL improves it on every space; if not, the space decides.
    - `polishes_cheaply`: whether a step of reverse KL costs about as much as any other. It costs many times more where
      an ODE solver is differentiated.
    """

    objective: Suited
    learning_rate: float = 1.0
    polishes: bool = False
    polishes_cheaply: bool = False


WEIGHTS_ALONE = Recipe("weights")
