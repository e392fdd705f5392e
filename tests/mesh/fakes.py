"""What handlers of requests are tested with in place of a link."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import trio


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
