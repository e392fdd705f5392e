"""Every part of one node, wired together from the settings."""

from __future__ import annotations

import secrets
import time
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import structlog
import trio

from p2pmods.api.app import App
from p2pmods.api.checksums import ChecksumApi
from p2pmods.api.control import ControlApi
from p2pmods.api.download import Download
from p2pmods.api.metrics import Metrics
from p2pmods.api.sessions import Tokens
from p2pmods.fetch.alarms import Alarms, Receivers
from p2pmods.fetch.checksum_database import DatabaseChecksums
from p2pmods.fetch.checksums import NoChecksums
from p2pmods.fetch.duties import Duties
from p2pmods.fetch.failures import Failures
from p2pmods.fetch.fetcher import Fetcher
from p2pmods.fetch.holdings import Holdings
from p2pmods.fetch.intake import Intake
from p2pmods.fetch.listings import Listings, no_neighbours
from p2pmods.fetch.proofs import Proofs
from p2pmods.fetch.storm import Storm
from p2pmods.fetch.thinning import Thinning, is_cut_off, limit_on
from p2pmods.fetch.upkeep import Upkeep
from p2pmods.fetch.writing import Writing
from p2pmods.httpd.guard import allowed_hosts
from p2pmods.httpd.listening import url_of
from p2pmods.httpd.server import Server
from p2pmods.identity.key import SEED_SIZE
from p2pmods.node.meshing import Meshing
from p2pmods.node.node import Node
from p2pmods.node.nodefile import NodeFile, remove_node_file, write_node_file
from p2pmods.node.parts import setup_token, version_control
from p2pmods.node.supervision import supervised
from p2pmods.store.identity_file import load_or_create
from p2pmods.store.modcache import ModuleCache
from p2pmods.upstream.lookout import Lookout
from p2pmods.upstream.offline import OfflineState
from p2pmods.upstream.proxy import ProxyClient
from p2pmods.upstream.route import Upstream

if TYPE_CHECKING:
    import socket
    from collections.abc import Mapping, Sequence

    from p2pmods.config import Config
    from p2pmods.fetch.checksums import Checksums
    from p2pmods.httpd.message import Request
    from p2pmods.store.store import Store

log = structlog.get_logger()

STOPPING: Final = 10.0  # seconds for what was answered to reach the disk


