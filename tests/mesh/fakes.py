"""What handlers of requests are tested with in place of a link."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import trio

from p2pmods.upstream.sink import BytesSink


@dataclass
class FakeCall:
    """A request of `peer`, seen at `host`; `answer` is what was answered, or the code of the refusal."""

    peer: str
    message: object
    host: str
    answer: Any = None

    async def reply(self, message: object) -> None:
        await trio.lowlevel.checkpoint()
        self.answer = message

    async def refuse(self, code: int, text: str) -> None:
        await trio.lowlevel.checkpoint()
        self.answer = code


class InMemory(BytesSink):
    """What a zip is received into that has not been begun on disk."""

    def open(self) -> None:
        return None

    def read_memory(self, offset: int, length: int) -> bytes:
        return self.getvalue()[offset : offset + length]

    read = read_memory
