"""`/-/metrics` for Prometheus: the frozen statistics of the parts, read when somebody asks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from p2pmods.fetch.checksums import ChecksumStatistics
    from p2pmods.httpd.server import ServerStatistics
    from p2pmods.store.stored import StoreStatistics
    from p2pmods.upstream.route import UpstreamStatistics

ALIVE: Final = ("alive", "suspect", "leaf", "linked")  # states of peers that count as there


class Metrics:
    """A Prometheus collector over the statistics of store, server, upstream, checksum database and mesh."""

    def __init__(
        self,
        store: Callable[[], StoreStatistics],
        server: Callable[[], ServerStatistics],
        upstream: Callable[[], UpstreamStatistics],
        checksums: Callable[[], ChecksumStatistics],
        unproven: Callable[[], int | None],
        peers: Callable[[], dict[str, Any]],
    ) -> None:
        """`peers` gives what `p2pmods peers --json` prints."""
        self._store = store
        self._server = server
        self._upstream = upstream
        self._checksums = checksums
        self._unproven = unproven
        self._peers = peers

    def text(self) -> bytes:
        """The exposition format."""
        from prometheus_client import CollectorRegistry, generate_latest

        registry = CollectorRegistry()
        registry.register(self)
        return generate_latest(registry)

    def collect(self) -> Iterator[Any]:
        """What prometheus_client asks of a collector."""
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

        held, server, upstream, sumdb = self._store(), self._server(), self._upstream(), self._checksums()
        unproven = self._unproven()
        gauges = {
            "held_modules": ("Module versions in the store", held.modules),
            "held_files": ("Files in the store", held.files),
            "held_bytes": ("Bytes in the store", held.bytes),
            "unproven_files": (
                "Public files without a proof (-1: not known yet)",
                -1 if unproven is None else unproven,
            ),
            "alarms": ("Alarms that nobody acknowledged", sum(not alarm.acknowledged for alarm in held.alarms)),
            "open_connections": ("Connections of local clients", server.open),
            "upstream_online": ("1 when the upstream is reached", int(upstream.state == "online")),
            "sumdb_records": ("Records of the checksum database that are held", sumdb.records),
            "sumdb_frozen": ("1 when the checksum database contradicted itself", int(sumdb.state == "frozen")),
        }
        for name, (text, value) in gauges.items():
            yield GaugeMetricFamily(f"p2pmods_{name}", text, value)
        files = CounterMetricFamily(
            "p2pmods_answered_files", "Files answered, by where they were found", labels=["source"]
        )
        size = CounterMetricFamily(
            "p2pmods_answered_bytes", "Bytes answered, by where they were found", labels=["source"]
        )
        for source, traffic in held.traffic_now.items():
            files.add_metric([source], traffic.files)
            size.add_metric([source], traffic.bytes)
        yield from (files, size)
        yield CounterMetricFamily("p2pmods_requests", "Requests answered", server.handled + server.ready_made)
        yield CounterMetricFamily("p2pmods_request_errors", "Requests that failed by a fault of ours", server.errors)
        yield from self._of_mesh(held)

    def _of_mesh(self, held: StoreStatistics) -> Iterator[Any]:
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

        report = self._peers()
        mesh, peers = report["mesh"], report["peers"]
        gauges = {
            "mesh_on": ("1 when this node is in a swarm and gives", int(mesh["state"] == "on")),
            "mesh_director": ("1 when other nodes reach this one", int(mesh.get("role") == "director")),
            "mesh_links": ("Links to other nodes", sum(peer["linked"] for peer in peers)),
            "mesh_peers": ("Nodes that are known and alive", sum(peer["state"] in ALIVE for peer in peers)),
            "mesh_offered_files": ("Files that peers can get from here", mesh.get("offered", 0)),
            "mesh_giving": ("Files that go out to peers now", mesh.get("given_now", 0)),
        }
        for name, (text, value) in gauges.items():
            yield GaugeMetricFamily(f"p2pmods_{name}", text, value)
        received = mesh.get("received", {"files": 0, "bytes": 0})
        yield CounterMetricFamily("p2pmods_given_files", "Files given to peers", held.given_now.files)
        yield CounterMetricFamily("p2pmods_given_bytes", "Bytes given to peers", held.given_now.bytes)
        yield CounterMetricFamily("p2pmods_received_files", "Files received from peers", received["files"])
        yield CounterMetricFamily("p2pmods_received_bytes", "Bytes received from peers", received["bytes"])
        claims = CounterMetricFamily("p2pmods_claims", "Zips asked of the mesh, by outcome", labels=["outcome"])
        for outcome, count in mesh.get("claims", {}).items():
            claims.add_metric([outcome], count)
        yield claims
