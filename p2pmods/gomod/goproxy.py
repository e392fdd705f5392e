"""GOPROXY: an ordered list of where to ask, as cmd/go's modfetch.proxyList reads it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal

from p2pmods.errors import MalformedData, printable
from p2pmods.gomod.fields import trim_space
from p2pmods.gomod.urls import Url, parse_url

if TYPE_CHECKING:
    from collections.abc import Iterable

_ENTRY: Final = re.compile(r"([^,|]*)([,|]?)")


@dataclass(frozen=True, slots=True)
class ProxyStep:
    """One entry. `fall_through_any`: a `|` follows, so any failure leads on; after a `,` only 404 and 410 do.

    `url` is http, https or file, and set exactly when `kind` is "url". It may hold credentials: show `redacted`,
    which is the URL without user, password and query, or `direct` or `off`.
    """

    kind: Literal["url", "direct", "off"]
    url: str | None = None
    fall_through_any: bool = False
    redacted: str = field(init=False, compare=False)

    def __post_init__(self) -> None:
        if (self.kind == "url") != (self.url is not None) or (self.fall_through_any and self.url is None):
            raise MalformedData("GOPROXY", f"{self.kind} does not go with what was given")
        object.__setattr__(self, "redacted", self.kind if self.url is None else _checked_url(self.url).redacted)

    def __repr__(self) -> str:
        return f"ProxyStep({self.redacted!r}, fall_through_any={self.fall_through_any})"


def parse_goproxy(text: str) -> tuple[ProxyStep, ...]:
    """The steps up to the first `direct` or `off`. Raises MalformedData as go would, naming no credentials.

    A name with a dot, a slash or a colon in it gets `https://` in front when it has no scheme. Beyond go, a URL
    without a host is refused here instead of at the first request.
    """
    steps: list[ProxyStep] = []
    for entry, separator in _ENTRY.findall(text):
        url = trim_space(entry)
        if url == "off":
            steps.append(ProxyStep("off"))
            break
        if url == "direct":
            steps.append(ProxyStep("direct"))
            break
        if url:
            steps.append(ProxyStep("url", _with_scheme(url), separator == "|"))
    if not steps:
        raise MalformedData("GOPROXY", "the list contains no entries")
    return tuple(steps)


def format_goproxy(steps: Iterable[ProxyStep]) -> str:
    """The text that parses into these steps. It holds the credentials too."""
    text = "".join(f"{step.url or step.kind}{'|' if step.fall_through_any else ','}" for step in steps)
    return text.removesuffix(",")


def _with_scheme(url: str) -> str:
    is_path = url.startswith("/") or re.match(r"[A-Za-z]:[\\/]", url)
    return f"https://{url}" if re.search(r"[.:/]", url) and ":/" not in url and not is_path else url


def _checked_url(url: str) -> Url:
    if "," in url or "|" in url or trim_space(url) != url:
        raise MalformedData("GOPROXY", "a URL may not hold `,` or `|`, or spaces around it")
    try:
        return parse_url(url)
    except ValueError as error:
        shown = "" if "@" in url else f" {printable(url, 100)!r}"
        raise MalformedData("GOPROXY", f"proxy URL{shown}: {error}") from error
