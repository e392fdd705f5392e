"""From the sources to a Config; `go env` is asked only when one of its values is needed."""

from __future__ import annotations

import os
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from p2pmods.config.model import Config
from p2pmods.config.ownself import OwnAddresses, without_own
from p2pmods.config.settings import BY_KEY
from p2pmods.config.setup_record import read_setup_record
from p2pmods.config.sources import Given, collect, default_data, parse_given
from p2pmods.config.values import AUTO_LIMIT, AUTO_SEED_LIMIT, Address, SwarmSetting
from p2pmods.errors import UsageError
from p2pmods.gomod.goproxy import ProxyStep
from p2pmods.gomod.gosumdb import SumdbSetting, format_gosumdb

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from p2pmods.config.setup_record import SetupRecord

__all__ = ["default_data", "load_config"]

GO_KEYS: Final = ("GOPROXY", "GOSUMDB", "GOPRIVATE", "GONOPROXY", "GONOSUMDB", "GOMODCACHE", "GOPATH")
DEFAULT_SUMDB: Final = "sum.golang.org"  # cmd/go's default for GOSUMDB; its key is built in

_DEFAULTS: Final[dict[str, object]] = {
    "listen": "127.0.0.1:3070",
    "offline": False,
    "vcs_credentials": False,
    "allow_remote": False,
    "api_token": None,
    "allowed_hosts": (),
    "mesh": True,
    "peer_listen": None,
    "peers": (),
    "mdns": True,
    "upload_limit": "auto",
    "metered": "auto",
    "seed": False,
    "disk_limit": "auto",
    "swarm": "public",
}


def load_config(
    flags: Mapping[str, object],
    environ: Mapping[str, str],
    go: Callable[[], Mapping[str, str] | None],
) -> Config:
    """The settings in force. `flags` maps keys to values, None for a flag not given.

    `go` returns the values of `go env` for GO_KEYS, or None when there is no go command; it is called at most once,
    and not at all when everything that it would give is set. UsageError for a wrong value, UserError when go fails.
    """
    given, notices = collect(flags, environ)
    return _Loader(given, environ, go, notices).config()


