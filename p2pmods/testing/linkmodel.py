"""Links of the virtual network: reliable, ordered, one per pair and direction, late where datagrams would be lost."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from p2pmods.testing.network import Network
    from p2pmods.testing.program import Answer, Notice, Request
    from p2pmods.testing.virtualnode import VirtualNode


class LinkModel:
    """Carries requests, answers and notices between nodes by name."""

    def __init__(self, network: Network) -> None:
        self._network = network
        self._last: dict[tuple[str, str], float] = {}  # when the last message of a direction arrives
        self._numbers = itertools.count(1)
        self._asked: dict[int, Callable[[bytes | None], None]] = {}

    def request(self, asker: VirtualNode, request: Request) -> None:
        """The other one's answer, its refusal, or silence until the deadline."""
        network, life, number = self._network, asker.lives, next(self._numbers)

        def settle(data: bytes | None) -> None:
            if self._asked.pop(number, None) is None or asker.lives != life:
                return
            network.trace.note(network.now, "answer", asker.name, data or b"")
            network.touch(asker.name, lambda program, now: program.receive_answer(request.call, data, now=now))

        def answered(data: bytes | None, server: str) -> None:
            self._carry(server, asker.name, data or b"", lambda: settle(data))

        def arrived() -> None:
            peer, name = asker.name, request.to
            network.trace.note(network.now, "request", name, request.data)
            network.touch(name, lambda program, now: program.receive_request(peer, request.data, number, now=now))

        self._asked[number] = lambda data: answered(data, request.to)
        network.at(network.now + request.deadline, lambda: settle(None))
        self._carry(asker.name, request.to, request.data, arrived)

    def answer(self, node: VirtualNode, answer: Answer) -> None:
        """Back to whoever asked; nothing when that is settled already."""
        if (back := self._asked.get(answer.call)) is not None:
            back(answer.data)

    def notice(self, node: VirtualNode, notice: Notice) -> None:
        """One way."""
        network, peer = self._network, node.name

        def arrived() -> None:
            network.trace.note(network.now, "notice", notice.to, notice.data)
            network.touch(notice.to, lambda program, now: program.receive_notice(peer, notice.data, now=now))

        self._carry(peer, notice.to, notice.data, arrived)

    def _carry(self, sender: str, receiver: str, data: bytes, arrived: Callable[[], None]) -> None:
        network = self._network
        delay = network.conditions.link_delay(network.chance)
        source, target = network.nodes[sender].traffic, network.nodes.get(receiver)
        source.link_messages_out += 1
        source.link_bytes_out += len(data)
        if delay is None or target is None:
            return
        when = self._last[sender, receiver] = max(network.now + delay, self._last.get((sender, receiver), 0.0))

        def deliver() -> None:
            # Looked at on arrival: what was under way when the partition began is lost with it.
            if target.is_up and network.reach.by_link(sender, receiver):
                target.traffic.link_messages_in += 1
                target.traffic.link_bytes_in += len(data)
                arrived()

        network.at(when + network.chance.uniform(0, network.conditions.jumble), deliver)
