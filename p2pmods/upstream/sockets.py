"""The connections beneath the HTTP client, plain or TLS, that read in large pieces and into the same memory.

trio's TLS stream hands out one record (16 KiB) a time, each in bytes of its own. Here one read empties the socket's
buffer, and what was decrypted of it is handed on as one piece.
"""

from __future__ import annotations

import socket
import ssl
from typing import Final, Protocol

import trio

from p2pmods.wire.tls import TlsMachine

READ_SIZE: Final = 256 << 10
DEAD: Final = 10  # seconds without a sign of life from the other end's kernel, while it owes one
_PROBED: Final = 3  # seconds between two questions for one, when nothing else is under way


class ConnectFailed(Exception):
    """No connection came about: TCP, TLS, or a web proxy on the way."""


class BrokeOff(Exception):
    """A connection ended before its time, or its other end talks nonsense."""


class Stream(Protocol):
    """Bytes both ways. Used by one task at a time; after an error or a cancellation only `close` is left."""

    async def receive(self) -> memoryview:
        """What has arrived, empty at the end. It is overwritten by the next call. Raises OSError, ssl.SSLError."""

    async def send(self, data: bytes) -> None:
        """All of `data`. Raises OSError, ssl.SSLError."""

    def is_quiet(self) -> bool:
        """Whether nothing has arrived, not the end either."""

    def close(self) -> None:
        """At once and without farewell; any number of times."""


class TcpStream:
    """A plain connection. It takes `sock` over."""

    def __init__(self, sock: socket.socket) -> None:
        sock.setblocking(False)
        _notice_death(sock)
        self._sock = sock
        self._buffer = memoryview(bytearray(READ_SIZE))

    async def receive(self) -> memoryview:
        await trio.lowlevel.checkpoint_if_cancelled()
        try:
            count = self._sock.recv_into(self._buffer)
        except BlockingIOError:
            count = await self._receive_later()
        else:
            await trio.lowlevel.cancel_shielded_checkpoint()  # a fast sender must not keep the others waiting
        return self._buffer[:count]

    async def _receive_later(self) -> int:
        while True:
            await trio.lowlevel.wait_readable(self._sock)
            try:
                return self._sock.recv_into(self._buffer)
            except BlockingIOError:
                continue

    async def send(self, data: bytes) -> None:
        rest = memoryview(data)
        while rest:
            try:
                rest = rest[self._sock.send(rest) :]
            except BlockingIOError:
                await trio.lowlevel.wait_writable(self._sock)

    def is_quiet(self) -> bool:
        try:
            self._sock.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            return True
        except OSError:
            return False
        return False

    def close(self) -> None:
        if self._sock.fileno() >= 0:
            trio.lowlevel.notify_closing(self._sock)
            self._sock.close()


class TlsStream:
    """TLS over another stream (over TLS again, behind a web proxy that is reached by https)."""

    def __init__(self, stream: Stream, context: ssl.SSLContext, server_hostname: str) -> None:
        self._stream = stream
        self._tls = TlsMachine(context, server_hostname=server_hostname)
        self._buffer = memoryview(bytearray(READ_SIZE))

    async def handshake(self) -> None:
        """Raises ssl.SSLError (a certificate that is not trusted among them), OSError."""
        while not self._tls.handshake():
            await self._flush()
            await self._feed()
        await self._flush()

    async def receive(self) -> memoryview:
        while True:
            count = self._tls.decrypt_into(self._buffer)
            if count or self._tls.has_ended:
                return self._buffer[:count]
            await self._flush()
            await self._feed()

    async def _feed(self) -> None:
        self._tls.receive(await self._stream.receive())

    async def _flush(self) -> None:
        if self._tls.has_output:
            await self._stream.send(self._tls.to_send())

    async def send(self, data: bytes) -> None:
        self._tls.write(data)
        await self._flush()

    def is_quiet(self) -> bool:
        return not self._tls.has_input and self._stream.is_quiet()

    def close(self) -> None:
        self._stream.close()


def cause(error: BaseException) -> str:
    """The words of the operating system or OpenSSL at the bottom of an error."""
    while error.__cause__ is not None:
        error = error.__cause__
    if isinstance(error, BaseExceptionGroup):
        return cause(error.exceptions[0])
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"certificate not trusted: {error.verify_message}"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error) or type(error).__name__


def _notice_death(sock: socket.socket) -> None:
    """A server may think for a minute before it answers; one that is out of reach shall not be waited for so long."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    wanted = {"TCP_KEEPIDLE": DEAD, "TCP_KEEPINTVL": _PROBED, "TCP_KEEPCNT": 3, "TCP_USER_TIMEOUT": DEAD * 1000}
    for name, value in wanted.items():
        if hasattr(socket, name):
            sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
