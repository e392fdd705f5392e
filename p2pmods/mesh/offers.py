"""What this node offers: every proven file of the store and of the module cache, told to the homes of its key."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

import structlog
import trio

from p2pmods.directory.messages import Holding
from p2pmods.errors import StoreError
from p2pmods.gomod.module import FileKey, FileKind
from p2pmods.mesh.names import key_of_file
from p2pmods.trust.evidence import SourceKind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from p2pmods.directory.adverts import Advertiser
    from p2pmods.identity.swarm import Swarm
    from p2pmods.mesh.policy import SharingPolicy
    from p2pmods.store.store import Store
    from p2pmods.store.stored import StoredFile

TOGETHER: Final = 0.05  # seconds in which changes come together
_OUTSIDE: Final = (SourceKind.UPSTREAM, SourceKind.VCS)
RECENT: Final = 86400.0  # seconds before the start: who stopped before a seed heard of it names it now
AT_ONCE: Final = 64  # keys looked at before others get their turn

log = structlog.get_logger()


class Offers:
    """Keeps the advertiser in step with the store. `nudge` is called when there is something to tell."""

    def __init__(
        self, store: Store, policy: SharingPolicy, advertiser: Advertiser, swarm: Swarm, nudge: Callable[[], None]
    ) -> None:
        self._store = store
        self._policy = policy
        self._advertiser = advertiser
        self._swarm = swarm
        self._nudge = nudge
        self._offered: dict[FileKey, Holding] = {}
        self._dirty: dict[FileKey, None] = {}
        self._woken = trio.Event()
        self._is_all_due = True
        self._recent = time.time() - RECENT
        # Told of what came from outside of late.
        self.on_fetched: Callable[[FileKey], None] = lambda _key: None

    def offered(self) -> dict[FileKey, Holding]:
        """What peers can get from here."""
        return dict(self._offered)

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Until cancelled."""
        token = trio.lowlevel.current_trio_token()

        def changed(keys: Iterable[FileKey]) -> None:
            token.run_sync_soon(self._mark, tuple(keys))

        self._store.watch(changed)
        try:
            task_status.started()
            while True:
                if self._is_all_due:
                    self._is_all_due = False
                    await self._offer_all()
                await self._woken.wait()
                self._woken = trio.Event()
                await trio.sleep(TOGETHER)
                await self._settle()
        finally:
            self._store.watch(None)

    def reconsider(self) -> None:
        """What may be given has changed: look at everything again."""
        self._is_all_due = True
        self._mark(tuple(self._offered))

    def _mark(self, keys: Iterable[FileKey]) -> None:
        self._dirty.update(dict.fromkeys(key for key in keys if key.kind is not FileKind.INFO))
        self._woken.set()

    async def _offer_all(self) -> None:
        for place in (False, True):
            after: FileKey | None = None
            while True:
                try:
                    page, after = await trio.to_thread.run_sync(self._page, after, place)
                except StoreError as error:
                    log.warning("what is held cannot be offered", error=str(error))
                    return
                for stored in page:
                    self._offer(stored)
                self._nudge()
                if after is None:
                    break

    def _page(self, after: FileKey | None, place: bool) -> tuple[list[StoredFile], FileKey | None]:
        return self._store.proven_page(after, in_module_cache=place)

    async def _settle(self) -> None:
        while self._dirty:
            for key in list(self._dirty)[:AT_ONCE]:
                del self._dirty[key]
                self._look(key)
            self._nudge()
            await trio.lowlevel.checkpoint()

    def _look(self, key: FileKey) -> None:
        try:
            held = [stored for stored in self._store.held(key) if self._policy.may_give(stored)]
        except StoreError:
            return
        if held:
            self._offer(held[0])
        elif self._offered.pop(key, None) is not None:
            self._advertiser.withdraw(key_of_file(self._swarm, key))

    def _offer(self, stored: StoredFile) -> None:
        if not self._policy.may_give(stored) or not stored.sha256:
            return
        holding = Holding(key_of_file(self._swarm, stored.key), bytes.fromhex(stored.sha256), stored.size)
        if self._offered.get(stored.key) != holding:
            self._offered[stored.key] = holding
            self._advertiser.hold(holding)
            if stored.source.kind in _OUTSIDE and stored.source.at >= self._recent:
                self.on_fetched(stored.key)
