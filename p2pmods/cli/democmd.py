"""`p2pmods demo`: what nodes do for each other, told with three real ones, on this machine alone."""

from __future__ import annotations

import logging
import os
import secrets
import tempfile
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

import structlog
import trio

from p2pmods.cli.client import read_node_file
from p2pmods.cli.demostory import Machine, Story
from p2pmods.cli.demoworld import World, downloader, make_world
from p2pmods.cli.ending import interrupted, was_told_to_end
from p2pmods.cli.output import say
from p2pmods.cli.runcmd import remove_tree
from p2pmods.cli.stoppable import until_told_to_end
from p2pmods.config import load_config
from p2pmods.errors import UserError
from p2pmods.goenv import find_go
from p2pmods.node import run_node

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from p2pmods.config import Config
    from p2pmods.node import Node

DEADLINE: Final = 60.0  # seconds for the whole story


def demo() -> int:
    """Tell the story; 0 when everything went as told, UserError when something did not."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    place = Path(tempfile.mkdtemp(prefix="p2pmods-demo-"))
    say(f"Everything below happens on this machine, in {place}, which is removed at the end.")
    try:
        trio.run(_with_deadline, place)
    finally:
        remove_tree(place)
    if was_told_to_end():
        return interrupted()
    say("")
    say("With your own modules, the first thing to type is:  p2pmods run -- go build ./...")
    say("and `p2pmods up` on two machines of one network is a mesh.")
    return 0


async def _with_deadline(place: Path) -> None:
    async with until_told_to_end():
        try:
            with trio.fail_after(DEADLINE):
                await _story(place)
        except trio.TooSlowError as error:
            raise UserError(f"the demo did not finish in {DEADLINE:.0f} s") from error


async def _story(place: Path) -> None:
    go, world = find_go(os.environ), make_world()
    swarm = f"demo:{secrets.token_hex(32)}"
    async with trio.open_nursery() as nursery:
        stop_upstream = await nursery.start(_run_upstream, world)

        async def start(name: str, *known: Machine) -> Machine:
            config = _config(place / name, world, swarm, known)
            node, stop = await nursery.start(_run_node, config)
            running = read_node_file(config.data)
            if running is None or running.peer is None:
                raise UserError(f"the node {name} has no address for peers")
            return Machine(name, node, running, stop)

        client = "the go command" if go else "this demo's own client"
        story = Story(world, downloader(go, world.log, place), client, start, stop_upstream)
        await story.tell(has_go=go is not None)
        nursery.cancel_scope.cancel()


async def _run_upstream(world: World, *, task_status: trio.TaskStatus[Callable[[], Awaitable[None]]]) -> None:
    """Gives a function that returns once nobody listens there any more."""
    gone = trio.Event()
    async with trio.open_nursery() as nursery:
        await nursery.start(world.upstream.serve)

        async def stop() -> None:
            nursery.cancel_scope.cancel()
            await gone.wait()

        task_status.started(stop)
    gone.set()


async def _run_node(config: Config, *, task_status: trio.TaskStatus[tuple[Node, trio.CancelScope]]) -> None:
    async with trio.open_nursery() as nursery:
        node = await nursery.start(partial(run_node, environ={}), config)
        task_status.started((node, nursery.cancel_scope))


def _config(data: Path, world: World, swarm: str, known: tuple[Machine, ...]) -> Config:
    """A node of the demo's own: nothing of this user's settings, nor of the go command's, gets in.

    And no swarm but the demo's, on loopback, with a secret that was made a moment ago.
    """
    flags = {
        "data": str(data),
        "listen": "127.0.0.1:0",
        "upstream": world.upstream.url,
        "sumdb": world.log.verifier_key,
        "private": "",
        "offline": False,
        "module_cache": "off",
        "mesh": True,
        "mdns": False,
        "peer_listen": "127.0.0.1:0",
        "peers": [str(other.running.peer) for other in known],
        "swarm": swarm,
    }
    return load_config(flags, {"P2PMODS_GOPATH": str(data / "gopath")}, lambda: None)
