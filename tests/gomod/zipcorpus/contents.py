"""Local headers, descriptors and contents that are not what the directory says; sizes."""

from __future__ import annotations

import zlib
from dataclasses import replace
from struct import pack
from typing import TYPE_CHECKING

from p2pmods.testing.modzips import Crafted, craft_zip, deflate
from tests.gomod.zipcorpus.case import A_GO, EVIL, GO_MOD, GOOD, MIB, PREFIX, Case

if TYPE_CHECKING:
    from collections.abc import Iterator


def local_headers() -> Iterator[Case]:
    differs = "a local header that is not the directory's"
    sizes = "a local header with another CRC or size"

    def local(label: str, reason: str, /, **changed: int | bytes) -> Case:
        return Case(f"local-{label}", craft_zip([replace(A_GO, local=changed)]), reason)

    yield local("name-differs", differs, name=PREFIX + b"b.go")
    yield local("name-longer", differs, name=PREFIX + b"a.gob")
    yield local("name-differs-in-case", differs, name=PREFIX + b"A.go")
    yield local("method-differs", differs, method=0)
    yield local("flags-differ", differs, flags=0)
    yield local("encrypted", differs, flags=9)
    yield local("version-differs", differs, needed=10)
    yield local("time-differs", differs, time=1)
    yield local("crc-differs", sizes, crc=1)
    yield local("packed-differs", sizes, packed=1)
    yield local("size-differs", sizes, size=1)
    yield local("extra-unicode-path", "0x7075", extra=pack("<HHBI", 0x7075, 9, 1, 0) + b"b.go")
    yield local("extra-zip64", "0x0001", extra=pack("<HHQQ", 1, 16, 5, 5))
    beyond: dict[str, int | bytes] = {"packed": 1000, "size": 1000}
    reaching = Crafted(PREFIX + b"a.go", GOOD, method=0, streamed=False, local=beyond, central=beyond)
    yield Case("content-reaches-into-the-directory", craft_zip([reaching]), "reaches into the directory")
    yield local("extra-swallows-content", "overlap|reaches into|malformed", extra=pack("<HH", 0x5455, 4000))
    unstreamed = Crafted(PREFIX + b"a.go", GOOD, streamed=False)
    zeroed: dict[str, int | bytes] = {"crc": 0, "packed": 0, "size": 0}
    yield Case("local-sizes-missing", craft_zip([replace(unstreamed, local=zeroed)]), sizes)
    bad_signature = bytearray(craft_zip([A_GO]))
    bad_signature[3] = 9
    yield Case("local-signature-wrong", bytes(bad_signature), differs)
    right = (zlib.crc32(GOOD), len(deflate(GOOD)), len(GOOD))
    descriptor = "a data descriptor"
    for name, data in (
        ("crc-differs", pack("<4s3I", b"PK\x07\x08", right[0] ^ 1, *right[1:])),
        ("packed-differs", pack("<4s3I", b"PK\x07\x08", right[0], right[1] + 1, right[2])),
        ("size-differs", pack("<4s3I", b"PK\x07\x08", *right[:2], 7)),
        ("missing", b""),
        ("without-signature", pack("<3I", *right)),
        ("zip64", pack("<4sIQQ", b"PK\x07\x08", *right)),
    ):
        zipped = craft_zip([replace(A_GO, descriptor=data), GO_MOD])
        yield Case(f"descriptor-{name}", zipped, f"{descriptor}|leave a gap")


