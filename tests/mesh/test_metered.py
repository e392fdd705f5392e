"""Whether a connection is metered: what NetworkManager says, and nothing when it says nothing or nonsense."""

from __future__ import annotations

import math
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import trio

from p2pmods.directory.ability import METERED, UPLOADS
from p2pmods.mesh import manners, metered
from p2pmods.mesh.manners import Manners, why_not_give
from p2pmods.mesh.metered import COMMAND, is_metered
from tests.mesh.test_manners import AUTO, OFF, SOME

if TYPE_CHECKING:
    from tests.mesh.scene import Scene

HERE = Path(__file__).parent


def saying(program: str) -> tuple[str, ...]:
    return (sys.executable, "-c", program)


@pytest.mark.parametrize(
    ("said", "found"), [("u 1", True), ("u 2", False), ("u 3", True), ("u 4", False), ("u 0", None)]
)
async def test_what_network_manager_says_counts_its_guesses_too(said: str, found: bool | None) -> None:
    assert await is_metered(saying(f"print({said!r})"), HERE) is found


@pytest.mark.parametrize(
    "program",
    [
        "",
        "print('u 9')",
        "print('u 1 and more')",
        "print('u 1' + ' ' * 70)",
        "print('s \"yes\"')",
        "import sys; sys.exit('no such property')",
        "import os; os.write(1, bytes(range(256)))",
    ],
)
async def test_anything_else_is_no_answer(program: str) -> None:
    assert await is_metered(saying(program), HERE) is None


async def test_a_command_that_does_not_exist_is_no_answer() -> None:
    assert await is_metered(("p2pmods-no-such-command",), HERE) is None


async def test_nothing_is_started_where_network_manager_does_not_run(tmp_path: Path) -> None:
    mark = tmp_path / "started"
    program = f"open({str(mark)!r}, 'w'); print('u 1')"
    assert await is_metered(saying(program), tmp_path / "none") is None
    assert not mark.exists()
    assert await is_metered(saying(program), tmp_path) is True


async def test_who_talks_without_end_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metered, "DEADLINE", math.inf)
    with trio.fail_after(20):
        assert await is_metered(saying("while True: print('u 1' * 1000)"), HERE) is None


async def test_who_says_nothing_is_not_waited_for(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(metered, "DEADLINE", 0.3)
    with trio.fail_after(20):
        assert await is_metered(saying("import time; time.sleep(600)"), HERE) is None


def test_the_command_starts_no_service_and_asks_for_one_property() -> None:
    assert COMMAND[0] == "busctl"
    assert "--auto-start=no" in COMMAND
    assert COMMAND[-1] == "Metered"


def test_nothing_is_given_where_it_is_paid_for_unless_the_user_says_otherwise() -> None:
    assert why_not_give(AUTO, None, metered=True) == "the connection is metered"
    assert why_not_give(AUTO, 100, metered=False) is None
    for limit in (OFF, SOME):
        assert why_not_give(limit, None, metered=True) is None


async def test_a_node_on_a_metered_connection_says_so_and_fetches_for_nobody(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    is_so: list[bool | None] = [True]

    async def tell() -> bool | None:
        await trio.lowlevel.checkpoint()
        return is_so[0]

    monkeypatch.setattr(manners, "is_metered", tell)
    monkeypatch.setattr(manners, "battery", lambda: None)
    policy, ability = scene.mesh.policy, scene.mesh.outlook.ability
    await Manners(AUTO, None, policy, lambda: None).look()
    assert (await scene.ann.status())["mesh"]["reluctance"] == "the connection is metered"
    assert ability().flags & (METERED | UPLOADS) == METERED
    assert not ability().is_capable
    await Manners(OFF, None, policy, lambda: None).look()
    assert policy.reluctance is None
    assert not ability().is_capable  # the user lets it give, and homes do not have it fetch all the same
    await Manners(AUTO, False, policy, lambda: None).look()
    assert ability().is_capable
    is_so[0] = None
    await Manners(AUTO, True, policy, lambda: None).look()
    assert not ability().flags & UPLOADS
    await Manners(AUTO, None, policy, lambda: None).look()
    assert ability().is_capable


async def test_after_a_sleep_it_is_asked_again_at_once(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = trio.Event()

    async def tell() -> bool | None:
        await trio.lowlevel.checkpoint()
        asked.set()
        return None

    monkeypatch.setattr(manners, "is_metered", tell)
    scene.mesh._woke()
    with trio.fail_after(10):
        await asked.wait()