class Assembly:
    """Wires one node together, from the store upwards."""

    def __init__(self, config: Config, store: Store, environ: Mapping[str, str], background: trio.Nursery) -> None:
        self._config = config
        self._store = store
        self._started = time.monotonic()
        self._secret = secrets.token_urlsafe(32)
        key = load_or_create(config.data, secrets.token_bytes(SEED_SIZE))
        self._url = ""
        self._background = background
        offline = OfflineState(forced=config.offline)
        self._client = ProxyClient(offline, environ=environ)
        self._vcs = version_control(config, offline, environ)
        self._upstream = Upstream(
            config.upstream, no_proxy=config.no_proxy, client=self._client, vcs=self._vcs, offline=offline
        )
        self._failures = Failures(time.time)
        self._receivers = Receivers(time.time)
        self._alarms = Alarms(store, self._receivers)
        self._meshing = Meshing(config, key, store, environ)
        self._checksums = self._build_checksums()
        storm = Storm()
        self._proofs = Proofs(
            store,
            self._checksums,
            self._alarms,
            self._receivers,
            storm,
            is_public=self._is_public,
            nursery=background,
        )
        self._writing = Writing(store, background, storm, self._proofs.committed)
        self._module_cache = ModuleCache(config.module_cache) if config.module_cache else None
        self._thinning = Thinning(
            store,
            self._disk_limit,
            is_cut_off=lambda: is_cut_off(self._upstream.statistics(), now=time.time()),
            locate=self._meshing.neighbours.locate,
            calm=self._proofs.calm,
            clock=time.time,
        )
        self._upkeep = Upkeep(store, self._module_cache, self._proofs, self._thinning)
        self._holdings = Holdings(store, self._module_cache)
        self._duties = Duties(
            store,
            self._holdings,
            proofs=self._proofs,
            checksums=self._checksums,
            upstream=self._upstream,
            failures=self._failures,
            writing=self._writing,
            neighbours=self._meshing.neighbours,
            about=self._about,
            is_scanned=lambda: self._upkeep.is_scanned,
            limit=self._disk_limit,
        )

    def _disk_limit(self) -> int | None:
        return limit_on(self._config.disk_limit, self._config.data)

    def _is_public(self, path: str) -> bool:
        """Whether the checksum database may be told of this module path."""
        return not self._config.no_sumdb.matches(path)

    def _build_checksums(self) -> Checksums:
        config, setting = self._config, self._config.sumdb
        if setting is None:
            return NoChecksums()
        return DatabaseChecksums(
            setting.verifier_key,
            data=config.data,
            source=self._upstream,
            url=setting.url,
            nursery=self._background,
            gopath=config.gopath,
            module_cache=config.module_cache,
            on_alarm=lambda alarm: self._alarms.database_contradicted_itself(setting.name, alarm),
            peers=self._meshing.peers,
            may_name=lambda path: not config.is_private(path),
        )

    async def serve(self, listeners: Sequence[socket.socket], task_status: trio.TaskStatus[Node]) -> None:
        """Serve on `listeners` until cancelled, and say when that has begun."""
        config = self._config
        self._url = url_of(listeners[0])
        port = listeners[0].getsockname()[1]
        tokens = Tokens(
            setup=partial(setup_token, config.data),
            api=config.api_token,
            monotonic=time.monotonic,
        )
        server = self._build_server(
            tokens, allowed_hosts(port, (*config.allowed_hosts, listeners[0].getsockname()[0]))
        )
        await self._background.start(supervised, "upkeep", self._upkeep.run)
        if self._vcs is not None:
            await self._background.start(supervised, "version control", self._vcs.run)
        await self._background.start(supervised, "lookout", Lookout(self._client).run)
        await self._background.start(supervised, "checksum database", self._checksums.run)
        await self._background.start(self._meshing.run)
        node = Node(
            config,
            self._url,
            self._store,
            self._upstream,
            self._checksums,
            self._proofs,
            self._duties,
            self._meshing,
        )
        try:
            async with trio.open_nursery() as nursery:
                await nursery.start(server.run, listeners)
                nursery.start_soon(self._meshing.hand_over)
                self._write_facts()
                self._meshing.on_new_mesh = self._write_facts
                task_status.started(node)
        finally:
            remove_node_file(config.data)
            with trio.CancelScope(shield=True, deadline=trio.current_time() + STOPPING):
                await self._meshing.leave()
                await self._writing.wait_empty()

    def close(self) -> None:
        """What is open towards others, once nothing runs any more that uses it."""
        self._client.close()
        self._meshing.close()

    def _write_facts(self) -> None:
        facts = NodeFile(self._url, self._meshing.address, self._meshing.node_id, self._secret)
        write_node_file(self._config.data, facts)

    def _build_server(self, tokens: Tokens, hosts: frozenset[str]) -> Server:
        intake = Intake(self._store, self._proofs, self._alarms, self._writing)
        peering = self._meshing.build(
            lambda: fetcher,
            intake=intake,
            checksums=self._checksums,
            proofs=self._proofs,
            holdings=self._holdings,
            upstream=self._upstream,
            thinning=self._thinning,
            nursery=self._background,
        )
        fetcher = Fetcher(
            self._store,
            self._module_cache,
            self._upstream,
            holdings=self._holdings,
            proofs=self._proofs,
            intake=intake,
            failures=self._failures,
            writing=self._writing,
            nursery=self._background,
            peering=peering,
            clock=time.time,
            monotonic=time.monotonic,
        )
        listings = Listings(
            self._store,
            self._holdings,
            self._upstream,
            fetcher,
            self._failures,
            writing=self._writing,
            nursery=self._background,
            neighbours=peering.versions if peering is not None else no_neighbours,
            clock=time.time,
            monotonic=time.monotonic,
        )
        control = ControlApi(
            self._duties,
            tokens,
            secret=self._secret,
            url=lambda: self._url,
            monotonic=time.monotonic,
            metrics=lambda: metrics.text(),
        )
        names = frozenset({self._checksums.name})
        app = App(
            tokens,
            Download(
                self._store,
                fetcher,
                listings,
                self._receivers,
                self._writing,
                is_proof_wanted=self._proofs.is_wanted,
            ),
            ChecksumApi(self._checksums, names, self._failures, is_public=self._is_public),
            control,
            hosts,
        )
        server = Server(app.handle, fast=app.fast, admit=app.admit, body_limit=app.body_limit, on_error=_log_error)
        metrics = Metrics(
            self._store.statistics,
            server.statistics,
            self._upstream.statistics,
            self._checksums.statistics,
            self._duties.unproven,
            self._meshing.neighbours.peers,
        )
        return server

    def _about(self) -> dict[str, Any]:
        return {
            "node_id": self._meshing.node_id,
            "api": self._url,
            "peer": self._meshing.address,
            "uptime_s": round(time.monotonic() - self._started, 3),
        }


def _log_error(request: Request | None, error: BaseException) -> None:
    log.error("a request failed by a fault of p2pmods", target=request and request.target, exc_info=error)
