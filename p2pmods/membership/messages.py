"""The messages of membership: numbers 20 to 24 in sealed datagrams, 20, 21 and 25 to 27 over links."""

from __future__ import annotations

from typing import Final

import attrs

from p2pmods.identity.key import PUBLIC_SIZE
from p2pmods.identity.records import MAX_RECORD, SESSION_SIZE
from p2pmods.identity.signing import SIGNATURE_SIZE
from p2pmods.wire.bounds import at_most, between, size
from p2pmods.wire.codec import MAX_INT, message, part

NONCE_SIZE: Final = 8  # bytes, random: who answers with it was reached
DIGEST_SIZE: Final = 8  # bytes
BUCKETS: Final = 64
MAX_NEWS: Final = 8  # records, and as many accusations, in one datagram
MAX_PADDING: Final = 1100
MAX_HELD: Final = 128  # records, and as many accusations, in one message about buckets


@part
class Accusation:
    """`accuser` did not reach `subject` as it was in that session and incarnation; signed by the accuser."""

    subject: bytes = attrs.field(validator=size(PUBLIC_SIZE))
    session: bytes = attrs.field(validator=size(SESSION_SIZE))
    incarnation: int = attrs.field(validator=between(0, MAX_INT))
    accuser: bytes = attrs.field(validator=size(PUBLIC_SIZE))
    signature: bytes = attrs.field(validator=size(SIGNATURE_SIZE))


@part
class News:
    """What rides along: signed records of directors, and suspicions."""

    records: tuple[bytes, ...] = attrs.field(
        default=(), validator=[at_most(MAX_NEWS), attrs.validators.deep_iterable(at_most(MAX_RECORD))]
    )
    accusations: tuple[Accusation, ...] = attrs.field(default=(), validator=at_most(MAX_NEWS))


def _check_target(_: object, attribute: attrs.Attribute[bytes], target: bytes) -> None:
    if len(target) not in (0, PUBLIC_SIZE):
        raise ValueError(f"{attribute.name} has length {len(target)}")


@message(20)
class Ping:
    """Are you there? `target` is whom it is for, empty when the sender has an address only.

    `digest` is of the sender's table. With `padding` the sender introduces itself, and wants the receiver's record.
    It is long on a first contact: the answer is never larger than the question until the address has proved itself.
    """

    nonce: bytes = attrs.field(validator=size(NONCE_SIZE))
    sender: bytes = attrs.field(validator=size(PUBLIC_SIZE))
    target: bytes = attrs.field(validator=_check_target)
    digest: bytes = attrs.field(validator=size(DIGEST_SIZE))
    news: News
    padding: bytes = attrs.field(default=b"", validator=at_most(MAX_PADDING))

    def carrying(self, news: News, padding: bytes = b"") -> Ping:
        """The same with this news and padding."""
        return Ping(self.nonce, self.sender, self.target, self.digest, news, padding)


@message(21)
class Ack:
    """I am; `nonce` is the ping's."""

    nonce: bytes = attrs.field(validator=size(NONCE_SIZE))
    sender: bytes = attrs.field(validator=size(PUBLIC_SIZE))
    digest: bytes = attrs.field(validator=size(DIGEST_SIZE))
    news: News


@message(22)
class ProbeRequest:
    """Ping `target` for me, at the address you know it by."""

    nonce: bytes = attrs.field(validator=size(NONCE_SIZE))
    target: bytes = attrs.field(validator=size(PUBLIC_SIZE))


@message(23)
class ProbeReport:
    """What came of the ProbeRequest with this nonce; without an answer it still shows that the asker hears."""

    nonce: bytes = attrs.field(validator=size(NONCE_SIZE))
    answered: bool


@message(24)
class Gossip:
    """News that could not wait for a ping."""

    news: News


@message(25)
class TableDigests:
    """Over a link: one digest per bucket of the sender's table, all of them in a row. Wants a BucketContents.

    Bit i of `skip`: bucket i was compared already.
    """

    digests: bytes = attrs.field(validator=size(BUCKETS * DIGEST_SIZE))
    skip: int = attrs.field(validator=between(0, MAX_INT))


@message(26)
class BucketContents:
    """Everything in those buckets that differ, as many as fit: bit i of `covered` stands for bucket i.

    Accusations are why the sender holds one of those dead whom the asker may hold alive.
    """

    covered: int = attrs.field(validator=between(0, MAX_INT))
    records: tuple[bytes, ...] = attrs.field(
        validator=[at_most(MAX_HELD), attrs.validators.deep_iterable(at_most(MAX_RECORD))]
    )
    accusations: tuple[Accusation, ...] = attrs.field(validator=at_most(MAX_HELD))


@message(27)
class Missing:
    """Over a link, without an answer: what the other one's buckets lacked, as in a BucketContents."""

    records: tuple[bytes, ...] = attrs.field(
        validator=[at_most(MAX_HELD), attrs.validators.deep_iterable(at_most(MAX_RECORD))]
    )
    accusations: tuple[Accusation, ...] = attrs.field(validator=at_most(MAX_HELD))
