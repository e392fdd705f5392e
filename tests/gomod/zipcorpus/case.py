"""What a case is, and what most cases are made of."""

from __future__ import annotations

from dataclasses import dataclass

from p2pmods.gomod.module import ModuleVersion
from p2pmods.testing.modzips import Crafted

MODULE = ModuleVersion("example.com/m", "v1.0.0")
PREFIX = b"example.com/m@v1.0.0/"
GO_MOD = Crafted(PREFIX + b"go.mod", b"module example.com/m\n")
GOOD = b"package m // good\n"
EVIL = b"package m // evil\n"
A_GO = Crafted(PREFIX + b"a.go", GOOD)
EVIL_GO = Crafted(PREFIX + b"a.go", EVIL)
MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class Case:
    """`reason` is a part of our refusal; an accepted zip holds `files`, names without the prefix."""

    name: str
    data: bytes
    reason: str = ""
    files: tuple[tuple[bytes, bytes], ...] = ()
