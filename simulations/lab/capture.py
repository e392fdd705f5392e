"""Everything that passes the interfaces of this namespace, loopback left out, appended to a file until it is stopped.

`python -m simulations.lab.capture FILE` prints `ready` when nothing is missed any more. Each frame is
preceded by its length.
"""

from __future__ import annotations

import signal
import socket
import struct
import sys
from pathlib import Path
from typing import Final

_ALL: Final = 3  # ETH_P_ALL
_LARGEST: Final = 256 << 10  # the kernel hands over what it has put together
_ROOM: Final = 64 << 20


def capture(file: Path) -> None:
    """Until SIGTERM. Raises OSError without the right to do that."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with (
        file.open("ab", buffering=0) as out,
        socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_ALL)) as sock,
    ):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _ROOM)
        print("ready", flush=True)
        while True:
            data, sender = sock.recvfrom(_LARGEST)
            if sender[0] != "lo":
                out.write(struct.pack(">I", len(data)) + data)


if __name__ == "__main__":
    capture(Path(sys.argv[1]))
