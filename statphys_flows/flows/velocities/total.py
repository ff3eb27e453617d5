"""A velocity that is the sum of others."""

from statphys_flows.flows.velocities.velocity import Velocity


class TotalVelocity(Velocity):
    """v = Σ v_part; its divergence is the sum of theirs.

    **Arguments:**

    - `parts`: velocities of one space, at least one.
    """

    parts: tuple[Velocity, ...]

    def __call__(self, t, x):
        velocities, divergences = zip(*(part(t, x) for part in self.parts), strict=True)
        return sum(velocities[1:], velocities[0]), sum(divergences[1:], divergences[0])

    def adopt(self, trained: "TotalVelocity") -> "TotalVelocity":
        parts = zip(self.parts, trained.parts, strict=True)
        return TotalVelocity(tuple(own.adopt(other) for own, other in parts))
