"""Several awaits at once that fail as one, with a plain error instead of a group of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import trio

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

K = TypeVar("K")
V = TypeVar("V")


async def together(calls: Mapping[K, Callable[[], Awaitable[V]]]) -> dict[K, V]:
    """The results of all `calls`, by their keys. The first error cancels the others and is raised."""
    results: dict[K, V] = {}
    errors: list[Exception] = []

    async def run(key: K, call: Callable[[], Awaitable[V]], scope: trio.CancelScope) -> None:
        try:
            results[key] = await call()
        except Exception as error:
            errors.append(error)
            scope.cancel()

    async with trio.open_nursery() as nursery:
        for key, call in calls.items():
            nursery.start_soon(run, key, call, nursery.cancel_scope)
    if errors:
        raise errors[0]
    return results
