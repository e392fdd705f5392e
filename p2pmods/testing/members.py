"""Membership machines on the virtual network: what a driver does with sockets, done with actions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from p2pmods.membership.actions import AskByLink, MeetByLink, ProbeByLink, TellByLink
from p2pmods.membership.messages import Ack, BucketContents
from p2pmods.testing.program import Answer, Notice, Request, SendDatagram
from p2pmods.wire.codec import decode, encode

if TYPE_CHECKING:
    from collections.abc import Iterable

    from p2pmods.identity.records import Endpoint
    from p2pmods.membership import actions
    from p2pmods.membership.machine import Membership
    from p2pmods.testing.program import Action, Address


class Names:
    """Of the nodes on the network. Of two with one node id, the first answers for it on links."""

    def __init__(self) -> None:
        self.by_id: dict[str, str] = {}
        self.ids: dict[str, str] = {}
        self.id_at: dict[Endpoint, str] = {}

    def add(self, name: str, node_id: str, endpoint: Endpoint) -> None:
        self.by_id.setdefault(node_id, name)
        self.ids[name] = self.id_at[endpoint] = node_id


class MemberProgram:
    """What drives one `Membership`: `program.Program` for the virtual network. `happened` collects its events."""

    def __init__(self, machine: Membership, names: Names) -> None:
        self.machine = machine
        self.happened: list[actions.Event] = []
        self._names = names
        self._calls: list[ProbeByLink | AskByLink] = []
        self._answers: list[Answer] = []

    def receive_datagram(self, data: bytes, sender: Address, *, now: float) -> None:
        self.machine.receive_datagram(data, sender, now=now)

    def receive_request(self, peer: str, data: bytes, call: int, *, now: float) -> None:
        answer = self.machine.receive_request(self._names.ids[peer], decode(data), now=now)
        self._answers.append(Answer(call, None if answer is None else encode(answer)))

    def receive_answer(self, call: int, data: bytes | None, *, now: float) -> None:
        asked = self._calls[call]
        match asked, None if data is None else decode(data):
            case ProbeByLink(), Ack() as ack:
                self.machine.link_probe_succeeded(asked.node_id, ack, now=now)
            case AskByLink(), BucketContents() as contents:
                self.machine.link_answered(asked.node_id, contents, now=now)
            case ProbeByLink(), _:
                self.machine.link_probe_failed(asked.node_id, now=now)
            case _:
                self.machine.link_failed(asked.node_id, now=now)

    def receive_notice(self, peer: str, data: bytes, *, now: float) -> None:
        self.machine.receive_notice(self._names.ids[peer], decode(data), now=now)

    def handle_timer(self, *, now: float) -> None:
        self.machine.handle_timer(now=now)

    def next_timer(self) -> float:
        return self.machine.next_timer()

    def wake(self, *, now: float) -> None:
        self.machine.wake(now=now)

    def outbox(self, *, now: float) -> Iterable[Action]:
        out: list[Action] = [*self._answers]
        self._answers.clear()
        while pending := self.machine.actions():  # meeting someone leads to more
            for action in pending:
                out.extend(self._linked(action, now))
        out.extend(SendDatagram(datagram.data, datagram.to) for datagram in self.machine.datagrams_to_send(now=now))
        self.happened.extend(self.machine.events())
        return out

    def _linked(self, action: actions.Action, now: float) -> Iterable[Action]:
        match action:
            case ProbeByLink(node, message) | AskByLink(node, message):
                self._calls.append(action)
                yield Request(self._names.by_id.get(node, ""), encode(message), len(self._calls) - 1)
            case TellByLink(node, missing):
                yield Notice(self._names.by_id.get(node, ""), encode(missing))
            case MeetByLink(endpoint):
                # The dial itself costs nothing here; the ping over the link fails if there is no way.
                if endpoint in self._names.id_at:
                    self.machine.met(self._names.id_at[endpoint], now=now)
