from __future__ import annotations

import hashlib
import importlib
import random
import sys
import tracemalloc
import zlib
from dataclasses import replace
from struct import pack

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from p2pmods.errors import ZipRefused
from p2pmods.gomod import inflate, zipcontent, zipdirectory
from p2pmods.gomod.inflate import EXACT, FAST, Inflater
from p2pmods.gomod.module import ModuleVersion
from p2pmods.gomod.zipcheck import ZipSummary, check_module_zip
from p2pmods.testing.modzips import Crafted, craft_zip, deflate, make_module_zip
from tests.gomod.zipcorpus import MODULE, corpus
from tests.gomod.zipcorpus.contents import contents

NOISE = random.Random(1).randbytes(300_000)
FILES = {
    "go.mod": b"module example.com/m\n",
    "empty": b"",
    "a.go": b"package m\n" * 5000,
    "noise": NOISE,
    "both": NOISE[:90_000] + bytes(700_000) + NOISE[:500],
}
ZIP = make_module_zip(MODULE, FILES)


def check(data: bytes, module: ModuleVersion | None = MODULE, inflater: Inflater = EXACT) -> ZipSummary:
    return check_module_zip(
        module, len(data), lambda offset, length: data[offset : offset + length], inflater=inflater
    )


def test_the_summary_says_what_was_read() -> None:
    summary = check(ZIP)
    assert summary.sha256 == hashlib.sha256(ZIP).hexdigest()
    assert summary.files == len(FILES)
    assert summary.unpacked == sum(map(len, FILES.values()))


def test_without_a_module_the_first_name_tells_it() -> None:
    assert check(ZIP, None) == check(ZIP)
    for name in (
        b"a.go",
        b"example.com/m/a.go",
        b"example.com/m@v1.0.0",
        b"example.com/m@v2.0.0/a.go",
        b"\xff@v1.0.0/a",
    ):
        with pytest.raises(ZipRefused, match="not below a module's path@version/"):
            check(craft_zip([Crafted(name)]), None)


def test_another_module_is_refused() -> None:
    with pytest.raises(ZipRefused, match=r"not below example.com/m@v1\.0\.1/"):
        check(ZIP, ModuleVersion("example.com/m", "v1.0.1"))


@pytest.mark.parametrize("inflater", [EXACT, FAST], ids=["exact", "fast"])
@pytest.mark.parametrize(("step", "piece"), [(1, 1 << 18), (7, 1000), (100, 1), (1 << 16, 4096), (1 << 16, 1 << 16)])
def test_the_size_of_the_steps_changes_nothing(
    inflater: Inflater, step: int, piece: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = make_module_zip(MODULE, {name: content[:20_000] for name, content in FILES.items()})
    whole = check(data)
    monkeypatch.setattr(zipcontent, "WINDOW", 1 << 17)
    monkeypatch.setattr(zipcontent, "STEP", step)
    monkeypatch.setattr(zipcontent, "PIECE", piece)
    assert check(data, inflater=inflater) == whole


@pytest.mark.parametrize("inflater", [EXACT, FAST], ids=["exact", "fast"])
@pytest.mark.parametrize("step", [5, 1 << 16])
@pytest.mark.parametrize("name", [case.name for case in contents() if case.reason])
def test_lies_about_content_are_found_in_large_files_too(
    name: str, step: int, inflater: Inflater, monkeypatch: pytest.MonkeyPatch
) -> None:
    if name == "deflate-incomplete-codes" and inflater is FAST:
        pytest.skip("what FAST is known not to see")
    monkeypatch.setattr(zipcontent, "STEP", step)
    monkeypatch.setattr(zipcontent, "PIECE", 9)
    with pytest.raises(ZipRefused, match=corpus()[name].reason):
        check(corpus()[name].data, inflater=inflater)


@pytest.mark.parametrize(
    ("from_end", "replacement", "reason"),
    [
        (98, b"PK\x06\x05", "malformed zip64"),
        (94, b"\x2d", "malformed zip64"),
        (82, b"\1", "malformed zip64"),
        (78, b"\1", "malformed zip64"),
        (74, b"\xfe", "malformed zip64"),
        (42, b"PK\x06\x05", "several disks|before the archive"),
        (38, b"\1", "a zip64 locator"),
        (34, b"\1", "a zip64 locator"),
        (26, b"\2", "a zip64 locator"),
        (26, b"\0", "a zip64 locator"),
        (18, b"\1", "several disks"),
        (16, b"\1", "several disks"),
        (14, b"\xfe", "several disks"),
        (14, b"\xfe\xff\xfe\xff", "does not defer"),
        (10, b"\1\0\0\0", "does not defer"),
        (6, b"\0\0\0\0", "does not defer"),
        (2, b"\1", "no end record"),
    ],
)
def test_no_field_of_the_end_records_may_say_something_else(from_end: int, replacement: bytes, reason: str) -> None:
    data = bytearray(corpus()["zip64-from-65535-entries"].data)
    at = len(data) - from_end
    data[at : at + len(replacement)] = replacement
    with pytest.raises(ZipRefused, match=reason):
        check(bytes(data))


def test_every_byte_before_the_directory_is_read_once_and_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zipdirectory, "MAX_READ", 100)
    reads: list[tuple[int, int]] = []

    def pread(offset: int, length: int) -> bytes:
        reads.append((offset, length))
        return ZIP[offset : offset + length]

    check_module_zip(MODULE, len(ZIP), pread)
    directory = ZIP.index(b"PK\x01\x02")
    before = [read for read in reads if read[0] < directory]
    assert before == sorted(before)
    assert [offset for offset, _ in before] == [0, *(offset + length for offset, length in before[:-1])]
    assert sum(length for _, length in before) == directory
    assert max(length for offset, length in reads if directory <= offset < len(ZIP) - 42) <= 100


