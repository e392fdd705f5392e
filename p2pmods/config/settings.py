"""The table of all settings: key, flag, environment variable, parser and what is allowed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from p2pmods.config import values
from p2pmods.errors import MalformedData, P2pmodsError
from p2pmods.gomod.goproxy import parse_goproxy
from p2pmods.gomod.gosumdb import parse_gosumdb
from p2pmods.gomod.patterns import Patterns

if TYPE_CHECKING:
    from collections.abc import Callable

PREFIX: Final = "P2PMODS_"
LOG_VARIABLE: Final = "P2PMODS_LOG"  # no setting: `debug` makes the log of `up` say more


@dataclass(frozen=True, slots=True)
class Setting:
    """One key. `flag` is empty where there is none; `may_be_empty` where an empty text is a value, not an absence."""

    key: str
    flag: str
    parse: Callable[[Any], object]
    allowed: str
    may_be_empty: bool = False
    secret: bool = False

    @property
    def variable(self) -> str:
        """The environment variable's name."""
        return PREFIX + self.key.upper()


def _parse_goproxy(raw: object) -> object:
    return _reworded(parse_goproxy, values.parse_text(raw))


def _parse_gosumdb(raw: object) -> object:
    return _reworded(parse_gosumdb, values.parse_text(raw))


def _parse_patterns(raw: object) -> object:
    return _reworded(Patterns.parse, values.parse_patterns_text(raw))


def _reworded(parse: Callable[[str], object], text: str) -> object:
    try:
        return parse(text)
    except MalformedData as error:
        raise ValueError(error.reason) from error
    except P2pmodsError as error:
        raise ValueError(str(error)) from error


_BOOL: Final = "true or false (also on/off, 1/0, yes/no)"
_LIST_OF_PATTERNS: Final = "module path patterns with commas between them, as in GOPRIVATE"

SETTINGS: Final = (
    Setting("listen", "--listen", values.parse_address, "HOST:PORT, such as 127.0.0.1:3070; port 0 takes a free one"),
    Setting("data", "--data", values.parse_path, "a directory"),
    Setting("upstream", "--upstream", _parse_goproxy, "GOPROXY syntax: http, https or file URLs, direct, off"),
    Setting("sumdb", "--sumdb", _parse_gosumdb, "GOSUMDB syntax: a name, name+hash+key, either with a URL, or off"),
    Setting("private", "--private", _parse_patterns, _LIST_OF_PATTERNS, may_be_empty=True),
    Setting("no_proxy", "", _parse_patterns, _LIST_OF_PATTERNS, may_be_empty=True),
    Setting("no_sumdb", "", _parse_patterns, _LIST_OF_PATTERNS, may_be_empty=True),
    Setting("offline", "--offline", values.parse_bool, _BOOL),
    Setting("vcs_credentials", "", values.parse_bool, _BOOL),
    Setting("module_cache", "--module-cache", values.parse_path_or_off, "a directory, or off"),
    Setting("gopath", "", values.parse_path, "a directory"),
    Setting("allow_remote", "", values.parse_bool, _BOOL),
    Setting("api_token", "", values.parse_token, "8 to 128 letters, digits, - and _", secret=True),
    Setting("allowed_hosts", "", values.parse_hosts, "host names with commas between them", may_be_empty=True),
    Setting("mesh", "--mesh", values.parse_bool, _BOOL),
    Setting("peer_listen", "--peer-listen", values.parse_any_address, "HOST:PORT; :PORT for all interfaces"),
    Setting("peers", "--peer", values.parse_peers, "HOST:PORT, with commas between them", may_be_empty=True),
    Setting("mdns", "--mdns", values.parse_bool, _BOOL),
    Setting(
        "upload_limit",
        "--upload-limit",
        values.parse_upload_limit,
        "auto, off, or a rate such as 50Mbit or 6MB a second",
    ),
    Setting("metered", "--metered", values.parse_bool_or_auto, f"auto, or {_BOOL}"),
    Setting("seed", "--seed", values.parse_bool, _BOOL),
    Setting(
        "disk_limit",
        "--disk-limit",
        values.parse_disk_limit,
        "auto, off, a size such as 20GB (1GB at least), or a share of the disk such as 10%",
    ),
    Setting("swarm", "--swarm", values.parse_swarm, "public, or NAME:SECRET with 64 hex digits", secret=True),
)
BY_KEY: Final = {setting.key: setting for setting in SETTINGS}
