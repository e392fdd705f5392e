"""One run of zeroconf, in a thread and an asyncio loop of its own; what it finds is handed out as hints."""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from typing import TYPE_CHECKING, Any, Final, Protocol

import structlog

from p2pmods.errors import printable
from p2pmods.mesh.mdns_record import (
    MAX_TEXT,
    SERVICE,
    hint_of,
    instance_name,
    node_id_of,
    says_swarm,
    text_of,
)
from p2pmods.mesh.pace import Pace

if TYPE_CHECKING:
    from zeroconf import ServiceStateChange, Zeroconf
    from zeroconf.asyncio import AsyncServiceBrowser, AsyncServiceInfo, AsyncZeroconf

    from p2pmods.mesh.interfaces import Presence
    from p2pmods.mesh.mdns_record import Hint

MAX_ASKING: Final = 16  # services whose addresses are asked for at once
ASKING_TIME: Final = 2000  # milliseconds
LOOKS_PER_SECOND: Final = 50.0
LOOKS_AT_ONCE: Final = 300.0  # a room that starts together
SECOND_LOOK: Final = 30.0  # seconds
SECOND_LOOKS: Final = 32

log = structlog.get_logger()


class Listener(Protocol):
    """Who is told."""

    def began(self) -> None:
        """There is multicast, and this node was announced."""

    def heard(self, hint: Hint) -> None:
        """Another node was."""


class Session:
    """Announces one node and looks for others until stopped. `run` belongs in a thread, all else is for any."""

    def __init__(self, node_id: str, tag: str, presence: Presence, listener: Listener) -> None:
        """The listener is called in the thread of `run`. Raises OSError."""
        self._node_id = node_id
        self._tag = tag
        self._presence = presence
        self._listener = listener
        self._pace = Pace(LOOKS_PER_SECOND, LOOKS_AT_ONCE)
        self._asking: set[asyncio.Task[None]] = set()
        self._told = asyncio.Event()
        self._stopped = False
        self._runner = asyncio.Runner(loop_factory=asyncio.new_event_loop)
        self._loop = self._runner.get_loop()
        self._loop.set_exception_handler(_note)

    def run(self) -> str:
        """Block until stopped. Why it could not go on, in a few words; "" when it was stopped."""
        with self._runner:
            try:
                self._runner.run(self._main())
            except Exception as error:  # a task boundary: no fault in there may take the node along
                return printable(str(error) or type(error).__name__)
        return ""

    def stop(self) -> None:
        """Say goodbye, and let `run` return."""
        self._tell(None)

    def move(self, presence: Presence) -> None:
        """The node can be found elsewhere now, or the same place may have other neighbours: announce and ask anew."""
        self._tell(presence)

    def _tell(self, presence: Presence | None) -> None:
        with contextlib.suppress(RuntimeError):  # it has ended by itself, and its loop is closed
            self._loop.call_soon_threadsafe(self._be_told, presence)

    def _be_told(self, presence: Presence | None) -> None:
        self._stopped = self._stopped or presence is None
        self._presence = presence or self._presence
        self._told.set()

    async def _main(self) -> None:
        from zeroconf.asyncio import AsyncZeroconf

        zeroconf = AsyncZeroconf(interfaces=list(self._presence.multicast))
        try:
            await zeroconf.zeroconf.async_wait_for_start()
            _check_senders(zeroconf.zeroconf)
            await self._serve(zeroconf)
        finally:
            await zeroconf.async_close()

    async def _serve(self, zeroconf: AsyncZeroconf) -> None:
        browser = self._browse(zeroconf.zeroconf)
        # Members of a swarm have keys, so names are unique: the slow probe for others of this name is left out.
        await zeroconf.async_register_service(self._info(), cooperating_responders=True, strict=False)
        self._listener.began()
        while not self._stopped:
            self._told.clear()
            try:
                await asyncio.wait_for(self._told.wait(), SECOND_LOOK)
            except TimeoutError:
                self._look_again(zeroconf.zeroconf)
                continue
            if not self._stopped:
                await browser.async_cancel()
                await zeroconf.async_update_interfaces(list(self._presence.multicast))
                _check_senders(zeroconf.zeroconf)
                await zeroconf.async_update_service(self._info())
                browser = self._browse(zeroconf.zeroconf)
        await browser.async_cancel()
        self._say_goodbye(zeroconf.zeroconf)

    def _browse(self, zeroconf: Zeroconf) -> AsyncServiceBrowser:
        from zeroconf.asyncio import AsyncServiceBrowser

        return AsyncServiceBrowser(zeroconf, SERVICE, handlers=[self._changed])

    def _info(self) -> AsyncServiceInfo:
        from zeroconf.asyncio import AsyncServiceInfo

        return AsyncServiceInfo(
            SERVICE,
            instance_name(self._node_id),
            port=self._presence.port,
            server=instance_name(self._node_id),  # the machine's own name is nobody's business
            parsed_addresses=list(self._presence.announced),
            properties=text_of(self._tag),
        )

    def _say_goodbye(self, zeroconf: Zeroconf) -> None:
        """Once: the library would say it three times, and who misses it only dials in vain."""
        goodbye = zeroconf.generate_unregister_all_services()
        if goodbye:
            zeroconf.async_send(goodbye)

    def _changed(self, zeroconf: Zeroconf, service_type: str, name: str, state_change: ServiceStateChange) -> None:
        """zeroconf's callback; the names of its arguments are zeroconf's. Who goes is membership's to notice."""
        if state_change.name != "Removed":
            self._look(zeroconf, name)

    def _look(self, zeroconf: Zeroconf, name: str) -> None:
        from zeroconf.asyncio import AsyncServiceInfo

        node_id = node_id_of(name)
        if node_id is None or node_id == self._node_id or not self._pace.take(now=time.monotonic()):
            return
        info = AsyncServiceInfo(SERVICE, name)
        if info.load_from_cache(zeroconf):
            self._hand_out(node_id, info)
        elif len(self._asking) < MAX_ASKING:
            task = self._loop.create_task(self._ask(zeroconf, node_id, info))
            self._asking.add(task)
            task.add_done_callback(self._asking.discard)

    async def _ask(self, zeroconf: Zeroconf, node_id: str, info: AsyncServiceInfo) -> None:
        if await info.async_request(zeroconf, ASKING_TIME):
            self._hand_out(node_id, info)

    def _hand_out(self, node_id: str, info: AsyncServiceInfo) -> None:
        if len(info.text or b"") > MAX_TEXT or not says_swarm(info.properties, self._tag):
            return
        hint = hint_of(node_id, info.parsed_scoped_addresses(), info.port or 0, self._presence)
        if hint is not None:
            self._listener.heard(hint)

    def _look_again(self, zeroconf: Zeroconf) -> None:
        """At some of all that was heard, by lot: a flood may have pushed others aside, and dials may have failed."""
        heard = [name for name in zeroconf.cache.names() if node_id_of(name)]
        for name in random.sample(heard, min(len(heard), SECOND_LOOKS)):
            self._look(zeroconf, name)


def _check_senders(zeroconf: Zeroconf) -> None:
    if not zeroconf.engine.senders:
        raise OSError("no interface takes multicast")


def _note(_loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """What zeroconf meets in the background, such as an interface that went away, is no fault of ours."""
    log.debug("mdns", problem=str(context.get("exception") or context.get("message")))
