"""The `.info` of a module version: its version, its commit's time and, sometimes, where it came from.

No hash covers an `.info`, so what is read here may come from anyone.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from p2pmods.errors import InvalidVersion, MalformedData, printable
from p2pmods.gomod.pseudo import is_pseudo_version, pseudo_version_time

if TYPE_CHECKING:
    from p2pmods.gomod.module import ModuleVersion

MAX_INFO: Final = 1 << 20  # an .info is some hundred bytes; Origin of a huge repository stays far below
_MAX_NESTING: Final = 64  # objects and lists in one .info; go writes at most two
MAX_VERSION: Final = 4096  # characters; a version is part of a URL and of a file name

_RFC3339: Final = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2})(?:\.[0-9]{1,32})?(?:Z|([+-])([0-9]{2}):([0-9]{2}))"
)
# cmd/go's codehost.Origin: all strings. Anything else in one of them makes go refuse the whole answer.
_ORIGIN_FIELDS: Final = frozenset(["vcs", "url", "subdir", "hash", "tagprefix", "tagsum", "ref", "reposum"])
# json.Marshal of Go writes these so that the text is safe inside HTML and JavaScript.
_GO_ESCAPES: Final = {ord(c): f"\\u{ord(c):04x}" for c in "<>&\u2028\u2029"}


@dataclass(frozen=True, slots=True)
class Info:
    """`time` is RFC 3339 text exactly as it was given, or None; `origin` is what Go calls Origin, or None.

    `version` is any non-empty text: the answer to a query may come from a proxy of another opinion.
    """

    version: str
    time: str | None = None
    origin: dict[str, Any] | None = None

    def __post_init__(self) -> None:
        if not self.version or len(self.version) > MAX_VERSION:
            raise MalformedData("info", "Version is empty or too long")
        if self.time is not None:
            parse_time(self.time)


def parse_time(text: str) -> datetime:
    """The instant (UTC, whole seconds) of RFC 3339 text. Raises MalformedData."""
    found = _RFC3339.fullmatch(text)
    try:
        if found is None:
            raise ValueError(text)
        local = datetime.fromisoformat(found[1]).replace(tzinfo=UTC)
        hours, minutes = int(found[3] or 0), int(found[4] or 0)
        if hours > 23 or minutes > 59:
            raise ValueError(text)
        offset = timedelta(hours=hours, minutes=minutes)
        return local + offset if found[2] == "-" else local - offset
    except (ValueError, OverflowError) as error:
        raise MalformedData("time", f"{printable(text, 60)!r} is not RFC 3339") from error


@lru_cache(4)  # on its way in, the same one is read by who receives it and by who keeps it
def parse_info(data: bytes) -> Info:
    """Read what a proxy or peer says. Raises MalformedData.

    Names are matched without regard to case, as Go does; where Go takes the last of two equal names, this refuses.
    """
    if len(data) > MAX_INFO:
        raise MalformedData("info", f"{len(data)} bytes, more than {MAX_INFO}")
    if data.count(b"{") + data.count(b"[") > _MAX_NESTING:
        raise MalformedData("info", "nested too deeply")
    try:
        value = json.loads(data.decode("utf-8"), object_pairs_hook=_object)
        _dump(value)  # what cannot be written again (NaN, 1e999, half a surrogate pair) is refused here, not later
    except (ValueError, RecursionError) as error:
        raise MalformedData("info", f"is not JSON: {printable(str(error))}") from error
    if not isinstance(value, dict):
        raise MalformedData("info", "is not a JSON object")
    fields = {name.casefold(): item for name, item in value.items()}
    version, time, origin = fields.get("version"), fields.get("time"), fields.get("origin")
    if not isinstance(version, str):
        raise MalformedData("info", "has no Version")
    if time is not None and not isinstance(time, str):
        raise MalformedData("info", "Time is not a string")
    return Info(version, time, _checked_origin(origin))


def format_info(info: Info) -> bytes:
    """As the go command writes it: compact, in this order, what is None left out."""
    value: dict[str, Any] = {"Version": info.version}
    if info.time is not None:
        value["Time"] = info.time
    if info.origin is not None:
        value["Origin"] = info.origin
    return _dump(value)


def synthesise_info(module: ModuleVersion) -> Info:
    """What can be said of a version when nobody holds its `.info`. Never to be stored as upstream's."""
    if not is_pseudo_version(module.version):
        return Info(module.version)
    try:
        time = pseudo_version_time(module.version).replace(tzinfo=None)
    except InvalidVersion:
        return Info(module.version)  # the form of a pseudo-version around digits that are no date
    return Info(module.version, f"{time.isoformat()}Z")


def for_peers(info: Info) -> Info:
    """The part of a stranger's `.info` that may be passed on: Version and Time.

    Raises MalformedData when a pseudo-version's Time is not the one in its name.
    """
    if info.time is not None and is_pseudo_version(info.version):
        try:
            stated = pseudo_version_time(info.version)
        except InvalidVersion as error:
            raise MalformedData("info", str(error)) from error
        if parse_time(info.time) != stated:
            raise MalformedData("info", f"Time {info.time} is not that of {printable(info.version)}")
    return Info(info.version, info.time)


def _dump(value: object) -> bytes:
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return text.translate(_GO_ESCAPES).encode("utf-8")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len({name.casefold() for name, _ in pairs}) != len(pairs):
        raise ValueError("the same name twice")
    return dict(pairs)


def _checked_origin(origin: object) -> dict[str, Any] | None:
    if origin is None:
        return None
    if not isinstance(origin, dict):
        raise MalformedData("info", "Origin is not an object")
    for name, item in origin.items():
        if name.casefold() in _ORIGIN_FIELDS and not (item is None or isinstance(item, str)):
            raise MalformedData("info", f"Origin.{printable(name, 40)} is not a string")
    return origin
