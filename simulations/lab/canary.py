"""Three machines, one with private patterns: what of a private module's name is on the network, in whatever form."""

from __future__ import annotations

import subprocess
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from p2pmods.gomod.module import ModuleVersion
from p2pmods.identity.swarm import PUBLIC, Swarm
from simulations.bench.children import BenchFailed
from simulations.bench.workshop import python
from simulations.lab import checksumdb
from simulations.lab.breakages import write_project
from simulations.lab.machines import API_PORT, SECRET, Machine, capturing, control, wait_until
from simulations.lab.needles import count, needles
from simulations.lab.outside import CODE_HOST, names_outside, running_outside
from simulations.lab.room import LOCAL_URL
from simulations.lab.tapped import TAP_VARIABLE

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from simulations.lab.netns import Lab

PATTERN: Final = f"{CODE_HOST}/secret"
PRIVATE: Final = ModuleVersion(f"{PATTERN}/Nachtigall7c1e", "v1.4.0")
ABSENT: Final = ModuleVersion(PRIVATE.path, "v1.9.0")  # there is no such version: everyone who may be is asked
CONTROL: Final = ModuleVersion(f"{CODE_HOST}/acme/Kanarienvogel5d0b", "v1.4.0")
SWARM: Final = Swarm("lab", bytes.fromhex(SECRET))
GO_TIME: Final = 300.0
MET: Final = 30.0
PROVEN: Final = 60.0


@dataclass(frozen=True, slots=True)
class Sighted:
    """How often each form of a name was seen in one place."""

    place: str
    size: int  # bytes that were searched
    private: Mapping[str, int]
    control: Mapping[str, int]


def look_for_canaries(lab: Lab, base: Path, go: Path, environ: Mapping[str, str]) -> list[Sighted]:
    """The private one may be nowhere; the public one is there in several forms, or the search is worth nothing."""
    machines = [Machine(host, base / f"h{i}", go, environ) for i, host in enumerate(lab.hosts, start=1)]
    packets = base / "packets"
    taps = [machine.directory / "frames" for machine in machines]
    with (
        names_outside(lab),
        running_outside(
            lab, base / "outside", machines[0], environ, recorded=[CONTROL], unrecorded=[PRIVATE]
        ) as outside,
        capturing(lab.router, packets, environ),
        ExitStack() as stack,
    ):
        for machine, tap in zip(machines, taps, strict=True):
            settings = ["--listen", f"127.0.0.1:{API_PORT}", *outside.node_settings, "--swarm", f"lab:{SECRET}"]
            settings += ["--private", PATTERN] if machine is machines[0] else []
            variables = {**outside.environ, TAP_VARIABLE: str(tap)}
            stack.enter_context(machine.node(*settings, environ=variables, module="simulations.lab.tapped"))
        wait_until(lambda: all(_knows(machine, len(machines) - 1) for machine in machines), MET)
        _build(machines[0], {**outside.modules, PRIVATE.path: PRIVATE.version})
        wait_until(lambda: control(machines[0], "status")["held"]["unproven"] == 0, PROVEN)
        for machine in machines[1:]:
            _build(machine, outside.modules)
        outside.host.stop()
        _ask_in_every_way(machines[0])
    places = {"packets": packets, **{f"frames of h{i}": tap for i, tap in enumerate(taps, start=1)}}
    return [_search(place, file) for place, file in places.items()]


def _knows(machine: Machine, others: int) -> bool:
    return [str(peer["state"]) for peer in control(machine, "status")["peers"]].count("alive") >= others


def _build(machine: Machine, modules: Mapping[str, str]) -> None:
    """As a user whose company shares private modules through the node. Raises BenchFailed."""
    work = write_project(machine.directory / "work", modules)
    for arguments in (("mod", "download"), ("build", "-o", "app", "./...")):
        done = _run(machine, work, machine.go(*arguments))
        if done.returncode:
            raise BenchFailed(f"{machine.host.namespace}: go {' '.join(arguments)}: {done.stderr.strip()[-600:]}")


def _ask_in_every_way(machine: Machine) -> None:
    """The code host is gone, so whatever can be asked of peers is; what comes of it does not matter here."""
    work = machine.directory / "work"
    run = ("run", "--data", str(machine.data), "--fresh", "--")
    for command in (
        machine.go("list", "-m", "-versions", PRIVATE.path),
        machine.go("list", "-m", f"{PRIVATE.path}@latest"),
        machine.go("mod", "download", str(ABSENT)),
        machine.go("list", "-m", "-u", "all"),
        *(
            machine.host.command(*python("-m", "p2pmods", *arguments))
            for arguments in (
                (*run, "go", "build", "./..."),
                (*run, "go", "mod", "download", str(ABSENT)),
                ("check", ".", "--data", str(machine.data)),
                ("get", str(ABSENT), "--data", str(machine.data)),
                ("why", str(PRIVATE), "--data", str(machine.data)),
            )
        ),
    ):
        _run(machine, work, command)


def _run(machine: Machine, work: Path, command: list[str]) -> subprocess.CompletedProcess[str]:
    environ = {
        **machine.settings(),
        "GOPROXY": LOCAL_URL,
        "GONOPROXY": "none",
        "GONOSUMDB": PATTERN,
        "GOSUMDB": checksumdb.verifier_key(),
        "GOFLAGS": "-modcacherw -mod=mod",
    }
    return subprocess.run(
        command, cwd=work, env=environ, capture_output=True, text=True, timeout=GO_TIME, check=False
    )


def _search(place: str, file: Path) -> Sighted:
    private = [needles(module, (SWARM, PUBLIC)) for module in (PRIVATE, ABSENT)]
    forms = {form: list(dict.fromkeys([*private[0][form], *private[1][form]])) for form in private[0]}
    size = file.stat().st_size if file.exists() else 0
    return Sighted(place, size, count(file, forms), count(file, needles(CONTROL, (SWARM, PUBLIC))))


def table(rows: Sequence[Sighted]) -> list[tuple[str, ...]]:
    """Cells, a head first."""
    forms = list(rows[0].control)
    cells: list[tuple[str, ...]] = [("where", "KiB", "canary", *forms)]
    for row in rows:
        for name, counts in (("private", row.private), ("public", row.control)):
            cells.append((row.place, f"{row.size >> 10}", name, *(str(counts[form]) for form in forms)))
    return cells


def problem(rows: Sequence[Sighted]) -> str:
    """What the search found that may not be, or did not find that must be there; empty when all is well."""
    for row in rows:
        if any(row.private.values()):
            return f"the private module was seen in the {row.place}: {dict(row.private)}"
        if not row.control["raw"]:
            return f"the public module was not seen in the {row.place}: the search sees nothing"
    if not any(row.control[f"hashed in {SWARM.name}"] for row in rows):
        return "the public module was never seen by its key: the search sees nothing"
    return ""
