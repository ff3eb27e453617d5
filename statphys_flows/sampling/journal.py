"""Where a sampler notes how far it has come at one point, so that a run that was killed goes on from there."""

from collections.abc import Callable
from typing import Any


class Journal:
    """Forgets everything: what a sampler writes to where nothing is to be kept.

    A sampler is a pure function, so that what was noted may be left out at any place, and is computed again. It notes
    what takes long, under names of its own: letters, digits and underscores. None of the methods is traced.

    **To write your own**, subclass and provide `save` and `load`; what cannot be written or read counts as not noted.
    """

    def save(self, name: str, state: Any) -> None:
        """Note a pytree of arrays, in place of what was noted under this name before. It may be put off."""

    def load(self, name: str, like: Callable[[], Any]) -> Any:
        """What was noted under a name, in the structure of `like()`, whose arrays may be `jax.ShapeDtypeStruct`; None
        where nothing was."""
        return None

    def recall(self, name: str, compute: Callable[[], Any], like: Callable[[], Any]) -> Any:
        """What was noted, or else what `compute()` gives, which is then noted unless it is None."""
        found = self.load(name, like)
        if found is None and (found := compute()) is not None:
            self.save(name, found)
        return found


NOWHERE = Journal()
