"""`/sumdb/<name>/…`: the checksum database, as go asks for it through a proxy."""

from __future__ import annotations

from typing import TYPE_CHECKING

from p2pmods.api.answers import MINUTE, failure_answer
from p2pmods.errors import InvalidPath, InvalidVersion, NotFound, Refused, SourceError, SumdbError, Unavailable
from p2pmods.fetch.outcome import FetchFailed, verdict_of
from p2pmods.gomod.escape import unescape_path, unescape_version
from p2pmods.gomod.module import ModuleVersion
from p2pmods.httpd.message import Response, text

if TYPE_CHECKING:
    from collections.abc import Callable

    from p2pmods.api.routes import SumdbRoute
    from p2pmods.fetch.checksums import Checksums
    from p2pmods.fetch.failures import Failures

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

    async def answer(self, route: SumdbRoute, *, only_held: bool, alone: bool) -> Response:
        """404 sends go on to the next proxy or to the database; after a 200 for `supported` it asks only us."""
        checksums = self._checksums
        if checksums is None or route.name not in self._names:
            return text(404, "not found: this node does not serve that checksum database", [MINUTE])
        try:
            return await self._endpoint(checksums, route.endpoint, only_held)
        except (SourceError, SumdbError) as error:
            source = error if isinstance(error, SourceError) else Unavailable(checksums.name, str(error))
            failure = FetchFailed(f"sumdb {route.endpoint}", verdict_of([source]), [source])
            if not isinstance(source, NotFound):
                self._failures.add(failure)
            # After `supported` go asks nobody else, and a 404 would say that the module has no record.
            return failure_answer(failure, alone=alone or route.endpoint != "supported")

    async def _endpoint(self, checksums: Checksums, endpoint: str, only_held: bool) -> Response:
        kind, _, rest = endpoint.partition("/")
        if kind == "supported" and not rest:
            await checksums.supported()
            return Response(200, [("Content-Type", "text/plain; charset=utf-8"), _NOW], b"")
        if kind == "latest" and not rest:
            return text_body(await checksums.latest(), _NOW)
        if kind == "lookup":
            module = _module(rest)
            if not self._is_public(module.path):
                raise Refused(checksums.name, f"{module.path} is private here (no_sumdb): it is never asked about")
            if only_held and checksums.held_proof(module) is None:
                raise Unavailable(checksums.name, "the record is not held, and the request asks for nothing else")
            return text_body(await checksums.lookup(module), _NOW)
        if kind == "tile":
            tile = await checksums.tile(rest)
            return Response(200, [("Content-Type", "application/octet-stream"), _WEEK], tile)
        raise NotFound(checksums.name, "no such endpoint")


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
