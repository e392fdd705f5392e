"""A node that has just started, or changed its network, knows too few others to agree with them on homes.

It waits until its view settles.
"""

from __future__ import annotations

from typing import Final

QUIET: Final = 0.5  # seconds without a new member
LONGEST: Final = 2.0  # seconds since the start of the process


class ColdStart:
    """`may_meet` is False where there is nobody to wait for: no mesh, or `CI`. Never holds up a node that stays.

    `began` is when the node could first be met, `started` when its process did.
    """

    def __init__(self, *, started: float, began: float | None = None, may_meet: bool = True) -> None:
        self._quiet_since = started if began is None else began
        self._may_meet = may_meet
        self._latest = started + LONGEST if may_meet else started
        self._misses_all = False

    def newcomer(self, *, now: float) -> None:
        """A member was met that was not known."""
        self._quiet_since = max(self._quiet_since, now)

    def linked(self) -> None:
        """Somebody is reached, known or not."""
        self._misses_all = False

    def moved(self, *, now: float, was_alone: bool) -> None:
        """The node is in another network, where it meets everybody anew, maybe at the second try only."""
        self._quiet_since = now
        self._latest = now + LONGEST if self._may_meet else now
        self._misses_all = not was_alone

    def settled_at(self) -> float:
        """Until then nothing is claimed, nor fetched from upstream."""
        return self._latest if self._misses_all else min(self._quiet_since + QUIET, self._latest)
