"""Names that no module zip may hold."""

from __future__ import annotations

from typing import TYPE_CHECKING

from p2pmods.testing.modzips import Crafted, craft_zip
from tests.gomod.zipcorpus.case import A_GO, EVIL, GOOD, PREFIX, Case

if TYPE_CHECKING:
    from collections.abc import Iterator


def names() -> Iterator[Case]:
    for name, reason in (
        (b"../a.go", "path element"),
        (b"sub/../a.go", "path element"),
        (b"./a.go", "path element"),
        (b"/a.go", "empty path element|double slash"),
        (b"sub//a.go", "double slash|trailing slash"),
        (b"sub\\a.go", "invalid char"),
        (b"C:/a.go", "invalid char"),
        (b"a\0.go", "invalid char"),
        (b"a\n.go", "invalid char"),
        (b"a\x1b[31m.go", "invalid char"),
        (b"a\xff.go", "not UTF-8"),
        (b"a\xed\xa0\x80.go", "not UTF-8"),
        (b"a.go.", "trailing dot"),
        (b"CON", "Windows"),
        (b"sub/nul.txt", "Windows"),
        (b"aux.d/a.go", "Windows"),
        (b"a*.go", "invalid char"),
        ("a\u200b.go".encode(), "invalid char"),
        ("a\u0301.go".encode(), "invalid char"),
        ("\u0661.go".encode(), "invalid char"),
        (b"sub/go.mod", "outside the module's root"),
        (b"sub/GO.MOD", "outside the module's root"),
        (b"GO.MOD", "not in lower case"),
        (b"Go.mod", "not in lower case"),
    ):
        yield Case(f"name-{_label(name)}", craft_zip([Crafted(PREFIX + name, GOOD)]), reason)
    for name in (
        b"a.go",
        b"example.com/m@v1.0.1/a.go",
        b"example.com/m@v1.0.0",
        b"/" + PREFIX,
        b"EXAMPLE.com/m@v1.0.0/a",
    ):
        yield Case(f"whole-name-{_label(name)}", craft_zip([Crafted(name, GOOD)]), "not below")
    for first, second in (
        ("a.go", "a.go"),
        ("a.go", "A.go"),
        ("sub/a.go", "Sub/b.go"),
        ("sub/", "SUB/"),
        ("sub", "sub/a.go"),
        ("sub/a.go", "sub"),
        ("sub", "sub/"),
        ("sub", "SUB/a.go"),
        ("k.go", "\u212a.go"),
        ("s.go", "\u017f.go"),
        ("\u03c3.go", "\u03c2.go"),
        ("straße", "STRAẞE"),
        ("é.go", "É.go"),
        ("\u1e9b", "\u1e61"),
        ("sub/", "sub/"),
        ("\ufb05", "\ufb06"),
    ):
        pair = [Crafted(PREFIX + first.encode()), Crafted(PREFIX + second.encode())]
        yield Case(f"pair-{_label(first.encode())}-{_label(second.encode())}", craft_zip(pair), "twice, as file")
    yield Case("second-entry-elsewhere", craft_zip([A_GO, Crafted(b"evil.go", EVIL)]), "not below")


def _label(name: bytes) -> str:
    return "".join(c if c.isalnum() and c.islower() else f"_{ord(c):02x}" for c in name.decode("latin-1"))
