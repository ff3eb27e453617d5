"""What a sampler says as it goes."""

from typing import Protocol


class Tick(Protocol):
    """Called with a few words, the stage first: "training, ESS 0.43". Where it is known how many pieces of work the
    stage has, `done` of them are, of so many: of at most so many where it may end before."""

    def __call__(self, stage: str, done: int = 0, of: int = 0, /) -> None: ...


def silent(*_) -> None:
    """Says nothing."""
