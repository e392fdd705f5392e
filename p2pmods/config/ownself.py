"""Which entries of a GOPROXY list are this node itself: asking oneself would go round in a circle."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, urlsplit

from p2pmods.config.values import Address, is_loopback_host

if TYPE_CHECKING:
    from p2pmods.gomod.goproxy import ProxyStep


@dataclass(frozen=True, slots=True)
class OwnAddresses:
    """Where this node answers: the address it listens on and the URL that setup gave to go, if any."""

    listen: Address
    recorded: str | None = None

    def matches(self, url: str) -> bool:
        """Whether `url`, with a path token or without, is this node."""
        target = _endpoint(url)
        if target is None:
            return False
        if self.recorded is not None and target == _endpoint(self.recorded):
            return True
        hosts = {_host_key(self.listen.host)}
        if self.listen.host in ("0.0.0.0", "::"):  # noqa: S104 - compared, not bound
            hosts.add("loopback")
        return self.listen.port != 0 and target[1] == self.listen.port and target[0] in hosts


def without_own(steps: tuple[ProxyStep, ...], own: OwnAddresses) -> tuple[tuple[ProxyStep, ...], bool]:
    """`steps` without those that are this node, and whether any was."""
    kept = tuple(step for step in steps if step.url is None or not own.matches(step.url))
    return kept, len(kept) != len(steps)


def _endpoint(url: str) -> tuple[str, int] | None:
    """Host and port of an http or https URL, all loopback names as one."""
    try:
        parts: SplitResult = urlsplit(url)
        port = parts.port
    except ValueError:
        return None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        return None
    return _host_key(parts.hostname), port or (80 if parts.scheme == "http" else 443)


def _host_key(host: str) -> str:
    return "loopback" if is_loopback_host(host) else host.lower()
