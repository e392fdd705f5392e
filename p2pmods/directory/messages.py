"""What nodes say to the homes of a key, and homes to them. Numbers 40 to 69; docs/protocol/directory.md shows each.

A message that is a request or an answer says so; the rest are notices. Ages are in seconds before sending.
"""

from __future__ import annotations

from typing import Final

import attrs

from p2pmods.directory.ability import Ability  # noqa: TC001 - the codec resolves field types
from p2pmods.identity.key import public_of_id
from p2pmods.identity.records import MAX_RECORD, SESSION_SIZE
from p2pmods.identity.signing import SIGNATURE_SIZE
from p2pmods.identity.swarm import OBJECT_KEY_SIZE
from p2pmods.wire.bounds import at_most, between, size
from p2pmods.wire.codec import MAX_INT, message, part

MAX_NAME: Final = 512  # characters of path@version: 64 of them in a lookup fit one message
MAX_SIZE: Final = 500 << 20  # bytes of an object: x/mod/zip.MaxZipFile
TOKEN_SIZE: Final = 16
SHA256_SIZE: Final = 32
MAX_AGE: Final = 0xFFFFFFFF  # seconds
MAX_HOLDERS: Final = 32  # of one key that a home keeps, or names
MAX_AVOIDED: Final = 8
MAX_BATCH: Final = 64  # keys of one lookup
MAX_FOUND: Final = 5  # holders of each key in an answer to a lookup: 64 times as many must fit one message
MAX_FOUND_RECORDS: Final = 24
MAX_DELTAS: Final = 256  # of one advert
MAX_ENTRUSTED: Final = 64  # files of one message
MAX_DELAY: Final = 2000  # milliseconds over which a crowd that goes upstream is spread

# How a lease ended, in Release.
DONE: Final = 0
FAILED: Final = 1
LEFT: Final = 2  # the node leaves the swarm
STOPPED: Final = 3  # another fetcher goes on


def check_node(_: object, __: object, node: str) -> None:
    """A validator: the text is a node id."""
    public_of_id(node)


@part
class Holding:
    """A proven object: `size` bytes with this SHA-256, known as `key`."""

    key: bytes = attrs.field(validator=size(OBJECT_KEY_SIZE))
    sha256: bytes = attrs.field(validator=size(SHA256_SIZE))
    size: int = attrs.field(validator=between(0, MAX_SIZE))


@part
class Holder:
    """`node` said `age` seconds ago that it holds that object."""

    node: str = attrs.field(validator=check_node)
    sha256: bytes = attrs.field(validator=size(SHA256_SIZE))
    size: int = attrs.field(validator=between(0, MAX_SIZE))
    age: int = attrs.field(validator=between(0, MAX_AGE))


@part
class Growing:
    """An object that `fetcher` is fetching, named by fetcher and token while its hash is not known."""

    fetcher: str = attrs.field(validator=check_node)
    token: bytes = attrs.field(validator=size(TOKEN_SIZE))
    received: int = attrs.field(validator=between(0, MAX_SIZE))


@part
class Terms:
    """A lease as it was granted: `home` signed that `fetcher` fetches under `token` (see proof.py)."""

    fetcher: str = attrs.field(validator=check_node)
    token: bytes = attrs.field(validator=size(TOKEN_SIZE))
    home: str = attrs.field(validator=check_node)
    proof: bytes = attrs.field(validator=size(SIGNATURE_SIZE))


@message(40)
class Claim:
    """Request: I want the zip of `module` (path@version). Answered by Providers, Wait, Grant or Alone.

    `avoid`: nodes that were of no use. `stalled`: the token under which nothing came, or my own that I gave up;
    `urgent`: and I shall wait for it no longer. `claimant` is set when a home passes the claim on to a better one.
    """

    module: str = attrs.field(validator=at_most(MAX_NAME))
    ability: Ability
    record: bytes = attrs.field(validator=at_most(MAX_RECORD))
    avoid: tuple[str, ...] = attrs.field(
        default=(), validator=[at_most(MAX_AVOIDED), attrs.validators.deep_iterable(check_node)]
    )
    stalled: bytes | None = attrs.field(default=None, validator=size(TOKEN_SIZE))
    urgent: bool = False
    claimant: str | None = attrs.field(default=None, validator=attrs.validators.optional(check_node))


@message(41)
class Providers:
    """Answer: these hold it. `records` are their signed records, as far as they are known, in no order."""

    holders: tuple[Holder, ...] = attrs.field(validator=at_most(MAX_HOLDERS))
    records: tuple[bytes, ...] = attrs.field(
        validator=[at_most(MAX_HOLDERS), attrs.validators.deep_iterable(at_most(MAX_RECORD))]
    )


@message(42)
class Wait:
    """Answer: `growing.fetcher` fetches it, take it from there. `limited`: its upstream lets nobody go faster."""

    growing: Growing
    limited: bool
    record: bytes | None = attrs.field(validator=at_most(MAX_RECORD))


