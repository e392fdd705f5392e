"""What is remembered of nodes for a while: until when it counts, in tables that do not grow without bound."""

from __future__ import annotations


def remember(times: dict[str, float], node: str, until: float, *, most: int) -> None:
    """The latest last; the oldest goes when there would be more than `most`."""
    times.pop(node, None)
    if len(times) >= most:
        del times[next(iter(times))]
    times[node] = until
