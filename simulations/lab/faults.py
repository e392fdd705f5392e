"""What can go wrong in a room, and what must hold all the same: one entry for each, in FAULTS."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from simulations.lab.scene import Odd, Scene, StormReport

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

FEW: Final = 1.02  # copies of a zip that count as one
TAKE_OVER: Final = 6.0  # seconds from the death of a fetcher to the first byte of the next
OUTAGE: Final = 5.0  # seconds
CALM: Final = 15.0  # seconds between the end of an outage and the next try
SAY_SO: Final = 60.0  # seconds until every go has said what is missing


@dataclass(frozen=True, slots=True)
class Outcome:
    """Of one fault: the storm, another one that followed where there was one, and all that was sent.

    `undisturbed` is the same storm without any fault; `uplink` is in bytes a second; `wrong` names files that a node
    keeps, or a go took, and that are none of the upstreams'.
    """

    storm: StormReport
    second: StormReport | None
    copies: float
    undisturbed: StormReport
    taken_over: float | None
    wrong: tuple[str, ...]
    uplink: float

    @property
    def refetched(self) -> int:
        """Bytes of all kinds of files that the upstreams sent more than they would have without the fault."""
        return max(0, self.storm.sent.all_bytes - self.undisturbed.sent.all_bytes)


@dataclass(frozen=True, slots=True)
class Rule:
    """`check` says why it does not hold; "" when it does."""

    name: str
    check: Callable[[Outcome], str]


@dataclass(frozen=True, slots=True)
class Fault:
    """`odd` are machines that differ, counted from 0; `liars` come beside the others, one for each way of lying.

    What happens: `begin` before the storm, when everyone has met; `at_half` when half of the large zip has been sent;
    `again` after the storm, and it makes another one. `warmed_up`: the small project was downloaded before.
    """

    name: str
    rules: tuple[Rule, ...]
    odd: Mapping[int, Odd] = field(default_factory=dict)
    liars: tuple[str, ...] = ()
    begin: Callable[[Scene], None] | None = None
    at_half: Callable[[Scene], None] | None = None
    again: Callable[[Scene], StormReport] | None = None
    warmed_up: bool = False
    all_meet: bool = True


def _held(is_held: bool, text: str) -> str:
    return "" if is_held else text


def _failures(storm: StormReport | None) -> str:
    failures = storm.failures if storm is not None else []
    return _held(not failures, f"{len(failures)} failed: {failures[0].splitlines()[-1][:200]}" if failures else "")


BUILDS: Final = Rule("every build passes", lambda seen: _failures(seen.storm) or _failures(seen.second))
NOTHING_WRONG: Final = Rule("nothing wrong is kept", lambda seen: _held(not seen.wrong, f"{seen.wrong[:3]}"))
TAKEN_OVER: Final = Rule(
    f"taken over within {TAKE_OVER:.0f} s",
    lambda seen: _held(
        seen.taken_over is not None and seen.taken_over <= TAKE_OVER,
        f"after {seen.taken_over:.1f} s" if seen.taken_over is not None else "never",
    ),
)
SAID_SO: Final = Rule(
    f"who lacks something says so within {SAY_SO:.0f} s",
    lambda seen: _held(seen.storm.seconds <= SAY_SO, f"after {seen.storm.seconds:.0f} s"),
)
SECOND_BUILDS: Final = Rule("every build passes at the second try", lambda seen: _failures(seen.second))
SECOND_ONCE: Final = Rule(
    "one copy afterwards",
    lambda seen: _held(
        seen.second is not None and seen.second.sent.copies <= FEW,
        f"{seen.second.sent.copies:.3f}" if seen.second is not None else "no storm",
    ),
)


def copies_at_most(count: float) -> Rule:
    """Of all zips together, in all storms."""
    return Rule(f"copies ≤ {count:g}", lambda seen: _held(seen.copies <= count, f"{seen.copies:.3f}"))


def within(factor: float = 1.0, plus: float = 0.0) -> Rule:
    """The time without the fault, times and plus this, and the uplink's time for what had to be fetched again."""

    def check(seen: Outcome) -> str:
        most = factor * seen.undisturbed.seconds + plus + seen.refetched / seen.uplink
        return _held(seen.storm.seconds <= most, f"{seen.storm.seconds:.1f} s, and {most:.1f} s was the most")

    words = [f"{factor:g} times" if factor != 1 else "", "undisturbed", f"+ {plus:g} s" if plus else ""]
    return Rule(f"time ≤ {' '.join(filter(None, words))} + refetched", check)


