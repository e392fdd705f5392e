"""`python -m simulations.lab`, as root: real nodes and real go commands in network namespaces. See README.md."""

from __future__ import annotations

import argparse
import json
import math
import os
import signal
import sys
import tempfile
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar

from p2pmods.goenv import find_go
from simulations.bench.children import BenchFailed
from simulations.lab import breakages, canary, quiet, sleeper
from simulations.lab.breakages import build_after_each
from simulations.lab.canary import look_for_canaries
from simulations.lab.disturbing import Disturber, format_verdicts
from simulations.lab.excerpt import cut_out
from simulations.lab.faults import FAULTS
from simulations.lab.machines import Machine, environ_of_machines
from simulations.lab.madeup import MADE_UP
from simulations.lab.neighbour import build_from_a_neighbour
from simulations.lab.netns import open_lab, why_not
from simulations.lab.projects import get_project
from simulations.lab.room import Room, Storm

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from simulations.lab.machines import Project
    from simulations.lab.netns import Lab

T = TypeVar("T")

WAYS: Final = ("alone", "beside", "direct", "shared", "mesh")
PACKAGE: Final = "github.com/caddyserver/caddy/v2/cmd/caddy"  # of the project that the neighbour builds


def main(arguments: list[str]) -> int:
    """0 when everything was measured, whatever the figures; 1 when something could not be, 2 where no lab can be."""
    options = _parser().parse_args(arguments)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    reason = why_not()
    if reason is not None:
        print(f"lab: {reason}", file=sys.stderr)
        return 2
    try:
        with tempfile.TemporaryDirectory(prefix="p2pmods-lab-") as scratch:
            return _SCENARIOS[options.scenario](options, options.keep or Path(scratch))
    except BenchFailed as error:
        print(f"lab: {error}", file=sys.stderr)
        return 1


def _room(options: argparse.Namespace, base: Path) -> int:
    ways = _chosen(options.only, {way: way for way in WAYS})
    storms = []
    with _open(options, base) as (lab, project, environ):
        for way in ways:
            print(f"lab: {way} …", file=sys.stderr, flush=True)
            room = Room(lab, _machines(lab, base / way, environ), project, environ)
            storms.append(getattr(room, way)())
    print(_table(storms))
    _write(options, [asdict(storm) for storm in storms])
    return 1 if any(storm.failures for storm in storms) else 0


def _neighbour(options: argparse.Namespace, base: Path) -> int:
    options.project, options.machines = "caddy", 4
    with _open(options, base) as (lab, project, environ):
        machines = _machines(lab, base / "neighbour", environ)
        found = build_from_a_neighbour(lab, machines, project, environ, PACKAGE)
    print(
        f"plain go filled its module cache in {found.filled:.0f} s; all of it was proven {found.proven:.0f} s later"
    )
    print(f"no way out: the empty machine met its neighbour {found.met:.1f} s after its node started")
    print(found.failure or f"built {PACKAGE} in {found.built:.0f} s, without a go.sum, the checksum database on")
    print("served from:", ", ".join(f"{name} {row['files']}" for name, row in found.traffic.items() if row["files"]))
    for loss in found.losses:
        ended = f"run ended {loss.seconds:.1f} s later, exit {loss.status}"
        print(f"neighbour {loss.way} after {loss.files} files: {ended}")
        print(f"  {loss.line}")
    _write(options, asdict(found))
    return 1 if found.failure or not all(loss.status for loss in found.losses) else 0


def _faults(options: argparse.Namespace, base: Path) -> int:
    """Each fault has a room of its own."""
    options.project = "caddy"
    chosen = _chosen(options.only, {fault.name: fault for fault in FAULTS})
    project, environ = _project(options, base), environ_of_machines(_go())
    disturber = Disturber(
        cut_out(project, base / "material"),
        environ,
        base,
        options.machines,
        options.uplink,
        lambda lab, directory: _machines(lab, directory, environ),
    )
    verdicts = disturber.run(chosen)
    print(format_verdicts(verdicts))
    _write(options, [asdict(verdict) for verdict in verdicts])
    return 0 if all(verdict.outcome is not None for verdict in verdicts) else 1


def _breakages(options: argparse.Namespace, base: Path) -> int:
    with open_lab(2, uplink_mbit=options.uplink) as lab:
        rows = build_after_each(lab, base, _go(), environ_of_machines(_go()))
    print(_aligned(breakages.table(rows)))
    for row in rows:
        print(f"  {row.breakage}, asked directly: {row.directly[-160:]}")
        if row.after.complaint:
            print(f"  {row.breakage}: {row.after.complaint}")
    _write(options, [asdict(row) for row in rows])
    return 1 if any(row.after.complaint for row in rows) else 0


