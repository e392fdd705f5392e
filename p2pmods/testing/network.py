"""A seeded, lossy network with a virtual clock, on which sans-I/O machines run: thousands of events in a moment.

Everything that happens is an event in one heap; between two events no time passes for anyone. The same seed, the same
calls: the same history, which `trace.digest()` proves. Nothing here sleeps, opens a socket or knows what the programs
talk about, so membership, leases and transfers run on it alike, alone or side by side.

What an adapter has to provide is `program.Program`; what it may do is `program.Action`. A node is added with a
function that makes its program, which is called again after a crash:

    network = Network(seed=7)
    network.add("ann", lambda now, chance: Adapter(Machine(chance), now))
    network.partition({"ann"}, {"bob", "eve"})
    network.run(10)

Two ways lead from node to node. Datagrams go to an address and suffer what `Conditions` say. Links are reliable and
ordered in each direction, one per pair, up whenever they are used; loss makes them late, a partition or a crash makes
a request fail. The network authenticates who is at the other end of a link, as TLS does, and of no datagram.
"""

from __future__ import annotations

import heapq
import math
from random import Random
from typing import TYPE_CHECKING

from p2pmods.testing.conditions import IP_AND_UDP, LAN
from p2pmods.testing.linkmodel import LinkModel
from p2pmods.testing.program import Answer, Notice, Request, SendDatagram
from p2pmods.testing.reach import Reach
from p2pmods.testing.trace import Trace
from p2pmods.testing.virtualnode import SOCKET_BUFFER, VirtualNode

if TYPE_CHECKING:
    from collections.abc import Callable

    from p2pmods.testing.conditions import Conditions
    from p2pmods.testing.program import Action, Address, Program
    from p2pmods.testing.virtualnode import Start

    Invariant = Callable[["Network"], None]


