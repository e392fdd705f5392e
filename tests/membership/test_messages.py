"""The messages: each goes over the wire and back, and says no to what it may not hold."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import p2pmods
from p2pmods.errors import MalformedData
from p2pmods.identity.records import MAX_RECORD
from p2pmods.membership import messages
from p2pmods.membership.accusations import check
from p2pmods.membership.messages import MAX_HELD, MAX_NEWS, Accusation, BucketContents, Gossip, Missing, News, Ping
from p2pmods.wire.codec import decode, encode, registered

PAGE = Path(p2pmods.__file__).parent.parent / "docs" / "protocol" / "membership.md"
EXAMPLES = re.findall(r"```hex (\w+)\n([0-9a-f\n]+)```", PAGE.read_text(encoding="utf-8"))
ACCUSATION = Accusation(bytes(32), bytes(8), 1, bytes(32), bytes(64))


def test_every_message_has_an_example_in_the_protocol() -> None:
    ours = {number: cls.__name__ for number, cls in registered().items() if cls.__module__ == messages.__name__}
    assert list(ours) == list(range(20, 28))
    assert [name for name, _ in EXAMPLES] == list(ours.values())


@pytest.mark.parametrize(("name", "text"), EXAMPLES, ids=[name for name, _ in EXAMPLES])
def test_the_examples_are_what_is_sent(name: str, text: str) -> None:
    data = bytes.fromhex(text.replace("\n", ""))
    assert type(decode(data)).__name__ == name
    assert encode(decode(data)) == data


def test_the_accusation_of_the_example_is_signed() -> None:
    [gossip] = [decode(bytes.fromhex(text.replace("\n", ""))) for name, text in EXAMPLES if name == "Gossip"]
    check(gossip.news.accusations[0])


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda: Ping(bytes(7), bytes(32), b"", bytes(8), News()), "nonce"),
        (lambda: Ping(bytes(8), bytes(31), b"", bytes(8), News()), "sender"),
        (lambda: Ping(bytes(8), bytes(32), bytes(31), bytes(8), News()), "target"),
        (lambda: Ping(bytes(8), bytes(32), b"", bytes(9), News()), "digest"),
        (lambda: Ping(bytes(8), bytes(32), b"", bytes(8), News(), bytes(1101)), "padding"),
        (lambda: News((b"",) * (MAX_NEWS + 1)), "records"),
        (lambda: News((bytes(MAX_RECORD + 1),)), "records"),
        (lambda: News((), (ACCUSATION,) * (MAX_NEWS + 1)), "accusations"),
        (lambda: BucketContents(0, (b"",) * (MAX_HELD + 1), ()), "records"),
        (lambda: BucketContents(0, (bytes(MAX_RECORD + 1),), ()), "records"),
        (lambda: BucketContents(0, (), (ACCUSATION,) * (MAX_HELD + 1)), "accusations"),
        (lambda: BucketContents(1 << 64, (), ()), "covered"),
        (lambda: Missing((b"",) * (MAX_HELD + 1), ()), "records"),
        (lambda: Missing((bytes(MAX_RECORD + 1),), ()), "records"),
        (lambda: Missing((), (ACCUSATION,) * (MAX_HELD + 1)), "accusations"),
        (lambda: Accusation(bytes(32), bytes(8), -1, bytes(32), bytes(64)), "incarnation"),
        (lambda: Accusation(bytes(32), bytes(9), 1, bytes(32), bytes(64)), "session"),
        (lambda: messages.TableDigests(bytes(511), 0), "digests"),
        (lambda: messages.TableDigests(bytes(512), -1), "skip"),
    ],
)
def test_what_is_too_long_too_short_or_too_many_is_refused(make: object, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        make()  # type: ignore[operator]


def test_a_bound_holds_for_what_arrives_too() -> None:
    fits = encode(Gossip(News((bytes(640),))))
    too_long = fits.replace(b"\xc5\x02\x80" + bytes(640), b"\xc5\x02\x81" + bytes(641))
    assert len(too_long) == len(fits) + 1
    with pytest.raises(MalformedData):
        decode(too_long)