@message(43)
class Grant:
    """Answer: fetch it under these terms, share it while it arrives, renew at the homes."""

    terms: Terms


@message(44)
class Alone:
    """Answer: fetch it for yourself, after `delay` milliseconds."""

    delay: int = attrs.field(validator=between(0, MAX_DELAY))


@message(45)
class Intend:
    """Request among homes: I am about to grant these terms for `key`, unless you know better. Answered by Intended.

    `instead_of`: the token of a lease that failed.
    """

    key: bytes = attrs.field(validator=size(OBJECT_KEY_SIZE))
    terms: Terms
    record: bytes = attrs.field(validator=at_most(MAX_RECORD))
    instead_of: bytes | None = attrs.field(default=None, validator=size(TOKEN_SIZE))


@message(46)
class Intended:
    """Answer: another lease that stands in the way, or those who hold it already; else, do."""

    terms: Terms | None
    holders: tuple[Holder, ...] = attrs.field(validator=at_most(MAX_HOLDERS))
    records: tuple[bytes, ...] = attrs.field(
        validator=[at_most(MAX_HOLDERS), attrs.validators.deep_iterable(at_most(MAX_RECORD))]
    )


@message(47)
class Renew:
    """From a fetcher to the homes, every 2 s: I am at it and have `received` bytes."""

    key: bytes = attrs.field(validator=size(OBJECT_KEY_SIZE))
    terms: Terms
    received: int = attrs.field(validator=between(0, MAX_SIZE))
    limited: bool
    record: bytes = attrs.field(validator=at_most(MAX_RECORD))


@message(48)
class Release:
    """From a fetcher to the homes: my lease is over, and how. `holding` is what came of it, once it is proven."""

    key: bytes = attrs.field(validator=size(OBJECT_KEY_SIZE))
    token: bytes = attrs.field(validator=size(TOKEN_SIZE))
    how: int = attrs.field(validator=between(DONE, STOPPED))
    holding: Holding | None = None


@message(49)
class Stop:
    """From a home to a fetcher: your lease is over. `instead`: take it from there; None: nobody waits for you."""

    key: bytes = attrs.field(validator=size(OBJECT_KEY_SIZE))
    token: bytes = attrs.field(validator=size(TOKEN_SIZE))
    instead: Growing | None
    record: bytes | None = attrs.field(validator=at_most(MAX_RECORD))


@part
class Location:
    """Of one key: some who hold it, and who is fetching it."""

    holders: tuple[Holder, ...] = attrs.field(validator=at_most(MAX_FOUND))
    growing: Growing | None


@message(50)
class Lookup:
    """Request: where are the zips of these modules (path@version)? Answered by Found."""

    modules: tuple[str, ...] = attrs.field(
        validator=[at_most(MAX_BATCH), attrs.validators.deep_iterable(at_most(MAX_NAME))]
    )


@message(51)
class Found:
    """Answer: one location for each module, in the order of the question."""

    locations: tuple[Location, ...] = attrs.field(validator=at_most(MAX_BATCH))
    records: tuple[bytes, ...] = attrs.field(
        validator=[at_most(MAX_FOUND_RECORDS), attrs.validators.deep_iterable(at_most(MAX_RECORD))]
    )


@message(52)
class Advert:
    """Request: entry number `sequence` of the log of what I hold, for this home. Answered by Advertised.

    `begins`: forget what I said before; the log starts here, with its number.
    """

    session: bytes = attrs.field(validator=size(SESSION_SIZE))
    sequence: int = attrs.field(validator=between(0, MAX_INT - 1))
    begins: bool
    record: bytes = attrs.field(validator=at_most(MAX_RECORD))
    added: tuple[Holding, ...] = attrs.field(validator=at_most(MAX_DELTAS))
    removed: tuple[bytes, ...] = attrs.field(
        validator=[at_most(MAX_DELTAS), attrs.validators.deep_iterable(size(OBJECT_KEY_SIZE))]
    )


@message(53)
class Advertised:
    """Answer: `wanted` is the number I expect next of this session, None when the log has to begin again."""

    session: bytes = attrs.field(validator=size(SESSION_SIZE))
    wanted: int | None = attrs.field(validator=between(0, MAX_INT))


@message(54)
class Entrust:
    """Request to a seed: keep copies of these. path@version is a zip, path@version/go.mod the small files; the sender
    got them from outside, and gives them. Answered by Entrusted."""

    files: tuple[str, ...] = attrs.field(
        validator=[at_most(MAX_ENTRUSTED), attrs.validators.deep_iterable(at_most(MAX_NAME))]
    )


@message(55)
class Entrusted:
    """Answer: the first `taken` of them are had or will be; say the others again later."""

    taken: int = attrs.field(validator=between(0, MAX_ENTRUSTED))
