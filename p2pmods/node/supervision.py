"""Background work that must not take the node down with it: it is reported, and begun again a little later."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

import structlog
import trio

if TYPE_CHECKING:
    from collections.abc import Awaitable

AGAIN_AFTER: Final = 30.0  # seconds

log = structlog.get_logger()


class Work(Protocol):
    """Says that it has started, and goes on until cancelled."""

    def __call__(self, *, task_status: trio.TaskStatus[None]) -> Awaitable[None]: ...


class Started:
    """A TaskStatus that may be told more than once: whoever waits for the first start has no use for the second."""

    def __init__(self, task_status: trio.TaskStatus[None]) -> None:
        self._task_status: trio.TaskStatus[None] | None = task_status

    def started(self, _value: object = None) -> None:
        task_status, self._task_status = self._task_status, None
        if task_status is not None:
            task_status.started()


async def supervised(name: str, work: Work, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
    """Do `work`, and again when it fails by a fault of ours, until it returns or is cancelled."""
    status = Started(task_status)
    while True:
        try:
            await work(task_status=status)
        except Exception as error:  # the border between a background task and the node
            log.exception("background work failed by a fault of p2pmods", work=name, exc_info=error)
            status.started()
            await trio.sleep(AGAIN_AFTER)
        else:
            return
