"""The port on which peers find this node: one number for links (TCP) and membership (UDP), kept from run to run."""

from __future__ import annotations

import contextlib
import ipaddress
import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from p2pmods.errors import UserError
from p2pmods.store import fs

if TYPE_CHECKING:
    from pathlib import Path

    from p2pmods.config.values import Address

KEPT: Final = "peer.port"  # below the data directory
BACKLOG: Final = 1024
TRIES: Final = 16  # free ports whose number may be taken for the other protocol


class CannotListenForPeers(UserError):
    """The address is taken or not of this machine; says the cure."""


@dataclass(frozen=True, slots=True)
class Sockets:
    """Bound, non-blocking; those of TCP listen. Whoever takes them closes them. `port` is that of all."""

    port: int
    tcp: tuple[socket.socket, ...]
    udp: tuple[socket.socket, ...]

    def close(self) -> None:
        for sock in (*self.tcp, *self.udp):
            sock.close()


def open_sockets(listen: Address | None, data: Path) -> Sockets:
    """On the address of the settings; on all interfaces and the port of last time, or a free one, when that is None.

    Raises CannotListenForPeers.
    """
    if listen is not None and listen.port:
        return _open(listen.host, listen.port)
    host = listen.host if listen is not None else ""
    with contextlib.suppress(CannotListenForPeers):
        if kept := _kept(data):
            return _open(host, kept)
    for attempt in range(TRIES):
        try:
            found = _open(host, 0)
        except CannotListenForPeers:
            if attempt == TRIES - 1:
                raise
        else:
            _keep(data, found.port)
            return found
    raise AssertionError


def _open(host: str, port: int) -> Sockets:
    """All families for an empty host; there a second one that cannot be had is no failure."""
    hosts = [host] if host else ["0.0.0.0", "::"]  # noqa: S104 - peers are other machines, and links are authenticated
    tcp: list[socket.socket] = []
    udp: list[socket.socket] = []
    for one in hosts:
        try:
            with contextlib.ExitStack() as stack:
                stream = stack.enter_context(_bound(one, port, socket.SOCK_STREAM))
                port = stream.getsockname()[1]
                datagram = stack.enter_context(_bound(one, port, socket.SOCK_DGRAM))
                stream.listen(BACKLOG)
                stack.pop_all()
        except OSError as error:
            if tcp:
                continue
            place = f"{one}:{port}" if port else one
            raise CannotListenForPeers(
                f"peers: cannot listen on {place}: {error.strerror or error}; choose another with --peer-listen"
            ) from error
        tcp.append(stream)
        udp.append(datagram)
    return Sockets(port, tuple(tcp), tuple(udp))


def _bound(host: str, port: int, kind: socket.SocketKind) -> socket.socket:
    address = str(ipaddress.ip_address(socket.gethostbyname(host) if not _is_literal(host) else host))
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    sock = socket.socket(family, kind)
    try:
        sock.setblocking(False)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        if kind == socket.SOCK_STREAM:
            _reuse(sock)
        sock.bind((address, port))
    except BaseException:
        sock.close()
        raise
    return sock


def _reuse(sock: socket.socket) -> None:
    """A restarted node gets its port back at once; on Windows the option would let another program take it."""
    if not hasattr(socket, "SO_EXCLUSIVEADDRUSE"):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)


def _is_literal(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _kept(data: Path) -> int | None:
    try:
        port = int((data / KEPT).read_bytes()[:6])
    except (OSError, ValueError):
        return None
    return port if 0 < port < 65536 else None


def _keep(data: Path, port: int) -> None:
    with contextlib.suppress(OSError):  # then it is another one next time
        fs.write_derived(data / KEPT, data / "tmp" / KEPT, f"{port}\n".encode())