def test_memory_does_not_grow_with_the_zip() -> None:
    size = 400 << 20
    content = Crafted(b"example.com/m@v1.0.0/a", method=0, streamed=False)
    crc = 0
    for _ in range(size >> 20):
        crc = zlib.crc32(bytes(1 << 20), crc)
    fields: dict[str, int | bytes] = {"crc": crc, "packed": size, "size": size}
    framed = craft_zip([Crafted(content.name, method=0, streamed=False, local=fields, central=fields)])
    start = framed.index(b"PK\x01\x02")
    head, directory = framed[:start], framed[start:-6] + (start + size).to_bytes(4, "little") + bytes(2)

    def pread(offset: int, length: int) -> bytes:
        """A zip of one stored file of zeros, that was never made."""
        if offset >= start + size:
            return directory[offset - start - size :][:length]
        return head[offset : offset + length].ljust(min(length, start + size - offset), b"\0")

    tracemalloc.start()
    try:
        check_module_zip(MODULE, start + size + len(directory), pread)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 4 << 20


@pytest.mark.parametrize("inflater", [EXACT, FAST], ids=["exact", "fast"])
def test_memory_does_not_grow_with_a_file_that_deflate_made_small(inflater: Inflater) -> None:
    data = make_module_zip(MODULE, {"zeros": bytes(64 << 20)})
    assert len(data) < zipcontent.WINDOW
    tracemalloc.start()
    try:
        check(data, inflater=inflater)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 4 << 20


def test_a_descriptor_that_no_flag_announces_is_refused() -> None:
    content = b"package m\n"
    zeroed: dict[str, int | bytes] = {"crc": 0, "packed": 0, "size": 0}
    descriptor = pack("<4s3I", b"PK\x07\x08", zlib.crc32(content), len(deflate(content)), len(content))
    name = f"{MODULE}/a.go".encode()
    entry = Crafted(name, content, streamed=False, local=zeroed, descriptor=descriptor)
    with pytest.raises(ZipRefused, match="a local header with another CRC or size"):
        check(craft_zip([entry]))


def test_a_bomb_is_not_inflated_beyond_what_its_header_says() -> None:
    data = corpus()["bomb-behind-a-small-size"].data
    tracemalloc.start()
    try:
        with pytest.raises(ZipRefused):
            check(data)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 4 << 20


@pytest.mark.parametrize("intact", [0, 1, 2], ids=["end record", "directory", "contents"])
def test_a_file_that_is_cut_while_it_is_read_is_refused(intact: int) -> None:
    reads = 0

    def pread(offset: int, length: int) -> bytes:
        nonlocal reads
        reads += 1
        return ZIP[: len(ZIP) if reads <= intact else 100][offset : offset + length]

    with pytest.raises(ZipRefused, match="truncated"):
        check_module_zip(MODULE, len(ZIP), pread)


def test_errors_of_the_disk_pass_through() -> None:
    def pread(offset: int, length: int) -> bytes:
        raise OSError(5, "Input/output error")

    with pytest.raises(OSError, match="Input/output"):
        check_module_zip(MODULE, len(ZIP), pread)


def test_sizes_are_refused_before_anything_is_read() -> None:
    def pread(offset: int, length: int) -> bytes:
        raise AssertionError

    with pytest.raises(ZipRefused, match="more than the"):
        check_module_zip(MODULE, (500 << 20) + 1, pread)


