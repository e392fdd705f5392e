"""A small HTTP/2 server, to see that many requests share a connection and do not spoil it for each other."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import h2.config
import h2.connection
import h2.events
import trio

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator


class Http2Server:
    """Answers every path in `files`; a path in `hanging` never."""

    def __init__(self, tls: ssl.SSLContext) -> None:
        tls.set_alpn_protocols(["h2"])
        self.files: dict[str, bytes] = {}
        self.hanging: set[str] = set()
        self.connections = 0
        self.cancelled = 0
        self.url = ""
        self._tls = tls

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Http2Server]:
        listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
        self.url = f"https://127.0.0.1:{listeners[0].socket.getsockname()[1]}"
        async with trio.open_nursery() as nursery:
            nursery.start_soon(trio.serve_listeners, self._serve, listeners)
            yield self
            nursery.cancel_scope.cancel()

    async def _serve(self, tcp: trio.SocketStream) -> None:
        self.connections += 1
        stream = trio.SSLStream(tcp, self._tls, server_side=True, https_compatible=True)
        connection = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False))
        connection.initiate_connection()
        try:
            await stream.send_all(connection.data_to_send())
            while data := await stream.receive_some(65536):
                for event in connection.receive_data(data):
                    self._answer(connection, event)
                await stream.send_all(connection.data_to_send())
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            pass
        finally:
            await trio.aclose_forcefully(stream)

    def _answer(self, connection: h2.connection.H2Connection, event: h2.events.Event) -> None:
        if isinstance(event, h2.events.StreamReset):
            self.cancelled += 1
        if isinstance(event, h2.events.RequestReceived) and event.stream_id is not None:
            path = dict(event.headers or [])[b":path"].decode()
            if path in self.hanging:
                return
            body = self.files.get(path)
            status = "404" if body is None else "200"
            connection.send_headers(event.stream_id, [(":status", status)])
            connection.send_data(event.stream_id, body or b"", end_stream=True)
