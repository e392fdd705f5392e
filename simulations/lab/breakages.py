"""What modules come from breaks: a tag, a repository, its name, the whole code host. A neighbour built before."""

from __future__ import annotations

import shutil
import subprocess
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from p2pmods.testing.repos import git
from simulations.bench.children import BenchFailed
from simulations.lab import checksumdb
from simulations.lab.machines import API_PORT, SECRET, Machine, control, wait_until
from simulations.lab.outside import CODE_HOST, ask_directly, names_outside, running_outside
from simulations.lab.room import LOCAL_URL

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from simulations.lab.netns import Lab
    from simulations.lab.outside import Outside

WIDGET: Final = f"{CODE_HOST}/acme/widget"
BUILD_TIME: Final = 300.0
PROVEN: Final = 60.0
MET: Final = 30.0


def delete_tag(outside: Outside) -> None:
    git(outside.repositories / WIDGET, "tag", "-d", "v1.1.0")


def delete_repository(outside: Outside) -> None:
    shutil.rmtree(outside.repositories / WIDGET)


def rename_repository(outside: Outside) -> None:
    directory = outside.repositories / WIDGET
    directory.rename(directory.with_name("gizmo"))


def stop_host(outside: Outside) -> None:
    outside.host.stop()


BREAKAGES: Final[Mapping[str, Callable[[Outside], None]]] = {
    "tag deleted": delete_tag,
    "repository deleted": delete_repository,
    "repository renamed": rename_repository,
    "code host down": stop_host,
}


@dataclass(frozen=True, slots=True)
class Build:
    """Exit statuses, seconds, and the files that the machine's node served by their `P2pmods-Source`."""

    download: int
    build: int
    seconds: float
    sources: Mapping[str, int]
    complaint: str  # empty when both were well


@dataclass(frozen=True, slots=True)
class Broken:
    """What the machine built that had the code host, and then the one that never had anything."""

    breakage: str
    directly: str  # what go says that asks the code host itself, afterwards, from where it can be reached
    met: float  # seconds until the second knew the first
    before: Build
    after: Build


def build_after_each(lab: Lab, base: Path, go: Path, environ: Mapping[str, str]) -> list[Broken]:
    """One after the other, each in a world of its own. Raises BenchFailed when what should be broken is not."""
    with names_outside(lab):
        return [
            _build_after(lab, base / name.replace(" ", "-"), go, environ, name, breakage)
            for name, breakage in BREAKAGES.items()
        ]


def _build_after(
    lab: Lab, base: Path, go: Path, environ: Mapping[str, str], name: str, breakage: Callable[[Outside], None]
) -> Broken:
    giver, taker = (Machine(host, base / f"h{i}", go, environ) for i, host in enumerate(lab.hosts[:2], start=1))
    with running_outside(lab, base / "outside", giver, environ) as outside:
        settings = ["--listen", f"127.0.0.1:{API_PORT}", *outside.node_settings, "--swarm", f"lab:{SECRET}"]
        with giver.node(*settings, "--module-cache", "off", environ=outside.environ):
            first = build(giver, outside.modules)
            if first.complaint:
                raise BenchFailed(f"the first machine does not build: {first.complaint}")
            wait_until(lambda: control(giver, "status")["held"]["unproven"] == 0, PROVEN)
            breakage(outside)
            directly = _ask_in_vain(giver, outside)
            taker.host.run("ip", "route", "del", "default")
            with taker.node(*settings, environ=outside.environ):
                met = wait_until(lambda: any(p["state"] == "alive" for p in control(taker, "status")["peers"]), MET)
                built = build(taker, outside.modules)
    taker.host.run("ip", "route", "add", "default", "via", lab.router.address)
    return Broken(name, directly, met, first, built)


def _ask_in_vain(machine: Machine, outside: Outside) -> str:
    """What go says that asks the code host itself. Raises BenchFailed when that brings the module."""
    try:
        ask_directly(machine, f"{WIDGET}@v1.1.0", outside.environ)
    except BenchFailed as error:
        return str(error)
    raise BenchFailed("the code host still has what should be gone")


def build(machine: Machine, modules: Mapping[str, str]) -> Build:
    """`go mod download` and `go build ./...` of a small project, without go.sum, the checksum database on."""
    work = write_project(machine.directory / "work", modules)
    start = time.monotonic()
    download = _go(machine, work, "mod", "download")
    build = _go(machine, work, "build", "-o", "app", "./...")
    seconds = time.monotonic() - start
    traffic = control(machine, "status")["traffic"]
    sources = {source: row["files"] for source, row in traffic.items() if row["files"]}
    failed = [done.stderr.strip() or "failed" for done in (download, build) if done.returncode]
    return Build(download.returncode, build.returncode, seconds, sources, "; ".join(failed)[-600:])


def write_project(work: Path, modules: Mapping[str, str]) -> Path:
    """A program that imports all of these, in a new directory."""
    work.mkdir()
    needs = "".join(f"require {path} {version}\n" for path, version in modules.items())
    (work / "go.mod").write_text(f"module example.com/app\n\ngo 1.21\n\n{needs}")
    imports = "".join(f'import _ "{path}"\n' for path in modules)
    (work / "main.go").write_text(f"package main\n\n{imports}\nfunc main() {{}}\n")
    return work


def _go(machine: Machine, work: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environ = {
        **machine.settings(),
        "GOPROXY": LOCAL_URL,
        "GOSUMDB": checksumdb.verifier_key(),
        "GOFLAGS": "-modcacherw -mod=mod",
    }
    command = machine.go(*arguments)
    return subprocess.run(
        command, cwd=work, env=environ, capture_output=True, text=True, timeout=BUILD_TIME, check=False
    )


def table(rows: Sequence[Broken]) -> list[tuple[str, ...]]:
    """Cells, a head first."""
    cells: list[tuple[str, ...]] = [
        ("what broke", "go mod download", "go build ./...", "seconds", "met after", "P2pmods-Source", "before")
    ]
    for row in rows:
        after = row.after
        statuses = (f"exit {after.download}", f"exit {after.build}")
        times = (f"{after.seconds:.1f}", f"{row.met:.1f} s")
        cells.append((row.breakage, *statuses, *times, _shown(after.sources), _shown(row.before.sources)))
    return cells


def _shown(sources: Mapping[str, int]) -> str:
    return ", ".join(f"{source} {count}" for source, count in sources.items())
