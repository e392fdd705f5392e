"""Who is pardoned, and for what."""

from __future__ import annotations

from typing import Any

import trio

from p2pmods.directory.strikes import Strikes
from p2pmods.mesh.blame import Blame


class Home:
    def __init__(self) -> None:
        self.pardoned: list[str] = []

    def pardon(self, node: str, *, now: float) -> None:
        assert now <= trio.current_time()
        self.pardoned.append(node)


async def test_who_is_back_is_pardoned_as_home_as_giver_and_as_fetcher() -> None:
    homes, givers, home = Strikes("me"), Strikes("me"), Home()
    given: Any = home
    blame = Blame(homes, givers, given)
    for strikes in (homes, givers):
        strikes.strike("ann", now=trio.current_time(), is_silence=True)
    blame.pardon("ann")
    assert homes.struck(now=trio.current_time()) == givers.struck(now=trio.current_time()) == frozenset()
    assert home.pardoned == ["ann"]
    blame.strike("bob")
    blame.pardon("bob")
    assert blame.is_struck("bob")