def _cut_for_a_while(scene: Scene) -> None:
    scene.lab.cut_uplink()
    scene.later(OUTAGE, scene.lab.restore_uplink)


def _restored(scene: Scene) -> StormReport:
    scene.lab.restore_uplink()
    time.sleep(CALM)
    return scene.storm(scene.material.project)


def _met_again(scene: Scene) -> StormReport:
    scene.notes["met again after"] = scene.wait_met()
    return scene.storm(scene.material.other)


UNDISTURBED: Final = Fault("undisturbed", (BUILDS, NOTHING_WRONG, copies_at_most(FEW)))
FAULTS: Final = (
    Fault(
        "fetcher-killed",
        (BUILDS, NOTHING_WRONG, copies_at_most(2), TAKEN_OVER, within(plus=TAKE_OVER)),
        at_half=lambda scene: scene.kill(scene.fetcher()),
    ),
    Fault(
        "fetcher-unplugged",
        (BUILDS, NOTHING_WRONG, copies_at_most(2), TAKEN_OVER, within(plus=TAKE_OVER)),
        at_half=lambda scene: scene.unplug(scene.fetcher()),
    ),
    Fault(
        "home-killed",
        (BUILDS, NOTHING_WRONG, copies_at_most(FEW), within(plus=1)),
        at_half=lambda scene: scene.kill(scene.first_home()),
    ),
    Fault(
        "home-unplugged",
        (BUILDS, NOTHING_WRONG, copies_at_most(FEW), within(plus=1)),
        at_half=lambda scene: scene.unplug(scene.first_home()),
    ),
    Fault(
        "partition",
        (BUILDS, NOTHING_WRONG, copies_at_most(2), within(plus=1), SECOND_ONCE),
        begin=Scene.separate_halves,
        at_half=Scene.rejoin_halves,
        again=_met_again,
    ),
    Fault(
        "uplink-pauses",
        (BUILDS, NOTHING_WRONG, copies_at_most(2), within(plus=2 * OUTAGE)),
        at_half=_cut_for_a_while,
    ),
    Fault(
        "uplink-lost",
        (SAID_SO, NOTHING_WRONG, copies_at_most(2), SECOND_BUILDS),
        at_half=lambda scene: scene.lab.cut_uplink(),
        again=_restored,
    ),
    Fault(
        "captive-portal",
        (BUILDS, NOTHING_WRONG, copies_at_most(FEW), within(factor=1.25)),
        odd={1: Odd.CAPTIVE},
    ),
    Fault(
        "dials-only",
        (BUILDS, NOTHING_WRONG, copies_at_most(FEW), within(factor=1.25)),
        odd={1: Odd.DIALS_ONLY},
        all_meet=False,
    ),
    Fault(
        "no-way-between-two",
        (BUILDS, NOTHING_WRONG, copies_at_most(FEW), within(factor=1.25)),
        begin=lambda scene: scene.lab.separate([scene.machines[0].host], [scene.machines[1].host]),
    ),
    Fault(
        "other-zips",
        (BUILDS, NOTHING_WRONG, copies_at_most(FEW), within(factor=1.25)),
        odd={1: Odd.OTHER_UPSTREAM},
    ),
    Fault(
        "no-sumdb",
        (BUILDS, NOTHING_WRONG, copies_at_most(2 * FEW), within(factor=1.25)),
        odd={1: Odd.NO_SUMDB},
        all_meet=False,
    ),
    Fault(
        "liars",
        (BUILDS, NOTHING_WRONG, copies_at_most(FEW), within(factor=1.3)),
        liars=("wrong", "refuse", "stall", "silent"),
        warmed_up=True,
    ),
)
