"""Which names a module zip may hold: the rules of golang.org/x/mod/zip (checkZip, collisionChecker, strToFold)."""

from __future__ import annotations

import re

from p2pmods.errors import InvalidPath, ZipRefused, printable
from p2pmods.gomod.paths import check_file_path

# Our own: bytes for all names and all their directories, of which deep names make very many.
MAX_NAMES = 32 << 20
_NAME_COST = 128  # of an object, and its places in the sets

# An ASCII path element that check_file_path accepts: most of them, without its cost. Never a superset.
_PLAIN = rb"!#$%&()+,\-=@\[\]^_{}~ 0-9A-Za-z"
_RESERVED = rb"(?i:con|prn|aux|nul|com[1-9]|lpt[1-9])"  # by Windows
_PLAIN_ELEMENT = re.compile(rb"(?!" + _RESERVED + rb"(?:\.|\Z))[" + _PLAIN + rb".]*[" + _PLAIN + rb"]").fullmatch

_SLASH = 0x2F

# Code points that fold together since Unicode 15.1, so for newer Go only; refused for both.
_FOLDS_LATELY = {"\ufb05": "\ufb06", "\u1fd3": "\u0390", "\u1fe3": "\u03b0"}


def fold(name: str) -> str:
    """Equal for two names exactly if Go's strings.EqualFold says so (or a newer Go's would)."""
    return "".join(map(_fold_character, name)) if not name.isascii() else name.lower()


def _fold_character(character: str) -> str:
    """Simple case folding, one code point to one: never ß to ss."""
    character = _FOLDS_LATELY.get(character, character)
    folded = character.casefold()
    if len(folded) != 1:
        folded = character.lower()
    return folded if len(folded) == 1 else character


class NameChecker:
    """Takes the names of one zip, in order and without the `path@version/` prefix; refuses what Go would refuse."""

    __slots__ = ("_cost", "_directories", "_folded")

    def __init__(self) -> None:
        self._directories: set[bytes] = {b""}
        self._folded: set[bytes] = set()
        self._cost = 0

    def add(self, name: bytes) -> None:
        """One entry's name; one that ends in `/` is a directory."""
        directory, _, base = name.rpartition(b"/")
        if directory not in self._directories:
            self._add_directory(directory)
        if base and (not _PLAIN_ELEMENT(base) or name[0] == _SLASH):
            _check(name)
        if base.lower() == b"go.mod" and name != b"go.mod":
            where = "outside the module's root" if directory else "not in lower case"
            raise ZipRefused(f"{printable(name)!r}: a go.mod {where}")
        self._add_folded(name)  # A directory's with its slash: equal only to itself.

    def _add_directory(self, name: bytes) -> None:
        """A directory and those above it; `name` has no slash at its end."""
        _check(name)
        while name not in self._directories:
            self._directories.add(name)
            self._add_folded(name)
            name = name.rpartition(b"/")[0]

    def _add_folded(self, name: bytes) -> None:
        folded = name.lower() if name.isascii() else fold(name.decode()).encode()
        if folded in self._folded:
            raise ZipRefused(f"{printable(name)!r}: twice, as file and directory, or equal to another but for case")
        self._folded.add(
            name if folded == name else folded
        )  # One object in both sets: most names fold to themselves.
        self._cost += _NAME_COST + len(name)
        if self._cost > MAX_NAMES:
            raise ZipRefused("more names and directories than we hold in memory")


def _check(name: bytes) -> None:
    try:
        check_file_path(name.decode())
    except UnicodeDecodeError as error:
        raise ZipRefused(f"{printable(name)!r}: a name that is not UTF-8") from error
    except InvalidPath as error:
        raise ZipRefused(f"{printable(name)!r}: {error.reason}") from error
