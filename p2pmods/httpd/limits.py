"""The bounds and deadlines of a server. Times are in seconds."""

from __future__ import annotations

from dataclasses import dataclass

# What one read may bring. It also bounds how many pipelined requests are held parsed at once (about 300).
RECEIVE = 8 << 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Every default is for a node's loopback address; tests pass smaller ones."""

    head_bytes: int = 32 << 10  # request line and headers; one more read may be held before the refusal
    target_bytes: int = 8 << 10  # a module path and version are far below; longer is 414
    headers: int = 100
    connections: int = 512
    head_timeout: float = 15.0  # from the first byte of a request to the end of its headers
    body_timeout: float = 60.0  # from the end of the headers to the end of the body
    idle_timeout: float = 120.0  # between two requests; go keeps two idle connections a host
    stall_timeout: float = 60.0  # a client that takes no byte of an answer for so long is gone
    linger_timeout: float = 2.0  # how long a refused client may go on sending before the connection is cut
    grace: float = 2.0  # for answers under way when the server is told to stop
    accept_pause: float = 0.1  # when the process is out of file descriptors

    @property
    def tick(self) -> float:
        """How often the deadlines of all connections are looked at."""
        shortest = min(
            self.head_timeout, self.body_timeout, self.idle_timeout, self.stall_timeout, self.linger_timeout
        )
        return min(1.0, shortest / 4)
