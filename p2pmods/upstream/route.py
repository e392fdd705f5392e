"""Walking the upstream list as the go command would: which step is asked next, and which failure is told."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeVar

import trio

from p2pmods.errors import NotFound, Refused, SourceError
from p2pmods.gomod.escape import escape_path, escape_version, unescape_path
from p2pmods.gomod.module import FileKind
from p2pmods.trust.evidence import Source, SourceKind
from p2pmods.upstream.failure import Tried, UpstreamFailed, UpstreamNotFound, UpstreamRefused, UpstreamUnavailable
from p2pmods.upstream.files import fetch_from_directory
from p2pmods.upstream.limits import Want
from p2pmods.upstream.sink import SILENT, BytesSink
from p2pmods.upstream.sumdb_route import SumdbRoute

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from p2pmods.gomod.goproxy import ProxyStep
    from p2pmods.gomod.module import FileKey
    from p2pmods.gomod.patterns import Patterns
    from p2pmods.upstream.hosts import HostStatistics
    from p2pmods.upstream.offline import OfflineState
    from p2pmods.upstream.proxy import ProxyClient
    from p2pmods.upstream.sink import Listener, Sink
    from p2pmods.upstream.vcs import VcsStatistics, VersionControl

_WANTS: Final = {FileKind.INFO: Want.INFO, FileKind.MOD: Want.MOD, FileKind.ZIP: Want.ZIP}
_VCS: Final = "version control"

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class UpstreamStatistics:
    """`state` is `online`, `offline`, or `off` when the list leads nowhere; `last_success` is Unix time.

    `is_captive`: a login page came lately, and no file since.
    """

    state: str
    is_captive: bool
    steps: tuple[str, ...]
    last_success: float | None
    hosts: tuple[HostStatistics, ...]
    vcs: VcsStatistics | None


class Upstream:
    """The list of upstreams, with go's meaning of `,` and `|`, `off` and `direct`, and of GONOPROXY."""

    def __init__(
        self,
        steps: tuple[ProxyStep, ...],
        *,
        no_proxy: Patterns,
        client: ProxyClient,
        vcs: VersionControl | None,
        offline: OfflineState,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._steps = steps
        self._no_proxy = no_proxy
        self._client = client
        self._vcs = vcs
        self._offline = offline
        self._clock = clock
        self._sumdb = SumdbRoute(steps, self._get, offline)

    async def fetch_file(
        self,
        key: FileKey,
        sink: Sink,
        accept: Callable[[Source], Awaitable[T]],
        *,
        anonymous: bool = False,
        listener: Listener = SILENT,
    ) -> T:
        """One immutable file into an empty sink, and what `accept` makes of it there. Raises UpstreamFailed.

        A SourceError of `accept` (wrong bytes, say) is a failure of the step that delivered, like any other.
        `anonymous`: for somebody else, so only of proxies that anybody may ask, without the user's credentials.
        `listener` hears how it comes along from a proxy.
        """

        async def from_proxy(step: ProxyStep) -> T:
            if anonymous and not self._client.is_anonymous(step.url):
                raise UpstreamRefused(step.redacted, "is asked for this user alone")
            sink.restart()
            await self._fetch(step, key.url_path, _WANTS[key.kind], sink, listener)
            return await _accepted(accept, self._source(step))

        async def from_vcs(vcs: VersionControl) -> T:
            if anonymous:
                raise UpstreamRefused(_VCS, "is asked for this user alone")
            sink.restart()
            await vcs.fetch_file(key, sink)
            return await _accepted(accept, self._source(None))

        return (await self._walk(key.module.path, from_proxy, from_vcs))[0]

    async def fetch_list(self, path: str) -> tuple[bytes, Source]:
        """The body of `@v/list`. Raises UpstreamFailed, InvalidPath."""
        url = f"{escape_path(path)}/@v/list"
        return await self._walk(path, lambda s: self._get(s, url, Want.LIST), lambda vcs: vcs.versions(path))

    async def fetch_latest(self, path: str) -> tuple[bytes, Source]:
        """The `.info` of `@latest`; NotFound where the upstream has none and the list must do."""
        url = f"{escape_path(path)}/@latest"
        return await self._walk(path, lambda s: self._get(s, url, Want.INFO), lambda vcs: vcs.query(path, "latest"))

    async def fetch_query(self, path: str, query: str) -> tuple[bytes, Source]:
        """The `.info` that a branch, a tag or a hash stands for. Raises UpstreamFailed, InvalidVersion."""
        url = f"{escape_path(path)}/@v/{escape_version(query)}.info"
        return await self._walk(path, lambda s: self._get(s, url, Want.INFO), lambda vcs: vcs.query(path, query))

    async def fetch_sumdb(self, name: str, endpoint: str, *, url: str | None = None) -> bytes:
        """`lookup/…`, `tile/…`, `latest` or `supported` of the checksum database `name`. Raises UpstreamFailed.

        Through the first proxy that supports it, else from the database itself; with `url` (of GOSUMDB) only there.
        A path that no proxy may hear of is looked up at the database itself.
        """
        if url is None and self._is_for_version_control_alone(endpoint):
            url = f"https://{name}"
        return await self._sumdb.fetch(name, endpoint, url)

    def _is_for_version_control_alone(self, endpoint: str) -> bool:
        """Whether `endpoint` names a module path that no proxy may hear of."""
        if not endpoint.startswith("lookup/"):
            return False
        return self._no_proxy.matches(unescape_path(endpoint.removeprefix("lookup/").rpartition("@")[0]))

    def when_back(self, told: Callable[[], None]) -> None:
        """`told` is called when nothing was in reach, and something is again."""
        self._offline.on_back = told

    def network_changed(self) -> None:
        """What could not be reached before may be reached now."""
        self._offline.network_changed()

    @property
    def is_forbidden(self) -> bool:
        """Whether the node is set to be offline."""
        return self._offline.forced

    def statistics(self) -> UpstreamStatistics:
        """Frozen figures for status, metrics and dashboard."""
        hosts = self._client.statistics()
        successes = [host.last_success for host in hosts if host.last_success is not None]
        state = "offline" if self._offline.offline else "online"
        if not self._steps or self._steps[0].kind == "off":
            state = "off"
        return UpstreamStatistics(
            state,
            self._offline.is_captive(now=trio.current_time()),
            tuple(step.redacted for step in self._steps),
            max(successes, default=None),
            hosts,
            self._vcs.statistics() if self._vcs is not None else None,
        )

    async def _walk(
        self,
        path: str,
        from_proxy: Callable[[ProxyStep], Awaitable[T]],
        from_vcs: Callable[[VersionControl], Awaitable[T]],
    ) -> tuple[T, Source]:
        """modfetch.TryProxies. Paths of `no_proxy` are never named to a proxy, whatever the list says."""
        if self.is_forbidden:
            raise UpstreamUnavailable("upstream", "the node is set to be offline")
        tried = Tried()
        if self._no_proxy.matches(path):
            return await self._from_vcs(from_vcs)
        for step in self._steps:
            try:
                if step.kind == "direct":
                    return await self._from_vcs(from_vcs)
                if step.kind == "off":
                    raise UpstreamNotFound("off", "module lookup disabled by GOPROXY=off")
                result = await from_proxy(step)
            except UpstreamFailed as error:
                tried.add(error, direct=step.kind == "direct")
                if not (step.fall_through_any or isinstance(error, NotFound)):
                    break
            else:
                return result, self._source(step)
        raise tried.error()

    async def _from_vcs(self, fetch: Callable[[VersionControl], Awaitable[T]]) -> tuple[T, Source]:
        if self._vcs is None:
            raise UpstreamUnavailable(_VCS, "there is no go command to do it with")
        result = await fetch(self._vcs)
        return result, self._source(None)

    def _source(self, step: ProxyStep | None) -> Source:
        """A delivery of now: by a proxy, or (None) by version control."""
        if step is None:
            return Source(SourceKind.VCS, _VCS, self._clock())
        return Source(SourceKind.UPSTREAM, step.redacted, self._clock())

    async def _get(self, step: ProxyStep, path: str, want: Want) -> bytes:
        sink = BytesSink()
        await self._fetch(step, path, want, sink)
        return sink.getvalue()

    async def _fetch(self, step: ProxyStep, path: str, want: Want, sink: Sink, listener: Listener = SILENT) -> None:
        assert step.url is not None
        if step.url.startswith("file:"):
            await fetch_from_directory(step.redacted, path, want, sink)
        else:
            await self._client.fetch(step.url, path, want, sink, listener)


async def _accepted(accept: Callable[[Source], Awaitable[T]], source: Source) -> T:
    try:
        return await accept(source)
    except UpstreamFailed:
        raise
    except Refused as error:
        raise UpstreamRefused(error.source, error.reason) from error
    except SourceError as error:
        raise UpstreamUnavailable(error.source, error.reason) from error
