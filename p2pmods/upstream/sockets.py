"""The network beneath the HTTP client: an httpcore backend on trio that reads in large pieces.

trio's TLS stream hands out one record (16 KiB) a time; every piece then passes httpcore, h11 and their generators,
and for hundreds of megabytes that is most of the client's time. Here one read empties the socket's buffer, decrypts
all of it and hands it on as one piece.
"""

from __future__ import annotations

import math
import select
import ssl
from typing import TYPE_CHECKING, Any, Final

import httpcore
import trio

from p2pmods.upstream.dial import Names, dial
from p2pmods.wire.tls import TlsMachine

if TYPE_CHECKING:
    from collections.abc import Iterable

READ_SIZE: Final = 256 << 10


class TcpStream(httpcore.AsyncNetworkStream):
    """A plain connection."""

    def __init__(self, stream: trio.SocketStream) -> None:
        self._stream = stream

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        try:
            with trio.fail_after(math.inf if timeout is None else timeout):
                return bytes(await self._stream.receive_some(READ_SIZE))
        except trio.TooSlowError as error:
            raise httpcore.ReadTimeout from error
        except (trio.BrokenResourceError, trio.ClosedResourceError) as error:
            raise httpcore.ReadError(_cause(error)) from error

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        try:
            with trio.fail_after(math.inf if timeout is None else timeout):
                await self._stream.send_all(buffer)
        except trio.TooSlowError as error:
            raise httpcore.WriteTimeout from error
        except (trio.BrokenResourceError, trio.ClosedResourceError) as error:
            raise httpcore.WriteError(_cause(error)) from error

    async def aclose(self) -> None:
        await self._stream.aclose()

    async def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.AsyncNetworkStream:
        stream = TlsStream(self, ssl_context, server_hostname)
        try:
            with trio.fail_after(math.inf if timeout is None else timeout):
                await stream.handshake()
        except trio.TooSlowError as error:
            await trio.aclose_forcefully(self._stream)
            raise httpcore.ConnectTimeout from error
        except (ssl.SSLError, httpcore.ReadError, httpcore.WriteError) as error:
            await trio.aclose_forcefully(self._stream)
            raise httpcore.ConnectError(_cause(error)) from error
        return stream

    def get_extra_info(self, info: str) -> Any:
        if info == "is_readable":  # an idle connection is so only when the other side closed it
            return _is_readable(self._stream.socket.fileno())
        if info == "client_addr":
            return self._stream.socket.getsockname()
        if info == "server_addr":
            return self._stream.socket.getpeername()
        return self._stream.socket if info == "socket" else None


class TlsStream(httpcore.AsyncNetworkStream):
    """TLS over another stream (over TLS again, behind a web proxy that is reached by https)."""

    def __init__(
        self, stream: httpcore.AsyncNetworkStream, context: ssl.SSLContext, server_hostname: str | None
    ) -> None:
        self._stream = stream
        self._tls = TlsMachine(context, server_hostname=server_hostname)
        self._sending = trio.StrictFIFOLock()

    async def handshake(self) -> None:
        """Raises ssl.SSLError (a certificate that is not trusted among them), ReadError, WriteError."""
        while not self._tls.handshake():
            await self._flush(None)
            await self._feed(None)
        await self._flush(None)

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        while True:
            if pieces := self._decrypted():
                return pieces[0] if len(pieces) == 1 else b"".join(pieces)
            if self._tls.has_ended:
                return b""
            await self._flush(timeout)
            await self._feed(timeout)

    def _decrypted(self) -> list[bytes]:
        try:
            return self._tls.decrypted()
        except ssl.SSLError as error:
            raise httpcore.ReadError(_cause(error)) from error

    async def _feed(self, timeout: float | None) -> None:
        self._tls.receive(await self._stream.read(READ_SIZE, timeout))

    async def _flush(self, timeout: float | None) -> None:
        if self._tls.has_output:
            async with self._sending:
                await self._stream.write(self._tls.to_send(), timeout)

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        try:
            if buffer:
                self._tls.write(buffer)
        except ssl.SSLError as error:
            raise httpcore.WriteError(_cause(error)) from error
        await self._flush(timeout)

    async def aclose(self) -> None:
        await self._stream.aclose()

    async def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.AsyncNetworkStream:
        stream = TlsStream(self, ssl_context, server_hostname)
        try:
            with trio.fail_after(math.inf if timeout is None else timeout):
                await stream.handshake()
        except trio.TooSlowError as error:
            raise httpcore.ConnectTimeout from error
        except (ssl.SSLError, httpcore.ReadError, httpcore.WriteError) as error:
            raise httpcore.ConnectError(_cause(error)) from error
        return stream

    def get_extra_info(self, info: str) -> Any:
        return self._tls.object if info == "ssl_object" else self._stream.get_extra_info(info)


class Backend(httpcore.AsyncNetworkBackend):
    """Connects over TCP to names that many connections ask for at once."""

    def __init__(self) -> None:
        self._names = Names()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        try:
            with trio.fail_after(math.inf if timeout is None else timeout):
                return TcpStream(await dial(await self._names.resolve(host), port))
        except trio.TooSlowError as error:
            raise httpcore.ConnectTimeout("no connection in time") from error
        except OSError as error:
            raise httpcore.ConnectError(_cause(error)) from error

    async def sleep(self, seconds: float) -> None:
        await trio.sleep(seconds)


def _cause(error: BaseException) -> str:
    """The words of the operating system or OpenSSL at the bottom of an error."""
    while error.__cause__ is not None:
        error = error.__cause__
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"certificate not trusted: {error.verify_message}"
    if isinstance(error, BaseExceptionGroup):
        return _cause(error.exceptions[0])
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error)


def _is_readable(descriptor: int) -> bool:
    if descriptor < 0:
        return True  # closed
    if not hasattr(select, "poll"):  # Windows, where select has no limit on numbers
        return bool(select.select([descriptor], [], [], 0)[0])
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    return bool(poll.poll(0))
