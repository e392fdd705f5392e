"""Non-blocking TCP sockets with little in them that cannot be overtaken, and TLS on top."""

from __future__ import annotations

import contextlib
import socket
import ssl
from typing import TYPE_CHECKING, Final

import trio

from p2pmods.wire.tls import TlsMachine

if TYPE_CHECKING:
    from p2pmods.config.values import Address
    from p2pmods.identity.records import Endpoint

READ_SIZE: Final = 256 << 10
_UNSENT: Final = 64 << 10  # bytes that the kernel takes beyond what is on its way
_SEND_BUFFER: Final = 128 << 10  # where it cannot be told that: all that it takes, with what is on its way


async def connect(endpoint: Endpoint | Address) -> socket.socket:
    """Raises OSError."""
    family = socket.AF_INET6 if ":" in endpoint.host else socket.AF_INET
    with trio.socket.socket(family, socket.SOCK_STREAM) as connecting:
        await connecting.connect((endpoint.host, endpoint.port))
        sock = socket.socket(family, socket.SOCK_STREAM, fileno=connecting.detach())
    sock.setblocking(False)
    with contextlib.suppress(OSError):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


def keep_queue_short(sock: socket.socket) -> None:
    """A control frame is to wait for 64 KiB of bulk in the kernel, not for megabytes."""
    with contextlib.suppress(OSError):
        if hasattr(socket, "TCP_NOTSENT_LOWAT"):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, _UNSENT)
        else:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER)


class SecureSocket:
    """TLS over a socket. `buffer` is for reading, and may be shared by all sockets of a thread."""

    def __init__(self, sock: socket.socket, context: ssl.SSLContext, *, server_side: bool, buffer: bytearray) -> None:
        self.sent = self.received = 0  # bytes on the network
        self._sock = sock
        self._tls = TlsMachine(context, server_side=server_side)
        self._buffer = buffer
        self._unsent = memoryview(b"")
        keep_queue_short(sock)

    @property
    def tls(self) -> ssl.SSLObject:
        return self._tls.object

    @property
    def here(self) -> str:
        """The address of this end; empty once it is closed."""
        try:
            return str(self._sock.getsockname()[0]).removeprefix("::ffff:")
        except OSError:
            return ""

    @property
    def has_unsent(self) -> bool:
        return bool(self._unsent) or self._tls.has_output

    async def handshake(self) -> None:
        """Raises OSError, ssl.SSLError among them."""
        while not self._tls.handshake():
            await self._send_waiting()
            await self._receive_some()
        await self._send_waiting()

    async def receive(self) -> bytes:
        """Text that has arrived, at most 256 KiB of it; empty at the end, in whatever way it came. Raises OSError."""
        text = memoryview(self._buffer)
        while True:
            try:
                count = self._tls.decrypt_into(text)
            except ssl.SSLEOFError:
                return b""
            if count or self._tls.has_ended:
                return bytes(text[:count])
            await self._receive_some()

    def encrypt(self, text: bytes) -> None:
        """More to send. Raises ssl.SSLError."""
        self._tls.write(text)

    def send(self) -> bool:
        """Send what the kernel takes; False when some is left. Raises OSError."""
        while self._unsent or self._tls.has_output:
            if not self._unsent:
                self._unsent = memoryview(self._tls.to_send())
            try:
                sent = self._sock.send(self._unsent)
            except BlockingIOError:
                return False
            self.sent += sent
            self._unsent = self._unsent[sent:]
        return True

    async def wait_writable(self) -> None:
        await trio.lowlevel.wait_writable(self._sock)

    def end(self) -> None:
        """Nothing more will be sent."""
        with contextlib.suppress(OSError):
            self._sock.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        """Harmless when it is closed."""
        if self._sock.fileno() >= 0:
            trio.lowlevel.notify_closing(self._sock)
            self._sock.close()

    async def _receive_some(self) -> None:
        while True:
            await trio.lowlevel.wait_readable(self._sock)
            with contextlib.suppress(BlockingIOError):
                size = self._sock.recv_into(self._buffer)
                break
        self.received += size
        self._tls.receive(memoryview(self._buffer)[:size])

    async def _send_waiting(self) -> None:
        while not self.send():
            await self.wait_writable()
