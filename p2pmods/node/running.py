"""One node from start to stop: who is opened before whom, and closed after."""

from __future__ import annotations

import os
from contextlib import ExitStack, asynccontextmanager
from typing import TYPE_CHECKING

import trio

from p2pmods.httpd.listening import listen
from p2pmods.httpd.shielding import shield
from p2pmods.node.assembly import Assembly
from p2pmods.store.store import Store

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from p2pmods.config import Config
    from p2pmods.node.node import Node


async def run_node(
    config: Config,
    *,
    environ: Mapping[str, str] | None = None,
    task_status: trio.TaskStatus[Node] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Run a node until cancelled; started with the Node once it answers and node.json is written.

    Raises StoreError and CannotListen, which say the cure.
    """
    environ = os.environ if environ is None else environ
    store = await trio.to_thread.run_sync(Store.open, config.data)
    with ExitStack() as held:
        held.callback(store.close)
        async with trio.open_nursery() as nursery, _background(nursery) as background:
            listeners = await listen(config.listen.host, config.listen.port)
            for listener in listeners:
                held.enter_context(listener)
            assembly = Assembly(config, store, environ, background)
            held.callback(assembly.close)
            await assembly.serve(listeners, task_status)


@asynccontextmanager
async def _background(nursery: trio.Nursery) -> AsyncIterator[trio.Nursery]:
    """A nursery for shared fetches that outlives the server, so that answers under way are not cut off."""
    background: trio.Nursery = await nursery.start(_hold)
    try:
        yield background
    finally:
        background.cancel_scope.cancel()


async def _hold(*, task_status: trio.TaskStatus[trio.Nursery]) -> None:
    async with trio.open_nursery() as background:
        shield(background.cancel_scope)
        task_status.started(background)
        await trio.sleep_forever()
