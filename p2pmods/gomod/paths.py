"""The rules for module paths, import paths and file paths of golang.org/x/mod/module.

Go's rules are about bytes and ours about `str`; a lone surrogate is what invalid UTF-8 turns into, and is refused.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final, NamedTuple

from p2pmods.errors import InvalidPath, InvalidVersion, printable
from p2pmods.gomod import semver

TOOLCHAIN_PATH: Final = "golang.org/toolchain"


class _Kind(NamedTuple):
    """What may stand in one element of a path."""

    name: str
    ascii_element: re.Pattern[str]
    unicode_letters: bool = False
    leading_dash: bool = False
    leading_dot: bool = True
    short_names: bool = False


_MODULE: Final = _Kind("module", re.compile(r"[-._~0-9A-Za-z]+"), leading_dot=False)
_IMPORT: Final = _Kind("import", re.compile(r"[-._~0-9A-Za-z+]+"))
_FILE: Final = _Kind(
    "file",
    re.compile(r"[-!#$%&()+,.=@\[\]^_{}~ 0-9A-Za-z]+"),
    unicode_letters=True,
    leading_dash=True,
    short_names=True,
)

_FIRST_ELEMENT: Final = re.compile(r"[-.0-9a-z]+")
_SHORT_NAME: Final = re.compile(r"~[0-9]+\Z")
_DIGITS: Final = "0123456789"
# https://learn.microsoft.com/windows/win32/fileio/naming-a-file
_WINDOWS_NAMES: Final = frozenset(
    ["CON", "PRN", "AUX", "NUL", *(f"{port}{n}" for port in ("COM", "LPT") for n in range(1, 10))]
)


@lru_cache(512)  # one request checks its path five times, on its way from text to value to file name
def check_path(path: str) -> None:
    """Raises InvalidPath unless `path` may be a module path (module.CheckPath)."""
    _check(path, _MODULE)
    first = path.partition("/")[0]
    if "." not in first:
        raise InvalidPath(path, "missing dot in first path element")
    if not _FIRST_ELEMENT.fullmatch(first):
        raise InvalidPath(path, "invalid char in first path element")
    if split_path_version(path) is None:
        raise InvalidPath(path, "invalid version")


def check_import_path(path: str) -> None:
    """Raises InvalidPath unless `path` may be a package's import path (module.CheckImportPath)."""
    _check(path, _IMPORT)


def check_file_path(path: str) -> None:
    """Raises InvalidPath unless `path` may name a file in a module zip (module.CheckFilePath).

    Which characters beyond ASCII are letters is said by this Python's Unicode tables, and by those of the go
    command for go: code points that were assigned between the two versions of Unicode are judged differently.
    """
    _check(path, _FILE)


def check_file_element(element: str) -> None:
    """Raises InvalidPath unless `element` may be one element of a file path."""
    reason = _element_fault(element, _FILE)
    if reason:
        raise InvalidPath(element, reason)


def split_path_version(path: str) -> tuple[str, str] | None:
    """`("a.com/m", "/v2")` of `a.com/m/v2`, `("gopkg.in/yaml", ".v3")`, `(path, "")` when it names no major version.

    None when its end looks like a major version but may not be one: `/v1`, `/v02`, `/v1.2`, any gopkg.in path
    without `.vN` (module.SplitPathVersion's ok = false).
    """
    if path.startswith("gopkg.in/"):
        return _split_gopkg_in(path)
    stem = path.rstrip(_DIGITS + ".")
    if len(stem) == len(path) or not stem.endswith("/v"):
        return path, ""
    number = path[len(stem) :]
    if "." in number or number[0] == "0" or number == "1":
        return None
    return stem[:-2], f"/v{number}"


def _split_gopkg_in(path: str) -> tuple[str, str] | None:
    unsuffixed = path.removesuffix("-unstable")
    stem = unsuffixed.rstrip(_DIGITS)
    number = path[len(stem) :]  # with -unstable, and then go accepts no digits at all, as we do
    if not stem.endswith(".v") or not number or (number[0] == "0" and number != "0"):
        return None
    return stem[:-2], f".v{number}"


def check_path_major(path: str, version: str) -> None:
    """Raises InvalidVersion unless the major version in `path` (module.CheckPathMajor) is that of `version`."""
    split = split_path_version(path)
    path_major = split[1].removesuffix("-unstable") if split else ""
    if path_major == ".v1" and version.startswith("v0.0.0-"):
        return  # an old bug of go made such pseudo-versions for gopkg.in/….v1, and they are in use
    major = semver.major(version)
    if path_major:
        if major != path_major[1:]:
            raise InvalidVersion(path, version, f"should be {path_major[1:]}, not {major}")
    elif major not in ("v0", "v1") and semver.build(version) != "+incompatible":
        raise InvalidVersion(path, version, f"should be v0 or v1, not {major}")


def check_module(path: str, version: str) -> None:
    """Raises InvalidPath or InvalidVersion as module.Check does. `v1` and `v1.0.0+meta` pass."""
    check_path(path)
    if not semver.is_valid(version):
        raise InvalidVersion(path, version, "not a semantic version")
    check_path_major(path, version)


@lru_cache(512)
def check_module_version(path: str, version: str) -> None:
    """`check_module`, and the version must be canonical: only such a version names files that never change."""
    check_module(path, version)
    if version != canonical_version(version):
        raise InvalidVersion(path, version, f"not canonical, that would be {canonical_version(version)}")


def canonical_version(version: str) -> str:
    """`semver.canonical` that keeps the suffix `+incompatible`; "" when invalid."""
    suffix = "+incompatible"
    return semver.canonical(version) + (suffix if semver.build(version) == suffix else "")


def is_toolchain(path: str) -> bool:
    """Whether it is the module that holds Go's own toolchains, for which a checksum-database proof is a must."""
    return path == TOOLCHAIN_PATH


def _check(path: str, kind: _Kind) -> None:
    reason = _fault(path, kind)
    if reason:
        raise InvalidPath(path, reason)


def _fault(path: str, kind: _Kind) -> str | None:
    if not path:
        return "empty string"
    if path[0] == "-" and not kind.leading_dash:
        return "leading dash"
    if "//" in path:
        return "double slash"
    if path[-1] == "/":
        return "trailing slash"
    for element in path.split("/"):
        reason = _element_fault(element, kind)
        if reason:
            return reason
    return None


def _element_fault(element: str, kind: _Kind) -> str | None:
    if not element:
        return "empty path element"
    if element[0] == "." and (not kind.leading_dot or not element.strip(".")):
        return "leading dot in path element" if element.strip(".") else f"invalid path element '{element}'"
    if element[-1] == ".":
        return "trailing dot in path element"
    if not kind.ascii_element.fullmatch(element):
        bad = _first_bad_character(element, kind)
        if bad is not None:
            return f"invalid char '{printable(bad)}'"
    return _windows_fault(element.partition(".")[0], kind)


def _first_bad_character(element: str, kind: _Kind) -> str | None:
    for character in element:
        letter = kind.unicode_letters and not character.isascii() and character.isalpha()
        if not letter and not kind.ascii_element.fullmatch(character):
            return character
    return None


def _windows_fault(short: str, kind: _Kind) -> str | None:
    # No letter of these names has a case variant outside ASCII, so upper() of ASCII is Go's EqualFold here.
    if len(short) <= 4 and short.isascii() and short.upper() in _WINDOWS_NAMES:
        return f"'{short}' disallowed as path element component on Windows"
    if not kind.short_names and _SHORT_NAME.search(short):
        return "trailing tilde and digits in path element"
    return None
