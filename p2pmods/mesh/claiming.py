"""The claims of a node for zips that it lacks: one for each at a time, and what happens to all of them."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

import trio

from p2pmods.directory.ability import NO_UPSTREAM, Ability
from p2pmods.directory.asking import Wanted
from p2pmods.directory.claimant import Claimant
from p2pmods.mesh.claims import OUTCOMES, ZipClaim
from p2pmods.upstream.failure import Unreachable

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from p2pmods.directory.asking import Surroundings
    from p2pmods.directory.messages import Stop
    from p2pmods.gomod.module import ModuleVersion
    from p2pmods.identity.swarm import Swarm
    from p2pmods.mesh.desk import Desk

LOOK: Final = 0.1  # seconds between two looks whether those around are known now
CLAIM_DEADLINE: Final = 120.0  # seconds until a claim that got nowhere goes upstream by itself


class Claiming:
    """`ability` says what this node could do for others; `record` is its signed record."""

    def __init__(
        self,
        swarm: Swarm,
        desk: Desk,
        around: Surroundings,
        ability: Callable[[], Ability],
        record: Callable[[], bytes],
    ) -> None:
        self._swarm = swarm
        self._desk = desk
        self._around = around
        self._ability = ability
        self._record = record
        self._claims: dict[bytes, ZipClaim] = {}
        self.outcomes = dict.fromkeys(OUTCOMES, 0)  # since the start

    async def settled(self) -> None:
        """Wait until a node that has just started, or moved, has met whom it could meet."""
        settled_at = self._around.cold_start.settled_at
        while (left := settled_at() - trio.current_time()) > 0:  # noqa: ASYNC110 - who is met moves it
            await trio.sleep(min(left, LOOK))

    @asynccontextmanager
    async def claim(self, module: ModuleVersion, *, is_failing: bool = False) -> AsyncIterator[ZipClaim]:
        """A claim for the zip of `module`, alive while the block runs. `is_failing`: the own upstream failed."""
        key = self._swarm.object_key(module)
        ability = self._ability()
        if is_failing:
            ability = Ability(NO_UPSTREAM, ability.flags, ability.success)
        wanted = Wanted(key, str(module), ability, self._record())
        machine = Claimant(wanted, self._around, deadline=trio.current_time() + CLAIM_DEADLINE)
        failure: Exception | None = None
        async with trio.open_nursery() as nursery:
            claim = ZipClaim(str(module), machine, self._desk, nursery)
            self._claims[key] = claim
            nursery.start_soon(claim.run)
            try:
                yield claim
            except Exception as error:  # the block's own, which the nursery would wrap in a group
                failure = error
            finally:
                claim.leave(out_of_reach=isinstance(failure, Unreachable))
                self.outcomes[claim.outcome] += 1
                nursery.cancel_scope.cancel()
                if self._claims.get(key) is claim:
                    del self._claims[key]
        if failure is not None:
            raise failure

    def stopped(self, home: str, stop: Stop) -> None:
        """A home says that somebody else fetches what this node is fetching."""
        claim = self._claims.get(stop.key)
        if claim is not None:
            claim.stopped(home, stop)

    async def leave(self) -> None:
        """The node stops: what it fetches for all others may fetch."""
        async with trio.open_nursery() as nursery:
            for claim in self._claims.values():
                nursery.start_soon(claim.node_leaves)

    def wake(self) -> None:
        """The node slept."""
        for claim in list(self._claims.values()):
            claim.wake()

    def linked(self) -> None:
        """Somebody is reached: claims that wait for that may go on."""
        self._around.cold_start.linked()
        for claim in self._claims.values():
            claim.look()

    def moved(self, *, was_alone: bool) -> None:
        """The node's network is another one."""
        self._around.cold_start.moved(now=trio.current_time(), was_alone=was_alone)
        for claim in list(self._claims.values()):
            claim.moved()
