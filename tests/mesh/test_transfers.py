"""The two ends of a transfer by themselves: which object is asked for, and what is sent of an open file."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
import trio

from p2pmods.directory.messages import Holder
from p2pmods.gomod.module import FileKey, FileKind
from p2pmods.identity.key import node_id
from p2pmods.mesh.giving import Giving, OpenFile
from p2pmods.mesh.growing import WINDOW, Growing, GrowingFiles, Uploads
from p2pmods.mesh.policy import SharingPolicy
from p2pmods.mesh.receiving import choose
from p2pmods.swarm.messages import IN_PIECES, ZIP, FileHead, GetFile
from p2pmods.swarm.pieces import LARGE
from tests.mesh.fakes import InMemory
from tests.mesh.world import KEYS
from tests.world import WIDGET

if TYPE_CHECKING:
    from pathlib import Path

ANN, BOB, EVE = (node_id(key) for key in KEYS[:3])
ONE, OTHER = bytes(32), b"\1" * 32
TOKEN = bytes(16)
KEY = FileKey(WIDGET, FileKind.ZIP)


def test_the_object_that_most_hold_is_asked_for_of_all_of_them() -> None:
    holders = [Holder(ANN, ONE, 3, 0), Holder(BOB, OTHER, 3, 0), Holder(EVE, OTHER, 3, 0)]
    assert choose(holders) == holders[1:]
    assert choose([Holder(ANN, ONE, 3, 0), Holder(BOB, ONE, 4, 0)]) == [Holder(ANN, ONE, 3, 0)]
    assert choose([]) == []


def test_of_an_open_file_come_the_bytes_that_are_asked_for_or_an_error(tmp_path: Path) -> None:
    path = tmp_path / "zip"
    path.write_bytes(b"0123456789")
    with OpenFile(10, "00" * 32, os.open(path, os.O_RDONLY)) as file:
        assert file.read(2, 5) == b"23456"
        os.truncate(path, 4)
        with pytest.raises(OSError, match="cut"):
            file.read(2, 5)
    with OpenFile(10, "00" * 32, None, b"0123456789") as file:
        assert file.read(2, 5) == b"23456"


@dataclass
class Call:
    """Keeps what is sent; `order` is shared with the cap."""

    message: object
    order: list[object]
    peer: str = BOB
    here: str = "10.9.0.1"
    sent: list[bytes] = field(default_factory=list)

    async def reply_stream(self, message: object, length: int | None = None) -> None:
        await trio.lowlevel.checkpoint()
        self.order.append((message, length))

    async def send(self, data: bytes) -> None:
        await trio.lowlevel.checkpoint()
        self.order.append("send")
        self.sent.append(data)

    async def end(self) -> None:
        await trio.lowlevel.checkpoint()
        self.order.append("end")

    async def refuse(self, code: int, text: str) -> None:
        await trio.lowlevel.checkpoint()
        assert text
        self.order.append(code)


async def test_every_piece_waits_for_the_cap_on_what_is_given() -> None:
    order: list[object] = []
    body = bytes(WINDOW + 10)

    class Cap:
        async def take(self, count: int) -> None:
            await trio.lowlevel.checkpoint()
            order.append(count)

    class Shelf:
        async def look_again(self, module: object) -> bool:
            raise AssertionError

        def open_file(self, key: FileKey, sha256: str | None) -> OpenFile:
            return OpenFile(len(body), "00" * 32, None, body)

    given: list[tuple[str, FileKey, int]] = []
    shelf, cap = Shelf(), Cap()
    giving = Giving(
        GrowingFiles(),
        shelf,  # type: ignore[arg-type]
        SharingPolicy("sum.example.org", lambda _path: False, is_public=True),
        cap,  # type: ignore[arg-type]
        lambda *one: given.append(one),
    )
    call: Any = Call(GetFile(WIDGET.path, WIDGET.version, ZIP, 4), order)
    await giving.file(call)
    head = FileHead(len(body), bytes(32))
    assert order == [(head, len(body) - 4), WINDOW, "send", 6, "send", "end"]
    assert b"".join(call.sent) == body[4:]
    assert given == [(BOB, KEY, len(body) - 4)]
    assert (giving.statistics().files, giving.statistics().bytes) == (1, len(body) - 4)


@pytest.mark.parametrize(("in_pieces", "answer"), [(True, IN_PIECES), (False, FileHead(None, None))])
async def test_a_large_file_that_grows_is_given_whole_only_to_who_cannot_take_pieces(
    in_pieces: bool, answer: object
) -> None:
    order: list[object] = []
    giving = Giving(
        GrowingFiles(),
        None,  # type: ignore[arg-type]
        SharingPolicy("sum.example.org", lambda _path: False, is_public=True),
        Uploads(None),
        lambda *_one: None,
    )
    growing = Growing(InMemory(), lambda _size: None, lambda _at: None)
    growing.expects(LARGE)
    with giving.growing.share(KEY, TOKEN, growing):
        growing.write(b"PK")
        growing.finish()
        call: Any = Call(GetFile(WIDGET.path, WIDGET.version, ZIP, 0, token=TOKEN, in_pieces=in_pieces), order)
        await giving.file(call)
    first = order[0]
    assert (first if isinstance(first, int) else first[0]) == answer  # type: ignore[index]
    assert b"".join(call.sent) == (b"" if in_pieces else b"PK")
