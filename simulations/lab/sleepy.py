"""`python -m simulations.lab.sleepy …` is `p2pmods …` for which an hour passes at each SIGUSR1.

The clock that runs on while a machine sleeps is what is moved, and only the node's watch for sleep reads it. It is no
part of the product.
"""

from __future__ import annotations

import signal
import time
from typing import Final

from p2pmods.cli.main import main
from p2pmods.mesh import wake

HOUR: Final = 3600.0


def make_sleepy() -> None:
    """From now on, in this process."""
    slept = 0.0

    def sleep(*_: object) -> None:
        nonlocal slept
        slept += HOUR

    def detector() -> wake.SleepDetector:
        return wake.SleepDetector(lambda: time.clock_gettime(time.CLOCK_BOOTTIME) + slept, time.monotonic)

    assert callable(wake.sleep_detector)
    wake.sleep_detector = detector
    signal.signal(signal.SIGUSR1, sleep)


if __name__ == "__main__":
    make_sleepy()
    main()
