"""A node with the directory's machines on the virtual network, and the least transfer that lets claims be played out.

A download from upstream grows by the room's rate; whoever relays it asks the fetcher again and again how much there
is; whoever holds it whole gives it at once. What a node does wrong on purpose is one of `Lie`.
"""

from __future__ import annotations

import math
from enum import Enum, auto
from typing import TYPE_CHECKING, Any, Final

from p2pmods.directory.actions import Ask, FetchFrom, GoUpstream, Refuse, Relay, Reply, Tell
from p2pmods.directory.adverts import Advertiser
from p2pmods.directory.asking import Surroundings, Wanted
from p2pmods.directory.claimant import Claimant
from p2pmods.directory.claimstate import State
from p2pmods.directory.coldstart import ColdStart
from p2pmods.directory.holdings import Holdings
from p2pmods.directory.home import LeaseHome
from p2pmods.directory.inflow import Inflow
from p2pmods.directory.messages import (
    Advert,
    Advertised,
    Claim,
    Growing,
    Holding,
    Intend,
    Release,
    Renew,
    Stop,
    Wait,
)
from p2pmods.directory.rendezvous import Rendezvous
from p2pmods.directory.strikes import Strikes
from p2pmods.testing.roomdownload import Download
from p2pmods.testing.roomlinks import PULL, STALLED, RoomLinks
from p2pmods.wire.codec import decode

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from random import Random

    from p2pmods.directory.actions import ClaimAction
    from p2pmods.testing.program import Action, Address
    from p2pmods.testing.room import Member, Room

PULL_EVERY: Final = 0.25  # seconds
_ROUNDING: Final = 1e-6  # seconds by which a timer of a clock with an offset may ring too early


class Lie(Enum):
    """What a node does wrong."""

    ALWAYS_WAIT = auto()  # as a home: names a fetcher that is none
    DEAF = auto()  # as a home: answers nothing
    SENDS_NOTHING = auto()  # as a fetcher: renews, and gives no byte


