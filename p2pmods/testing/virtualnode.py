"""One node of the virtual network: its program, its clock, and what waits while it does nothing."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

    from p2pmods.testing.program import Address, Program

    # Makes the program of a node that starts (again) at `now`, with its own chance.
    Start = Callable[[float, Random], Program]

SOCKET_BUFFER: Final = 256  # datagrams that wait for a node that does not read


@dataclass(slots=True)
class Traffic:
    """Counters of one node since it was added: datagrams with their IP and UDP heads, link messages without."""

    datagrams_out: int = 0
    datagram_bytes_out: int = 0
    datagrams_in: int = 0
    datagram_bytes_in: int = 0
    link_messages_out: int = 0
    link_bytes_out: int = 0
    link_messages_in: int = 0
    link_bytes_in: int = 0


@dataclass(slots=True)
class VirtualNode:
    """`lives` counts its starts: what was meant for an earlier one is dropped. `offset` is its clock against ours."""

    name: str
    address: Address
    start: Start
    program: Program | None = None
    lives: int = 0
    offset: float = 0.0
    frozen_until: float = 0.0
    timer_at: float = math.inf
    waiting: list[Callable[[], None]] = field(default_factory=list)
    traffic: Traffic = field(default_factory=Traffic)

    @property
    def is_up(self) -> bool:
        return self.program is not None
