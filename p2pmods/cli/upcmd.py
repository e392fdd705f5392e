"""`p2pmods up`: one node in this process, until it is stopped."""

from __future__ import annotations

import contextlib
import errno
import os
import sys
import threading
from typing import TYPE_CHECKING, Any, Final

import trio

from p2pmods.cli.context import load
from p2pmods.cli.lease import BUSY, READY, is_leased
from p2pmods.cli.livestatus import show_live
from p2pmods.cli.main import leaves
from p2pmods.cli.meshtext import SHARED
from p2pmods.cli.output import plural, say, size, table
from p2pmods.cli.portholder import who_listens
from p2pmods.cli.stoppable import until_told_to_end
from p2pmods.config.settings import LOG_VARIABLE
from p2pmods.config.setup_record import read_setup_record
from p2pmods.errors import StoreInUse, UserError, printable
from p2pmods.httpd.listening import CannotListen
from p2pmods.logs import configure_logs, may_rewrite_lines
from p2pmods.mesh.kinds import Kind
from p2pmods.node import NODE_FILE, run_node

if TYPE_CHECKING:
    from collections.abc import Mapping

    from p2pmods.config import Config
    from p2pmods.node import Node

MAX_NAMED: Final = 4  # peers of the settings that are shown
WHO: Final = {True: "nothing: strangers may be among them", False: "its secret"}
LEASE_POLL: Final = 0.5  # seconds between two looks at who still uses a node whose starter has ended


def up(flags: Mapping[str, object], *, with_parent: bool) -> int:
    """Run a node; returns 0 after SIGTERM, Ctrl-C, or (`with_parent`) when the command that started it is done."""
    config = load(flags)
    configure_logs(verbose=os.environ.get(LOG_VARIABLE) == "debug")
    sys.setswitchinterval(SWITCH_INTERVAL)
    try:
        trio.run(_main, config, with_parent)
    except BaseExceptionGroup as group:
        raise _explained(config, group, with_parent=with_parent) from group
    return 0


class Busy(UserError):
    """The data directory is another node's; the command that started this one tries again."""

    exit_code = BUSY


def _explained(config: Config, group: BaseExceptionGroup, *, with_parent: bool) -> BaseException:
    """The one error in `group` that a person can act on, else `group`."""
    for error in leaves(group):
        if isinstance(error, CannotListen):
            return UserError(_taken(config, error))
        if isinstance(error, StoreInUse) and with_parent:
            return Busy(str(error))
    return group


SWITCH_INTERVAL: Final = 0.0005  # seconds: threads that hash zips must not keep the one that answers waiting for 5 ms


async def _main(config: Config, with_parent: bool) -> None:
    async with until_told_to_end(), trio.open_nursery() as nursery:
        node: Node = await nursery.start(run_node, config)
        if with_parent:
            nursery.start_soon(_stop_with_parent, config, nursery.cancel_scope)
        else:
            for line in introduction(node):
                say(line)
        say(f"{READY.decode()}{node.url}")
        sys.stdout.flush()
        if not with_parent and may_rewrite_lines():
            nursery.start_soon(show_live, node)


async def _stop_with_parent(config: Config, scope: trio.CancelScope) -> None:
    """Stop once standard input has ended and nobody else uses this node."""
    ended = trio.Event()
    token = trio.lowlevel.current_trio_token()

    def watch() -> None:
        with contextlib.suppress(OSError, ValueError):
            while os.read(0, 4096):
                pass
        with contextlib.suppress(trio.RunFinishedError):
            token.run_sync_soon(ended.set)

    threading.Thread(target=watch, name="parent", daemon=True).start()
    await ended.wait()
    await _wait_unused(config)
    scope.cancel()


async def _wait_unused(config: Config) -> None:
    """Until no lease is left. First node.json goes, then the leases are looked at once more: whoever comes now either
    finds no node and starts its own, or is seen here and the node stays."""
    node_file = config.data / NODE_FILE
    aside = node_file.with_suffix(".leaving")
    while True:
        while await trio.to_thread.run_sync(is_leased, config.data):  # noqa: ASYNC110 - no event tells it
            await trio.sleep(LEASE_POLL)
        with contextlib.suppress(OSError):
            node_file.replace(aside)
        if not await trio.to_thread.run_sync(is_leased, config.data):
            with contextlib.suppress(OSError):
                aside.unlink()
            return
        aside.replace(node_file)


def introduction(node: Node) -> list[str]:
    """What was found, what is shared, and what to type next."""
    config, status = node.config, node.duties.status()
    held = status["held"]
    cache = str(config.module_cache) if config.module_cache else "off"
    if config.module_cache and not config.module_cache.is_dir():
        cache += " (nothing there yet)"
    sumdb = config.sumdb.name if config.sumdb else "off: nothing can be proven"
    rows = [
        ("store", f"{config.data}: {plural(held['modules'], 'module')}, {size(held['bytes'])}{_limit(held)}"),
        ("module cache", cache),
        ("upstream", _upstream(config)),
        ("checksums", sumdb),
        *_mesh(node, status),
        ("private", printable(str(config.private)) or "no patterns"),
        ("try", "p2pmods run -- go build ./..."),
        ("always", _always(config)),
    ]
    return table(rows)


def _mesh(node: Node, status: dict[str, Any]) -> list[tuple[str, str]]:
    config, mesh = node.config, status["mesh"]
    if mesh["state"] == "off":
        return [("mesh", f"off ({mesh['problem']}): this node serves this machine alone")]
    found = "by mDNS on this network" if mesh["mdns"] else "not by mDNS, which is off"
    named = f"; tried first: {', '.join(map(str, config.peers[:MAX_NAMED]))}" if config.peers else ""
    return [
        ("swarm", f"{config.swarm.name}, whose members need {WHO[config.swarm.secret is None]}"),
        ("found at", f"{status['peer']} (TCP and UDP), and {found}{named}"),
        ("shares", SHARED[0]),
        ("", SHARED[1]),
        *_seed(node, mesh),
        ("peers", "p2pmods peers    (who is there; p2pmods pause: give nothing for now)"),
    ]


def _seed(node: Node, mesh: dict[str, Any]) -> list[tuple[str, str]]:
    if mesh["seed"] is None or node.mesh is None:
        return []
    better = "" if Kind.WIRED in node.mesh.presence.kinds else "; it would be better on a cable"
    return [("seed", f"keeps copies of what others fetch{better}")]


def _limit(held: dict[str, Any]) -> str:
    return "" if held["limit"] is None else f" of the {size(held['limit'])} that it may"


def _always(config: Config) -> str:
    if read_setup_record(config.data) is not None:
        return "set up, go asks this node first    (p2pmods setup --undo takes it away)"
    return "p2pmods setup    (puts this node in front of go's GOPROXY; --undo takes it away)"


def _upstream(config: Config) -> str:
    text = f"{printable(config.texts['upstream'])} ({config.origins['upstream']})"
    return f"{text}, not asked: offline is set" if config.offline else text


def _taken(config: Config, error: CannotListen) -> str:
    """The port is taken: by whom, if that can be seen, and what to do."""
    if error.errno != errno.EADDRINUSE:
        return str(error)
    holder = who_listens(config.listen.host, config.listen.port)
    return f"{error.address} is taken by {holder}; stop it, or choose another port with --listen 127.0.0.1:0"
