"""The node's loopback face: who may ask, under which path token, and which part of the API answers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from p2pmods.api.answers import MINUTE
from p2pmods.api.routes import BadRoute, NodeRoute, SumdbRoute, parse_route
from p2pmods.api.sessions import Access, Tokens
from p2pmods.errors import MalformedData
from p2pmods.httpd.guard import is_host_allowed, is_read
from p2pmods.httpd.message import Response, text
from p2pmods.httpd.targets import decode_path

if TYPE_CHECKING:
    from p2pmods.api.checksums import ChecksumApi
    from p2pmods.api.control import ControlApi
    from p2pmods.api.download import Download
    from p2pmods.httpd.message import Headers, Request

MAX_CONTROL_BODY: Final = 32 << 20  # bytes: a go.sum of 16 MiB inside JSON
MAX_STRANGERS_BODY: Final = 16 << 10  # bytes, of each of hundreds of connections that anybody may open
_ALLOW: Final = ("Allow", "GET, HEAD")
_OPEN: Final = Access()


class App:
    """The handler, `admit` and `fast` hooks of the node's server."""

    def __init__(
        self, tokens: Tokens, download: Download, checksums: ChecksumApi, control: ControlApi, hosts: frozenset[str]
    ) -> None:
        self._tokens = tokens
        self._download = download
        self._checksums = checksums
        self._control = control
        self._hosts = hosts

    def admit(self, headers: Headers) -> Response | None:
        """Only a Host that means this node: a page whose name was made to resolve to 127.0.0.1 is turned away."""
        if is_host_allowed(headers.get("host"), self._hosts):
            return None
        return text(421, "this node does not serve that host name; the setting allowed_hosts adds one")

    def body_limit(self, method: str, path: str, headers: Headers) -> int:
        """Bytes of body that a request may bring: only the control API takes any, few without its token."""
        if method != "POST" or not path.startswith("/-/api/"):
            return 0
        return MAX_CONTROL_BODY if self._control.is_authorised(headers) else MAX_STRANGERS_BODY

    def fast(self, target: bytes) -> bytes | None:
        """A ready-made answer for a small file, with or without a path token before it."""
        if not self._tokens.is_required:
            ready = self._download.ready(target, None)
            if ready is not None:
                return ready
        end = target.find(b"/", 1)
        if end < 0 or b"." in target[1:end]:
            return None
        access = self._tokens.find(target[1:end].decode("latin-1"))
        return None if access is None else self._download.ready(target[end:], access.session)

    async def handle(self, request: Request) -> Response:
        """Answer one request whose Host was admitted."""
        access, path = self._split(request.path)
        if path.startswith("/-/") or path == "/-":
            return await self._control.answer(request, path)
        if access is None:
            return text(404, "not found: this address needs its token in the path: http://HOST:PORT/TOKEN")
        if not is_read(request.method):
            return text(405, "the module API knows only GET and HEAD", [_ALLOW])
        try:
            route, only_held = parse_route(decode_path(path))
        except (BadRoute, MalformedData) as error:
            return text(404, str(error), [MINUTE])
        only_held = only_held or request.headers.get("disable-module-fetch", "").lower() == "true"
        match route:
            case SumdbRoute():
                return await self._checksums.answer(route, access, only_held=only_held)
            case NodeRoute():
                return text(404, "not found")
            case _:
                return await self._download.answer(
                    route, access, only_held=only_held, client=request.client, target=path
                )

    def _split(self, path: str) -> tuple[Access | None, str]:
        """The access that the path gives and the path without its token; None when a token is needed and missing.

        No module path begins with an element without a dot, so a token is never taken for one.
        """
        first, slash, rest = path.removeprefix("/").partition("/")
        if "." not in first and first not in ("-", "sumdb", "cached-only"):
            access = self._tokens.find(first)
            if access is not None:
                return access, slash + rest
        return (None if self._tokens.is_required else _OPEN), path
