"""What this node says of itself, and what it hears said of itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from p2pmods.identity.key import public_bytes
from p2pmods.identity.records import NodeRecord, sign_record
from p2pmods.membership.table import supersedes
from p2pmods.wire.codec import MAX_INT

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    from p2pmods.identity.records import Endpoint, SignedRecord

CLONE_WINDOW: Final = 60.0  # seconds within which another session has to outbid us twice


class Own:
    """The node's records: each has a higher incarnation than the one before.

    `incarnation` is where this session begins. Any number will do, as a higher one of an earlier session is outbid
    when it is heard of; one that grows from start to start saves that round.
    """

    def __init__(self, key: Ed25519PrivateKey, session: bytes, incarnation: int) -> None:
        self.key = key
        self.public_key = public_bytes(key)
        self.record: SignedRecord | None = None
        self.is_cloned = False
        self._session = session
        self._incarnation = incarnation
        self._outbid_at: float | None = None

    def publish(self, endpoints: tuple[Endpoint, ...], flags: int) -> SignedRecord:
        """A new record, with the next incarnation."""
        self._incarnation = min(self._incarnation + 1, MAX_INT)
        record = NodeRecord(self.public_key, self._session, self._incarnation, endpoints, flags)
        self.record = sign_record(record, self.key)
        return self.record

    def refute(self) -> SignedRecord:
        """The same with a higher incarnation: what was said of the one before no longer holds."""
        assert self.record is not None
        return self.publish(self.record.record.endpoints, self.record.record.flags)

    def outbids(self, other: SignedRecord, now: float) -> bool:
        """Whether `other`, a record of this very node that it has not made in this session, has to be refuted.

        A former life of ours outbids us once, as it does not answer. Who outbids what we published since is alive.
        """
        if self.record is None or other.raw == self.record.raw or not supersedes(other, self.record):
            return False
        if other.record.is_director and other.record.incarnation > self._incarnation:
            self.is_cloned = self._outbid_at is not None and now - self._outbid_at <= CLONE_WINDOW
            self._outbid_at = now
        self._incarnation = max(self._incarnation, other.record.incarnation)
        return True
