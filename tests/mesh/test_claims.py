"""One zip that is wanted: a claim begins what its machine decided last, and ends what it decided before."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from p2pmods.directory.actions import Ask, FetchFrom, GoUpstream, Settle, Tell
from p2pmods.directory.messages import Stop
from p2pmods.errors import PeerError, Unavailable
from p2pmods.mesh.claims import ZipClaim

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from trio.testing import MockClock

    from p2pmods.mesh.claims import Way

FIRST, SECOND, ALONE = FetchFrom((), (b"1",)), FetchFrom((), (b"2",)), GoUpstream(None)
NOTICE = Tell("home", "notice")


class Machine:
    """Says what it was told to say; `heard` is what it was asked."""

    def __init__(self) -> None:
        self.tenure = None
        self.heard: list[str] = []
        self.timer = math.inf
        self.says: dict[str, list[Any]] = {}

    def __getattr__(self, name: str) -> Callable[..., list[Any]]:
        def say(*args: object, now: float | None = None, **_: object) -> list[Any]:
            self.heard.append(name)
            return self.says.pop(name, [])

        return say

    def next_timer(self, *, now: float) -> float:
        timer, self.timer = self.timer, math.inf
        return timer


class Desk:
    """Answers with `answer`, and keeps the notices."""

    def __init__(self) -> None:
        self.told: list[object] = []
        self.asked: list[Ask] = []
        self.answer: object = None

    async def ask(self, ask: Ask) -> object:
        await trio.lowlevel.checkpoint()
        self.asked.append(ask)
        return self.answer

    def tell_soon(self, actions: Sequence[object]) -> None:
        self.told += [action for action in actions if isinstance(action, Tell)]


class Case:
    """A claim that runs, and the ways that were begun."""

    def __init__(self, nursery: trio.Nursery) -> None:
        self.machine, self.desk = Machine(), Desk()
        self.claim = ZipClaim("m@v1", self.machine, self.desk, nursery)  # type: ignore[arg-type]
        self.begun: list[Way] = []
        self.ended: list[Way] = []
        self.nursery = nursery

    def run(self) -> None:
        self.nursery.start_soon(self.claim.run)

    async def obtain(self, outcomes: dict[bytes, object]) -> object:
        """Each FetchFrom ends with the outcome of its record; those without one last for ever; upstream delivers."""

        async def go(way: Way) -> object:
            self.begun.append(way)
            try:
                if isinstance(way, GoUpstream):
                    return "upstream"
                assert isinstance(way, FetchFrom)
                outcome = outcomes.get(way.records[0])
                if isinstance(outcome, Exception):
                    raise outcome
                if outcome is None:
                    await trio.sleep_forever()
                return outcome
            finally:
                self.ended.append(way)

        return await self.claim.obtain(go)


@pytest.fixture
async def case(nursery: trio.Nursery) -> Case:
    return Case(nursery)


async def test_what_the_machine_decides_first_is_done(autojump_clock: MockClock, case: Case) -> None:
    case.machine.says["handle_timer"] = [FIRST, NOTICE]
    case.run()
    assert await case.obtain({b"1": "the zip"}) == "the zip"
    assert case.begun == [FIRST]
    assert case.desk.told == [NOTICE]


async def test_a_source_of_no_use_makes_the_machine_decide_again(autojump_clock: MockClock, case: Case) -> None:
    case.machine.says["handle_timer"] = [FIRST]
    case.machine.says["lost"] = [SECOND]
    case.run()
    assert await case.obtain({b"1": PeerError("eve", "lies"), b"2": "the zip"}) == "the zip"
    assert case.begun == [FIRST, SECOND]
    assert case.machine.heard.count("lost") == 1


async def test_a_later_decision_ends_what_is_under_way(autojump_clock: MockClock, case: Case) -> None:
    case.machine.says["handle_timer"] = [FIRST]
    case.run()
    case.machine.timer = trio.current_time() + 3

    async def decide_later() -> None:
        await wait_all_tasks_blocked()
        case.machine.says["handle_timer"] = [ALONE]

    case.nursery.start_soon(decide_later)
    assert await case.obtain({}) == "upstream"
    assert case.begun == [FIRST, ALONE]
    assert case.ended == [FIRST, ALONE]


async def test_of_two_decisions_at_once_the_latest_counts(autojump_clock: MockClock, case: Case) -> None:
    case.machine.says["handle_timer"] = [FIRST, SECOND]
    case.run()
    assert await case.obtain({b"2": "the zip"}) == "the zip"
    assert case.begun == [SECOND]


async def test_when_the_machine_settles_what_is_under_way_ends_and_nothing_begins(
    autojump_clock: MockClock, case: Case
) -> None:
    case.machine.says["handle_timer"] = [FIRST]
    case.run()

    async def move() -> None:
        await wait_all_tasks_blocked()
        case.machine.says["moved"] = [NOTICE, Settle()]
        case.claim.moved()
        await wait_all_tasks_blocked()
        assert case.ended == [FIRST]
        case.machine.says["stopped"] = [ALONE]
        case.claim.stopped("home", Stop(bytes(16), bytes(16), None, None))

    case.nursery.start_soon(move)
    assert await case.obtain({}) == "upstream"
    assert case.begun == [FIRST, ALONE]
    assert case.desk.told == [NOTICE]


async def test_what_was_decided_and_not_begun_is_not_begun_when_the_machine_settles(
    autojump_clock: MockClock, case: Case
) -> None:
    case.machine.says["moved"] = [FIRST, Settle()]
    case.claim.moved()
    case.machine.says["handle_timer"] = [ALONE]
    case.run()
    assert await case.obtain({}) == "upstream"
    assert case.begun == [ALONE]


async def test_what_its_machine_waits_for_may_come_early(autojump_clock: MockClock, case: Case) -> None:
    case.run()

    async def come() -> None:
        await wait_all_tasks_blocked()
        case.machine.says["handle_timer"] = [ALONE]
        case.claim.look()

    case.nursery.start_soon(come)
    with trio.fail_after(1):
        assert await case.obtain({}) == "upstream"


async def test_every_other_error_is_final(autojump_clock: MockClock, case: Case) -> None:
    case.machine.says["handle_timer"] = [FIRST]
    case.run()
    with pytest.raises(Unavailable):
        await case.obtain({b"1": Unavailable("upstream", "gone")})
    assert "lost" not in case.machine.heard


@pytest.mark.parametrize(("answer", "heard"), [("an answer", "answered"), (None, "unanswered")])
async def test_a_question_is_asked_and_its_answer_told(case: Case, answer: object, heard: str) -> None:
    case.machine.says["handle_timer"] = [Ask(7, "home", "claim", 1.0)]
    case.machine.says[heard] = [FIRST]
    case.desk.answer = answer
    case.run()
    assert await case.obtain({b"1": "the zip"}) == "the zip"
    assert [ask.ask for ask in case.desk.asked] == [7]


async def test_the_machines_timer_is_kept_and_moved_by_what_happens(autojump_clock: MockClock, case: Case) -> None:
    case.machine.says["handle_timer"] = [NOTICE]
    case.machine.timer = trio.current_time() + 100
    case.run()
    await wait_all_tasks_blocked()
    start = trio.current_time()
    case.machine.says["wake"] = [NOTICE]
    case.machine.says["handle_timer"] = [FIRST]
    case.claim.wake()
    assert await case.obtain({b"1": "the zip"}) == "the zip"
    assert trio.current_time() - start < 100


async def test_what_a_claim_leaves_behind_is_told_once(autojump_clock: MockClock, case: Case) -> None:
    case.machine.says["failed"] = [NOTICE]
    case.claim.leave()
    case.claim.leave()
    assert case.desk.told == [NOTICE]
    assert case.machine.heard == ["failed"]


async def test_who_finished_did_not_fail(autojump_clock: MockClock, case: Case) -> None:
    case.machine.says["finished"] = [NOTICE]
    case.claim.finished(None)
    case.claim.leave()
    assert case.machine.heard == ["finished"]
    assert case.desk.told == [NOTICE]


async def test_after_its_end_nothing_is_begun(autojump_clock: MockClock, case: Case) -> None:
    case.claim.finished(None)
    case.machine.says["wake"] = [Ask(1, "home", "claim", 1.0), NOTICE, FIRST]
    case.claim.wake()
    await wait_all_tasks_blocked()
    assert case.desk.asked == []
    assert case.desk.told == []


async def test_bytes_and_stops_are_passed_on(autojump_clock: MockClock, case: Case) -> None:
    case.claim.received(10)
    case.claim.progress(20)
    case.claim.stopped("home", "stop")  # type: ignore[arg-type]
    assert case.machine.heard == ["received", "progress", "stopped"]
