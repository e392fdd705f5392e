"""From a name to a connection: one question to the resolver for many, and the address that answers first."""

from __future__ import annotations

import math
import socket
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Final, TypeVar

import trio

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

T = TypeVar("T")

_REMEMBERED: Final = 30.0  # seconds that a name's addresses are used again
_HEAD_START: Final = 0.25  # seconds that an address has before the next one is tried beside it (RFC 8305)
_MAX_ADDRESSES: Final = 16


@dataclass(slots=True)
class _Name:
    asking: trio.Lock = field(default_factory=trio.Lock)
    addresses: tuple[str, ...] = ()
    until: float = -math.inf


class Names:
    """Resolves names. Twenty connections opened at once are one question: a burst of them is what resolvers drop."""

    def __init__(self) -> None:
        self._names: dict[str, _Name] = {}

    async def resolve(self, host: str) -> tuple[str, ...]:
        """The numeric addresses of `host`, never none, in the system's order. Raises OSError."""
        name = self._names.setdefault(host, _Name())
        async with name.asking:
            if trio.current_time() >= name.until:
                found = await trio.socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
                name.addresses = interleaved([str(entry[4][0]) for entry in found])[:_MAX_ADDRESSES]
                name.until = trio.current_time() + _REMEMBERED
        return name.addresses


def interleaved(addresses: list[str]) -> tuple[str, ...]:
    """Each once, the families in turn, so that one that leads nowhere costs one head start."""
    unique = list(dict.fromkeys(addresses))
    six = [address for address in unique if ":" in address]
    four = [address for address in unique if ":" not in address]
    first, second = (six, four) if unique[:1] == six[:1] else (four, six)
    mixed: list[str] = []
    for index in range(max(len(first), len(second))):
        mixed += first[index : index + 1] + second[index : index + 1]
    return tuple(mixed)


async def dial(addresses: tuple[str, ...], port: int) -> trio.SocketStream:
    """Connect to the address that answers first. Raises the last OSError when none does."""
    attempts = [partial(trio.open_tcp_stream, address, port) for address in addresses]
    return await race(attempts, failure=OSError, close=lambda stream: stream.socket.close())


async def race(
    attempts: Sequence[Callable[[], Awaitable[T]]], *, failure: type[Exception], close: Callable[[T], None]
) -> T:
    """The result of the attempt that succeeds first, each begun a little after the one before it.

    `close` gets what another one has made meanwhile. Raises the last `failure` when every attempt ends with one.
    """
    failures: list[Exception] = []
    made: list[T] = []
    failed = [trio.Event() for _ in attempts]

    async def attempt(make: Callable[[], Awaitable[T]], done: trio.Event, scope: trio.CancelScope) -> None:
        try:
            made.append(await make())
        except failure as error:
            failures.append(error)
            done.set()
        else:
            scope.cancel()

    try:
        async with trio.open_nursery() as nursery:
            for make, done in zip(attempts, failed, strict=True):
                nursery.start_soon(attempt, make, done, nursery.cancel_scope)
                with trio.move_on_after(_HEAD_START):
                    await done.wait()
    except BaseException:
        for one in made:
            close(one)
        raise
    if not made:
        raise failures[-1]
    for one in made[1:]:
        close(one)
    return made[0]
