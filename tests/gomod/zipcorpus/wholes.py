"""Wrong as a whole: end records, gaps, counts, and what the directory says."""

from __future__ import annotations

from dataclasses import replace
from struct import pack
from typing import TYPE_CHECKING

from p2pmods.testing.modzips import Crafted, Ending, craft_zip, deflate, make_module_zip
from tests.gomod.zipcorpus.case import A_GO, EVIL, EVIL_GO, GO_MOD, GOOD, MODULE, PREFIX, Case

if TYPE_CHECKING:
    from collections.abc import Iterator


def endings() -> Iterator[Case]:
    whole = make_module_zip(MODULE, {"go.mod": GO_MOD.content, "a.go": GOOD})
    evil = make_module_zip(MODULE, {"go.mod": GO_MOD.content, "a.go": EVIL})
    both = [GO_MOD, A_GO]
    end = "no end record at the very end"
    outside = "bytes before the archive"
    yield Case("no-bytes", b"", "too short")
    yield Case("not-a-zip", b"<html>sign in</html>" * 9, end)
    yield Case("no-files", craft_zip([]), "no files")
    yield Case("cut-by-one", whole[:-1], end)
    yield Case("cut-in-directory", whole[:-60], end)
    yield Case("cut-in-content", whole[:70], end)
    yield Case("first-byte-lost", whole[1:], outside)
    yield Case("trailing-byte", whole + b"\0", end)
    yield Case("trailing-newlines", whole + b"\r\n\r\n", end)
    yield Case("comment", craft_zip(both, Ending(comment=b"hello")), end)
    yield Case("comment-with-end-record", craft_zip(both, Ending(comment=craft_zip([])[:22])), outside)
    yield Case("comment-with-whole-zip", craft_zip(both, Ending(comment=evil)), outside)
    yield Case("two-zips-in-a-row", whole + evil, outside)
    yield Case("end-record-twice", whole + whole[-22:], outside)
    yield Case("prefix", craft_zip(both, Ending(before=b"#!/bin/sh\n")), outside)
    yield Case("prefix-in-first-gap", craft_zip([replace(GO_MOD, before=b"#!/bin/sh\n"), A_GO]), "leave a gap")
    yield Case(
        "gap-before-directory", craft_zip(both, Ending(before_directory=b"gap")), "the last entry and the directory"
    )
    yield Case("gap-after-directory", craft_zip(both, Ending(after_directory=b"gap")), outside)
    yield Case("directory-offset-low", craft_zip(both, Ending(shift=-1)), outside)
    yield Case("directory-offset-high", craft_zip(both, Ending(shift=1)), outside)
    yield Case("too-few-counted", craft_zip(both, Ending(count=1)), "longer than its entries")
    yield Case("too-many-counted", craft_zip(both, Ending(count=3)), "shorter than its entries")
    yield Case("count-modulo-65536", craft_zip(both, Ending(count=2 + 65536, zip64=True)), "shorter than its entries")
    yield Case("zip64-not-needed", craft_zip(both, Ending(zip64=True)), "zip64 where nothing needs it")
    yield Case("zip64-locator-elsewhere", craft_zip(both, Ending(zip64=True, locator=0)), "a zip64 locator that")
    yield Case("several-disks", whole[:-18] + b"\1" + whole[-17:], "several disks")
    hidden = craft_zip([replace(EVIL_GO, before=whole[:-22])], Ending(before_directory=b""))
    yield Case("second-archive-before-the-directory", hidden, "leave a gap")


def directories() -> Iterator[Case]:
    def refused(label: str, reason: str, /, **central: int | bytes) -> Case:
        return Case(label, craft_zip([GO_MOD, replace(A_GO, central=central)]), reason)

    both_flags: dict[str, int | bytes]
    for name, flags, reason in (
        ("encrypted", 9, "encrypted"),
        ("strongly-encrypted", 0x49, "encrypted"),
        ("masked-headers", 0x2008, "encrypted"),
        ("patched", 0x28, "flags 0x0028"),
    ):
        both_flags = {"flags": flags}
        yield Case(name, craft_zip([replace(A_GO, local=both_flags, central=both_flags)]), reason)
    for method in (1, 9, 12, 14, 93, 99):
        yield Case(
            f"method-{method}", craft_zip([Crafted(PREFIX + b"a.go", GOOD, method=method)]), f"method {method}"
        )
    yield refused("entry-comment", "a comment", comment=b"hello")
    yield refused("entry-on-other-disk", "several disks", disk=1)
    yield refused("needs-zip64", "needs version 4.5", needed=45)
    yield refused("extra-unicode-path", "0x7075", extra=pack("<HHBI", 0x7075, 9, 1, 0) + b"b.go")
    yield refused("extra-zip64-unused", "0x0001", extra=pack("<HHQ", 1, 8, 7))
    yield refused("extra-unknown", "0xcafe", extra=pack("<HH", 0xCAFE, 0))
    yield refused("extra-too-long", "malformed extra", extra=pack("<HH", 0x5455, 5) + b"\1")
    yield refused("extra-half-a-field", "malformed extra", extra=b"UT\0")
    zip64 = pack("<HHQQ", 1, 16, len(GOOD), len(deflate(GOOD)))
    yield refused("sizes-in-zip64-extra", "0x0001", size=0xFFFFFFFF, packed=0xFFFFFFFF, extra=zip64)
    yield refused("offset-in-zip64-extra", "0x0001", offset=0xFFFFFFFF, extra=pack("<HHQ", 1, 8, 0))
    yield refused("size-4-gib", "more than the", size=0xFFFFFFFF)
    yield refused("offset-of-other-entry", "overlap", offset=0)
    yield refused("offset-inside-other-entry", "overlap", offset=1)
    yield refused("offset-in-the-directory", "overlap", offset=130)
    yield refused("offset-behind-everything", "overlap", offset=1 << 30)
    entries = [Crafted(PREFIX + b"a", GOOD), Crafted(PREFIX + b"b", GOOD)]
    good = craft_zip(entries)
    start = good.index(b"PK\x01\x02")
    length = (len(good) - 22 - start) // 2
    swapped = good[:start] + good[start + length : -22] + good[start : start + length] + good[-22:]
    yield Case("directory-in-another-order", swapped, "another order")
    one_listed = good[:start] + good[start : start + length] + pack(
        "<4s4H2IH", b"PK\x05\x06", 0, 0, 1, 1, length, start, 0
    )  # fmt: skip
    yield Case("entry-not-in-the-directory", one_listed, "the last entry and the directory")
    for name, at, replacement in (("signature-wrong", 0, b"PK\1\1"), ("name-runs-over-the-end", 28, b"\xff\xff")):
        patched = good[: start + length + at] + replacement + good[start + length + at + len(replacement) :]
        yield Case(f"directory-{name}", patched, "a malformed directory header")
    twice = [Crafted(PREFIX + b"a", GOOD), Crafted(PREFIX + b"b", GOOD, central={"offset": 0})]
    yield Case("two-names-for-one-content", craft_zip(twice), "overlap")
