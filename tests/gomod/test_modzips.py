from __future__ import annotations

from pathlib import Path

from p2pmods.gomod.zipcheck import check_module_zip
from p2pmods.gomod.zipdirectory import parse_entries, read_directory
from p2pmods.testing.modzips import Crafted, craft_zip, make_module_zip
from tests.gomod.zipcorpus import MODULE

CREATED = (Path(__file__).parent / "gozip" / "created.zip").read_bytes()
FILES = {  # as gozip's create has them
    "go.mod": b"module example.com/m\n",
    "sub/a.go": b"package sub\n" * 100,
    "empty": b"",
    "größe.go": b"package m\n",
    "backup~": b"x",
}


def h1_of(data: bytes) -> str:
    return check_module_zip(MODULE, len(data), lambda offset, length: data[offset : offset + length]).h1


def deflated_by_go() -> dict[bytes, bytes]:
    """Name → the deflated bytes in Go's zip."""
    directory = read_directory(len(CREATED), lambda offset, length: CREATED[offset : offset + length])
    names, headers, _ = parse_entries(directory)
    starts = [
        int.from_bytes(header[42:46], "little") + 30 + len(name) for name, header in zip(names, headers, strict=True)
    ]
    sizes = [int.from_bytes(header[20:24], "little") for header in headers]
    return {name: CREATED[at : at + size] for name, at, size in zip(names, starts, sizes, strict=True)}


def test_a_made_zip_is_go_s_own_byte_for_byte_but_for_what_deflate_is_free_to_choose() -> None:
    raw = deflated_by_go()
    entries = [Crafted(f"{MODULE}/{name}".encode(), content) for name, content in FILES.items()]
    same = [Crafted(entry.name, entry.content, raw=raw[entry.name]) for entry in entries]
    assert craft_zip(same) == CREATED
    assert craft_zip(entries) == make_module_zip(MODULE, FILES)


def test_a_made_zip_has_the_h1_of_go_s_own() -> None:
    assert h1_of(make_module_zip(MODULE, FILES)) == h1_of(CREATED)
