"""`/-/metrics` for Prometheus: the frozen statistics of the parts, read when somebody asks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from p2pmods.fetch.checksums import ChecksumStatistics
    from p2pmods.httpd.server import ServerStatistics
    from p2pmods.store.stored import StoreStatistics
    from p2pmods.upstream.route import UpstreamStatistics


class Metrics:
    """A Prometheus collector over the statistics of store, server, upstream and checksum database."""

    def __init__(
        self,
        store: Callable[[], StoreStatistics],
        server: Callable[[], ServerStatistics],
        upstream: Callable[[], UpstreamStatistics],
        checksums: Callable[[], ChecksumStatistics],
        unproven: Callable[[], int | None],
    ) -> None:
        self._store = store
        self._server = server
        self._upstream = upstream
        self._checksums = checksums
        self._unproven = unproven

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