class RoomNode:
    """The program of one member. `now` is its start."""

    def __init__(self, room: Room, member: Member, now: float, chance: Random) -> None:
        self.member = member
        self.downloads: dict[bytes, Download] = {}
        self.rendezvous = Rendezvous(room.seen_by(member.id))
        self.holdings = Holdings(chance)
        inflow = Inflow()
        self.home = LeaseHome(
            member.id, member.key, self.rendezvous, self.holdings, chance, room.key_of, inflow.is_line_slow
        )
        self.advertiser = Advertiser(chance.randbytes(8), member.record, self.rendezvous, now=now)
        self.strikes = Strikes(member.id)
        self.cold_start = ColdStart(started=now, may_meet=room.cold)
        self.around = Surroundings(
            member.id, self.rendezvous, self.strikes, Strikes(member.id), inflow, self.cold_start, lambda _: 0.0
        )
        self._room = room
        self._chance = chance
        self._links = RoomLinks(member.id, self._serve, self._hear)

    # What tests do with it.

    def want(self, module: str, *, now: float, patience: float) -> Download:
        """Claim the zip of `module`, to be decided within `patience` seconds."""
        key = self._room.key_of(module)
        wanted = Wanted(key, module, self.member.ability, self.member.record)
        download = self.downloads[key] = Download(Claimant(wanted, self.around, deadline=now + patience), now)
        self._pursue(key, download.claimant.handle_timer(now=now), now)
        return download

    def see(self, directors: Iterable[str], *, now: float) -> None:
        """The membership says that these are the directors."""
        for _ in frozenset(directors) - self.rendezvous.directors:
            self.cold_start.newcomer(now=now)
        self.rendezvous.update(directors)
        self.advertiser.directors_changed()
        self._advertise(now)

    def leave(self, *, now: float) -> None:
        """The node stops."""
        for key, download in self.downloads.items():
            self._pursue(key, download.claimant.leave(), now)

    def link_broke(self, peer: str, *, now: float) -> None:
        """What is being taken from `peer` ends here."""
        self._links.broke(peer, now)

    # Program.

    def receive_datagram(self, data: bytes, sender: Address, *, now: float) -> None:
        raise NotImplementedError("the directory speaks over links alone")

    def receive_request(self, peer: str, data: bytes, call: int, *, now: float) -> None:
        if data.startswith(PULL):
            self._links.give(call, self._give(data[1:], now))
        else:
            self._serve(peer, decode(data), call, now)

    def receive_answer(self, call: int, data: bytes | None, *, now: float) -> None:
        self._links.arrived(call, data, now)

    def receive_notice(self, peer: str, data: bytes, *, now: float) -> None:
        self._hear(peer, decode(data), now)

    def handle_timer(self, *, now: float) -> None:
        now += _ROUNDING
        self._manage(self.home.handle_timer(now=now), now)
        for key, download in self.downloads.items():
            self._pursue(key, download.claimant.handle_timer(now=now), now)
            if now >= download.pull_at:
                self._pull(key, download, now)
            if now >= download.upstream_since + self._room.upstream_takes:
                self._arrived(key, download, now)
        self._advertise(now)

    def next_timer(self) -> float:
        now = self._room.network.clock(self.member.id)
        times = [self.home.next_timer(), self.advertiser.next_timer()]
        for download in self.downloads.values():
            times.append(min(download.pull_at, download.claimant.next_timer(now=now)))
            times.append(download.upstream_since + self._room.upstream_takes)
        return min(times)

    def outbox(self, *, now: float) -> list[Action]:
        return self._links.outbox()

    def wake(self, *, now: float) -> None:
        self._manage(self.home.wake(), now)
        for key, download in self.downloads.items():
            self._pursue(key, download.claimant.wake(now=now), now)

    # The home.

    def _serve(self, peer: str, message: object, call: int, now: float) -> None:
        if self.member.lie is Lie.DEAF:
            return
        match message:
            case Claim() if self.member.lie is Lie.ALWAYS_WAIT:
                growing = Growing(self._room.somebody(), self._chance.randbytes(16), 0)
                self._links.reply(call, Wait(growing, False, None), now)
            case Claim():
                self._manage(self.home.claim(call, peer, message, now=now), now)
            case Intend():
                self._manage(self.home.intend(call, peer, message, now=now), now)
            case Advert():
                self._links.reply(call, self.holdings.intake.receive(peer, message, now=now), now)

    def _hear(self, peer: str, message: object, now: float) -> None:
        match message:
            case Renew():
                self._manage(self.home.renew(peer, message, now=now), now)
            case Release():
                self._manage(self.home.release(peer, message, now=now), now)
            case Stop(key) if key in self.downloads:
                actions = self.downloads[key].claimant.stopped(peer, message, now=now)
                self._pursue(key, actions, now)

    def _manage(self, actions: Iterable[Ask | Tell | Reply | Refuse], now: float) -> None:
        for action in actions:
            match action:
                case Reply(call, message):
                    self._links.reply(call, message, now)
                case Refuse(call, _):
                    self._links.reply(call, None, now)
                case Tell(node, message):
                    self._links.tell(node, message, now)
                case Ask():
                    self._links.ask(action, self._heard_by_home(action.ask), now)

    def _heard_by_home(self, ask: int) -> Callable[[Any, float], None]:
        return lambda answer, now: self._manage(self.home.answered(ask, answer, now=now), now)

    # The claims.

    def _pursue(self, key: bytes, actions: Iterable[ClaimAction], now: float) -> None:
        download = self.downloads[key]
        for action in actions:
            match action:
                case Ask():
                    self._links.ask(action, self._heard_by_claimant(key, action.ask), now)
                case Tell(node, message):
                    self._links.tell(node, message, now)
                case Relay(growing):
                    download.source, download.pull_at, download.upstream_since = growing, now, math.inf
                    download.seen = 0
                case FetchFrom(holders):
                    download.source, download.pull_at = [holder.node for holder in holders], now
                    download.seen = 0
                case GoUpstream():
                    download.source, download.pull_at, download.upstream_since = None, math.inf, now
                    download.copies += 1

    def _heard_by_claimant(self, key: bytes, ask: int) -> Callable[[Any, float], None]:
        def heard(answer: Any, now: float) -> None:
            claimant = self.downloads[key].claimant
            told = claimant.answered(ask, answer, now=now) if answer else claimant.unanswered(ask, now=now)
            self._pursue(key, told, now)

        return heard

    def _pull(self, key: bytes, download: Download, now: float) -> None:
        download.pull_at = math.inf
        source = download.source
        if source is None:
            return
        peer = source.fetcher if isinstance(source, Growing) else source[0]

        def pulled(data: bytes | None, now: float) -> None:
            if download.source != source or download.ended < math.inf:
                return
            if data is None:
                self._pursue(key, download.claimant.lost(now=now), now)
                return
            has = int.from_bytes(data, "big")
            if has > download.seen:  # pieces that were here already and are confirmed count like new ones
                download.received, download.last = download.received + has - download.seen, now
                download.claimant.received(has - download.seen, now=now)
                download.seen, download.got = has, max(download.got, has)
            if download.got >= self._room.size:
                self._arrived(key, download, now)
            else:
                download.pull_at = now + PULL_EVERY

        self._links.pull(peer, key, pulled, STALLED if self._room.is_up(peer) else self._room.link_breaks_after)

    def _give(self, key: bytes, now: float) -> bytes | None:
        """How many bytes of `key` this node has to give, or None."""
        if (download := self.downloads.get(key)) is None:
            return None
        has = 0 if self.member.lie is Lie.SENDS_NOTHING else self._has(download, now)
        return has.to_bytes(8, "big")

    def _has(self, download: Download, now: float) -> int:
        since = now - download.upstream_since
        share = 0.0 if since < self._room.first_byte else since / self._room.upstream_takes
        return max(download.got, int(self._room.size * max(0.0, min(share, 1.0))))

    def _arrived(self, key: bytes, download: Download, now: float) -> None:
        download.ended, download.got = now, self._room.size
        download.pull_at = download.upstream_since = math.inf
        holding = Holding(key, key * 2, self._room.size)
        self._pursue(key, download.claimant.finished(holding), now)
        self.advertiser.hold(holding)

    # The links.

    def _advertise(self, now: float) -> None:
        for ask in self.advertiser.due(now=now):
            self._links.ask(ask, self._heard_by_advertiser(ask.ask), now)

    def _heard_by_advertiser(self, ask: int) -> Callable[[Any, float], None]:
        def heard(answer: Any, now: float) -> None:
            if isinstance(answer, Advertised):
                self.advertiser.answered(ask, answer, now=now)
            else:
                self.advertiser.unanswered(ask, now=now)

        return heard

    @property
    def fetching(self) -> set[bytes]:
        """The keys that it fetches for all."""
        return {key for key, d in self.downloads.items() if d.claimant.state is State.FETCHING}

    @property
    def is_asking_again(self) -> bool:
        """Whether it asks a home about a source that it has."""
        claims = [download.claimant for download in self.downloads.values()]
        return any(claim.state is State.RECEIVING and claim.is_asking for claim in claims)
