"""Runs faults, one room for each, and says what held."""

from __future__ import annotations

import hashlib
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from p2pmods.gomod.gosum import parse_go_sum
from p2pmods.gomod.module import FileKey, FileKind
from simulations.bench.children import BenchFailed
from simulations.lab.faults import UNDISTURBED, Outcome
from simulations.lab.netns import open_lab
from simulations.lab.room import BUSY
from simulations.lab.scene import open_scene

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from simulations.lab.excerpt import Material
    from simulations.lab.faults import Fault
    from simulations.lab.machines import Machine
    from simulations.lab.netns import Lab
    from simulations.lab.scene import Scene, StormReport


@dataclass(frozen=True, slots=True)
class Verdict:
    """Of one fault. `broken` says of each rule that did not hold why; `problem` why there is no outcome."""

    fault: str
    outcome: Outcome | None
    rules: tuple[str, ...]
    broken: Mapping[str, str]
    notes: Mapping[str, Any]
    problem: str = ""

    @property
    def is_void(self) -> bool:
        return self.outcome is not None and self.outcome.storm.cpu > BUSY

    @property
    def is_good(self) -> bool:
        return not self.problem and not self.broken and not self.is_void


@dataclass(frozen=True, slots=True)
class Disturber:
    """`machines(lab, directory)` makes them; `count` of them are honest in every fault."""

    material: Material
    environ: Mapping[str, str]
    base: Path
    count: int
    uplink_mbit: float
    machines: Callable[[Lab, Path], list[Machine]]

    def run(self, faults: Sequence[Fault]) -> list[Verdict]:
        """The room without a fault first: it is the measure of time."""
        verdicts: list[Verdict] = []
        undisturbed: StormReport | None = None
        for fault in (UNDISTURBED, *faults):
            print(f"lab: {fault.name} …", file=sys.stderr, flush=True)
            verdicts.append(self._judge(fault, undisturbed))
            print(format_verdicts(verdicts[-1:]), file=sys.stderr, flush=True)
            if fault is UNDISTURBED:
                outcome = verdicts[0].outcome
                if outcome is None:
                    raise BenchFailed(f"not even without a fault: {verdicts[0].problem}")
                undisturbed = outcome.storm
        return verdicts

    def _judge(self, fault: Fault, undisturbed: StormReport | None) -> Verdict:
        rules = tuple(rule.name for rule in fault.rules)
        notes: dict[str, Any] = {}
        try:
            outcome = self._play(fault, undisturbed, notes)
        except BenchFailed as error:
            return Verdict(fault.name, None, rules, {}, notes, str(error))
        broken = {rule.name: why for rule in fault.rules if (why := rule.check(outcome))}
        return Verdict(fault.name, outcome, rules, broken, notes)

    def _play(self, fault: Fault, undisturbed: StormReport | None, notes: dict[str, Any]) -> Outcome:
        count = self.count + len(fault.liars)
        with open_lab(count, uplink_mbit=self.uplink_mbit) as lab:
            machines = self.machines(lab, self.base / fault.name)
            with open_scene(
                lab, machines, self.material, self.environ, notes, odd=fault.odd, liars=fault.liars
            ) as scene:
                if fault.all_meet:
                    notes["met after"] = scene.wait_met()
                if fault.warmed_up:
                    notes["warming up"] = scene.storm(self.material.other)
                if fault.begin is not None:
                    fault.begin(scene)
                before = scene.sent()
                scene.at_half = fault.at_half
                storm = scene.storm(self.material.project)
                second = fault.again(scene) if fault.again is not None else None
                return Outcome(
                    storm,
                    second,
                    scene.sent().since(before).copies,
                    undisturbed or storm,
                    notes.get("taken over after"),
                    tuple(wrong_files(scene)),
                    self.uplink_mbit * 1e6 / 8,
                )


def wrong_files(scene: Scene) -> list[str]:
    """Zips that a node keeps and no upstream has; zips that a go took whose hash is not the one in go.sum."""
    material, wrong = scene.material, []
    roots = (material.project.modules, material.rezipped)
    known: dict[str, set[str]] = {}
    for machine in scene.machines:
        kept = machine.data / "modules"
        for file in kept.rglob("*.zip"):
            name = str(file.relative_to(kept))
            if name not in known:
                known[name] = {_sha256(root / name) for root in roots if (root / name).is_file()}
            if _sha256(file) not in known[name]:
                wrong.append(f"{machine.host.namespace}: {name}")
        wrong += _unlike_go_sum(machine, (material.project.source / "go.sum").read_bytes())
    return wrong


def _unlike_go_sum(machine: Machine, go_sum: bytes) -> list[str]:
    found = []
    listed = parse_go_sum(go_sum)
    for module, has_zip in listed.modules:
        file = machine.directory / "modcache/cache/download" / FileKey(module, FileKind.ZIP).url_path
        hash_file = file.with_suffix(".ziphash")
        if has_zip and hash_file.is_file() and hash_file.read_text().strip() != listed.zip_h1(module):
            found.append(f"{machine.host.namespace}: go has {module} with another hash")
    return found


def _sha256(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def format_verdicts(verdicts: Sequence[Verdict]) -> str:
    """A table, and below each row what had to hold."""
    rows = [("fault", "done", "last has all", "/ undisturbed", "zip copies", "CPU", "")]
    rows += [_row(verdict) for verdict in verdicts]
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = ["  ".join(map(str.ljust, row, widths)).rstrip() for row in rows]
    text = [lines[0]]
    for line, verdict in zip(lines[1:], verdicts, strict=True):
        text += [line, *_rule_lines(verdict)]
    return "\n".join(text)


def _rule_lines(verdict: Verdict) -> list[str]:
    if verdict.outcome is None:
        return []
    lines = []
    for rule in verdict.rules:
        why = verdict.broken.get(rule)
        lines.append(f"    held   {rule}" if why is None else f"    BROKEN {rule}: {why}")
    return lines


def _row(verdict: Verdict) -> tuple[str, str, str, str, str, str, str]:
    outcome = verdict.outcome
    if outcome is None:
        return (verdict.fault, "", "", "", "", "", f"FAILED: {verdict.problem}")
    storm = outcome.storm
    return (
        verdict.fault,
        f"{storm.expected - len(storm.failures)}/{storm.expected}",
        f"{storm.seconds:.1f} s",
        f"{storm.seconds / outcome.undisturbed.seconds:.2f}" if outcome.undisturbed is not storm else "",
        f"{outcome.copies:.3f}",
        f"{storm.cpu:.0%}",
        "VOID: the processors were the limit" if verdict.is_void else "",
    )
