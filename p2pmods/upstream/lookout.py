"""Looks whether upstreams that are out of reach answer again, so that whoever wants something need not find out."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Final

import trio

if TYPE_CHECKING:
    from collections.abc import Callable

    from p2pmods.upstream.proxy import ProxyClient

EVERY: Final = 2.0  # seconds, and up to a quarter more
PATIENCE: Final = 5.0  # seconds for an answer


class Lookout:
    """Asks one host at a time, and only those of which something was wanted lately."""

    def __init__(self, client: ProxyClient, random_fraction: Callable[[], float] = random.random) -> None:
        self._client = client
        self._random = random_fraction

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Until cancelled."""
        async with trio.open_nursery() as nursery:
            task_status.started()
            while True:
                await trio.sleep(EVERY * (1 + self._random() / 4))
                now = trio.current_time()
                host = self._client.offline.host_to_look_after(self._client.authorities, now=now)
                if host is not None:
                    # The next look does not wait for this one: its packets may have been lost with the line.
                    nursery.start_soon(self._look, host)

    async def _look(self, host: str) -> None:
        with trio.move_on_after(PATIENCE):
            await self._client.look(host)
