"""The node's own pages under `/-/`: health, metrics, and the control API that the `p2pmods` commands talk to."""

from __future__ import annotations

import hmac
import json
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qs

from p2pmods.errors import InvalidPath, InvalidVersion, MalformedData, P2pmodsError, printable
from p2pmods.gomod.gosum import parse_go_sum
from p2pmods.gomod.module import ModuleVersion
from p2pmods.httpd.guard import is_read, is_same_origin
from p2pmods.httpd.message import Response, text

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from p2pmods.api.sessions import Tokens
    from p2pmods.fetch.duties import Duties
    from p2pmods.httpd.message import Headers, Request

API: Final = "/-/api/v1/"
MAX_MODULES: Final = 100_000  # named in one request
_NO_STORE: Final = ("Cache-Control", "no-store")


class BadRequest(P2pmodsError):
    """What came does not fit the control API; the text says what would."""


class ControlApi:
    """Dispatches `/-/…`. Everything below `/-/api/` needs the token of node.json, whoever asks."""

    def __init__(
        self,
        duties: Duties,
        tokens: Tokens,
        *,
        secret: str,
        url: Callable[[], str],
        monotonic: Callable[[], float],
        metrics: Callable[[], bytes],
    ) -> None:
        self._duties = duties
        self._tokens = tokens
        self._secret = secret
        self._url = url
        self._monotonic = monotonic
        self._metrics = metrics

    async def answer(self, request: Request, path: str) -> Response:
        """Answer one request for `path`, which begins with `/-`."""
        if path == "/-/healthz" and is_read(request.method):
            return text(200, "ok", [_NO_STORE])
        if path == "/-/metrics" and is_read(request.method):
            return Response(200, [("Content-Type", "text/plain; version=0.0.4; charset=utf-8")], self._metrics())
        if not path.startswith(API):
            return text(404, "not found")
        if not self.is_authorised(request.headers):
            return text(401, "the control API needs the token of node.json", [("WWW-Authenticate", "Bearer")])
        if not is_same_origin(request.headers):
            return text(403, "refused: this request comes from a page of another origin")
        try:
            return await self._route(request, path.removeprefix(API))
        except BadRequest as error:
            return text(400, str(error))

    def is_authorised(self, headers: Headers) -> bool:
        """Whether they show the token of node.json."""
        given = headers.get("authorization", "")
        return hmac.compare_digest(given.encode(), f"Bearer {self._secret}".encode())

    async def _route(self, request: Request, name: str) -> Response:
        head, _, rest = name.partition("/")
        handlers: dict[tuple[str, str], Callable[[Request, str], Awaitable[Response]]] = {
            ("GET", "status"): self._status,
            ("GET", "why"): self._why,
            ("POST", "prove"): self._prove,
            ("POST", "verify"): self._verify,
            ("POST", "rm"): self._remove,
            ("POST", "allow"): self._allow,
            ("POST", "check"): self._check,
            ("GET", "peers"): self._peers,
            ("GET", "offered"): self._offered,
            ("POST", "pause"): self._pause,
            ("POST", "sessions"): self._open_session,
            ("GET", "sessions"): self._session,
            ("DELETE", "sessions"): self._close_session,
        }
        handler = handlers.get((request.method, head))
        if handler is None:
            return text(404, f"the control API has no {printable(request.method)} {printable(head)}")
        if head != "sessions":
            await self._duties.wait_written()
        return await handler(request, rest)

    async def _status(self, _request: Request, _rest: str) -> Response:
        return _json(self._duties.status())

    async def _why(self, request: Request, _rest: str) -> Response:
        query = parse_qs(request.query)
        module = _module(f"{query.get('module', [''])[0]}@{query.get('version', [''])[0]}")
        found = self._duties.why(module)
        return text(404, f"nothing is known of {module}") if found is None else _json(found)

    async def _prove(self, request: Request, _rest: str) -> Response:
        return _json(await self._duties.prove(_modules(_body(request))))

    async def _verify(self, request: Request, _rest: str) -> Response:
        body = _body(request)
        return _json(await self._duties.verify(None if body.get("all") is True else _modules(body)))

    async def _remove(self, request: Request, _rest: str) -> Response:
        return _json(await self._duties.remove(_modules(_body(request))))

    async def _allow(self, request: Request, _rest: str) -> Response:
        return _json(self._duties.allow(_modules(_body(request))))

    async def _check(self, request: Request, _rest: str) -> Response:
        body = _body(request)
        keys, toolchain = body.get("keys"), body.get("toolchain")
        if not isinstance(keys, list) or len(keys) > MAX_MODULES or not isinstance(toolchain, str | None):
            raise BadRequest("check needs keys, a list of [path, version, kind], and a toolchain or null")
        return _json(await self._duties.check(keys, toolchain))

    async def _peers(self, _request: Request, _rest: str) -> Response:
        return _json(self._duties.neighbours.peers())

    async def _offered(self, _request: Request, _rest: str) -> Response:
        return _json(self._duties.neighbours.offered())

    async def _pause(self, request: Request, _rest: str) -> Response:
        paused = _body(request).get("paused")
        if not isinstance(paused, bool):
            raise BadRequest("pause needs paused, true or false")
        return _json(self._duties.neighbours.pause(paused))

    async def _open_session(self, request: Request, _rest: str) -> Response:
        body = _body(request)
        go_sum, origin = body.get("go_sum"), body.get("origin")
        try:
            pins = None if go_sum is None else parse_go_sum(str(go_sum).encode())
        except (MalformedData, UnicodeError) as error:
            raise BadRequest(f"{printable(str(origin or 'go.sum'))}: {error}") from error
        session = self._tokens.open(pins, str(origin or ""))
        return _json({"token": session.token, "url": f"{self._url()}/{session.token}"})

    async def _session(self, _request: Request, token: str) -> Response:
        session = self._tokens.session(token)
        return text(404, "no such session") if session is None else _json(session.report(now=self._monotonic()))

    async def _close_session(self, _request: Request, token: str) -> Response:
        session = self._tokens.close(token)
        if session is None:
            return text(404, "no such session")
        ended = self._monotonic()
        if late := session.unproven():
            await self._duties.wait_written()
            session.record_proofs(await self._duties.proven(late))
        return _json(session.report(now=ended))


def _json(value: object) -> Response:
    return Response(200, [("Content-Type", "application/json"), _NO_STORE], json.dumps(value).encode())


def _body(request: Request) -> dict[str, Any]:
    try:
        value = json.loads(request.body)
    except (ValueError, RecursionError) as error:
        raise BadRequest("the body must be JSON") from error
    if not isinstance(value, dict):
        raise BadRequest("the body must be a JSON object")
    return value


def _modules(body: dict[str, Any]) -> list[ModuleVersion]:
    names = body.get("modules")
    if not isinstance(names, list) or len(names) > MAX_MODULES:
        raise BadRequest("modules must be a list of MODULE@VERSION")
    return [_module(name) for name in names]


def _module(name: object) -> ModuleVersion:
    path, at, version = str(name).rpartition("@")
    try:
        if not at:
            raise InvalidPath(str(name), "not MODULE@VERSION")
        return ModuleVersion(path, version)
    except (InvalidPath, InvalidVersion) as error:
        raise BadRequest(str(error)) from error
