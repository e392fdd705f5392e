"""Parsers from what a person writes in a flag, a variable or config.toml to a value that is right.

Each takes a raw value (TOML gives booleans, integers and lists too) and raises ValueError; the caller adds the key
and what is allowed.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

MAX_VALUE: Final = 64 << 10  # characters; a GOPROXY list or a pattern list is some hundred
MAX_LIST: Final = 1000
MIN_RATE: Final = 64e3  # bytes a second: below this floor a transfer counts as broken
MIN_SIZE: Final = 10**9  # bytes: two of the largest zips

# Not all that cannot be printed: the name of a directory may hold an ideographic space, or be no UTF-8.
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_TRUE: Final = frozenset({"true", "on", "1", "yes"})
_FALSE: Final = frozenset({"false", "off", "0", "no"})
_HOST: Final = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,251}[A-Za-z0-9])?")
_TOKEN: Final = re.compile(r"[A-Za-z0-9_-]{8,128}")
_RATE: Final = re.compile(r"([0-9]{1,6}(?:\.[0-9]{1,3})?) ?([kmg])(b|bit)(?:/s|ps)?")
_SCALES: Final = {"k": 1e3, "m": 1e6, "g": 1e9}
_SIZE: Final = re.compile(r"([0-9]{1,6}(?:\.[0-9]{1,3})?) ?([mgt])b")
_SIZES: Final = {"m": 1e6, "g": 1e9, "t": 1e12}
_SHARE: Final = re.compile(r"([0-9]{1,3}(?:\.[0-9]{1,3})?) ?%")
MIN_PERCENT: Final = 1
_SWARM_NAME: Final = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_SWARM_SECRET: Final = re.compile(r"[0-9a-fA-F]{64}")


@dataclass(frozen=True, slots=True)
class Address:
    """A host (name or IP address, no brackets; empty for all interfaces) and a port, 0 for a free one."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach it; a name counts only when it is `localhost`."""
        return is_loopback_host(self.host)


@dataclass(frozen=True, slots=True)
class UploadLimit:
    """The most that goes to peers, in bytes a second; None without a limit. `is_automatic`: as the network is."""

    rate: float | None
    is_automatic: bool


@dataclass(frozen=True, slots=True)
class DiskLimit:
    """The most that the store holds: `size` bytes and no more than `share` (a part of 1) of its file system; without
    both as much as there is room for."""

    size: int | None
    share: float | None

    def __post_init__(self) -> None:
        if self.size is not None and self.size <= 0:
            raise ValueError(f"{self.size} bytes are no limit")
        if self.share is not None and not 0 < self.share <= 1:
            raise ValueError(f"{self.share} is no part of a disk")

    def of(self, total: int | None) -> int | None:
        """Bytes, on a file system of `total` bytes (None when that is not known); None when nothing limits."""
        share = None if self.share is None or total is None else int(total * self.share)
        return min((limit for limit in (self.size, share) if limit is not None), default=None)


AUTO_LIMIT: Final = DiskLimit(10 * 10**9, 0.1)
AUTO_SEED_LIMIT: Final = DiskLimit(100 * 10**9, 0.5)  # of a machine that is there to keep copies
NO_LIMIT: Final = DiskLimit(None, None)


@dataclass(frozen=True, slots=True)
class SwarmSetting:
    """Which swarm to join: `public` (no secret), or a private one by name and 32-byte secret."""

    name: str
    secret: bytes | None

    def __repr__(self) -> str:
        return f"SwarmSetting({self.name!r}, {'no secret' if self.secret is None else 'a secret'})"


def is_loopback_host(host: str) -> bool:
    """`localhost`, 127.0.0.0/8 and ::1."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def parse_text(raw: object) -> str:
    """A string without control characters."""
    if not isinstance(raw, str):
        raise ValueError("it must be a string")  # noqa: TRY004 - every parser here says ValueError
    if len(raw) > MAX_VALUE:
        raise ValueError("it is too long")
    if _CONTROL.search(raw):
        raise ValueError("it holds a control character")
    return raw


def parse_bool(raw: object) -> bool:
    """true/false, on/off, 1/0, yes/no in any case, and TOML's own booleans and 1/0."""
    if isinstance(raw, bool):
        return raw
    text = str(raw).lower() if isinstance(raw, (int, str)) else ""
    if text in _TRUE:
        return True
    if text in _FALSE:
        return False
    raise ValueError("it is neither true nor false")


def parse_bool_or_auto(raw: object) -> bool | None:
    """None for `auto`."""
    return None if isinstance(raw, str) and raw.lower() == "auto" else parse_bool(raw)


def parse_list(raw: object) -> tuple[str, ...]:
    """A TOML array of strings, or one string with commas; empty elements are dropped."""
    if isinstance(raw, str):
        raw = raw.split(",")
    if not isinstance(raw, (list, tuple)):
        raise ValueError("it must be a list")  # noqa: TRY004
    if len(raw) > MAX_LIST:
        raise ValueError(f"it has more than {MAX_LIST} elements")
    return tuple(item for item in (parse_text(one).strip() for one in raw) if item)