def _canary(options: argparse.Namespace, base: Path) -> int:
    with open_lab(3, uplink_mbit=options.uplink) as lab:
        rows = look_for_canaries(lab, base, _go(), environ_of_machines(_go()))
    print(_aligned(canary.table(rows)))
    _write(options, [asdict(row) for row in rows])
    found = canary.problem(rows)
    print(found or "the private module is nowhere; the public one was seen wherever it has to be")
    return 1 if found else 0


def _sleeper(options: argparse.Namespace, base: Path) -> int:
    with open_lab(2, uplink_mbit=options.uplink) as lab:
        rows = sleeper.serve_after_each(lab, base, _go(), environ_of_machines(_go()))
    print(_aligned(sleeper.table(rows)))
    _write(options, [asdict(row) for row in rows])
    return 1 if any(row.seconds > sleeper.ENOUGH for row in rows) else 0


def _quiet(options: argparse.Namespace, base: Path) -> int:
    options.project = "bigzip"
    with _open(options, base) as (lab, project, environ):
        found = quiet.rest(_machines(lab, base / "quiet", environ), project, base, environ)
    print(_aligned(quiet.table(found)))
    _write(options, asdict(found))
    return 0


_SCENARIOS: Final = {
    "room": _room,
    "neighbour": _neighbour,
    "faults": _faults,
    "breakages": _breakages,
    "canary": _canary,
    "sleeper": _sleeper,
    "quiet": _quiet,
}


def _chosen(only: str | None, known: Mapping[str, T]) -> list[T]:
    """Those that `--only` names, all without it."""
    names = list(known) if only is None else only.split(",")
    if unknown := set(names) - set(known):
        raise BenchFailed(f"{min(unknown)!r} is none of {', '.join(known)}")
    return [known[name] for name in names]


@contextmanager
def _open(options: argparse.Namespace, base: Path) -> Iterator[tuple[Lab, Project, dict[str, str]]]:
    project = _project(options, base)
    with open_lab(options.machines, uplink_mbit=options.uplink, lan_mbit=options.lan) as lab:
        yield lab, project, environ_of_machines(_go())


def _project(options: argparse.Namespace, base: Path) -> Project:
    if options.project in MADE_UP:
        return MADE_UP[options.project](base / "project")
    return get_project(options.project, options.cache, os.environ, options.upstream)


def _go() -> Path:
    go = find_go(os.environ)
    if go is None:
        raise BenchFailed("no go command")
    return go


def _machines(lab: Lab, base: Path, environ: dict[str, str]) -> list[Machine]:
    return [Machine(host, base / f"h{i}", _go(), environ) for i, host in enumerate(lab.hosts, start=1)]


def _write(options: argparse.Namespace, document: object) -> None:
    if options.json:
        options.json.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m simulations.lab", description=__doc__)
    parser.add_argument("scenario", choices=sorted(_SCENARIOS), nargs="?", default="room")
    parser.add_argument("--machines", type=int, default=8)
    parser.add_argument("--uplink", type=float, default=8.0, metavar="MBIT", help="both ways (default: 8)")
    parser.add_argument("--lan", type=float, default=math.inf, metavar="MBIT", help="of each machine's cable")
    parser.add_argument(
        "--project", default="caddy", help="caddy, prometheus, bigzip, or MODULE@VERSION with a go.sum"
    )
    parser.add_argument("--upstream", metavar="LIST", help="where the project comes from; default: `go env GOPROXY`")
    parser.add_argument("--cache", type=Path, default=Path(tempfile.gettempdir()) / "p2pmods-lab-cache")
    parser.add_argument("--only", metavar="NAME,…", help="ways of a room, or faults; default: all")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="keep every machine's files there")
    parser.add_argument("--json", type=Path, metavar="FILE")
    return parser


def _table(storms: Sequence[Storm]) -> str:
    alone = next((storm.seconds for storm in storms if storm.way == "one node alone"), None)
    rows = [
        ("way", "last has all", "/ alone", "/ bound", "upstream requests", "zip copies", "upstream MB", "CPU", "")
    ]
    for storm in storms:
        ratio = f"{storm.seconds / alone:.2f}" if alone else ""
        megabytes = f"{(storm.zip_bytes + storm.small_bytes) / 1e6:.1f}"
        remark = "VOID: the processors were the limit" if storm.is_void else ""
        if storm.failures:
            remark = f"{len(storm.failures)} FAILED: {storm.failures[0].splitlines()[-1][:150]}"
        row = (
            storm.way,
            f"{storm.seconds:.1f} s",
            ratio,
            f"{storm.seconds / storm.bound:.2f}",
            str(storm.requests),
            f"{storm.copies:.3f}",
        )
        rows.append((*row, megabytes, f"{storm.cpu:.0%}", remark))
    return _aligned(rows)


def _aligned(rows: Sequence[tuple[str, ...]]) -> str:
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return "\n".join("  ".join(map(str.ljust, row, widths)).rstrip() for row in rows)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
