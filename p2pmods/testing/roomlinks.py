"""A room's node at its links: numbers its requests, and hands what is for itself over without a link."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any, Final

from p2pmods.testing.program import Answer, Notice, Request
from p2pmods.wire.codec import decode, encode

if TYPE_CHECKING:
    from collections.abc import Callable

    from p2pmods.directory.actions import Ask
    from p2pmods.testing.program import Action

    Heard = Callable[[Any, float], None]  # a message or None, and when

PULL: Final = b"\xc1"  # a byte that begins no msgpack value
STALLED: Final = 600.0  # seconds; a link that carries nothing is not broken


class RoomLinks:
    """Of the node `own`. `serve(peer, message, call, now)` and `hear(peer, message, now)` get what is for itself."""

    def __init__(self, own: str, serve: Callable[[str, Any, int, float], None], hear: Callable[..., None]) -> None:
        self._own = own
        self._serve = serve
        self._hear = hear
        self._numbers = itertools.count(1)
        self._calls: dict[int, Heard] = {}
        self._local: dict[int, Heard] = {}
        self._pulling: dict[int, str] = {}  # from whom
        self._out: list[Action] = []

    def ask(self, ask: Ask, heard: Heard, now: float) -> None:
        """`heard` gets the answer, or None."""
        call = next(self._numbers)
        if ask.node == self._own:
            self._local[-call] = heard
            self._serve(self._own, ask.message, -call, now)
            return
        self._calls[call] = lambda data, now: heard(decode(data) if data else None, now)
        self._out.append(Request(ask.node, encode(ask.message), call, ask.timeout))

    def pull(self, peer: str, key: bytes, heard: Heard, patience: float) -> None:
        """Ask `peer` how much it has to give of `key`."""
        call = next(self._numbers)
        self._calls[call] = heard
        self._pulling[call] = peer
        self._out.append(Request(peer, PULL + key, call, patience))

    def tell(self, node: str, message: object, now: float) -> None:
        """One way."""
        if node == self._own:
            self._hear(node, message, now)
        else:
            self._out.append(Notice(node, encode(message)))

    def reply(self, call: int, message: object, now: float) -> None:
        """None refuses."""
        if call < 0:
            self._local.pop(call)(message, now)
        else:
            self._out.append(Answer(call, None if message is None else encode(message)))

    def give(self, call: int, data: bytes | None) -> None:
        """The answer to a pull."""
        self._out.append(Answer(call, data))

    def arrived(self, call: int, data: bytes | None, now: float) -> None:
        """What became of a request."""
        self._pulling.pop(call, None)
        if (heard := self._calls.pop(call, None)) is not None:
            heard(data, now)

    def broke(self, peer: str, now: float) -> None:
        """What is being pulled from `peer` ends here."""
        for call in [call for call, other in self._pulling.items() if other == peer]:
            self.arrived(call, None, now)

    def outbox(self) -> list[Action]:
        """What to send."""
        out, self._out = self._out, []
        return out
