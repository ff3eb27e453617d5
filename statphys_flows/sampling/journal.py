"""Where a sampler saves its progress at one point, so that a run that was killed can continue from there."""

from collections.abc import Callable
from typing import Any


class Journal:
    """Forgets everything: the journal of a run that saves nothing.

    A sampler is a pure function: whatever a journal lacks is computed again. A sampler saves what took long to compute,
    under names of its own: letters, digits and underscores. None of the methods is traced.

    **To write your own**, subclass and provide `save` and `load`; what cannot be written or read counts as not saved.
    """

    def save(self, name: str, state: Any) -> None:
        """Save a pytree of arrays, in place of what was saved under this name before. Writing may be delayed."""

    def load(self, name: str, like: Callable[[], Any]) -> Any:
        """What was saved under a name, in the structure of `like()`, whose arrays may be `jax.ShapeDtypeStruct`; None
        if nothing was."""
        return None

    def recall(self, name: str, compute: Callable[[], Any], like: Callable[[], Any]) -> Any:
        """What was saved; if nothing was, the result of `compute()`, which is then saved unless it is None."""
        found = self.load(name, like)
        if found is None and (found := compute()) is not None:
            self.save(name, found)
        return found


NOWHERE = Journal()
