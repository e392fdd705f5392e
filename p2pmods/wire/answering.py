"""One link's requests of the other side: their answers on the way out, and what the other side may do to them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from p2pmods.errors import WireError
from p2pmods.wire.asking import MAX_REQUESTS
from p2pmods.wire.events import Code, RequestArrived, RequestCancelled
from p2pmods.wire.frames import CODE, CREDIT, LENGTH, UNKNOWN_LENGTH, Frame, Kind, encode_text
from p2pmods.wire.outbox import ROOM

if TYPE_CHECKING:
    from p2pmods.wire.outbox import Outbox

MAX_CREDIT: Final = 16 << 20  # bytes outstanding for one request
STALL_TIME: Final = 60.0  # seconds that a body may wait for credit
CANCELS_AT_ONCE: Final = 512  # of requests not yet answered, which cost us a start and an end each
CANCELS_PER_SECOND: Final = 64.0


@dataclass(slots=True)
class Answering:
    """A request that is being answered, until its last frame has been handed out."""

    credit: int  # until the body is open, then the outbox keeps it
    length: int | None = None
    sent: int = 0  # bytes of body handed over
    is_ended: bool = False  # this side is done with it, but for what waits to be sent


class Answers:
    """Every method of this side does nothing for a request that is over: the other side may end it at any time."""

    def __init__(self, outbox: Outbox, *, first_id: int, now: float) -> None:
        self.live: dict[int, Answering] = {}
        self.last_id = first_id - 2  # the highest that arrived
        self.is_barred = False  # the other side said that it asks nothing more
        self._is_closed = False  # nothing new is taken
        self._outbox = outbox
        self._cancels = float(CANCELS_AT_ONCE)
        self._cancels_at = now

    # What the other side does.

    def receive(self, frame: Frame, now: float) -> RequestArrived | RequestCancelled | None:
        """REQUEST, CREDIT and RESET for ids of the other side. Raises WireError."""
        if frame.kind is Kind.REQUEST:
            return self._request(frame)
        if frame.id > self.last_id:
            raise WireError(f"{frame.kind.name} for request {frame.id}, which was not made")
        answering = self.live.get(frame.id)
        if frame.kind is Kind.CREDIT:
            if answering is not None:
                self._credit(frame, answering)
            return None
        if answering is None or self._is_decided(frame.id, answering):
            return None  # our last frame for it is on its way
        self._count_cancel(now)
        was_ended = answering.is_ended
        self._reset(frame.id, answering, Code.CANCELLED, "")
        return None if was_ended else RequestCancelled(frame.id)

    def _is_decided(self, request: int, answering: Answering) -> bool:
        """Its last frame waits to be sent and depends on nothing but the socket."""
        return answering.is_ended and self._outbox.body(request) is None

    def _request(self, frame: Frame) -> RequestArrived | None:
        if frame.id != self.last_id + 2:
            raise WireError(f"request {frame.id}, where {self.last_id + 2} comes next")
        if self.is_barred:
            raise WireError("a request after GOAWAY")
        self.last_id = frame.id
        if self._is_closed:
            return None  # it was told, and asks elsewhere
        if len(self.live) >= MAX_REQUESTS:
            raise WireError(f"more than {MAX_REQUESTS} requests at once")
        (credit,) = CREDIT.unpack_from(frame.payload)
        if credit > MAX_CREDIT:
            raise WireError(f"credit of {credit} bytes, more than {MAX_CREDIT}")
        self.live[frame.id] = Answering(credit)
        return RequestArrived(frame.id, frame.payload[CREDIT.size :])

    def _credit(self, frame: Frame, answering: Answering) -> None:
        (amount,) = CREDIT.unpack(frame.payload)
        body = self._outbox.body(frame.id)
        before = answering.credit if body is None else body.credit
        if amount == 0 or before + amount > MAX_CREDIT:
            raise WireError(f"{amount} bytes of credit on top of {before}")
        if body is None:
            answering.credit += amount
        else:
            self._outbox.credit(frame.id, amount)

    def _count_cancel(self, now: float) -> None:
        self._cancels = min(CANCELS_AT_ONCE, self._cancels + (now - self._cancels_at) * CANCELS_PER_SECOND)
        self._cancels_at = now
        self._cancels -= 1
        if self._cancels < 0:
            raise WireError("it makes requests only to cancel them")

    # What this side does.

    def wants(self, request: int) -> Answering | None:
        """The request, while this side still has something to do for it."""
        answering = self.live.get(request)
        return None if answering is None or answering.is_ended else answering

    def answer(self, request: int, message: bytes) -> None:
        """The whole answer."""
        if (answering := self.wants(request)) is not None:
            self._outbox.control(Kind.ANSWER, request, message, is_last=True)
            answering.is_ended = True

    def stream(self, request: int, message: bytes, length: int | None) -> None:
        """The head of an answer whose body follows, of `length` bytes if that is known."""
        if (answering := self.wants(request)) is not None:
            head = LENGTH.pack(UNKNOWN_LENGTH if length is None else length)
            self._outbox.control(Kind.STREAM, request, head + message)
            answering.length = length
            self._outbox.open(request, answering.credit)

    def send(self, request: int, data: bytes | memoryview) -> None:
        """More of the body; see `room`. Raises ValueError when it is more than was announced."""
        answering = self.wants(request)
        if answering is None or not data:
            return
        if answering.length is not None and answering.sent + len(data) > answering.length:
            raise ValueError(f"more than the {answering.length} bytes announced")
        answering.sent += len(data)
        self._outbox.append(request, data)

    def end(self, request: int) -> None:
        """The body is complete. Raises ValueError when it is less than was announced."""
        answering = self.wants(request)
        if answering is None:
            return
        if answering.length not in (None, answering.sent):
            raise ValueError(f"{answering.sent} of the {answering.length} bytes announced")
        answering.is_ended = True
        self._outbox.end(request)

    def refuse(self, request: int, code: int, text: str) -> None:
        """There will be no (more) answer. What waits to be sent of a body is dropped."""
        if (answering := self.wants(request)) is not None:
            self._reset(request, answering, code, text)

    def room(self, request: int) -> int:
        """Bytes that may be sent on now; a request that is over has all the room there is."""
        body = self._outbox.body(request)
        return ROOM if body is None else max(0, ROOM - body.queued)

    def forget(self, requests: list[int]) -> None:
        """Their last frames have been handed out."""
        for request in requests:
            self.live.pop(request, None)

    # Time, and the end.

    def expire(self, now: float) -> list[RequestCancelled]:
        """The bodies that nobody takes."""
        stuck: list[RequestCancelled] = []
        for request, answering in self.live.items():
            body = self._outbox.body(request)
            if body is None or not body.is_stuck:
                continue
            if body.stuck_since is None:
                body.stuck_since = now
            elif now - body.stuck_since >= STALL_TIME:
                if not answering.is_ended:
                    stuck.append(RequestCancelled(request))
                self._reset(request, answering, Code.TOO_SLOW, "the body was not taken")
        return stuck

    def close(self) -> None:
        """Take nothing new."""
        self._is_closed = True

    def lose(self) -> list[RequestCancelled]:
        """The link is gone, and all that is under way with it."""
        self._is_closed = True
        lost = [RequestCancelled(request) for request in self.live if self.wants(request)]
        for request in self.live:
            self._outbox.drop(request)
        self.live.clear()
        return lost

    def _reset(self, request: int, answering: Answering, code: int, text: str) -> None:
        self._outbox.drop(request)
        self._outbox.control(Kind.RESET, request, CODE.pack(code) + encode_text(text), is_last=True)
        answering.is_ended = True
