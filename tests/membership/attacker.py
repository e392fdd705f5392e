"""One who knows the swarm's secret, as everyone does on a public swarm, and uses it badly."""

from __future__ import annotations

import hashlib
from random import Random
from typing import TYPE_CHECKING, Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from p2pmods.identity.key import public_bytes, public_of_id
from p2pmods.identity.records import DIRECTOR, Endpoint, NodeRecord, SignedRecord, sign_record
from p2pmods.membership.accusations import accuse
from p2pmods.membership.messages import Accusation, Gossip, News, Ping
from p2pmods.wire.codec import encode
from p2pmods.wire.seal import seal

if TYPE_CHECKING:
    from p2pmods.membership.actions import Address
    from p2pmods.testing.cluster import Cluster

HERE: Address = ("192.0.2.66", 6666)


def key_number(number: int) -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(hashlib.sha256(f"attacker {number}".encode()).digest())


def record_of(
    key: Ed25519PrivateKey, host: str = "192.0.2.66", incarnation: int = 1, flags: int = DIRECTOR
) -> SignedRecord:
    return sign_record(NodeRecord(public_bytes(key), bytes(8), incarnation, (Endpoint(host, 6666),), flags), key)


class Attacker:
    """Sends what it likes, from wherever it likes, to the nodes of a cluster."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.key = key_number(0)
        self.chance = Random(66)

    def seal(self, plain: bytes) -> bytes:
        return seal(self.cluster.datagram_key, plain, self.chance.randbytes(12))

    def send(self, to: str, message: Any, sender: Address = HERE) -> int:
        """The size of the datagram."""
        return self.send_plain(to, encode(message), sender)

    def send_plain(self, to: str, plain: bytes, sender: Address = HERE) -> int:
        data = self.seal(plain)
        self.cluster.network.inject(data, self.cluster.network.nodes[to].address, sender=sender)
        return len(data)

    def tell(
        self, to: str, *records: bytes, accusations: tuple[Accusation, ...] = (), sender: Address = HERE
    ) -> None:
        self.send(to, Gossip(News(records, accusations)), sender)

    def ping(self, to: str, *records: bytes, sender: Address = HERE, padding: bytes = b"") -> int:
        target = public_of_id(self.cluster.id_of(to))
        ping = Ping(self.chance.randbytes(8), public_bytes(self.key), target, bytes(8), News(records), padding)
        return self.send(to, ping, sender)

    def accuse(self, name: str, *, key: Ed25519PrivateKey | None = None) -> Accusation:
        """As `name` is now."""
        record = self.cluster[name].members()[self.cluster.id_of(name)].record
        return accuse(record, key or self.key)
