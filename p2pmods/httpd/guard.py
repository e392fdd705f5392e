"""Who may ask: rules against web pages in the user's own browser (DNS rebinding, requests across sites).

Pure functions; the server's `admit` hook and the handlers call them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from p2pmods.httpd.message import Headers

LOOPBACK_HOSTS = ("127.0.0.1", "[::1]", "localhost")
READ_METHODS = ("GET", "HEAD")


def allowed_hosts(port: int, more: Iterable[str] = ()) -> frozenset[str]:
    """The Host values that mean this server: loopback names and `more`, each alone and with our port.

    A name of `more` that has a port of its own (`proxy.example:8080`) stands as it is.
    """
    names = {name.lower() for name in (*LOOPBACK_HOSTS, *more)}
    return frozenset(names | {f"{name}:{port}" for name in names})


def is_host_allowed(host: str | None, allowed: frozenset[str]) -> bool:
    """Exact, but for case. A page that had its own name resolve to 127.0.0.1 still sends that name."""
    return host is not None and host.lower() in allowed


def is_same_origin(headers: Headers) -> bool:
    """False when a browser says that a page of another origin sends this. Anything that changes state asks here.

    A program that is no browser sends neither field; it must show a token instead.
    """
    origin = headers.get("origin")
    if origin is not None and origin.lower() != f"http://{headers.get('host', '').lower()}":
        return False
    return headers.get("sec-fetch-site", "none").lower() in ("none", "same-origin")


def is_read(method: str) -> bool:
    """The Go API knows no other method; what is not one of them gets 405 with `Allow: GET, HEAD`."""
    return method in READ_METHODS
