"""Two machines back to back, with a clock of their own, and a peer that says whatever a test wants."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from p2pmods.wire.budget import Budget
from p2pmods.wire.events import Broken, Event
from p2pmods.wire.frames import PREFACE, FrameDecoder, Kind, encode_head
from p2pmods.wire.mux import Mux

if TYPE_CHECKING:
    from p2pmods.wire.frames import Frame


class Pair:
    """`ann` dialled `bob`. Events are kept per side in the order of their coming."""

    def __init__(self, *, budget: Budget | None = None) -> None:
        self.now = 100.0
        self.budget = budget or Budget()
        self.told: list[float] = []  # when ann had something to send without having been called
        self.ann = Mux(is_dialler=True, budget=self.budget, now=self.now, told=lambda: self.told.append(self.now))
        self.bob = Mux(is_dialler=False, budget=Budget(), now=self.now)
        self.at_ann: list[Event] = []
        self.at_bob: list[Event] = []

    def move(self, *, limit: int = 64 << 10) -> None:
        """Whatever there is to send arrives, until both are silent."""
        while self.ann.has_output or self.bob.has_output:
            self.to_bob(self.ann.data_to_send(limit))
            self.to_ann(self.bob.data_to_send(limit))

    def to_bob(self, data: bytes) -> None:
        self.at_bob += self.bob.receive_data(data, now=self.now) if data else []

    def to_ann(self, data: bytes) -> None:
        self.at_ann += self.ann.receive_data(data, now=self.now) if data else []

    def pass_time(self, seconds: float, *, move: bool = True) -> None:
        """Timers fire when they are due; `move` lets what they cause arrive."""
        until = self.now + seconds
        while (due := min(self.ann.next_timer(), self.bob.next_timer())) <= until:
            self.now = max(self.now, due)
            self.at_ann += self.ann.handle_timer(self.now)
            self.at_bob += self.bob.handle_timer(self.now)
            if move:
                self.move()
            elif min(self.ann.next_timer(), self.bob.next_timer()) <= self.now:
                break
        self.now = until

    def ask(self, message: bytes = b"?", *, deadline: float = math.inf, floor: int = 0) -> int:
        return self.ann.request(message, now=self.now, deadline=deadline, floor=floor)

    def taken(self) -> int:
        """Bytes of ann's budget in use."""
        return self.budget.total - self.budget.free


class Stranger:
    """A peer under a test's control, which dialled the machine `node` (or, with `dialled`, was dialled by it)."""

    def __init__(self, *, dialled: bool = False) -> None:
        self.now = 100.0
        self.budget = Budget()
        self.node = Mux(is_dialler=dialled, budget=self.budget, now=self.now)
        self._decoder = FrameDecoder()
        self.events = self.node.receive_data(PREFACE, now=self.now)

    def says(self, kind: int, request: int, payload: bytes = b"") -> list[Event]:
        """The events that a frame causes, well-formed or not."""
        found = self.node.receive_data(encode_head(kind, request, len(payload)) + payload, now=self.now)  # type: ignore[arg-type]
        self.events += found
        return found

    def hears(self) -> list[Frame]:
        """The frames that the node sends now."""
        frames: list[Frame] = []
        while data := self.node.data_to_send(1 << 20):
            frames += self._decoder.receive(data)
        return frames

    def kinds(self) -> list[Kind]:
        return [frame.kind for frame in self.hears()]

    @property
    def verdict(self) -> str:
        """Why the node gave the link up; empty when it did not."""
        return self.events[-1].reason if isinstance(self.events[-1], Broken) else ""
