"""First contacts with addresses, and with members that are dead for us: they may only be dead to us."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from p2pmods.identity.key import id_of_public
from p2pmods.membership import timing
from p2pmods.membership.actions import MeetByLink, ProbeByLink
from p2pmods.membership.chance import jitter, sample
from p2pmods.membership.core import Timer
from p2pmods.membership.table import Member

if TYPE_CHECKING:
    from collections.abc import Iterable

    from p2pmods.identity.records import Endpoint
    from p2pmods.membership.actions import Address
    from p2pmods.membership.core import Core
    from p2pmods.membership.messages import Ack, Ping
    from p2pmods.membership.speaking import Speaker

MAX_CONTACTS: Final = 32
_TRIES: Final = 5
_BY_LINK_AFTER: Final = 2  # tries
_RETRY: Final = 1.0  # seconds
_REJOIN: Final = 5  # members asked at once after sleep


@dataclass(slots=True)
class _Contact:
    endpoint: Endpoint
    tries: int = 0


class Contacts:
    """Pings to those who may not know us. The nonces of the last few are remembered, whoever they went to."""

    def __init__(self, core: Core, speaker: Speaker) -> None:
        self._core = core
        self._speaker = speaker
        self._contacts: dict[Address, _Contact] = {}
        self._open: dict[bytes, Address] = {}  # by nonce
        self._lively: bytes | None = None

    def join(self, endpoints: Iterable[Endpoint], now: float) -> None:
        """Each address is pinged until it answers, five times at most; at most 32 addresses at a time."""
        own = self._core.table.own
        for endpoint in endpoints:
            address = (endpoint.host, endpoint.port)
            if own is not None and endpoint in own.record.endpoints:
                continue
            if len(self._contacts) < MAX_CONTACTS and address not in self._contacts:
                contact = self._contacts[address] = _Contact(endpoint)
                self._try(contact)
        if self._contacts:
            self._core.timers.set_no_later(Timer.JOIN, now + jitter(self._core.entropy, _RETRY))

    def retry(self, now: float) -> None:
        """Those that have not answered."""
        for address, contact in list(self._contacts.items()):
            if contact.tries >= _TRIES:
                del self._contacts[address]
                continue
            if contact.tries == _BY_LINK_AFTER:
                self._core.actions.append(MeetByLink(contact.endpoint))
            self._try(contact)
        if self._contacts:
            self._core.timers.set(Timer.JOIN, now + jitter(self._core.entropy, _RETRY))

    def met(self, node: bytes) -> None:
        """A link leads there: introduce ourselves, and ask whom it knows."""
        self._core.actions.append(ProbeByLink(id_of_public(node), self._speaker.first_ping(node)))

    def revive(self, now: float) -> None:
        """Ask one of the dead, with the reason why it is held dead, so that a single answer brings it back."""
        core = self._core
        interval = timing.REVIVE_INTERVAL if core.table.members else timing.ALONE_REVIVE_INTERVAL
        core.timers.set(Timer.REVIVE, now + jitter(core.entropy, interval))
        lively, self._lively = self._lively, None
        dead = [node for node, gone in core.table.gone.items() if gone.is_dead]
        chosen = [lively] if lively in dead else sample(core.entropy, dead, 1)
        for node in chosen:
            self._ping_all(node, Member(core.table.gone[node].record))

    def seems_alive(self, node: bytes, now: float) -> None:
        """Something came from one that is dead for us: ask it soon."""
        if self._lively is None:
            self._lively = node
            self._core.timers.set_no_later(Timer.REVIVE, now + timing.PROBE_INTERVAL)

    def rejoin(self) -> None:
        """After sleep: some members, wherever they were."""
        members = self._core.table.members
        for node in sample(self._core.entropy, list(members), _REJOIN):
            self._ping_all(node, members[node])

    def acked(self, ack: Ack, sender: Address) -> bool:
        """Whether it answers one of these pings."""
        address = self._open.pop(ack.nonce, None)
        if address is None:
            return False
        self._contacts.pop(address, None)
        self._contacts.pop(sender, None)
        return True

    def clear(self) -> None:
        self._contacts.clear()
        self._open.clear()

    def _try(self, contact: _Contact) -> None:
        contact.tries += 1
        self._send(self._speaker.first_ping(b""), (contact.endpoint.host, contact.endpoint.port))

    def _ping_all(self, node: bytes, member: Member) -> None:
        for endpoint in member.record.record.endpoints:
            self._send(self._speaker.first_ping(node), (endpoint.host, endpoint.port))

    def _send(self, ping: Ping, to: Address) -> None:
        if len(self._open) >= 2 * MAX_CONTACTS:
            del self._open[next(iter(self._open))]
        self._open[ping.nonce] = to
        self._speaker.send(ping, to)
