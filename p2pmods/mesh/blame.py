"""Who is asked for nothing for a while, and who is pardoned."""

from __future__ import annotations

from typing import TYPE_CHECKING

import trio

if TYPE_CHECKING:
    from p2pmods.directory.home import LeaseHome
    from p2pmods.directory.strikes import Strikes


class Blame:
    """`homes` are struck as homes, `givers` as those who give files; `home` keeps who failed as a fetcher."""

    def __init__(self, homes: Strikes, givers: Strikes, home: LeaseHome) -> None:
        self._homes = homes
        self._givers = givers
        self._home = home

    def strike(self, node: str) -> None:
        """What this node gave was wrong: it is asked for nothing for a while."""
        for strikes in (self._givers, self._homes):
            strikes.strike(node, now=trio.current_time(), is_a_lie=True)

    def pardon(self, node: str) -> None:
        """It may have been out of reach."""
        for strikes in (self._givers, self._homes):
            strikes.pardon(node, now=trio.current_time())
        self._home.pardon(node, now=trio.current_time())

    def pardon_all(self) -> None:
        """This node slept, or its network changed, or its upstream was out of reach: that may be true of others."""
        for strikes in (self._givers, self._homes):
            strikes.pardon_all(now=trio.current_time())
        self._home.pardon_all()

    def is_struck(self, node: str) -> bool:
        """Whether this node gave nothing, or what was wrong, a while ago."""
        return node in self._givers.struck(now=trio.current_time())
