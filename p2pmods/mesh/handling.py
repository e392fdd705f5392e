"""The border between a handler and its link: whatever a handler does, the link goes on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog

from p2pmods.errors import P2pmodsError
from p2pmods.wire.events import Code

if TYPE_CHECKING:
    from p2pmods.mesh.call import Call, Handler

log = structlog.get_logger()


async def handle(call: Call, handler: Handler) -> None:
    """Let `handler` answer, or say that it did not. Raises nothing but a cancellation from outside the call."""
    with call.scope:
        try:
            await handler(call)
        except Exception as error:  # the border
            _report(call, error)
        except BaseExceptionGroup as group:  # a cancellation among them must go on
            failures, rest = group.split(Exception)
            if failures:
                _report(call, failures)
            if rest:
                raise rest from None
        if not call.is_answered:
            await call.refuse(Code.FAILED, "no answer")


def _report(call: Call, error: BaseException) -> None:
    name = type(call.message).__name__
    if isinstance(error, P2pmodsError):
        log.info("a peer's request failed", request=name, peer=call.peer, reason=str(error))
    else:
        log.error("a handler failed by a fault of p2pmods", request=name, peer=call.peer, exc_info=error)
