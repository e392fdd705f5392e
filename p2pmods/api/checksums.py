"""`/sumdb/<name>/…`: the checksum database, as go asks for it through a proxy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from p2pmods.api.answers import MINUTE, failure_answer
from p2pmods.errors import (
    InvalidPath,
    InvalidVersion,
    MalformedData,
    NotFound,
    Refused,
    SourceError,
    SumdbError,
    Unavailable,
)
from p2pmods.fetch.outcome import FetchFailed, verdict_of
from p2pmods.gomod.escape import unescape_path, unescape_version
from p2pmods.gomod.module import ModuleVersion
from p2pmods.httpd.message import Response, text
from p2pmods.sumdb.tiles import parse_tile_path
from p2pmods.wire.proofs import AskTile, TileBytes

if TYPE_CHECKING:
    from collections.abc import Callable

    from p2pmods.api.routes import SumdbRoute
    from p2pmods.api.sessions import Access
    from p2pmods.fetch.checksums import Checksums
    from p2pmods.fetch.failures import Failures

_SUPPORTED: Final = "supported"
_WEEK = ("Cache-Control", "public, max-age=604800")
_NOW = ("Cache-Control", "no-store")


class ChecksumApi:
    """Serves one database, by the names on its list; never a host taken from the URL."""

    def __init__(
        self,
        checksums: Checksums | None,
        names: frozenset[str],
        failures: Failures,
        *,
        is_public: Callable[[str], bool],
    ) -> None:
        """Paths that are not `is_public` are never named to the database, whoever asks."""
        self._checksums = checksums
        self._names = names
        self._failures = failures
        self._is_public = is_public

    async def answer(self, route: SumdbRoute, access: Access, *, only_held: bool) -> Response:
        """404 sends go on to the next proxy or to the database; after a 200 for `supported` it asks only us.

        `only_held`: nobody is asked, and what is not here is a 404 whatever go was told before.
        """
        checksums = self._checksums
        if checksums is None or route.name not in self._names:
            return text(404, "not found: this node does not serve that checksum database", [MINUTE])
        try:
            if only_held:
                _check_held(checksums, route.endpoint)
            return await self._endpoint(checksums, route.endpoint)
        except (SourceError, SumdbError) as error:
            source = error if isinstance(error, SourceError) else Unavailable(checksums.name, str(error))
            wanted = checksums.name if route.endpoint == _SUPPORTED else route.endpoint
            failure = FetchFailed(f"sumdb {wanted}", verdict_of([source]), [source])
            if not isinstance(source, NotFound):
                self._failures.add(failure)
            # After `supported` go asks nobody else, and a 404 would say that the module has no record.
            if access.session is not None and route.endpoint.startswith((_SUPPORTED, "lookup/")):
                access.session.record_failure(failure)
            is_asked_alone = route.endpoint != _SUPPORTED and not only_held
            return failure_answer(failure, alone=access.strict or is_asked_alone)

    async def _endpoint(self, checksums: Checksums, endpoint: str) -> Response:
        kind, _, rest = endpoint.partition("/")
        if endpoint == _SUPPORTED:
            await checksums.supported()
            return Response(200, [("Content-Type", "text/plain; charset=utf-8"), _NOW], b"")
        if kind == "latest" and not rest:
            return text_body(await checksums.latest(), _NOW)
        if kind == "lookup":
            module = _module(rest)
            if not self._is_public(module.path):
                raise Refused(checksums.name, f"{module.path} is private here (no_sumdb): it is never asked about")
            return text_body(await checksums.lookup(module), _NOW)
        if kind == "tile":
            tile = await checksums.tile(rest)
            return Response(200, [("Content-Type", "application/octet-stream"), _WEEK], tile)
        raise NotFound(checksums.name, "no such endpoint")


def _check_held(checksums: Checksums, endpoint: str) -> None:
    """Raises Unavailable for an answer that somebody would have to be asked for."""
    kind, _, rest = endpoint.partition("/")
    is_held = checksums.statistics().state != "unreached"
    if kind == "lookup":
        is_held = is_held and checksums.held_proof(_module(rest)) is not None
    elif kind == "tile":
        is_held = is_held and _is_held_tile(checksums, rest)
    if not is_held:
        raise Unavailable(checksums.name, "not held, and the request asks for nothing else")


def _is_held_tile(checksums: Checksums, path: str) -> bool:
    try:
        tile = parse_tile_path(path)
        question = AskTile(checksums.name, tile.level, tile.index, tile.width)
    except (MalformedData, ValueError):  # a data tile, which is never kept, nonsense, or beyond any tree
        return False
    return isinstance(checksums.reply(question), TileBytes)


def text_body(body: bytes, caching: tuple[str, str]) -> Response:
    return Response(200, [("Content-Type", "text/plain; charset=utf-8"), caching], body)


def _module(name: str) -> ModuleVersion:
    """`<escaped path>@<escaped version>`. Raises NotFound for what no record can be of."""
    path, at, version = name.rpartition("@")
    try:
        if not at:
            raise InvalidPath(name, "no version")
        return ModuleVersion(unescape_path(path), unescape_version(version))
    except (InvalidPath, InvalidVersion) as error:
        raise NotFound("lookup", str(error)) from error
