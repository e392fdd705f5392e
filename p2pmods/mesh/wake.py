"""Watching the machine: it slept, or its interfaces changed."""

from __future__ import annotations

import sys
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Final

import ifaddr
import structlog
import trio

if TYPE_CHECKING:
    from collections.abc import Callable

    Clock = Callable[[], float]

TICK: Final = 1.0  # seconds
SLEPT: Final = 5.0  # seconds that the clocks may come apart while awake, as when one of them is set

log = structlog.get_logger()


class SleepDetector:
    """Compares a clock that runs on while the machine sleeps with one that does not."""

    def __init__(self, running: Clock, awake: Clock) -> None:
        self._running = running
        self._awake = awake
        self._difference = running() - awake()

    def slept(self) -> float:
        """The seconds that the machine slept since the last call; 0.0 when it did not.

        A clock that was set back is no sleep. One that was set forward looks like one, and a node that rejoins
        needlessly loses nothing.
        """
        difference = self._running() - self._awake()
        slept = difference - self._difference
        self._difference = difference
        return slept if slept > SLEPT else 0.0


def sleep_detector() -> SleepDetector:
    """With the best clocks of this system."""
    if sys.platform == "win32":
        return SleepDetector(time.time, _unbiased)
    boot_time: int | None = getattr(time, "CLOCK_BOOTTIME", None)
    if boot_time is not None:
        return SleepDetector(lambda: time.clock_gettime(boot_time), time.monotonic)
    return SleepDetector(time.time, time.monotonic)


def _unbiased() -> float:
    """Seconds that Windows was awake: its monotonic clock runs on while it sleeps."""
    import ctypes

    ticks = ctypes.c_ulonglong()  # of 100 ns
    ctypes.windll.kernel32.QueryUnbiasedInterruptTime(ctypes.byref(ticks))  # type: ignore[attr-defined,unused-ignore]
    return ticks.value / 10_000_000


def fingerprint() -> frozenset[tuple[str, object, int]]:
    """What changes when an interface or address of this machine comes or goes. Raises OSError."""
    return frozenset(
        (adapter.name, ip.ip, ip.network_prefix) for adapter in ifaddr.get_adapters() for ip in adapter.ips
    )


class MachineWatch:
    """Calls `on_wake` after a sleep, and `on_change` when interfaces or addresses changed.

    When `on_change` raises OSError it is called again a second later.
    """

    def __init__(
        self,
        *,
        on_wake: Callable[[], None],
        on_change: Callable[[], None],
        detector: SleepDetector | None = None,
        look: Callable[[], object] = fingerprint,
    ) -> None:
        self._on_wake = on_wake
        self._on_change = on_change
        self._detector = detector or sleep_detector()
        self._look = look
        self._seen: object = None
        with suppress(OSError):
            self._seen = look()

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await trio.sleep(TICK)
            slept = self._detector.slept()
            if slept:
                log.info("this machine slept", seconds=round(slept))
                self._on_wake()
            try:
                self._check_interfaces()
            except OSError as error:  # no descriptor left, say
                log.debug("the interfaces cannot be read", reason=str(error))

    def _check_interfaces(self) -> None:
        now = self._look()
        if now != self._seen:
            log.debug("the network interfaces of this machine changed")
            self._on_change()
            self._seen = now
