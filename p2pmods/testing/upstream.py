"""A module proxy on loopback, over real HTTP: serves modules from memory, remembers who asked, fails on command."""

from __future__ import annotations

import hashlib
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Final

import trio

from p2pmods.gomod.escape import escape_path, escape_version
from p2pmods.gomod.info import Info, format_info
from p2pmods.gomod.listing import format_list, latest
from p2pmods.gomod.module import FileKey, FileKind, ModuleVersion
from p2pmods.testing.upstream_faults import Answer, Asked, Exchange, Fault, answer_text, send

if TYPE_CHECKING:
    import ssl
    from collections.abc import Mapping

SumdbAnswer = Callable[[str], tuple[int, bytes]]

_MAX_HEAD: Final = 16 << 10
_RANGE: Final = re.compile(r"bytes=([0-9]+)-")


@dataclass(slots=True)
class _Order:
    """Requests whose path contains `part` get `fault`, the next `times` of them."""

    part: str
    fault: Fault
    times: float = field(default=float("inf"))


class FakeUpstream:
    """`url` is its GOPROXY. `requests` are the paths asked for, in order; `log` has their headers too."""

    def __init__(self, *, sumdb: SumdbAnswer | None = None, tls: ssl.SSLContext | None = None) -> None:
        """`sumdb` answers everything below `/sumdb/`; `tls` makes it an https server."""
        self.files: dict[str, bytes] = {}
        self.log: list[Asked] = []
        self.port = 0
        self.connections = 0
        self._sumdb = sumdb
        self._tls = tls
        self._orders: list[_Order] = []
        self._versions: dict[str, set[str]] = {}

    @property
    def url(self) -> str:
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self.port}"

    @property
    def requests(self) -> list[str]:
        return [asked.path for asked in self.log]

    def add(
        self, module: ModuleVersion, zip_data: bytes, *, mod: bytes | None = None, info: Info | None = None
    ) -> None:
        """Serve this version: its three files, and its line in `list`."""
        mod = f"module {module.path}\n".encode() if mod is None else mod
        info = info or Info(module.version, "2024-01-02T03:04:05Z")
        bodies = {FileKind.INFO: format_info(info), FileKind.MOD: mod, FileKind.ZIP: zip_data}
        for kind, body in bodies.items():
            self.files[f"/{FileKey(module, kind).url_path}"] = body
        versions = self._versions.setdefault(module.path, set())
        versions.add(module.version)
        prefix = f"/{escape_path(module.path)}"
        self.files[f"{prefix}/@v/list"] = format_list(versions)
        newest = latest(versions) or module.version
        self.files[f"{prefix}/@latest"] = self.files[f"{prefix}/@v/{escape_version(newest)}.info"]

    def remove(self, module: ModuleVersion) -> None:
        """The version was deleted upstream."""
        for kind in FileKind:
            self.files.pop(f"/{FileKey(module, kind).url_path}", None)
        versions = self._versions.get(module.path, set())
        versions.discard(module.version)
        self.files[f"/{escape_path(module.path)}/@v/list"] = format_list(versions)

    def fault(self, part: str, fault: Fault, *, times: float = float("inf")) -> None:
        """Let the next `times` requests whose path contains `part` fail so. Earlier orders go first."""
        self._orders.append(_Order(part, fault, times))

    def behave(self) -> None:
        """Forget all faults."""
        self._orders.clear()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[FakeUpstream]:
        """Serve for as long as the block lasts; then every connection is cut."""
        async with trio.open_nursery() as nursery:
            await nursery.start(self.serve)
            yield self
            nursery.cancel_scope.cancel()

    async def serve(self, *, task_status: trio.TaskStatus[int] = trio.TASK_STATUS_IGNORED) -> None:
        """Serve until cancelled, on the same port as before if there was one; starts with the port."""
        listeners = await trio.open_tcp_listeners(self.port, host="127.0.0.1")
        self.port = listeners[0].socket.getsockname()[1]
        async with trio.open_nursery() as nursery:
            nursery.start_soon(trio.serve_listeners, self._serve_connection, listeners)
            task_status.started(self.port)

    async def _serve_connection(self, tcp: trio.SocketStream) -> None:
        self.connections += 1
        stream: trio.abc.Stream = tcp
        if self._tls is not None:
            stream = trio.SSLStream(tcp, self._tls, server_side=True, https_compatible=True)
        try:
            buffer = bytearray()
            while (asked := await _read_request(stream, buffer)) is not None:
                self.log.append(asked)
                whole = partial(self.answer, replace(asked, headers={}))
                exchange = Exchange(stream, tcp, asked, self.answer(asked), whole, self.url)
                await self._fault_for(asked.path)(exchange)
        except (trio.BrokenResourceError, trio.ClosedResourceError, _Hangup):
            pass
        finally:
            await trio.aclose_forcefully(stream)

    def _fault_for(self, path: str) -> Fault:
        for order in self._orders:
            if order.part in path and order.times > 0:
                order.times -= 1
                return order.fault
        return send

    def answer(self, asked: Asked) -> Answer:
        """What an honest proxy says."""
        if asked.path.startswith("/sumdb/") and self._sumdb is not None:
            status, body = self._sumdb(asked.path)
            return Answer(status, body, {"Content-Type": "text/plain; charset=utf-8"})
        held = self.files.get(asked.path.replace("%21", "!"))
        if held is None:
            return answer_text(404, f"not found: {asked.path} is not here")
        return _ranged(asked.headers, held)


def _ranged(headers: Mapping[str, str], body: bytes) -> Answer:
    etag = f'"{hashlib.sha256(body).hexdigest()}"'
    answer = Answer(200, body, {"ETag": etag, "Accept-Ranges": "bytes"})
    found = _RANGE.fullmatch(headers.get("range", ""))
    if found is None or headers.get("if-range", etag) != etag:
        return answer
    start = int(found[1])
    if start >= len(body):
        return answer_text(416, "range not satisfiable")
    answer.headers["Content-Range"] = f"bytes {start}-{len(body) - 1}/{len(body)}"
    return Answer(206, body[start:], answer.headers)


class _Hangup(Exception):
    """The client went away, or sent what is no request."""


async def _read_request(stream: trio.abc.Stream, buffer: bytearray) -> Asked | None:
    while b"\r\n\r\n" not in buffer:
        data = await stream.receive_some(_MAX_HEAD)
        if not data:
            return None
        buffer += data
        if len(buffer) > _MAX_HEAD:
            raise _Hangup
    head, _, rest = bytes(buffer).partition(b"\r\n\r\n")
    buffer[:] = rest
    lines = head.decode("latin-1").split("\r\n")
    method, _, target = lines[0].partition(" ")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
    return Asked(method, target.rpartition(" ")[0], headers)
