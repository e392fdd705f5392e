"""Suspicions, each signed by the node that did not get through."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from p2pmods.identity.key import public_bytes
from p2pmods.identity.signing import check_signature, sign
from p2pmods.membership.messages import Accusation

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    from p2pmods.identity.records import NodeRecord

_DOMAIN: Final = "suspicion"


def accuse(subject: NodeRecord, key: Ed25519PrivateKey) -> Accusation:
    """The owner of `key` did not reach `subject`."""
    accuser = public_bytes(key)
    signature = sign(key, _DOMAIN, _signed(subject.public_key, subject.session, subject.incarnation, accuser))
    return Accusation(subject.public_key, subject.session, subject.incarnation, accuser, signature)


def check(accusation: Accusation) -> None:
    """Raises MalformedData unless its accuser signed it."""
    signed = _signed(accusation.subject, accusation.session, accusation.incarnation, accusation.accuser)
    check_signature(accusation.accuser, _DOMAIN, signed, accusation.signature)


def is_about(accusation: Accusation, record: NodeRecord) -> bool:
    """Whether it speaks of the node as it is in `record`: what was said of an earlier one is refuted."""
    return (accusation.subject, accusation.session, accusation.incarnation) == (
        record.public_key,
        record.session,
        record.incarnation,
    )


def _signed(subject: bytes, session: bytes, incarnation: int, accuser: bytes) -> bytes:
    """Of fixed sizes all, so that it reads one way only."""
    return subject + session + incarnation.to_bytes(8) + accuser
