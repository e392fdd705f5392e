"""A link as a machine: many requests both ways over one stream of bytes.

It is given what arrives, and the time, and returns events; it is asked what to send. The side that dialled makes
requests with odd ids, the other with even ones. Whoever answers a request sends exactly one last frame for it,
ANSWER, END or RESET, also when it was cancelled: so both sides always know which ids are under way, and every other
id is a violation. Violations end the link with a reason; nothing that the other side sends raises an error here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from p2pmods.errors import WireError
from p2pmods.wire.answering import Answers
from p2pmods.wire.asking import Asking
from p2pmods.wire.events import Broken, Code, Event, GoingAway, NoticeArrived, Opened
from p2pmods.wire.frames import LAST, Frame, FrameDecoder, Kind, decode_text, encode_text
from p2pmods.wire.keepalive import KeepAlive
from p2pmods.wire.outbox import Outbox

if TYPE_CHECKING:
    from collections.abc import Callable

    from p2pmods.wire.budget import Budget

MAX_WAITING: Final = 256 << 10  # bytes of control frames beyond which notices are dropped

_OF_ASKER: Final = frozenset({Kind.REQUEST, Kind.CREDIT})
_OF_ANSWERER: Final = frozenset({Kind.ANSWER, Kind.STREAM, Kind.DATA, Kind.END})


class Mux:
    """One side of a link. Times are monotonic seconds.

    `told` is called when there is output without this machine having been called: room in the budget came free.
    """

    def __init__(
        self, *, is_dialler: bool, budget: Budget, now: float, told: Callable[[], None] = lambda: None
    ) -> None:
        self.is_going = False  # one of the sides gives the link up
        self.last_used = now  # when a request was last made or answered
        self._parity = 1 if is_dialler else 0
        self._decoder = FrameDecoder()
        self._outbox = Outbox()
        self._asking = Asking(self._outbox, budget, first_id=1 if is_dialler else 2, told=told)
        self._answers = Answers(self._outbox, first_id=2 if is_dialler else 1, now=now)
        self._keep_alive = KeepAlive(now)
        self._is_over = False

    @property
    def is_open(self) -> bool:
        """The other side's preface has arrived."""
        return self._decoder.is_open

    @property
    def is_free(self) -> bool:
        """`request` may be called."""
        return self._asking.is_free

    @property
    def is_quiet(self) -> bool:
        """No request is under way, either way."""
        return not self._asking.live and not self._answers.live

    @property
    def has_output(self) -> bool:
        return self._outbox.has_output

    @property
    def round_trip(self) -> float | None:
        """Seconds, when last measured."""
        return self._keep_alive.round_trip

    # Requests of this side.

    def request(self, message: bytes, *, now: float, deadline: float, floor: int = 0) -> int:
        """The id of a request for which AnswerArrived or RequestFailed will come, by `deadline` with all its body.

        A body slower than `floor` bytes a second over 15 s fails too. Only while `is_free`.
        """
        self.last_used = now
        return self._asking.request(message, deadline=deadline, floor=floor)

    def cancel(self, request: int, *, now: float) -> None:
        """No event for this request any more, and nothing of its body is held. Nothing happens if it is over."""
        self._asking.cancel(request, now)

    def consumed(self, request: int, amount: int) -> None:
        """So many bytes of its DataArrived are used up: the other side may send as many more."""
        self._asking.consumed(request, amount)

    def notify(self, message: bytes) -> None:
        """A message without an answer. Dropped while the other side does not read what was sent before."""
        if self._outbox.control_size < MAX_WAITING:
            self._outbox.control(Kind.NOTICE, 0, message)

    # Requests of the other side. For one that is over these do nothing.

    def answer(self, request: int, message: bytes, *, now: float) -> None:
        """The whole answer."""
        self.last_used = now
        self._answers.answer(request, message)

    def answer_stream(self, request: int, message: bytes, length: int | None, *, now: float) -> None:
        """The head of an answer; a body of `length` bytes follows by `send` and `end`."""
        self.last_used = now
        self._answers.stream(request, message, length)

    def send(self, request: int, data: bytes | memoryview) -> None:
        """More of a body, which must not change any more. Raises ValueError when it is more than was announced."""
        self._answers.send(request, data)

    def end(self, request: int) -> None:
        """The body is complete. Raises ValueError when it is less than was announced."""
        self._answers.end(request)

    def refuse(self, request: int, code: int, text: str) -> None:
        """There will be no (more) answer; `text` (200 bytes of it) says why."""
        self._answers.refuse(request, code, text)

    def room(self, request: int) -> int:
        """Bytes of body that may be handed over before some were sent."""
        return self._answers.room(request)

    def is_wanted(self, request: int) -> bool:
        """A request of the other side is still under way."""
        return self._answers.wants(request) is not None

    # The link.

    def go_away(self, reason: str) -> None:
        """Neither side asks anything new; what is under way is finished. Then `is_quiet`."""
        if not self.is_going:
            self.is_going = True
            self._say_go_away(reason)
            self._asking.is_over = True
            self._answers.close()

    def lost(self, reason: str) -> list[Event]:
        """The stream of bytes has ended: what becomes of the requests under way. Nothing happens afterwards."""
        if self._is_over:
            return []
        self._is_over = True
        code = Code.LOST if self.is_open else Code.MOVED  # nobody looked at what was sent before
        return [*self._asking.lose(code, reason), *self._answers.lose()]

    def receive_data(self, data: bytes, *, now: float) -> list[Event]:
        """What follows from the bytes. After Broken, which is the last event, nothing does."""
        events: list[Event] = []
        if self._is_over:
            return events
        was_open = self.is_open
        self._keep_alive.heard(now)
        try:
            for frame in self._decoder.receive(data):
                self._receive(frame, now, events)
        except WireError as error:
            self._opened(events, was_open=was_open)
            return events + self._break(error.reason)
        self._opened(events, was_open=was_open)
        return events

    def data_to_send(self, limit: int) -> bytes:
        """About `limit` bytes at most (a frame more, if it must be), control frames first; empty when there are none.

        What is handed out cannot be overtaken any more: the smaller the limit, the sooner a control frame goes.
        """
        data = self._outbox.take(limit)
        if finished := self._outbox.finished:
            self._outbox.finished = []
            self._answers.forget(finished)
            if 0 in finished:
                self._keep_alive.answering()
        return data

    def next_timer(self) -> float:
        """When `handle_timer` is due, not later."""
        return min(self._keep_alive.timer(is_eager=bool(self._asking.live)), self._asking.timer)

    def handle_timer(self, now: float) -> list[Event]:
        """Pings, and what has taken too long."""
        events: list[Event] = []
        if self._is_over:
            return events
        try:
            if self._asking.timer <= now:
                events += self._asking.expire(now)
            events += self._answers.expire(now)
            if (token := self._keep_alive.due(now, is_eager=bool(self._asking.live))) is not None:
                self._outbox.control(Kind.PING, 0, token)
        except WireError as error:
            return events + self._break(error.reason)
        return events

    def _opened(self, events: list[Event], *, was_open: bool) -> None:
        if self.is_open and not was_open:
            events.insert(0, Opened())

    def _receive(self, frame: Frame, now: float, events: list[Event]) -> None:
        kind = frame.kind
        event: Event | None
        if frame.id == 0:
            event = self._of_the_link(frame, now)
        elif kind in _OF_ASKER or (kind is Kind.RESET and frame.id & 1 != self._parity):
            self._check_side(frame, is_ours=False)
            event = self._answers.receive(frame, now)
            self.last_used = now
        else:
            self._check_side(frame, is_ours=True)
            event = self._asking.receive(frame, now)
            self.last_used = now
        if event is not None:
            events.append(event)
            if isinstance(event, GoingAway):
                (last,) = LAST.unpack_from(frame.payload)
                events += self._asking.gone_away(last)

    def _check_side(self, frame: Frame, *, is_ours: bool) -> None:
        if (frame.id & 1 == self._parity) is not is_ours:
            raise WireError(f"{frame.kind.name} for request {frame.id}, from the wrong side")

    def _of_the_link(self, frame: Frame, now: float) -> Event | None:
        if frame.kind is Kind.NOTICE:
            return NoticeArrived(frame.payload)
        if frame.kind is Kind.PING:
            self._keep_alive.asked()
            self._outbox.control(Kind.PONG, 0, frame.payload, is_last=True)
            return None
        if frame.kind is Kind.PONG:
            self._keep_alive.answered(frame.payload, now)
            return None
        self.is_going = self._answers.is_barred = True
        return GoingAway(decode_text(frame.payload[LAST.size :]))

    def _say_go_away(self, reason: str) -> None:
        self._outbox.control(Kind.GOAWAY, 0, LAST.pack(max(0, self._answers.last_id)) + encode_text(reason))

    def _break(self, reason: str) -> list[Event]:
        if not self.is_going:
            self._say_go_away(reason)
        return [*self.lost(reason), Broken(reason)]
