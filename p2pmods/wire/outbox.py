"""What waits to be sent: control frames first, then bodies in turn, a slice each."""

from __future__ import annotations

from collections import OrderedDict, deque
from dataclasses import dataclass, field
from typing import Final

from p2pmods.wire.frames import HEAD, MAX_SLICE, PREFACE, Kind, encode_frame, encode_head

ROOM: Final = 128 << 10  # bytes of a body that may wait here


@dataclass(slots=True)
class Body:
    """A body on its way out. `credit` is what the other side will still take."""

    credit: int
    queue: deque[memoryview] = field(default_factory=deque)
    queued: int = 0
    ended: bool = False
    stuck_since: float | None = None  # when it was first seen to wait for credit, since the last credit

    @property
    def is_stuck(self) -> bool:
        return self.queued > 0 and self.credit == 0

    @property
    def can_send(self) -> bool:
        return self.credit > 0 if self.queued else self.ended


class Outbox:
    """Frames to send. Control frames keep their order; a body's frames keep theirs."""

    def __init__(self) -> None:
        self._control: deque[tuple[bytes, int | None]] = deque([(PREFACE, None)])
        self.control_size = len(PREFACE)  # bytes of control frames that wait
        self._bodies: dict[int, Body] = {}
        self._ready: OrderedDict[int, Body] = OrderedDict()  # those that can send, whose turn is next first
        self.finished: list[int] = []  # requests whose last frame was handed out since this was emptied; 0: a PONG

    @property
    def has_output(self) -> bool:
        return bool(self._control or self._ready)

    def control(self, kind: Kind, request: int, payload: bytes = b"", *, is_last: bool = False) -> None:
        """Queue a frame. Raises ValueError when it is too long."""
        frame = encode_frame(kind, request, payload)
        self.control_size += len(frame)
        self._control.append((frame, request if is_last else None))

    def open(self, request: int, credit: int) -> None:
        """A body follows for this request."""
        self._bodies[request] = Body(credit)

    def body(self, request: int) -> Body | None:
        return self._bodies.get(request)

    def append(self, request: int, data: bytes | memoryview) -> None:
        """More of an open body."""
        body = self._bodies[request]
        body.queue.append(memoryview(data))
        body.queued += len(data)
        self._refresh(request, body)

    def end(self, request: int) -> None:
        """The body is complete."""
        body = self._bodies[request]
        body.ended = True
        self._refresh(request, body)

    def credit(self, request: int, amount: int) -> None:
        """The other side will take `amount` bytes more of an open body."""
        body = self._bodies[request]
        body.credit += amount
        body.stuck_since = None
        self._refresh(request, body)

    def drop(self, request: int) -> None:
        """Send nothing more of this body, if there is one."""
        self._bodies.pop(request, None)
        self._ready.pop(request, None)

    def take(self, limit: int) -> bytes:
        """The next bytes to send: about `limit` of them, less than a frame over it, empty when there are none."""
        out: list[bytes | memoryview] = []
        size = 0
        while self._control and size < limit:
            frame, last_of = self._control.popleft()
            out.append(frame)
            size += len(frame)
            self.control_size -= len(frame)
            if last_of is not None:
                self.finished.append(last_of)
        while self._ready and size < limit:
            request, body = self._ready.popitem(last=False)
            size += self._take_slice(request, body, out)
            self._refresh(request, body)
        return b"".join(out)

    def _take_slice(self, request: int, body: Body, out: list[bytes | memoryview]) -> int:
        if not body.queued:
            del self._bodies[request]
            self.finished.append(request)
            out.append(encode_head(Kind.END, request, 0))
            return HEAD.size
        head = body.queue[0]
        length = min(len(head), body.credit, MAX_SLICE)
        out += (encode_head(Kind.DATA, request, length), head[:length])
        body.credit -= length
        body.queued -= length
        if length == len(head):
            body.queue.popleft()
        else:
            body.queue[0] = head[length:]
        return HEAD.size + length

    def _refresh(self, request: int, body: Body) -> None:
        if body.can_send and request in self._bodies:
            self._ready.setdefault(request, body)
