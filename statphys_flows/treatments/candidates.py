"""Candidate flows, by name."""

from collections.abc import Callable, Sequence
from typing import overload

from statphys_flows.errors import StudyError
from statphys_flows.flows import Proposal, transfer


class Candidates(Sequence[Proposal]):
    """Flows to try in turn, safest first, each with a name: `Candidates({"gaussians": build, ...})`.

    A flow is built when it is accessed: the first is often good enough, and building the others takes seconds.
    """

    def __init__(self, builders: dict[str, Callable[[], Proposal]]):
        self._builders = dict(builders)

    @property
    def names(self) -> tuple[str, ...]:
        """One for each flow, in order. Results and the next point of a scan refer to a candidate by its name."""
        return tuple(self._builders)

    def __len__(self):
        return len(self._builders)

    @overload
    def __getitem__(self, index: int) -> Proposal: ...

    @overload
    def __getitem__(self, index: slice) -> "Candidates": ...

    def __getitem__(self, index):
        chosen = self.names[index]
        if isinstance(index, slice):
            return Candidates({name: self._builders[name] for name in chosen})
        return self._builders[chosen]()

    def adopt(self, trained: Proposal) -> tuple[str, Proposal]:
        """The name of the first flow that can take over what `trained` has learnt elsewhere, and this flow with it
        (`flows.transfer`).

        **Raises:** `StudyError` if none can, with the reason of each."""
        reasons = []
        for name, flow in zip(self.names, self, strict=True):
            try:
                return name, transfer(trained, flow)
            except StudyError as reason:
                reasons.append(f"{name}: {reason}")
        raise StudyError("; ".join(reasons))