def contents() -> Iterator[Case]:
    length = "another length"

    def raw(label: str, data: bytes, reason: str, /, **central: int | bytes) -> Case:
        entry = replace(A_GO, raw=data)
        return Case(label, craft_zip([replace(entry, central=central) if central else entry]), reason)

    packed = deflate(GOOD)
    yield raw("crc-wrong", deflate(EVIL), "a wrong CRC")
    yield raw("crc-zero-unchecked-by-go", deflate(EVIL), "data descriptor|wrong CRC|CRC or size", crc=0)
    silent = Crafted(PREFIX + b"a.go", GOOD, streamed=False, local={"crc": 0}, central={"crc": 0})
    yield Case("crc-zero", craft_zip([silent]), "a wrong CRC")
    yield raw("deflate-cut", packed[:-1], length)
    yield raw("deflate-followed-by-bytes", packed + b"hidden", length)
    yield raw("deflate-followed-by-another-stream", packed + deflate(EVIL), length)
    yield raw("deflate-empty", b"", length)
    yield raw("deflate-reserved-block", b"\x07" + packed, "malformed deflate")
    yield raw("deflate-stored-block-lies", b"\x01\x12\x00\x00\x00" + GOOD, "malformed deflate")
    yield raw("deflate-distance-too-far", b"\x03\xf2\x01" + bytes(4), "malformed deflate|another length")
    yield raw("size-smaller-than-content", packed, "descriptor|another length|CRC or size", size=5)
    yield raw("size-larger-than-content", packed, "descriptor|another length|CRC or size", size=50)
    lies = [Crafted(PREFIX + b"a.go", GOOD, raw=deflate(GOOD + EVIL))]
    yield Case("content-longer-than-size", craft_zip(lies), length)
    lies = [Crafted(PREFIX + b"a.go", GOOD + EVIL, raw=packed)]
    yield Case("content-shorter-than-size", craft_zip(lies), length)
    # A set of Huffman codes with codes left over: some inflaters take it and read "uuu", Go and zlib do not.
    incomplete = bytes.fromhex("0d000104000004") + bytes(14) + b"\x04" + bytes(15) + bytes.fromhex("200080")
    yield Case(
        "deflate-incomplete-codes", craft_zip([Crafted(PREFIX + b"a.go", b"uuu", raw=incomplete)]), "malformed"
    )
    bomb = Crafted(PREFIX + b"a.go", GOOD, raw=deflate(bytes(64 * MIB)))
    yield Case("bomb-behind-a-small-size", craft_zip([bomb]), length)
    stored = Crafted(PREFIX + b"a.go", GOOD, method=0, raw=GOOD + b"more")
    yield Case("stored-with-two-sizes", craft_zip([stored]), "two sizes")
    content_in_directory = Crafted(PREFIX + b"sub/", b"hidden", method=0)
    yield Case("directory-entry-with-content", craft_zip([content_in_directory]), "a directory with content")
    packed_directory = Crafted(PREFIX + b"sub/", b"", raw=b"hidden", method=0)
    yield Case("directory-entry-with-packed-content", craft_zip([packed_directory]), "two sizes")


def sizes() -> Iterator[Case]:
    yield Case("go.mod-at-its-limit", *_zeros(b"go.mod", 16 * MIB))
    yield Case("go.mod-too-large", _zeros(b"go.mod", 16 * MIB + 1)[0], "more than 16777216 bytes")
    yield Case("license-too-large", _zeros(b"LICENSE", 16 * MIB + 1)[0], "more than 16777216 bytes")
    yield Case("license-in-lower-case-may-be-large", *_zeros(b"license", 16 * MIB + 1))
    yield Case("larger-than-all-windows", *_zeros(b"sub/LICENSE", 40 * MIB + 7))
    half = _zeros_entry(b"a", 250 * MIB)
    yield Case(
        "unpacked-too-large", craft_zip([half, replace(half, name=PREFIX + b"b"), A_GO]), "bytes unpacked, more"
    )


def _zeros_entry(name: bytes, size: int) -> Crafted:
    """A file of zeros, never held as a whole."""
    stream, crc, raw = zlib.compressobj(wbits=-zlib.MAX_WBITS), 0, b""
    for at in range(0, size, MIB):
        piece = bytes(min(MIB, size - at))
        crc = zlib.crc32(piece, crc)
        raw += stream.compress(piece)
    raw += stream.flush()
    right: dict[str, int | bytes] = {"crc": crc, "packed": len(raw), "size": size}
    descriptor = pack("<4s3I", b"PK\x07\x08", crc, len(raw), size)
    return Crafted(PREFIX + name, raw=raw, descriptor=descriptor, central=right)


def _zeros(name: bytes, size: int) -> tuple[bytes, str, tuple[tuple[bytes, bytes], ...]]:
    return craft_zip([_zeros_entry(name, size)]), "", ((name, bytes(size)),)
