"""Finding nodes by multicast DNS. It runs in a thread of its own; what it finds comes through a bounded channel.

Nothing here is needed: without multicast, or with port 5353 taken, the node says so once and goes on.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import structlog
import trio

from p2pmods.mesh.mdns_session import Session

if TYPE_CHECKING:
    from collections.abc import Callable

    from p2pmods.mesh.interfaces import Presence
    from p2pmods.mesh.mdns_record import Hint

MAX_WAITING: Final = 64  # hints that wait to be taken; more are dropped
TRY_AGAIN: Final = 60.0  # seconds

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class MdnsStatistics:
    """`dropped` is at least how many more came; `problem` is why there is no multicast, "" when there is."""

    hints: int
    dropped: int
    problem: str


class Mdns:
    """Announces this node, and finds the others of its swarm."""

    def __init__(self, node_id: str, tag: str) -> None:
        """`tag` is the swarm's `discovery_tag`."""
        self._node_id = node_id
        self._tag = tag
        self._send, self.hints = trio.open_memory_channel["Hint"](MAX_WAITING)
        self._moved = trio.Event()
        self._presence: Presence | None = None
        self._session: Session | None = None
        self._hints = 0
        self._dropped = 0
        self._problem = ""

    def move(self, presence: Presence) -> None:
        """The node is found at `presence` now. Also after a sleep, when the neighbours may be new ones."""
        self._presence = presence
        if self._session is not None:
            self._session.move(presence)
        self._moved.set()

    def statistics(self) -> MdnsStatistics:
        return MdnsStatistics(self._hints, self._dropped, self._problem)

    async def run(self, presence: Presence) -> None:
        """Until cancelled; then it says goodbye to the others."""
        self._presence = presence
        while True:
            self._moved = trio.Event()
            problem = await self._speak(self._presence)
            if problem and problem != self._problem:
                log.warning("no mDNS: other nodes are found by other ways", reason=problem)
            self._problem = problem
            with trio.move_on_after(TRY_AGAIN):
                await self._moved.wait()

    async def _speak(self, presence: Presence) -> str:
        """Why there is no multicast; "" when it was stopped by a cancellation."""
        if not presence.multicast:
            return "no interface leads to neighbours"
        crossing = Crossing(trio.lowlevel.current_trio_token(), self._began, self._take, self._lose)
        try:
            session = self._session = Session(self._node_id, self._tag, presence, crossing)
        except OSError as error:
            return str(error)
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(_stop_when_cancelled, session)
                # Not abandoned when cancelled: the thread ends at once, after its goodbye.
                problem = await trio.to_thread.run_sync(session.run, limiter=trio.CapacityLimiter(1))
                nursery.cancel_scope.cancel()
        finally:
            self._session = None
        return problem

    def _began(self) -> None:
        if self._problem:
            log.info("mDNS works again")
        self._problem = ""

    def _take(self, hint: Hint) -> None:
        try:
            self._send.send_nowait(hint)
            self._hints += 1
        except (trio.WouldBlock, trio.BrokenResourceError):
            self._lose()

    def _lose(self) -> None:
        self._dropped += 1


class Crossing:
    """From the thread of a session to trio: at most MAX_WAITING hints are under way, however busy trio is."""

    def __init__(
        self,
        token: trio.lowlevel.TrioToken,
        began: Callable[[], None],
        take: Callable[[Hint], None],
        lost: Callable[[], None],
    ) -> None:
        self._token = token
        self._began = began
        self._take = take
        self._lost = lost
        self._hints: deque[Hint] = deque()

    def began(self) -> None:
        self._token.run_sync_soon(self._began)

    def heard(self, hint: Hint) -> None:
        if len(self._hints) < MAX_WAITING:
            self._hints.append(hint)
            self._token.run_sync_soon(self._arrive, idempotent=True)
        else:
            self._token.run_sync_soon(self._lost, idempotent=True)

    def _arrive(self) -> None:
        while self._hints:
            self._take(self._hints.popleft())


async def _stop_when_cancelled(session: Session) -> None:
    try:
        await trio.sleep_forever()
    finally:
        session.stop()
