"""Real nodes and the real go command on three machines of the lab, with modules that are made up."""

from __future__ import annotations

import os
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from p2pmods.goenv import find_go
from simulations.lab.disturbing import Disturber
from simulations.lab.faults import FAULTS, UNDISTURBED
from simulations.lab.machines import Machine, environ_of_machines
from simulations.lab.netns import why_not
from tests.lab.material import made_up

if TYPE_CHECKING:
    from pathlib import Path

    from simulations.lab.disturbing import Verdict
    from simulations.lab.netns import Lab

GO = find_go(os.environ)
MACHINES = 3
TIMED = ("time ", "taken over ")  # rules that a busy machine may break


def reason() -> str:
    """Why there can be no lab here; "" when there can."""
    if GO is None:
        return "no go command"
    if missing := [tool for tool in ("ip", "tc") if shutil.which(tool) is None]:
        return f"no {missing[0]} command"
    return why_not() or ""


pytestmark = [pytest.mark.go, pytest.mark.skipif(bool(reason()), reason=reason())]


@pytest.fixture(scope="module")
def verdicts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Verdict]:
    """The room as it should be, and one whose fetcher is killed."""
    directory = tmp_path_factory.mktemp("lab")
    assert GO is not None
    environ = environ_of_machines(GO)

    def machines(lab: Lab, place: Path) -> list[Machine]:
        return [Machine(host, place / f"h{i}", GO, environ) for i, host in enumerate(lab.hosts)]

    disturber = Disturber(made_up(directory / "material"), environ, directory, MACHINES, 4.0, machines)
    killed = [fault for fault in FAULTS if fault.name == "fetcher-killed"]
    return {verdict.fault: verdict for verdict in disturber.run(killed)}


def check(verdict: Verdict) -> None:
    assert verdict.problem == ""
    assert {rule: why for rule, why in verdict.broken.items() if not rule.startswith(TIMED)} == {}


def test_a_room_gets_one_copy_of_every_zip(verdicts: dict[str, Verdict]) -> None:
    check(verdicts[UNDISTURBED.name])


def test_a_killed_fetcher_costs_a_second_copy_at_most_and_no_build(verdicts: dict[str, Verdict]) -> None:
    check(verdicts["fetcher-killed"])
    assert verdicts["fetcher-killed"].notes["killed"] in range(MACHINES)


@pytest.mark.usefixtures("verdicts")
def test_nothing_of_the_lab_is_left() -> None:
    left = subprocess.run(["ip", "netns", "list"], capture_output=True, text=True, check=True).stdout
    assert f"p2plab-{os.getpid()}-" not in left
