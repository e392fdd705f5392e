"""What a fault's rules say of what was seen, and how that is shown."""

from __future__ import annotations

from dataclasses import replace

import pytest

from simulations.lab.disturbing import Verdict, format_verdicts
from simulations.lab.faults import (
    BUILDS,
    FAULTS,
    NOTHING_WRONG,
    SECOND_ONCE,
    TAKEN_OVER,
    UNDISTURBED,
    Outcome,
    copies_at_most,
    within,
)
from simulations.lab.machines import Downloaded
from simulations.lab.scene import Sent, StormReport

STORM = StormReport((Downloaded(10.0, ""), None, Downloaded(12.0, "")), Sent(2_500_000, 2_000_000, 1_000_000), 0.5)
CALM = replace(STORM, downloads=(Downloaded(10.0, ""),), sent=Sent(1_500_000, 1_000_000, 1_000_000))
AS_MUCH = replace(CALM, sent=STORM.sent)
FAILED = replace(STORM, downloads=(Downloaded(1.0, "go: first line\ngo: no such module"),))
SEEN = Outcome(
    STORM,
    second=None,
    copies=2.0,
    undisturbed=CALM,
    taken_over=3.0,
    wrong=(),
    uplink=1_000_000.0,
)


def test_who_was_killed_is_neither_expected_nor_waited_for() -> None:
    assert STORM.expected == 2
    assert STORM.seconds == 12.0
    assert STORM.failures == []


def test_a_failed_build_is_told_by_its_last_line() -> None:
    assert BUILDS.check(SEEN) == ""
    assert BUILDS.check(replace(SEEN, storm=FAILED)) == "1 failed: go: no such module"
    assert BUILDS.check(replace(SEEN, second=FAILED)) == "1 failed: go: no such module"


@pytest.mark.parametrize(("plus", "holds"), [(1.0, True), (0.9, False)])
def test_bytes_that_are_fetched_again_may_take_their_time_on_the_uplink(plus: float, holds: bool) -> None:
    assert (within(plus=plus).check(SEEN) == "") == holds


def test_the_bound_may_be_a_multiple_of_the_undisturbed_time() -> None:
    assert within(1.3).check(replace(SEEN, undisturbed=AS_MUCH)) == ""
    assert within(1.1).check(replace(SEEN, undisturbed=AS_MUCH)) == "12.0 s, and 11.0 s was the most"


def test_the_other_rules() -> None:
    assert copies_at_most(2).check(SEEN) == ""
    assert copies_at_most(1.02).check(SEEN) == "2.000"
    assert TAKEN_OVER.check(SEEN) == ""
    assert TAKEN_OVER.check(replace(SEEN, taken_over=6.5)) == "after 6.5 s"
    assert TAKEN_OVER.check(replace(SEEN, taken_over=None)) == "never"
    assert "evil.zip" in NOTHING_WRONG.check(replace(SEEN, wrong=("h1: evil.zip",)))
    assert SECOND_ONCE.check(replace(SEEN, second=replace(STORM, sent=Sent(9, 5, 5)))) == ""
    assert SECOND_ONCE.check(replace(SEEN, second=STORM)) == "2.000"


def test_the_table_says_what_held_what_did_not_and_what_could_not_be_run() -> None:
    rules = (BUILDS.name, TAKEN_OVER.name)
    shown = format_verdicts(
        [
            Verdict("one", SEEN, rules, {TAKEN_OVER.name: "never"}, {}),
            Verdict("two", replace(SEEN, storm=replace(STORM, cpu=0.71)), (), {}, {}),
            Verdict("three", None, rules, {}, {}, "no such device"),
        ]
    ).splitlines()
    assert shown[1].split() == ["one", "2/2", "12.0", "s", "1.20", "2.000", "50%"]
    assert shown[2:4] == ["    held   every build passes", "    BROKEN taken over within 6 s: never"]
    assert "VOID" in shown[4]
    assert shown[5].split(maxsplit=1) == ["three", "FAILED: no such device"]
    assert len(shown) == 6


def test_faults_have_names_of_their_own() -> None:
    assert len({fault.name for fault in (UNDISTURBED, *FAULTS)}) == len(FAULTS) + 1
