"""The transparency log: its hashes, its tree heads and how they are signed (`golang.org/x/mod/sumdb/tlog`).

A leaf is SHA-256(0x00 ‖ record text), a node SHA-256(0x01 ‖ left ‖ right), as in RFC 6962.
"""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from p2pmods.errors import MalformedData
from p2pmods.sumdb.note import open_note

if TYPE_CHECKING:
    from p2pmods.sumdb.note import Verifier

HASH_SIZE: Final = 32
EMPTY_ROOT: Final = hashlib.sha256(b"").digest()  # RFC 6962, 2.1

_FIRST_LINE: Final = "go.sum database tree"
_DECIMAL: Final = re.compile(r"0|[1-9][0-9]{0,17}", re.ASCII)  # all below 2**63

_SEAL: Final = object()


@dataclass(frozen=True, slots=True, order=True)
class Tree:
    """A log's state: the number of records in it and the hash over all of them."""

    size: int
    root: bytes


@dataclass(frozen=True, slots=True)
class Head:
    """A tree with the note that the database signed for it. Only `open_head` makes one."""

    tree: Tree
    note: bytes
    seal: object

    def __post_init__(self) -> None:
        if self.seal is not _SEAL:
            raise TypeError("only open_head makes a Head")

    @property
    def size(self) -> int:
        return self.tree.size


def open_head(note: bytes, verifier: Verifier) -> Head:
    """The tree head that `note` states, its signature found good. Raises MalformedData."""
    return Head(parse_tree(open_note(note, verifier)), note, _SEAL)


def format_tree(tree: Tree) -> bytes:
    """The text of the note for `tree`."""
    return f"{_FIRST_LINE}\n{tree.size}\n{base64.b64encode(tree.root).decode()}\n".encode()


def parse_tree(text: bytes) -> Tree:
    """The inverse of `format_tree`; further lines are allowed and ignored. Raises MalformedData."""
    lines = text.decode("utf-8", "replace").split("\n")
    if len(lines) < 4 or lines[0] != _FIRST_LINE:
        raise MalformedData("tree head", f"does not begin with {_FIRST_LINE!r} and two more lines")
    if not _DECIMAL.fullmatch(lines[1]):
        raise MalformedData("tree head", "the size is no decimal number")
    try:
        root = base64.b64decode(lines[2], validate=True)
    except ValueError:
        raise MalformedData("tree head", "the root hash is no base64") from None
    if len(root) != HASH_SIZE:
        raise MalformedData("tree head", f"the root hash has {len(root)} bytes")
    return Tree(int(lines[1]), root)


def leaf_hash(text: bytes) -> bytes:
    """The hash of a record's text."""
    return hashlib.sha256(b"\x00" + text).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """The hash of a node with these two children."""
    return hashlib.sha256(b"\x01" + left + right).digest()


def subtree_hash(hashes: bytes) -> bytes:
    """The hash over a complete subtree, given its row of 1, 2, 4, … 256 hashes as one byte string."""
    sha256 = hashlib.sha256
    while len(hashes) > HASH_SIZE:
        pairs = range(0, len(hashes), 2 * HASH_SIZE)
        hashes = b"".join([sha256(b"\x01" + hashes[at : at + 2 * HASH_SIZE]).digest() for at in pairs])
    return hashes
