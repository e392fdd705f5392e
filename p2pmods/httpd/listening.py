"""Listening sockets, as plain non-blocking sockets of the standard library."""

from __future__ import annotations

import contextlib
import errno
import ipaddress
import os
import socket
import sys
from typing import TYPE_CHECKING, Final

import trio

from p2pmods.errors import P2pmodsError

if TYPE_CHECKING:
    from collections.abc import Callable

_ACCEPT_AT_ONCE: Final = 64
_LISTENER_GONE: Final = frozenset({errno.EBADF, errno.EINVAL, errno.ENOTSOCK})
_REASONS = {
    errno.EADDRINUSE: "another program listens there",
    errno.EADDRNOTAVAIL: "this machine has no such address",
    errno.EACCES: "not permitted",
}


# Always built into Linux and open to every user, and it does not pace: docs/adr/0013.
_LOOPBACK_CONGESTION_CONTROL = b"reno"
_LOOPBACK_OF = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - where all interfaces are reached from here


class CannotListen(P2pmodsError):
    """`address` cannot be listened on; `errno` is the system's number or None, `reason` says it in words."""

    def __init__(self, host: str, port: int, reason: str, number: int | None = None) -> None:
        super().__init__(f"cannot listen on {address(host, port)}: {reason}")
        self.address = address(host, port)
        self.reason = reason
        self.errno = number


def address(host: str, port: int) -> str:
    """`host:port`, with the brackets that IPv6 needs."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


async def listen(host: str, port: int, *, backlog: int = 512) -> list[socket.socket]:
    """One listening socket for each address of `host`, all on the same port; port 0 takes a free one.

    `host` is a name or an IPv4 or IPv6 address, without brackets. Raises CannotListen.
    """
    try:
        found = await trio.socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError) as error:
        raise CannotListen(host, port, "the host name is not known") from error
    listeners: list[socket.socket] = []
    try:
        for family, _, _, _, where in dict.fromkeys(found):
            listeners.append(_bind(family, (where[0], port, *where[2:]), backlog))
            port = listeners[0].getsockname()[1]
    except OSError as error:
        for listener in listeners:
            listener.close()
        reason = _REASONS.get(error.errno or 0) or (error.strerror or str(error))
        raise CannotListen(host, port, reason, error.errno) from error
    return listeners


async def accept_from(
    listener: socket.socket,
    welcome: Callable[[socket.socket, str], None],
    *,
    make_room: Callable[[], object],
    pause: float,
) -> None:
    """Hands every new connection, non-blocking and without delay, and its client's host to `welcome`. Never returns.

    When the process is out of file descriptors or memory it calls `make_room`, and tries again `pause` seconds later.
    """
    while True:
        await trio.lowlevel.wait_readable(listener)
        try:
            for _ in range(_ACCEPT_AT_ONCE):
                sock, where = listener.accept()
                sock.setblocking(False)
                with contextlib.suppress(OSError):
                    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                welcome(sock, where[0])
        except BlockingIOError:
            continue
        except ConnectionError:
            continue  # that client went away before it was accepted
        except OSError as error:
            if error.errno in _LISTENER_GONE:
                raise
            make_room()
            await trio.sleep(pause)


def url_of(listener: socket.socket) -> str:
    """`http://host:port` by which this machine reaches a listening socket; of all interfaces it is loopback."""
    host, port = listener.getsockname()[:2]
    return f"http://{address(_LOOPBACK_OF.get(host, host), port)}"


def _bind(family: int, where: tuple[object, ...], backlog: int) -> socket.socket:
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        # On Windows SO_REUSEADDR would let another program take the port away, and EXCLUSIVEADDRUSE forbids it.
        if sys.platform == "win32":
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_EXCLUSIVEADDRUSE, 1)
        elif os.name == "posix":
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listener.setblocking(False)
        listener.bind(where)
        if ipaddress.ip_address(str(where[0])).is_loopback:
            _do_not_pace(listener)
        listener.listen(backlog)
    except BaseException:
        listener.close()
        raise
    return listener


def _do_not_pace(listener: socket.socket) -> None:
    """What it accepts is sent as fast as it is taken. Where the system offers no choice, its own way stays."""
    option = getattr(socket, "TCP_CONGESTION", None)
    if option is not None:
        with contextlib.suppress(OSError):  # a kernel without it, or a sandbox that forbids the choice
            listener.setsockopt(socket.IPPROTO_TCP, option, _LOOPBACK_CONGESTION_CONTROL)
