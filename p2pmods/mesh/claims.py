"""One zip that this node wants: what its claimant machine decides becomes work that the latest decision governs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeVar

import structlog
import trio

from p2pmods.directory.actions import Ask, FetchFrom, GoUpstream, Relay, Settle, Tell
from p2pmods.errors import PeerError
from p2pmods.mesh.desk import seconds_until

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from p2pmods.directory.actions import ClaimAction
    from p2pmods.directory.claimant import Claimant
    from p2pmods.directory.messages import Holding, Stop
    from p2pmods.mesh.desk import Desk

Way = FetchFrom | Relay | GoUpstream

T = TypeVar("T")

# How a claim ended: with the zip from a peer that holds it or is fetching it, from upstream, or without it.
HOLDER: Final = "holder"
FETCHER: Final = "fetcher"
FOR_ALL: Final = "upstream-for-all"
ALONE: Final = "upstream-alone"
FAILED: Final = "failed"
OUTCOMES: Final = (HOLDER, FETCHER, FOR_ALL, ALONE, FAILED)

log = structlog.get_logger()


class ZipClaim:
    """Drives one Claimant, while `run` runs in `nursery`. `outcome` is one of OUTCOMES."""

    def __init__(self, module: str, machine: Claimant, desk: Desk, nursery: trio.Nursery) -> None:
        self.outcome = FAILED
        self._module = module
        self._machine = machine
        self._desk = desk
        self._nursery = nursery
        self._way: Way | None = None  # what was decided last, until it is begun
        self._scope = trio.CancelScope()  # of what was begun
        self._changes = trio.lowlevel.ParkingLot()
        self._is_obtained = False
        self._is_over = False

    @property
    def is_for_all(self) -> bool:
        """Whether what this node fetches now it fetches under a lease."""
        return self._machine.tenure is not None and not self._machine.tenure.is_over

    async def run(self) -> None:
        """The machine's timers, until cancelled."""
        while True:
            self._carry(self._machine.handle_timer(now=trio.current_time()))
            with trio.move_on_after(seconds_until(self._machine.next_timer(now=trio.current_time()))):
                await self._changes.park()

    async def obtain(self, go: Callable[[Way], Awaitable[T]]) -> T:
        """What `go` makes of the first way that works out.

        `go` is cancelled when the machine decides otherwise, and its PeerError means that this source is of no use.
        Every other error of `go` is final: the upstream did not deliver.
        """
        while True:
            while self._way is None:
                await self._changes.park()
            way, self._way = self._way, None
            log.debug("a way to a zip", module=self._module, way=type(way).__name__, detail=_detail(way))
            with trio.CancelScope() as self._scope:
                try:
                    result = await go(way)
                except PeerError as error:
                    log.debug("a way to a zip led nowhere", module=self._module, reason=str(error))
                    self._carry(self._machine.lost(now=trio.current_time()))
                else:
                    self.outcome, self._is_obtained = _outcome(way), True
                    return result

    def received(self, count: int) -> None:
        """`count` bytes came from a peer."""
        self._machine.received(count, now=trio.current_time())

    def complete(self) -> None:
        """The last byte came from a peer; what came is being verified."""
        self._machine.complete(now=trio.current_time())

    def progress(self, size: int) -> None:
        """The upstream has delivered `size` bytes in all."""
        self._machine.progress(size, now=trio.current_time())

    def limited(self, size: int) -> None:
        """The upstream has delivered `size` bytes, and wants a pause."""
        self._machine.progress(size, limited=True, now=trio.current_time())

    def finished(self, holding: Holding | None) -> None:
        """The zip is here; `holding` when others can get it from here now."""
        self._is_over = True
        self._desk.tell_soon(self._machine.finished(holding))

    def leave(self, *, out_of_reach: bool = False) -> None:
        """The claim ends: unless it was finished, it has failed; `out_of_reach`: because the upstream was."""
        if not self._is_over:
            self._is_over = True
            self._desk.tell_soon(self._machine.failed(out_of_reach=out_of_reach))

    async def node_leaves(self) -> None:
        """The node stops: the homes hear that they need not count on it."""
        if not self._is_over:
            self._is_over = True
            async with trio.open_nursery() as nursery:
                for action in self._machine.leave():
                    if isinstance(action, Tell):
                        nursery.start_soon(self._desk.tell, action)

    def stopped(self, home: str, stop: Stop) -> None:
        """A home says that another fetcher goes on: too late for what is here already."""
        if not self._is_obtained:
            self._carry(self._machine.stopped(home, stop, now=trio.current_time()))

    def wake(self) -> None:
        """The node slept."""
        self._carry(self._machine.wake(now=trio.current_time()))

    def moved(self) -> None:
        """The node's network is another one."""
        if not self._is_obtained:
            self._carry(self._machine.moved(now=trio.current_time()))

    def look(self) -> None:
        """What its machine waits for may have come earlier than it said."""
        self._changes.unpark_all()

    async def _ask(self, ask: Ask) -> None:
        answer = await self._desk.ask(ask)
        now = trio.current_time()
        if answer is None:
            self._carry(self._machine.unanswered(ask.ask, now=now))
        else:
            self._carry(self._machine.answered(ask.ask, answer, now=now))

    def _carry(self, actions: Sequence[ClaimAction]) -> None:
        if self._is_over:
            return
        self._desk.tell_soon(actions)
        for action in actions:
            if isinstance(action, Ask):
                self._nursery.start_soon(self._ask, action)
            elif isinstance(action, Way | Settle):
                self._way = None if isinstance(action, Settle) else action
                self._scope.cancel()
        if actions:
            self._changes.unpark_all()


def _outcome(way: Way) -> str:
    match way:
        case FetchFrom():
            return HOLDER
        case Relay():
            return FETCHER
        case GoUpstream(tenure):
            return ALONE if tenure is None else FOR_ALL


def _detail(way: Way) -> str:
    match way:
        case FetchFrom(holders):
            return f"{len(holders)} holders"
        case Relay(growing):
            return f"fetcher {growing.fetcher[:8]}"
        case GoUpstream(tenure):
            return "alone" if tenure is None else f"for all, granted by {tenure.terms.home[:8]}"
