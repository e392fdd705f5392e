"""Zips that are unusual, and fine."""

from __future__ import annotations

import zlib
from dataclasses import replace
from struct import pack
from typing import TYPE_CHECKING

from p2pmods.testing.modzips import Crafted, Ending, craft_zip, deflate
from tests.gomod.zipcorpus.case import A_GO, EVIL_GO, GO_MOD, GOOD, PREFIX, Case

if TYPE_CHECKING:
    from collections.abc import Iterator


def accepted() -> Iterator[Case]:
    def holds(name: str, *entries: Crafted, ending: Ending | None = None) -> Case:
        files = tuple((e.name.removeprefix(PREFIX), e.content) for e in entries if not e.name.endswith(b"/"))
        return Case(name, craft_zip(entries, ending), files=files)

    yield holds("as-go-writes-it", GO_MOD, A_GO, Crafted(PREFIX + b"sub/b.go", b"package sub\n" * 999))
    yield holds("empty-file", Crafted(PREFIX + b"empty"))
    yield holds("stored", Crafted(PREFIX + b"a.go", GOOD, method=0))
    yield holds("not-streamed", Crafted(PREFIX + b"a.go", GOOD, streamed=False))
    yield holds("stored-not-streamed", Crafted(PREFIX + b"a.go", GOOD, method=0, streamed=False))
    filled = {"crc": zlib.crc32(GOOD), "packed": len(deflate(GOOD)), "size": len(GOOD)}
    yield holds("streamed-with-filled-header", replace(A_GO, local=filled))
    yield holds("directory-entry", Crafted(PREFIX + b"sub/", method=0, streamed=False), A_GO)
    yield holds("directory-entry-as-go-writes-files", Crafted(PREFIX + b"sub/"), A_GO)
    yield holds("directory-entry-after-its-file", Crafted(PREFIX + b"sub/a.go"), Crafted(PREFIX + b"sub/"))
    yield holds("root-directory-entry", Crafted(PREFIX, method=0, streamed=False), A_GO)
    yield holds("directory-named-go.mod", Crafted(PREFIX + b"sub/go.mod/"), Crafted(PREFIX + b"x/go.mod/a.go", GOOD))
    yield holds("symlink-mode", replace(A_GO, central={"made": 0x0314, "external": 0xA1FF0000}))
    yield holds("times", replace(A_GO, local=_times(13), central=_times(5)))
    yield holds("owner", replace(A_GO, central={"extra": pack("<HHBBHBH", 0x7875, 7, 1, 2, 0, 2, 0)}))
    yield holds("name-not-ascii", Crafted(PREFIX + "größe/日本.go".encode(), GOOD))
    utf8_unmarked = {"flags": 0x0008}
    yield holds(
        "name-not-ascii-and-not-marked",
        Crafted(PREFIX + "é.go".encode(), GOOD, local=utf8_unmarked, central=utf8_unmarked),
    )
    yield holds("end-record-signature-in-content", Crafted(PREFIX + b"x", b"PK\x05\x06" + bytes(18), method=0))
    yield holds("whole-zip-as-content", Crafted(PREFIX + b"x.zip", craft_zip([EVIL_GO]), method=0))
    yield holds("deflated-with-hard-try-flag", replace(A_GO, local={"flags": 10}, central={"flags": 10}))
    many = [Crafted(PREFIX + b"%d" % i, method=0, streamed=False) for i in range(0xFFFF)]
    yield holds("zip64-from-65535-entries", *many)
    yield holds("65535-entries-without-zip64", *many, ending=Ending(zip64=False))


def _times(length: int) -> dict[str, int | bytes]:
    return {"extra": pack("<HHB", 0x5455, length, 7) + bytes(length - 1)}