FOOTER = pack("<II", zlib.crc32(b"package m\n"), 10)  # as gzip ends
OTHER_FOOTER = pack("<II", zlib.crc32(b"package n\n"), 10)


@pytest.mark.parametrize("inflater", [EXACT, FAST], ids=["exact", "fast"])
@pytest.mark.parametrize("behind", [b"x", FOOTER[:1], FOOTER, FOOTER + b"x", b"x" + FOOTER, FOOTER[:4], FOOTER * 2])
def test_nothing_may_follow_a_stream_not_even_the_footer_that_libdeflate_looks_for(
    behind: bytes, inflater: Inflater
) -> None:
    entry = Crafted(f"{MODULE}/a.go".encode(), b"package m\n")
    assert check(craft_zip([entry]), inflater=inflater).files == 1
    with pytest.raises(ZipRefused, match="deflate data of another length"):
        check(craft_zip([replace(entry, raw=deflate(entry.content) + behind)]), inflater=inflater)


def test_a_footer_of_other_content_does_not_stand_for_the_crc() -> None:
    entry = Crafted(f"{MODULE}/a.go".encode(), b"package m\n", raw=deflate(b"package n\n") + OTHER_FOOTER)
    with pytest.raises(ZipRefused, match="deflate data of another length"):
        check(craft_zip([entry]), inflater=FAST)


def test_whole_streams_come_out_as_they_are_or_not_at_all() -> None:
    packed = deflate(NOISE[:9000])
    crc = zlib.crc32(NOISE[:9000])
    pytest.importorskip("deflate")
    assert FAST.whole(packed, crc, 9000) == NOISE[:9000]
    for data, stated, size in (
        (packed, crc ^ 1, 9000),
        (packed, crc, 8999),
        (packed, crc, 9001),
        (packed[:-1], crc, 9000),
        (packed + b"x", crc, 9000),
        (packed + pack("<II", crc, 9000), crc, 9001),
        (deflate(b""), 0, 0),
    ):
        assert not FAST.whole(data, stated, size)


def test_more_entries_or_a_longer_directory_than_we_hold_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zipdirectory, "MAX_ENTRIES", 4)
    with pytest.raises(ZipRefused, match="5 entries, more than 4"):
        check(ZIP)
    monkeypatch.setattr(zipdirectory, "MAX_ENTRIES", 5)
    monkeypatch.setattr(zipdirectory, "MAX_DIRECTORY", 100)
    with pytest.raises(ZipRefused, match="a directory of"):
        check(ZIP)


SMALL = make_module_zip(MODULE, {"go.mod": b"module example.com/m\n", "b/a.go": b"package b\n" * 9, "n": NOISE[:40]})


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.integers(0, len(SMALL) - 1), st.integers(1, 255)), min_size=1, max_size=4))
def test_flipped_bits_are_refused_or_change_nothing_that_counts(flips: list[tuple[int, int]]) -> None:
    data = bytearray(SMALL)
    for at, mask in flips:
        data[at] ^= mask
    for inflater in (EXACT, FAST):
        try:
            summary = check(bytes(data), inflater=inflater)
        except ZipRefused:
            continue
        assert summary.h1 == check(SMALL).h1


@settings(max_examples=100, deadline=None)
@given(st.integers(0, len(SMALL)), st.integers(0, len(SMALL)), st.binary(max_size=60))
def test_cut_and_spliced_zips_are_refused(start: int, end: int, between: bytes) -> None:
    data = SMALL[:start] + between + SMALL[end:]
    if data != SMALL:
        with pytest.raises(ZipRefused):
            check(data)


@given(st.binary(max_size=200))
def test_nonsense_is_refused(data: bytes) -> None:
    for whole in (data, data + SMALL[-22:], SMALL[:-22] + data + SMALL[-22:] if data else b""):
        with pytest.raises(ZipRefused):
            check(whole)


@pytest.mark.parametrize("missing", [["isal"], ["deflate"], ["isal", "deflate"]])
def test_without_a_faster_library_the_others_do_its_part(missing: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    for library in missing:
        monkeypatch.setitem(sys.modules, library, None)
    try:
        left = importlib.reload(inflate)
        monkeypatch.setattr(zipcontent, "crc32", left.crc32)
        assert check(ZIP, inflater=left.FAST) == check(ZIP)
        assert bool(left.FAST.whole(deflate(b"a"), zlib.crc32(b"a"), 1)) is ("deflate" not in missing)
        assert (left.FAST.error is zlib.error) is ("isal" in missing)
    finally:
        monkeypatch.undo()
        importlib.reload(inflate)
