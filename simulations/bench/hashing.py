"""The h1 of the store's zips: the node's strict reader against what Go's dirhash does."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from p2pmods.gomod.zipcheck import check_module_zip
from simulations.bench.children import BenchFailed, Child
from simulations.bench.downloads import store_for
from simulations.bench.table import Reach, Row
from simulations.bench.workshop import ROOT, Workshop

if TYPE_CHECKING:
    from pathlib import Path

HASH_LIFE: Final = 600.0


def hash_rows(workshop: Workshop) -> list[Row]:
    """Both read every zip in turn, in each round; the seconds are sums over all zips."""
    modules = store_for(workshop) / "modules"
    zips = sorted(modules.rglob("@v/*.zip"))
    if not zips:
        raise BenchFailed("the store holds no zips: the cold download did not run")
    ours: list[float] = []
    theirs: list[float] = []
    arguments = [workshop.tool("gohash")]
    with Child(arguments, directory=ROOT, environ=workshop.environ(), deadline=HASH_LIFE) as go:
        for _ in range(workshop.plan.hash_rounds):
            times = [_both(go, path) for path in zips]
            ours.append(sum(seconds for seconds, _ in times))
            theirs.append(sum(seconds for _, seconds in times))
    megabytes = sum(path.stat().st_size for path in zips) / 1e6
    notes = (f"{len(zips)} zips, {megabytes:.0f} MB, the same h1 from both",)
    return [Row("h1 of all zips / Go's dirhash", "s", tuple(ours), tuple(theirs), Reach("≤", 0.5), notes)]


def _both(go: Child, path: Path) -> tuple[float, float]:
    """Seconds of the node's reader and of Go's for one zip."""
    h1, seconds = _own_h1(path)
    go.write_line(str(path))
    gos_seconds, gos_h1 = go.read_line().split()
    if gos_h1 != h1:
        raise BenchFailed(f"{path.name}: we say {h1}, Go says {gos_h1}")
    return seconds, float(gos_seconds)


def _own_h1(path: Path) -> tuple[str, float]:
    start = time.perf_counter()
    with path.open("rb", buffering=0) as file:

        def pread(offset: int, length: int) -> bytes:
            file.seek(offset)
            return file.read(length)

        summary = check_module_zip(None, path.stat().st_size, pread)
    return summary.h1, time.perf_counter() - start
