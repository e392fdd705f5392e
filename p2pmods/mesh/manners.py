"""How much this node gives: without a cap on a wire, with one on Wi-Fi, and nothing from a weak battery or where the
connection is paid by the byte."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import trio

from p2pmods.mesh.interfaces import POWER, supplies, word
from p2pmods.mesh.kinds import Kind
from p2pmods.mesh.metered import is_metered

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from p2pmods.config.values import UploadLimit
    from p2pmods.mesh.policy import SharingPolicy

WIFI_RATE: Final = 50e6 / 8  # bytes a second: everybody on it shares the air
WEAK: Final = 50  # per cent of a battery that is being emptied
EVERY: Final = 30.0  # seconds between looks at the battery and the connection


class Manners:
    """Keeps `policy` in step with the battery and the connection; `metered` is the user's word on the latter, None
    without one. `on_change` is called when giving begins or ends."""

    def __init__(
        self, limit: UploadLimit, metered: bool | None, policy: SharingPolicy, on_change: Callable[[], None]
    ) -> None:
        self._limit = limit
        self._metered = metered
        self._policy = policy
        self._on_change = on_change
        self._moved = trio.Event()

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            self._moved = trio.Event()
            await self.look()
            with trio.move_on_after(EVERY):
                await self._moved.wait()

    def moved(self) -> None:
        """The network changed: look at once."""
        self._moved.set()

    async def look(self) -> None:
        """At the battery and the connection, now."""
        metered = await is_metered() if self._metered is None else self._metered
        before = self._policy.gives
        self._policy.is_metered = bool(metered)
        self._policy.reluctance = why_not_give(self._limit, battery(), metered=bool(metered))
        if self._policy.gives != before:
            self._on_change()


def upload_rate(limit: UploadLimit, kinds: frozenset[Kind]) -> float | None:
    """Bytes a second, None for no cap. What the user said goes before what the network is."""
    if not limit.is_automatic:
        return limit.rate
    return WIFI_RATE if Kind.WIFI in kinds and Kind.WIRED not in kinds else None


def why_not_give(limit: UploadLimit, charge: int | None, *, metered: bool) -> str | None:
    """Why nothing is to be given now; None when there is no reason. `charge`: see battery."""
    if not limit.is_automatic:
        return None
    if metered:
        return "the connection is metered"
    if charge is not None and charge < WEAK:
        return f"the battery is at {charge} %"
    return None


def battery(power: Path = POWER) -> int | None:
    """Per cent that are left in the battery that the machine runs on; None on mains, or where it is not told."""
    emptied = [place for place in supplies(power) or () if word(place / "status") == "Discharging"]
    charges = [int(text) for place in emptied if (text := word(place / "capacity")).isdigit()]
    return max(charges, default=None)