def parse_patterns_text(raw: object) -> str:
    """The comma-separated text of a pattern list; a TOML array is joined. Spaces stay: go does not trim them."""
    if isinstance(raw, (list, tuple)):
        return ",".join(parse_text(one) for one in raw)
    return parse_text(raw)


def parse_port(text: str) -> int:
    """0 to 65535, plain ASCII digits."""
    if not (text.isascii() and text.isdigit() and int(text[:6]) <= 65535 and len(text) <= 5):
        raise ValueError(f"{text!r} is no port")
    return int(text)


def parse_address(raw: object, *, any_host: bool = False) -> Address:
    """`HOST:PORT` or `[IPV6]:PORT`; an empty host only where `any_host` gives it a meaning."""
    text = parse_text(raw)
    host, colon, port = text.rpartition(":")
    if not colon:
        raise ValueError("it has no port")
    if host.startswith("[") and host.endswith("]"):
        host = str(ipaddress.IPv6Address(host[1:-1]))
    elif not (host == "" and any_host) and not _HOST.fullmatch(host):
        raise ValueError(f"{host!r} is no host")
    return Address(host, parse_port(port))


def parse_any_address(raw: object) -> Address:
    """An address to listen on where all interfaces (`:PORT`) is a usual choice."""
    return parse_address(raw, any_host=True)


def parse_peers(raw: object) -> tuple[Address, ...]:
    """Addresses of other nodes; port 0 is none."""
    peers = tuple(parse_address(item) for item in parse_list(raw))
    for peer in peers:
        if peer.port == 0:
            raise ValueError(f"{peer} has no port")
    return peers


def parse_hosts(raw: object) -> tuple[str, ...]:
    """Host names without ports, lower-cased."""
    hosts = parse_list(raw)
    for host in hosts:
        if not _HOST.fullmatch(host):
            raise ValueError(f"{host!r} is no host name")
    return tuple(host.lower() for host in hosts)


def parse_token(raw: object) -> str:
    """A token that can stand in a URL path and means nothing else there: letters, digits, `-` and `_`."""
    text = parse_text(raw)
    if not _TOKEN.fullmatch(text) or text == "cached-only":
        raise ValueError("it has another form")
    return text


def parse_swarm(raw: object) -> SwarmSetting:
    """`public`, or `NAME:SECRET`."""
    text = parse_text(raw)
    name, colon, secret = text.partition(":")
    if text == "public":
        return SwarmSetting("public", None)
    if not colon or name == "public" or not _SWARM_NAME.fullmatch(name) or not _SWARM_SECRET.fullmatch(secret):
        raise ValueError("it has another form")
    return SwarmSetting(name, bytes.fromhex(secret))


def parse_upload_limit(raw: object) -> UploadLimit:
    """`auto`, `off` (TOML: also `false`), or a number with a unit: bits (`50Mbit`) or bytes (`6MB`) a second."""
    text = "off" if raw is False else parse_text(raw).strip().lower()
    if text in ("auto", "off"):
        return UploadLimit(None, is_automatic=text == "auto")
    found = _RATE.fullmatch(text)
    if found is None:
        raise ValueError("it has another form")
    rate = float(found[1]) * _SCALES[found[2]] * (1 if found[3] == "b" else 1 / 8)
    if rate < MIN_RATE:
        raise ValueError("so little is of no use to anybody: p2pmods pause gives nothing")
    return UploadLimit(rate, is_automatic=False)


def parse_size(raw: object) -> int:
    """Bytes, of a number with a unit: `500GB`, `1.5TB`."""
    found = _SIZE.fullmatch(parse_text(raw).strip().lower())
    if found is None:
        raise ValueError("it has another form")
    size = int(float(found[1]) * _SIZES[found[2]])
    if size < MIN_SIZE:
        raise ValueError("so little is of no use to anybody")
    return size


def parse_disk_limit(raw: object) -> DiskLimit:
    """`auto`, `off` (TOML: also `false`), a size (`20GB`), or a share of the file system (`10%`)."""
    text = "off" if raw is False else parse_text(raw).strip().lower()
    if text == "auto":
        return AUTO_LIMIT
    if text == "off":
        return NO_LIMIT
    found = _SHARE.fullmatch(text)
    if found is None:
        return DiskLimit(parse_size(text), None)
    percent = float(found[1])
    if not MIN_PERCENT <= percent <= 100:
        raise ValueError(f"a share is {MIN_PERCENT} to 100 percent")
    return DiskLimit(None, percent / 100)


def parse_path(raw: object) -> Path:
    """An absolute path; `~` is the home directory, anything relative is taken from the current directory."""
    text = parse_text(raw)
    if not text:
        raise ValueError("it is empty")
    try:
        return Path(text).expanduser().absolute()
    except RuntimeError as error:
        raise ValueError(str(error)) from error


def parse_path_or_off(raw: object) -> Path | None:
    """A path, or None for `off` (TOML: also `false`)."""
    if raw is False or raw == "off":
        return None
    return parse_path(raw)
