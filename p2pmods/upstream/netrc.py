"""The user's netrc file, read as the go command reads it: credentials for https upstreams."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_NETRC: Final = 1 << 20


def basic_auth(login: str, password: str) -> str:
    """The value of an Authorization header."""
    return "Basic " + base64.b64encode(f"{login}:{password}".encode()).decode("ascii")


def parse_netrc(text: str) -> dict[str, str]:
    """Machine (`host`, `host:port` or `host/path`) → Authorization value; the first entry of a machine counts.

    As cmd/go/internal/auth: a line is read in pairs of words, `macdef` skips to the next empty line, and `default`
    credentials are never used.
    """
    found: dict[str, str] = {}
    entry: dict[str, str] = {}
    in_macro = False
    for line in text.split("\n"):
        if in_macro:
            in_macro = line != ""
            continue
        words = line.split()
        pairs = list(zip(words[::2], words[1::2], strict=False))
        for key, value in pairs:
            if key == "machine":
                entry = {key: value}
            elif key in ("login", "password"):
                entry[key] = value
            in_macro = in_macro or key == "macdef"
            if len(entry) == 3:
                found.setdefault(entry["machine"].rstrip("/"), basic_auth(entry["login"], entry["password"]))
                entry = {}
        if len(words) % 2 and words[-1] == "default":
            break
    return found


def netrc_path(environ: Mapping[str, str], home: Path, *, windows: bool) -> Path:
    """`$NETRC`, or `_netrc` (Windows, when it exists) or `.netrc` in the home directory."""
    if named := environ.get("NETRC"):
        return Path(named)
    legacy = home / "_netrc"
    return legacy if windows and legacy.exists() else home / ".netrc"


def read_netrc(path: Path) -> dict[str, str]:
    """What `parse_netrc` says of the file; nothing when it cannot be read, as for go."""
    try:
        with path.open("rb") as file:
            return parse_netrc(file.read(MAX_NETRC).decode("utf-8", "replace"))
    except OSError:
        return {}


def find_credential(netrc: Mapping[str, str], place: str) -> str | None:
    """The Authorization value for `host[:port]/path`: of the longest prefix, by whole elements, that has one."""
    prefix = place.rstrip("/")
    while prefix not in netrc:
        prefix, slash, _ = prefix.rpartition("/")
        if not slash:
            return None
    return netrc[prefix]
