"""One line that stays current, on a terminal, while `up` runs."""

from __future__ import annotations

import shutil
import sys
from typing import TYPE_CHECKING, Any, Final

import trio

from p2pmods.cli.meshtext import living, seed_text
from p2pmods.cli.output import plural, size
from p2pmods.logs import CLEAR_LINE, UnfailingStream

if TYPE_CHECKING:
    from p2pmods.node import Node

EVERY: Final = 1.0  # seconds


async def show_live(node: Node) -> None:
    """Rewrite the last line of stderr until cancelled, then clear it."""
    last = ""
    stderr = UnfailingStream(sys.stderr)
    try:
        while True:
            line = status_line(node.duties.status())[: shutil.get_terminal_size().columns - 1]
            if line != last:
                stderr.write(f"{CLEAR_LINE}{line}")
                stderr.flush()
                last = line
            await trio.sleep(EVERY)
    finally:
        stderr.write(CLEAR_LINE)
        stderr.flush()


def status_line(status: dict[str, Any]) -> str:
    """Held, served, upstream, alarms: in one line."""
    held, traffic = status["held"], status["traffic"]
    served = sum(kind["bytes"] for kind in traffic.values())
    outside = sum(traffic.get(kind, {}).get("bytes", 0) for kind in ("upstream", "vcs"))
    parts = [
        f"{plural(held['modules'], 'module')} held, {size(held['bytes'])}",
        f"served {size(served)}, {size(outside)} of it from outside",
        f"upstream {status['upstream']['state']}",
    ]
    if status["mesh"]["state"] != "off":
        parts.append(plural(len(living(status["peers"])), "peer"))
    if seed := status["mesh"].get("seed"):
        parts.append(f"seed: {seed_text(seed)}")
    if status["mesh"]["state"] == "paused":
        parts.append("giving is paused")
    if held["unproven"]:
        parts.append(f"{held['unproven']:,} not proven yet")
    if status["alarms"]:
        parts.append(f"{plural(len(status['alarms']), 'ALARM')}: p2pmods status")
    return " · ".join(parts)
