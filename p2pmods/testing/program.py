"""What runs on a node of the virtual network: the face an adapter gives a machine, and what it may do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable

Address = tuple[str, int]  # host and port, as a socket names them


@dataclass(frozen=True, slots=True)
class SendDatagram:
    """To whoever has that address now."""

    data: bytes
    to: Address


@dataclass(frozen=True, slots=True)
class Request:
    """A message to the node named `to`, over a link, that wants an answer.

    The program hears `receive_answer` once for every `call` it made: the answer, or None when it was refused, when
    there is no way to the other, or `deadline` seconds went by. `call` is the program's own number for it.
    """

    to: str
    data: bytes
    call: int
    deadline: float = 2.0


@dataclass(frozen=True, slots=True)
class Answer:
    """To the request that came as `call`; None refuses it."""

    call: int
    data: bytes | None


@dataclass(frozen=True, slots=True)
class Notice:
    """A message to the node named `to`, over a link, that wants no answer. Lost when there is no way to it."""

    to: str
    data: bytes


Action = SendDatagram | Request | Answer | Notice


class Program(Protocol):
    """An adapter around one machine, or around several that share a node.

    It does no I/O and knows no clock but `now`, the node's own monotonic seconds. After every call the network takes
    the `outbox` and asks for the `next_timer`. What has no use for links or datagrams raises on them.
    """

    def receive_datagram(self, data: bytes, sender: Address, *, now: float) -> None:
        """A datagram came from `sender`."""

    def receive_request(self, peer: str, data: bytes, call: int, *, now: float) -> None:
        """The node named `peer` asks over a link; an Answer with this `call`, now or later, goes back to it."""

    def receive_answer(self, call: int, data: bytes | None, *, now: float) -> None:
        """What became of the Request that this program made as `call`."""

    def receive_notice(self, peer: str, data: bytes, *, now: float) -> None:
        """The node named `peer` tells something over a link."""

    def handle_timer(self, *, now: float) -> None:
        """The time that `next_timer` named has come, or the node was late."""

    def next_timer(self) -> float:
        """When to call `handle_timer`, in the node's seconds; math.inf for never."""

    def outbox(self, *, now: float) -> Iterable[Action]:
        """What is to be done, each action once, in order."""

    def wake(self, *, now: float) -> None:
        """The node was asleep: its clock stood still while the world went on."""