class Network:
    """The world: its nodes by name, the time in seconds, who reaches whom, and the conditions for all."""

    def __init__(self, seed: int, conditions: Conditions = LAN) -> None:
        self.now = 0.0
        self.conditions = conditions
        self.nodes: dict[str, VirtualNode] = {}
        self.reach = Reach()
        self.trace = Trace()
        self.chance = Random(seed)  # noqa: S311 - a seed is the point
        self._seed = seed
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._numbered = 0
        self._by_address: dict[Address, str] = {}
        self._invariants: list[Invariant] = []
        self._links = LinkModel(self)

    def add(self, name: str, start: Start, address: Address | None = None, *, at_once: bool = True) -> VirtualNode:
        """A node named `name`, running when `at_once`. Without `address` it gets one of its own in 10/8."""
        if address is None:
            number = len(self.nodes) + 1
            address = (f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}", 7000)
        if name in self.nodes or address in self._by_address:
            raise ValueError(f"{name} or {address} is there already")
        node = self.nodes[name] = VirtualNode(name, address, start)
        self._by_address[address] = name
        if at_once:
            self.restart(name)
        return node

    def invariant(self, check: Invariant) -> None:
        """`check` is called after every event from now on; it raises when what it watches is broken."""
        self._invariants.append(check)

    # Faults.

    def partition(self, *groups: set[str]) -> None:
        """Whoever is in different groups cannot reach the other; whoever is in none reaches everyone."""
        self.reach.partition(*groups)

    def heal(self) -> None:
        """No partition and nothing blocked any more."""
        self.reach.heal()

    def crash(self, name: str) -> None:
        """As kill -9: nothing is said to anyone."""
        node = self.nodes[name]
        node.program, node.waiting, node.timer_at = None, [], math.inf
        self.trace.note(self.now, "crash", name)

    def restart(self, name: str) -> None:
        """A new program, which knows nothing of its former life but what its start function remembers."""
        node = self.nodes[name]
        node.lives += 1
        node.waiting, node.frozen_until, node.timer_at = [], 0.0, math.inf
        self.trace.note(self.now, "start", name)
        node.program = node.start(self.clock(name), Random(f"{self._seed} {name} {node.lives}"))  # noqa: S311
        self._after(node)

    def stall(self, name: str, seconds: float) -> None:
        """As SIGSTOP: the clock goes on, what arrives waits, and all of it is handled at the end."""
        node = self.nodes[name]
        node.frozen_until = max(node.frozen_until, self.now + seconds)
        self.at(node.frozen_until, lambda: self._thaw(node))

    def sleep(self, name: str, seconds: float) -> None:
        """As suspend: its clock stands still, nothing that is sent to it arrives, and then it is told of it."""
        node, life = self.nodes[name], self.nodes[name].lives
        node.frozen_until, node.offset = math.inf, node.offset - seconds

        def awake() -> None:
            if node.lives == life and node.program is not None:
                node.frozen_until, node.waiting = 0.0, []
                self.touch(name, lambda program, now: program.wake(now=now))

        self.at(self.now + seconds, awake)

    def jump_clock(self, name: str, seconds: float) -> None:
        """The node's clock steps, forwards or backwards."""
        self.nodes[name].offset += seconds
        self._after(self.nodes[name])

    # Time.

    def clock(self, name: str) -> float:
        """What the clock of the node says."""
        return self.now + self.nodes[name].offset

    def at(self, when: float, do: Callable[[], None]) -> None:
        """`do` is called at `when`, or now if that is past; equal times in the order of these calls."""
        self._numbered += 1
        heapq.heappush(self._events, (max(when, self.now), self._numbered, do))

    def run(self, seconds: float) -> None:
        """Everything that happens in the next `seconds`."""
        self.run_until(lambda: False, within=seconds)

    def run_until(self, reached: Callable[[], bool], *, within: float) -> float | None:
        """Runs until `reached()`, which is asked after every event; how long that took, None when it never was."""
        began, end = self.now, self.now + within
        while not reached():
            if not self._events or self._events[0][0] > end:
                self.now = end
                return None
            self.now, _, do = heapq.heappop(self._events)
            do()
            for check in self._invariants:
                check(self)
        return self.now - began

    # Nodes act.

    def touch(self, name: str, act: Callable[[Program, float], None]) -> None:
        """Lets the program of a running node do something now, and what follows from it."""
        node = self.nodes[name]
        if node.program is None:
            return
        if node.frozen_until > self.now:
            if node.frozen_until < math.inf:
                node.waiting.append(lambda: self.touch(name, act))
            return
        act(node.program, self.clock(name))
        self._after(node)

    def inject(self, data: bytes, to: Address, *, sender: Address) -> None:
        """A datagram that no node sent, with whatever sender; it arrives at once and whole."""
        self._arrive(data, to, sender)

    def _after(self, node: VirtualNode) -> None:
        """The outbox of `node`, then its timer."""
        if node.program is None or node.frozen_until > self.now:
            return
        for action in node.program.outbox(now=self.clock(node.name)):
            self._do(node, action)
        due = node.program.next_timer()
        timer = max(due - node.offset, self.now)
        while timer + node.offset < due < math.inf:  # rounded down: it would ring too early, for ever
            timer = math.nextafter(timer, math.inf)
        if timer != node.timer_at:
            node.timer_at = timer
            if timer < math.inf:
                self.at(timer, lambda: self._ring(node, timer))

    def _ring(self, node: VirtualNode, timer: float) -> None:
        if node.timer_at != timer or node.program is None or node.frozen_until > self.now:
            return  # another timer took its place, or the node is not there to hear it
        node.timer_at = math.inf
        self.trace.note(self.now, "timer", node.name)
        self.touch(node.name, lambda program, now: program.handle_timer(now=now))

    def _thaw(self, node: VirtualNode) -> None:
        if node.frozen_until > self.now:
            return
        waiting, node.waiting = node.waiting, []
        node.timer_at = math.inf
        self.touch(node.name, lambda program, now: program.handle_timer(now=now))
        for do in waiting:
            do()

    def _do(self, node: VirtualNode, action: Action) -> None:
        match action:
            case SendDatagram(data, to):
                self._send(node, data, to)
            case Request():
                self._links.request(node, action)
            case Answer():
                self._links.answer(node, action)
            case Notice():
                self._links.notice(node, action)

    def _send(self, node: VirtualNode, data: bytes, to: Address) -> None:
        node.traffic.datagrams_out += 1
        node.traffic.datagram_bytes_out += len(data) + IP_AND_UDP
        target = self._by_address.get(to)
        if target is None or not self.reach.by_datagram(node.name, target):
            return
        for _ in range(self.conditions.copies(self.chance)):
            arriving = self.conditions.touched(data, self.chance)
            when = self.now + self.conditions.delay(self.chance)
            self.at(when, lambda data=arriving: self._arrive(data, to, node.address))  # type: ignore[misc]

    def _arrive(self, data: bytes, to: Address, sender: Address) -> None:
        node = self.nodes[self._by_address[to]]
        if node.program is None or len(node.waiting) >= SOCKET_BUFFER:
            return
        node.traffic.datagrams_in += 1
        node.traffic.datagram_bytes_in += len(data) + IP_AND_UDP
        self.trace.note(self.now, "datagram", node.name, data)
        self.touch(node.name, lambda program, now: program.receive_datagram(data, sender, now=now))
