"""A swarm of membership machines on the virtual network, told what to do by name."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from p2pmods.identity.key import node_id
from p2pmods.identity.records import DIRECTOR, Endpoint
from p2pmods.membership.machine import Membership
from p2pmods.testing.conditions import LAN
from p2pmods.testing.members import MemberProgram, Names
from p2pmods.testing.network import Network

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from random import Random

    from p2pmods.membership.actions import Event
    from p2pmods.membership.table import State
    from p2pmods.testing.conditions import Conditions
    from p2pmods.testing.program import Program


@dataclass(frozen=True, slots=True)
class Happened:
    """An event of the machine of `name`, at the network's time."""

    at: float
    name: str
    event: Event


class Cluster:
    """Nodes by name, on one network, in one swarm. A name stands for a key, which survives restarts.

    Everyone joins through the first two.
    """

    def __init__(
        self, seed: int, names: Iterable[str] = (), conditions: Conditions = LAN, *, hearsay_only: bool = False
    ) -> None:
        self.network = Network(seed, conditions)
        self.datagram_key = hashlib.sha256(b"a swarm").digest()
        self.history: list[Happened] = []
        self._hearsay_only = hearsay_only
        self._names = Names()
        self._keys: dict[str, Ed25519PrivateKey] = {}
        self._programs: dict[str, MemberProgram] = {}
        self._endpoints: dict[str, Endpoint] = {}
        self.network.invariant(lambda network: self._note())
        for name in names:
            self.add(name)

    def add(self, name: str, *, key_of: str | None = None) -> None:
        """A director that starts now, with a key of its own or that of another node."""
        key = Ed25519PrivateKey.from_private_bytes(hashlib.sha256((key_of or name).encode()).digest())
        number = len(self._endpoints) + 1
        endpoint = Endpoint(f"10.0.{number >> 8}.{number & 255}", 7000)
        contacts = list(self._endpoints.values())[:2]
        self._keys[name], self._endpoints[name] = key, endpoint
        self._names.add(name, node_id(key), endpoint)

        def start(now: float, chance: Random) -> Program:
            machine = Membership(key, self.datagram_key, chance, now=now, hearsay_only=self._hearsay_only)
            machine.set_own_record((endpoint,), DIRECTOR, now=now)
            machine.join(contacts or list(self._endpoints.values())[1:3], now=now)
            program = self._programs[name] = MemberProgram(machine, self._names)
            return program

        self.network.add(name, start, (endpoint.host, endpoint.port))

    def __getitem__(self, name: str) -> Membership:
        return self._programs[name].machine

    def __iter__(self) -> Iterator[str]:
        """The names of the nodes that run."""
        return (name for name, node in self.network.nodes.items() if node.is_up)

    def key(self, name: str) -> Ed25519PrivateKey:
        return self._keys[name]

    def endpoint(self, name: str) -> Endpoint:
        return self._endpoints[name]

    def id_of(self, name: str) -> str:
        return node_id(self._keys[name])

    def run(self, seconds: float) -> None:
        self.network.run(seconds)

    def state(self, *, of: str, at: str) -> State | None:
        """What the node `at` holds of the node `of`."""
        return self[at].state_of(self.id_of(of))

    def sees_all(self, name: str) -> bool:
        """Whether the node holds exactly those alive that run, and suspects none."""
        machine = self[name]
        if machine.statistics().suspects:
            return False
        return machine.members().keys() == {self.id_of(other) for other in self}

    def is_settled(self) -> bool:
        """Whether everyone sees everyone."""
        return all(self.sees_all(name) for name in self)

    def settle(self, within: float = 120) -> float:
        """Runs until everyone sees everyone; the seconds that took. Raises AssertionError when it takes longer."""
        began = self.network.now
        while not self.is_settled():
            assert self.network.now - began < within, "not everyone sees everyone"
            self.run(0.1)
        return self.network.now - began

    def announce(self, name: str, *, flags: int) -> None:
        """The node says something new of itself."""
        self.network.touch(name, lambda program, now: self._announce(name, flags, now))

    def leave(self, name: str) -> None:
        """Says goodbye, and stops."""
        self.network.touch(name, lambda program, now: self[name].leave(now=now))
        self.network.crash(name)

    def events(self, kind: type[Event], *, of: str | None = None, at: str | None = None) -> list[Happened]:
        """Those that happened so far, of one kind; about one node, at one node."""
        return [
            h
            for h in self.history
            if isinstance(h.event, kind)
            and (of is None or h.event.node_id == self.id_of(of))
            and (at is None or h.name == at)
        ]

    def _announce(self, name: str, flags: int, now: float) -> None:
        self[name].set_own_record((self._endpoints[name],), flags, now=now)

    def _note(self) -> None:
        for name, program in self._programs.items():
            if program.happened:
                self.history += [Happened(self.network.now, name, event) for event in program.happened]
                program.happened.clear()
