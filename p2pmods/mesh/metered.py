"""Whether the network connection is paid by the byte, as NetworkManager says it on Linux.

It is asked over D-Bus by systemd's `busctl`, for it prints one number, in every language. Where either is missing,
and on other systems, nobody tells: the user may.
"""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Final

import structlog
import trio

if TYPE_CHECKING:
    from collections.abc import Sequence

NETWORK_MANAGER: Final = Path("/run/NetworkManager")  # there while it runs: no process is started in vain
COMMAND: Final = (
    "busctl",
    "--system",
    "--auto-start=no",
    "get-property",
    "org.freedesktop.NetworkManager",
    "/org/freedesktop/NetworkManager",
    "org.freedesktop.NetworkManager",
    "Metered",
)
DEADLINE: Final = 3.0  # seconds for the answer
MAX_ANSWER: Final = 64  # bytes
_ANSWER: Final = re.compile(rb"u ([0-4])\s{0,2}")
# NMMetered: 1 yes, 2 no, 3 yes by a guess (a telephone's hotspot), 4 no by a guess; 0 is not known.
_METERED: Final = {b"1": True, b"2": False, b"3": True, b"4": False}

log = structlog.get_logger()


async def is_metered(command: Sequence[str] = COMMAND, running: Path = NETWORK_MANAGER) -> bool | None:
    """Of the connection that leads outside; None when nobody tells."""
    if not running.is_dir():
        return None
    try:
        with trio.fail_after(DEADLINE):
            answer = await _first_bytes(command)
    except (OSError, trio.TooSlowError) as error:
        log.debug("nobody tells whether the connection is metered", reason=str(error) or "no answer in time")
        return None
    found = _ANSWER.fullmatch(answer)
    return None if found is None else _METERED.get(found[1])


async def _first_bytes(command: Sequence[str]) -> bytes:
    """What the command prints, up to MAX_ANSWER bytes and one more. It does not outlive this. Raises OSError."""
    process = await trio.lowlevel.open_process(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    assert process.stdout is not None
    answer = b""
    try:
        async with process.stdout:
            while len(answer) <= MAX_ANSWER and (data := await process.stdout.receive_some(MAX_ANSWER + 1)):
                answer += data
    finally:
        if process.poll() is None:
            process.kill()
        with trio.CancelScope(shield=True):
            await process.wait()
    return answer