class _Loader:
    """One run of load_config: fills `values`, `origins` and `texts` key by key."""

    def __init__(
        self,
        given: dict[str, Given],
        environ: Mapping[str, str],
        go: Callable[[], Mapping[str, str] | None],
        notices: list[str],
    ) -> None:
        self.given = given
        self.environ = environ
        self.notices = notices
        self.values: dict[str, Any] = {}
        self.origins: dict[str, str] = {}
        self.texts: dict[str, str] = {}
        self._go = go
        self._go_values: Mapping[str, str] | None = None
        self._go_asked = False

    def config(self) -> Config:
        if self.environ.get("CI"):  # nobody's machine: another job on its network is no neighbour
            self.given.setdefault("mdns", Given(False, "environment CI"))
        for key, default in _DEFAULTS.items():
            if key not in self.given and (default is None or isinstance(default, tuple)):
                self._put(key, default, "default", "")
            else:
                self._take(key, self.given.get(key, Given(default, "default")))
        self._take("data", self.given["data"])
        if self.values["seed"] and self.values["disk_limit"] == AUTO_LIMIT:
            self.values["disk_limit"] = AUTO_SEED_LIMIT
        self._check_listen()
        record = read_setup_record(self.values["data"])
        self._upstream(record)
        self._sumdb()
        self._patterns()
        self._directories()
        return Config(
            **self.values,
            origins=MappingProxyType(self.origins),
            texts=MappingProxyType(self.texts),
            notices=tuple(self.notices),
        )

    def _put(self, key: str, value: object, origin: str, text: str) -> None:
        self.values[key], self.origins[key], self.texts[key] = value, origin, text

    def _take(self, key: str, given: Given) -> None:
        value = parse_given(BY_KEY[key], given)
        self._put(key, value, given.origin, _text_of(value, given.raw))

    def _go_value(self, name: str) -> str | None:
        """A value of `go env`; None without a go command."""
        if not self._go_asked:
            self._go_values = self._go()
            self._go_asked = True
        return None if self._go_values is None else self._go_values.get(name, "")

    def _check_listen(self) -> None:
        listen: Address = self.values["listen"]
        if listen.is_loopback or (self.values["allow_remote"] and self.values["api_token"]):
            return
        raise UsageError(
            f"listen ({self.origins['listen']}): {str(listen)!r} is not this machine alone; "
            "another address needs allow_remote = true and an api_token"
        )

    def _upstream(self, record: SetupRecord | None) -> None:
        if "upstream" in self.given:
            self._take("upstream", self.given["upstream"])
        elif record is not None:
            self._take("upstream", Given(record.upstream or "off", "setup record"))
        else:
            found = self._go_value("GOPROXY")
            if found is None:
                self.notices.append(
                    "no go command found: upstream is off (set it with --upstream or P2PMODS_UPSTREAM)"
                )
            self._take("upstream", Given(found or "off", "default" if found is None else "go env GOPROXY"))
        own = OwnAddresses(self.values["listen"], record.node if record else None)
        kept, removed = without_own(self.values["upstream"], own)
        if removed:
            self._drop_own(kept)

    def _drop_own(self, kept: tuple[ProxyStep, ...]) -> None:
        origin = self.origins["upstream"]
        if kept:
            self._put("upstream", kept, origin, _text_of(kept, None))
        else:
            self._take("upstream", Given("off", origin))
            self.notices.append(f"upstream ({origin}) named only this node itself: upstream is off")

    def _sumdb(self) -> None:
        if "sumdb" in self.given:
            self._take("sumdb", self.given["sumdb"])
            return
        found = self._go_value("GOSUMDB")
        if found is None:
            self._take("sumdb", Given(DEFAULT_SUMDB, "default"))
        else:
            self._take("sumdb", Given(found or DEFAULT_SUMDB, "go env GOSUMDB"))

    def _patterns(self) -> None:
        lists = {"no_proxy": "GONOPROXY", "no_sumdb": "GONOSUMDB"}
        if "private" in self.given:
            self._take("private", self.given["private"])
        else:
            names = ("GOPRIVATE", *lists.values())
            texts = dict.fromkeys(text for name in names if (text := self._go_or_environment(name)))
            self._take("private", Given(",".join(texts), "go env GOPRIVATE, GONOPROXY, GONOSUMDB"))
        for key, name in lists.items():
            if key in self.given:
                self._take(key, self.given[key])
            elif "private" in self.given:
                self._take(key, Given(self.given["private"].raw, "private"))
            else:
                self._take(key, Given(self._go_or_environment(name), f"go env {name}"))

    def _go_or_environment(self, name: str) -> str:
        """Without a go command the variables still say what is private: nothing may leak because go is missing."""
        found = self._go_value(name)
        if found is None:
            found = self.environ.get(name) or self.environ.get("GOPRIVATE", "")
        return found

    def _directories(self) -> None:
        for key, name in (("module_cache", "GOMODCACHE"), ("gopath", "GOPATH")):
            if key in self.given:
                self._take(key, self.given[key])
                continue
            found = self._go_value(name)
            first = found or ""
            if name == "GOPATH":  # a list; cmd/go keeps its own files below the first element
                first = first.split(os.pathsep)[0]
            origin = "default" if found is None else f"go env {name}"
            if Path(first).is_absolute():
                self._take(key, Given(first, origin))
            else:
                self._put(key, None, origin, "off" if key == "module_cache" else "")


def _text_of(value: Any, raw: object) -> str:
    """How `p2pmods config` writes a value, in the form that config.toml and the variables take."""
    match value:
        case bool():
            return "true" if value else "false"
        case None:
            return "auto" if str(raw).lower() == "auto" else "off"
        case SwarmSetting():
            return value.name if value.secret is None else f"{value.name}:(secret)"
        case Address() | Path():
            return str(value)
        case SumdbSetting():
            return format_gosumdb(value.redacted)
        case _ if raw is False:
            return "off"
        case (ProxyStep(), *_):
            return "".join(f"{step.redacted}{'|' if step.fall_through_any else ','}" for step in value).rstrip(",")
        case _:
            return ",".join(map(str, raw)) if isinstance(raw, (list, tuple)) else str(raw)
