"""What goes over one link: the answers this node waits for, and the calls it works on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from p2pmods.errors import MalformedData
from p2pmods.mesh.answer import Answer
from p2pmods.mesh.call import Call
from p2pmods.mesh.handling import handle
from p2pmods.wire.codec import decode
from p2pmods.wire.events import (
    AnswerArrived,
    BodyEnded,
    Code,
    DataArrived,
    Event,
    NoticeArrived,
    RequestArrived,
    RequestCancelled,
    RequestFailed,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    import trio

    from p2pmods.mesh.call import Handler
    from p2pmods.wire.mux import Mux


class Carrier(Protocol):
    """The link, as its traffic sees it."""

    @property
    def peer(self) -> str: ...
    @property
    def host(self) -> str: ...
    @property
    def here(self) -> str: ...
    @property
    def mux(self) -> Mux: ...
    def flush(self) -> None: ...
    def consumed(self, request: int, amount: int) -> None: ...
    def cancel(self, request: int) -> None: ...
    async def wait_room(self, request: int) -> None: ...


class Traffic:
    """Takes a machine's events to those they are for. At most `handlers` calls are worked on at once."""

    def __init__(self, link: Carrier, handler_for: Callable[[type], Handler | None], handlers: int) -> None:
        self.asked = self.answered = 0
        self._link = link
        self._handler_for = handler_for
        self._handlers = handlers
        self._answers: dict[int, Answer] = {}
        self._calls: dict[Call, int | None] = {}  # with the ids of their requests

    def expect(self, request: int) -> Answer:
        """An answer to a request of this node will come."""
        self.asked += 1
        answer = self._answers[request] = Answer(self._link, request)
        return answer

    def forget(self, request: int) -> None:
        """Nobody waits for the answer any more."""
        self._answers.pop(request, None)

    def tidy(self, request: int) -> None:
        """Some of the answer's body was used."""
        if request in self._answers and self._answers[request].is_used_up:
            del self._answers[request]

    def take(self, event: Event, nursery: trio.Nursery | None) -> None:
        """Calls are worked on in `nursery`; None when the link is over, and nothing begins any more."""
        if isinstance(event, DataArrived):
            if (answer := self._answers.get(event.id)) is not None:
                answer.arrived(event.data)
        elif isinstance(event, AnswerArrived | BodyEnded | RequestFailed):
            self._tell_answer(event)
        elif isinstance(event, RequestArrived) and nursery is not None:
            self._start_call(event.id, event.message, nursery)
        elif isinstance(event, NoticeArrived) and nursery is not None:
            self._start_call(None, event.message, nursery)
        elif isinstance(event, RequestCancelled):
            self._cancel_call(event.id)

    def _tell_answer(self, event: AnswerArrived | BodyEnded | RequestFailed) -> None:
        answer = self._answers.get(event.id)
        if answer is None:
            return
        if isinstance(event, AnswerArrived):
            answer.begun(event)
        elif isinstance(event, RequestFailed):
            answer.failed(event)
        else:
            answer.completed()
        # One whose body is complete but not used may still fail to be used in time.
        if answer.is_used_up or isinstance(event, RequestFailed):
            del self._answers[event.id]

    def _start_call(self, request: int | None, data: bytes, nursery: trio.Nursery) -> None:
        try:
            message = decode(data)
        except MalformedData as error:
            self._turn_down(request, Code.UNKNOWN, str(error))
            return
        handler = self._handler_for(type(message))
        if handler is None:
            self._turn_down(request, Code.UNKNOWN, f"{type(message).__name__} is not handled here")
        elif len(self._calls) >= self._handlers:
            self._turn_down(request, Code.BUSY, "too much under way")
        else:
            self.answered += 1
            call = Call(self._link, request, message)
            self._calls[call] = request
            nursery.start_soon(self._handle, call, handler)

    def _turn_down(self, request: int | None, code: Code, text: str) -> None:
        if request is not None:
            self._link.mux.refuse(request, code, text)

    async def _handle(self, call: Call, handler: Handler) -> None:
        try:
            await handle(call, handler)
        finally:
            del self._calls[call]

    def _cancel_call(self, request: int) -> None:
        for call, number in self._calls.items():
            if number == request:
                call.scope.cancel()
