"""The machine slept, or went to another network."""

from __future__ import annotations

import trio
import trio.testing

from p2pmods.mesh.wake import MachineWatch, SleepDetector, fingerprint, sleep_detector


class Machine:
    """Two clocks and some interfaces."""

    def __init__(self) -> None:
        self.asleep = 0.0
        self.interfaces: object = "wired"
        self.wakes = 0
        self.changes = 0
        self.trouble: OSError | None = None
        self.awake = 0.0

    def detector(self) -> SleepDetector:
        return SleepDetector(lambda: self.awake + self.asleep, lambda: self.awake)

    def woke(self) -> None:
        self.wakes += 1

    def changed(self) -> None:
        self.changes += 1
        if self.trouble is not None:
            raise self.trouble

    def watch(self) -> MachineWatch:
        return MachineWatch(
            on_wake=self.woke,
            on_change=self.changed,
            detector=self.detector(),
            look=self.look,
        )

    def look(self) -> object:
        if isinstance(self.interfaces, OSError):
            raise self.interfaces
        return self.interfaces


def test_a_night_is_noticed_once() -> None:
    machine = Machine()
    detector = machine.detector()
    machine.awake += 3600
    assert detector.slept() == 0
    machine.asleep += 8 * 3600
    assert detector.slept() == 8 * 3600
    assert detector.slept() == 0


def test_a_clock_that_is_corrected_is_no_sleep() -> None:
    machine = Machine()
    detector = machine.detector()
    machine.asleep += 4.9
    assert detector.slept() == 0
    machine.asleep -= 3600
    assert detector.slept() == 0
    machine.asleep += 4.9
    assert detector.slept() == 0


async def test_waking_up_is_told_within_a_second(autojump_clock: trio.testing.MockClock) -> None:
    machine = Machine()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(machine.watch().run)
        await trio.sleep(10.5)
        assert machine.wakes == 0
        machine.asleep += 60
        machine.interfaces = "wireless"
        await trio.sleep(1)
        assert machine.wakes == 1
        assert machine.changes == 1
        await trio.sleep(100)
        assert machine.wakes == 1
        nursery.cancel_scope.cancel()


async def test_a_change_of_interfaces_is_told_once_within_a_second(
    autojump_clock: trio.testing.MockClock,
) -> None:
    machine = Machine()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(machine.watch().run)
        await trio.sleep(10.5)
        assert machine.changes == 0
        machine.interfaces = "wireless"
        await trio.sleep(1)
        assert machine.changes == 1
        await trio.sleep(100)
        assert machine.changes == 1
        nursery.cancel_scope.cancel()


async def test_interfaces_that_cannot_be_read_did_not_change(autojump_clock: trio.testing.MockClock) -> None:
    machine = Machine()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(machine.watch().run)
        machine.interfaces = OSError(24, "Too many open files")
        await trio.sleep(10)
        machine.interfaces = "wired"
        await trio.sleep(10)
        assert machine.changes == 0
        nursery.cancel_scope.cancel()


async def test_a_change_that_could_not_be_acted_on_is_told_again(autojump_clock: trio.testing.MockClock) -> None:
    machine = Machine()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(machine.watch().run)
        await trio.sleep(10.5)
        machine.interfaces, machine.trouble = "wireless", OSError(24, "Too many open files")
        await trio.sleep(2)
        assert machine.changes == 2
        machine.trouble = None
        await trio.sleep(10)
        assert machine.changes == 3
        nursery.cancel_scope.cancel()


def test_the_clocks_and_interfaces_of_this_machine() -> None:
    assert sleep_detector().slept() == 0
    assert fingerprint() == fingerprint()
    assert "127.0.0.1" in {address for _, address, _ in fingerprint()}
