"""Carries what the directory's machines say to links and back: for this node as home, provider and claimant."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import structlog
import trio

from p2pmods.directory.actions import Ask, Refuse, Reply, Tell
from p2pmods.directory.messages import (
    MAX_FOUND,
    MAX_FOUND_RECORDS,
    Advert,
    Advertised,
    Claim,
    Found,
    Intend,
    Location,
    Lookup,
    Release,
    Renew,
    Stop,
)
from p2pmods.errors import MalformedData, P2pmodsError, PeerError
from p2pmods.wire.events import FIRST_OWN_CODE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from p2pmods.directory.adverts import Advertiser
    from p2pmods.directory.holdings import Holdings
    from p2pmods.directory.home import HomeStatistics, LeaseHome
    from p2pmods.directory.messages import Growing, Holder
    from p2pmods.directory.providers import ProviderStatistics
    from p2pmods.directory.rendezvous import Rendezvous
    from p2pmods.mesh.call import Call
    from p2pmods.mesh.links import Links

REFUSED: Final = FIRST_OWN_CODE  # a home that cannot say anything to a claim
LINK_PATIENCE: Final = 1.0  # seconds that a link may take beside the answer's own
log = structlog.get_logger()

MAX_CALLS: Final = 4096  # claims and intentions that wait for a word of this home


@dataclass(frozen=True, slots=True)
class DeskStatistics:
    """Of this moment: what this node knows and does as a home. `calls` wait for a word of it."""

    calls: int
    leases: HomeStatistics
    providers: ProviderStatistics


class _Box:
    """Where the answer to one question arrives; None is a refusal."""

    def __init__(self) -> None:
        self.reply: Any = None
        self.reason = ""
        self.done = trio.Event()


class Desk:
    """One for each swarm of a node. `on_stop` is told of every Stop that a home sends, with the home's id."""

    def __init__(
        self,
        node: str,
        links: Links,
        rendezvous: Rendezvous,
        home: LeaseHome,
        holdings: Holdings,
        advertiser: Advertiser,
        key_of: Callable[[str], bytes],
        on_stop: Callable[[str, Stop], None],
    ) -> None:
        self._node = node
        self._links = links
        self._rendezvous = rendezvous
        self._home = home
        self._holdings = holdings
        self._advertiser = advertiser
        self._key_of = key_of
        self._on_stop = on_stop
        self._numbers = itertools.count(1)
        self._boxes: dict[int, _Box] = {}
        self._changed = trio.Event()
        self._nursery: trio.Nursery | None = None
        for asked, handle in ((Claim, self._claimed), (Intend, self._intended)):
            links.on(asked, handle)
        for kind, take in ((Lookup, self._looked_up), (Advert, self._advertised)):
            links.on(kind, take)
        for told in (Renew, Release, Stop):
            links.on(told, self._told)

    @property
    def advertiser(self) -> Advertiser:
        return self._advertiser

    def statistics(self) -> DeskStatistics:
        return DeskStatistics(len(self._boxes), self._home.statistics(), self._holdings.table.statistics())

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Serve the machines' timers until cancelled."""
        async with trio.open_nursery() as nursery:
            self._nursery = nursery
            task_status.started()
            try:
                while True:
                    await self._serve_timers(nursery)
            finally:
                self._nursery = None

    async def _serve_timers(self, nursery: trio.Nursery) -> None:
        self._changed = trio.Event()
        now = trio.current_time()
        self._carry(self._home.handle_timer(now=now))
        self._holdings.table.handle_timer(now=now)
        for ask in self._advertiser.due(now=now):
            nursery.start_soon(self._advertise, ask)
        soonest = min(self._home.next_timer(), self._holdings.table.next_timer(), self._advertiser.next_timer())
        with trio.move_on_after(seconds_until(soonest)):
            await self._changed.wait()

    def nudge(self) -> None:
        """Something was put into a machine: look at the timers again."""
        self._changed.set()

    def directors_are(self, directors: Iterable[str]) -> None:
        """The view of the membership changed."""
        self._rendezvous.update(directors)
        self._advertiser.directors_changed()
        self.nudge()

    def wake(self) -> None:
        """The node slept."""
        self._carry(self._home.wake())

    async def ask(self, ask: Ask) -> Any:
        """The answer's message, or None when there is none in time. The node's own id means its own machine."""
        if ask.node == self._node:
            with trio.move_on_after(ask.timeout):
                return await self._ask_self(ask.message)
            return None
        try:
            deadline = trio.current_time() + ask.timeout + LINK_PATIENCE
            answer = await self._links.request(ask.node, ask.message, deadline=deadline)
        except PeerError as error:
            log.debug("a question got no answer", message=type(ask.message).__name__, reason=str(error))
            return None
        if answer.length != 0:
            await answer.discard()
        return answer.message

    def tell_soon(self, actions: Iterable[object]) -> None:
        """Those of the actions that are notices, without waiting for them."""
        for action in actions:
            if isinstance(action, Tell):
                self._start(self.tell, action)

    def holders(self, key: bytes) -> tuple[Holder, ...]:
        """Those who told this node, as a home, that they hold it; some of them, in random order."""
        return self._holdings.table.holders(key, MAX_FOUND, now=trio.current_time())

    async def tell(self, tell: Tell) -> None:
        if tell.node == self._node:
            self._take_notice(self._node, tell.message)
        else:
            await self._links.notify(tell.node, tell.message)

    # This node as a home.

    async def _ask_self(self, message: Any) -> Any:
        if isinstance(message, Lookup):
            return self._find(message)
        if isinstance(message, Advert):
            return self._holdings.intake.receive(self._node, message, now=trio.current_time())
        return (await self._decide(self._node, message)).reply

    async def _decide(self, peer: str, message: Any) -> _Box:
        """What this home says to a Claim or an Intend of `peer`."""
        box = _Box()
        if len(self._boxes) >= MAX_CALLS:
            box.reason = "too many claims at once"
            return box
        number = next(self._numbers)
        self._boxes[number] = box
        decide = self._home.claim if isinstance(message, Claim) else self._home.intend
        try:
            self._carry(decide(number, peer, message, now=trio.current_time()))
            self.nudge()
            await box.done.wait()
        finally:
            self._boxes.pop(number, None)
        return box

    async def _claimed(self, call: Call) -> None:
        box = await self._decide(call.peer, call.message)
        if box.reply is None:
            await call.refuse(REFUSED, box.reason)
        else:
            await call.reply(box.reply)

    _intended = _claimed

    async def _looked_up(self, call: Call) -> None:
        await call.reply(self._find(call.message))

    def _find(self, lookup: Lookup) -> Found:
        now = trio.current_time()
        locations: list[Location] = []
        named: list[Holder] = []
        for module in lookup.modules:
            try:
                key = self._key_of(module)
            except P2pmodsError:
                locations.append(Location((), None))
                continue
            holders = self.holders(key)
            lease = self._home.lease_of(key)
            growing: Growing | None = lease.growing if lease is not None and lease.expires > now else None
            locations.append(Location(holders, growing))
            named += holders
        return Found(tuple(locations), self._holdings.records(named, MAX_FOUND_RECORDS))

    async def _advertised(self, call: Call) -> None:
        try:
            answer = self._holdings.intake.receive(call.peer, call.message, now=trio.current_time())
        except MalformedData as error:
            await call.refuse(REFUSED, str(error))
            return
        await call.reply(answer)

    async def _told(self, call: Call) -> None:
        self._take_notice(call.peer, call.message)
        await trio.lowlevel.checkpoint()

    def _take_notice(self, peer: str, message: Any) -> None:
        now = trio.current_time()
        try:
            match message:
                case Renew():
                    self._carry(self._home.renew(peer, message, now=now))
                case Release():
                    self._carry(self._home.release(peer, message, now=now))
                case Stop():
                    self._on_stop(peer, message)
        except P2pmodsError:
            return  # another node's record, or a lease that is not its sender's
        self.nudge()

    # What the machines want done.

    def _carry(self, actions: Sequence[Ask | Tell | Reply | Refuse]) -> None:
        for action in actions:
            match action:
                case Reply(number, message):
                    self._settle(number, message, "")
                case Refuse(number, reason):
                    self._settle(number, None, reason)
                case Ask():
                    self._start(self._ask_for_home, action)
                case Tell():
                    self._start(self.tell, action)

    def _settle(self, number: int, message: Any, reason: str) -> None:
        box = self._boxes.get(number)
        if box is not None:
            box.reply, box.reason = message, reason
            box.done.set()

    def _start(self, work: Callable[[Any], Any], action: Ask | Tell) -> None:
        if self._nursery is not None:  # a node that stops says nothing any more
            self._nursery.start_soon(work, action)

    async def _ask_for_home(self, ask: Ask) -> None:
        answer = await self.ask(ask)
        self._carry(self._home.answered(ask.ask, answer, now=trio.current_time()))
        self.nudge()

    async def _advertise(self, ask: Ask) -> None:
        answer = await self.ask(ask)
        now = trio.current_time()
        if isinstance(answer, Advertised):
            self._advertiser.answered(ask.ask, answer, now=now)
        else:
            self._advertiser.unanswered(ask.ask, now=now)
        self.nudge()


def seconds_until(moment: float) -> float:
    """From now, not negative; an hour at most, so that it can be slept."""
    return max(0.0, min(moment - trio.current_time(), 3600.0)) if moment < math.inf else 3600.0
