"""What a node does when nobody asks: takes stock of the module cache, has all proven, looks for silent rot, and keeps
the store within its limit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import structlog
import trio

from p2pmods.errors import StoreError

if TYPE_CHECKING:
    from p2pmods.fetch.proofs import Proofs
    from p2pmods.fetch.thinning import Thinning
    from p2pmods.store.modcache import ModuleCache
    from p2pmods.store.store import Store

RESCAN: Final = 300.0  # seconds between two looks at what go added to its module cache
RESCRUB: Final = 3600.0  # seconds between two rounds over the store
SETTLE_IN: Final = 60.0  # seconds after start until the first round: the build that started the node goes first

log = structlog.get_logger()


class Upkeep:
    """Background work on the store and the module cache, paced and without opinions about what is served."""

    def __init__(self, store: Store, module_cache: ModuleCache | None, proofs: Proofs, thinning: Thinning) -> None:
        self._store = store
        self._module_cache = module_cache
        self._proofs = proofs
        self._thinning = thinning
        self.is_scanned = module_cache is None

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Until cancelled. A failing disk makes it try again later."""
        task_status.started()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._proofs.run)
            nursery.start_soon(self._scrub)
            nursery.start_soon(self._thinning.run)
            if self._module_cache is not None:
                nursery.start_soon(self._watch, self._module_cache)

    async def _watch(self, module_cache: ModuleCache) -> None:
        scanner = self._store.scanner(module_cache)
        while True:
            try:
                report = await trio.to_thread.run_sync(scanner.scan)
                self.is_scanned = True
                log.debug("took stock of the module cache", files=report.files, new=report.new, gone=report.gone)
                if await scanner.verify():
                    self._proofs.wake()
            except StoreError as error:
                log.warning("the module cache cannot be taken stock of", error=str(error))
            await trio.sleep(RESCAN)

    async def _scrub(self) -> None:
        await trio.sleep(SETTLE_IN)
        while True:
            try:
                report = await self._store.scrub()
                if report.damaged:
                    log.warning("damaged files were found and set aside", files=report.damaged)
            except StoreError as error:
                log.warning("the store cannot be read through", error=str(error))
            await trio.sleep(RESCRUB)
