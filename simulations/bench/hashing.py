"""The h1 of the store's zips: the node's strict reader against what Go's dirhash does."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from p2pmods.gomod.inflate import EXACT, FAST
from p2pmods.gomod.zipcheck import check_module_zip
from simulations.bench.children import BenchFailed, Child
from simulations.bench.downloads import store_for
from simulations.bench.table import Reach, Row
from simulations.bench.workshop import ROOT, Workshop

if TYPE_CHECKING:
    from pathlib import Path

    from p2pmods.gomod.inflate import Inflater

HASH_LIFE: Final = 600.0


def hash_rows(workshop: Workshop) -> list[Row]:
    """Each zip by all three in turn, in each round; the seconds are sums over all zips."""
    modules = store_for(workshop) / "modules"
    zips = sorted(modules.rglob("@v/*.zip"))
    if not zips:
        raise BenchFailed("the store holds no zips: the cold download did not run")
    rounds: list[tuple[float, ...]] = []
    arguments = [workshop.tool("gohash")]
    with Child(arguments, directory=ROOT, environ=workshop.environ(), deadline=HASH_LIFE) as go:
        for path in zips:
            _all_three(go, path)  # not counted: fills the page cache
        for _ in range(workshop.plan.hash_rounds):
            times = [_all_three(go, path) for path in zips]
            rounds.append(tuple(map(sum, zip(*times, strict=True))))
    fast, exact, gos = zip(*rounds, strict=True)
    megabytes = sum(path.stat().st_size for path in zips) / 1e6
    notes = (f"{len(zips)} zips, {megabytes:.0f} MB, the same h1 from both",)
    return [
        Row("h1, what go would get itself", "s", fast, gos, Reach("≤", 0.5), (*notes, "against Go's dirhash")),
        Row("h1, bytes from strangers", "s", exact, gos, None, ("the same zips, inflated by zlib",)),
    ]


def _all_three(go: Child, path: Path) -> tuple[float, float, float]:
    """Seconds for one zip: the node's reader with either inflater, and Go's."""
    h1, fast = _own_h1(path, FAST)
    exact_h1, exact = _own_h1(path, EXACT)
    go.write_line(str(path))
    gos_seconds, gos_h1 = go.read_line().split()
    if not gos_h1 == exact_h1 == h1:
        raise BenchFailed(f"{path.name}: the fast reader says {h1}, zlib {exact_h1}, Go {gos_h1}")
    return fast, exact, float(gos_seconds)


def _own_h1(path: Path, inflater: Inflater) -> tuple[str, float]:
    start = time.perf_counter()
    with path.open("rb", buffering=0) as file:

        def pread(offset: int, length: int) -> bytes:
            file.seek(offset)
            return file.read(length)

        summary = check_module_zip(None, path.stat().st_size, pread, inflater=inflater)
    return summary.h1, time.perf_counter() - start
