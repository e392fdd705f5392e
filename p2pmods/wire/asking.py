"""One link's requests of this side: the answers that arrive, their credit, their deadlines."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from p2pmods.errors import WireError
from p2pmods.wire.events import AnswerArrived, BodyEnded, Code, DataArrived, RequestFailed
from p2pmods.wire.frames import CODE, CREDIT, LENGTH, UNKNOWN_LENGTH, Frame, Kind, decode_text, encode_text

if TYPE_CHECKING:
    from collections.abc import Callable

    from p2pmods.wire.budget import Budget
    from p2pmods.wire.outbox import Outbox

MAX_REQUESTS: Final = 128  # of one side under way at once; more is a violation
MAX_ID: Final = (1 << 32) - 1
FIRST_CREDIT: Final = 64 << 10  # bytes, sent with the request: most bodies need no more
WINDOW: Final = 512 << 10  # bytes, once a body is there: a round trip of 4 ms at 1 Gbit/s
FLOOR_TIME: Final = 15.0  # seconds over which the speed of a body is measured
CLOSING_TIME: Final = 30.0  # seconds within which a cancellation is acknowledged


@dataclass(slots=True)
class Asked:
    """A request under way. What of the budget is taken for it: credit given, bytes held, bytes to give credit for."""

    deadline: float
    floor: int  # bytes a second; 0 where a body may be as slow as it likes
    credit: int
    held: int = 0
    spent: int = 0
    has_body: bool = False
    is_closing: bool = False  # we do not want it any more; the other side's last frame is still to come
    length: int = UNKNOWN_LENGTH
    received: int = 0
    judged_at: float = math.inf  # when the speed since the last time is looked at
    judged_from: int = 0  # `received` of the last time
    was_without_credit: bool = False  # since the last time: then the speed is not the other side's doing

    @property
    def taken(self) -> int:
        return self.credit + self.held + self.spent

    @property
    def wants(self) -> int:
        """Bytes that would still be taken from the budget."""
        return min(WINDOW, self.length - self.received + self.held) - self.taken

    @property
    def timer(self) -> float:
        return self.deadline if self.is_closing else min(self.deadline, self.judged_at)


class Asking:
    """`told` is called when a frame was queued at a time when nobody called this machine."""

    def __init__(self, outbox: Outbox, budget: Budget, *, first_id: int, told: Callable[[], None]) -> None:
        self.live: dict[int, Asked] = {}
        self.is_over = False  # nothing may be asked here any more
        self.timer = math.inf  # nothing happens before
        self._outbox = outbox
        self._budget = budget
        self._next_id = first_id
        self._tails: dict[int, Asked] = {}  # of which all has arrived, and some is not consumed
        self._told = told

    @property
    def is_free(self) -> bool:
        """Another request may be made now."""
        return not self.is_over and len(self.live) < MAX_REQUESTS and self._next_id <= MAX_ID

    # What this side does.

    def request(self, message: bytes, *, deadline: float, floor: int) -> int:
        """Raises ValueError for a message that is too long."""
        credit = self._budget.take(FIRST_CREDIT)
        request = self._next_id
        try:
            self._outbox.control(Kind.REQUEST, request, CREDIT.pack(credit) + message)
        except ValueError:
            self._budget.give(credit)
            raise
        self._next_id += 2
        self.live[request] = Asked(deadline, floor, credit)
        self.timer = min(self.timer, deadline)
        return request

    def cancel(self, request: int, now: float) -> None:
        """It is not wanted any more, nor what is held of it."""
        if (tail := self._tails.pop(request, None)) is not None:
            self._budget.give(tail.held)
        asked = self.live.get(request)
        if asked is not None and not asked.is_closing:
            self._close(request, asked, Code.CANCELLED, now)

    def consumed(self, request: int, amount: int) -> None:
        """`amount` bytes of DataArrived are used up."""
        if (tail := self._tails.get(request)) is not None:
            tail.held -= amount
            if not tail.held:
                del self._tails[request]
            self._budget.give(amount)
            return
        asked = self.live.get(request)
        if asked is None or asked.is_closing:
            return
        asked.held -= amount
        asked.spent += amount
        if asked.spent >= asked.taken // 2 and asked.received + asked.credit < asked.length:
            asked.spent += self._budget.take(max(0, asked.wants))
            self._give_credit(request, asked)

    # What the other side does.

    def receive(self, frame: Frame, now: float) -> AnswerArrived | DataArrived | BodyEnded | RequestFailed | None:
        """ANSWER, STREAM, DATA, END and RESET for ids of this side. Raises WireError."""
        asked = self.live.get(frame.id)
        if asked is None:
            raise WireError(f"{frame.kind.name} for request {frame.id}, which is not under way")
        if frame.kind is Kind.DATA:
            return self._data(frame, asked)
        if frame.kind is Kind.STREAM:
            return self._stream(frame, asked, now)
        if frame.kind is Kind.RESET:
            self._finish(frame.id, asked, keep=0)
            return None if asked.is_closing else _refusal(frame)
        if asked.has_body is not (frame.kind is Kind.END):
            raise WireError(f"{frame.kind.name} out of turn")
        if frame.kind is Kind.ANSWER:
            self._finish(frame.id, asked, keep=0)
            return None if asked.is_closing else AnswerArrived(frame.id, frame.payload)
        if asked.length not in (asked.received, UNKNOWN_LENGTH):
            raise WireError(f"a body of {asked.received} bytes, announced as {asked.length}")
        self._finish(frame.id, asked, keep=asked.held)
        return None if asked.is_closing else BodyEnded(frame.id)

    def _stream(self, frame: Frame, asked: Asked, now: float) -> AnswerArrived | None:
        if asked.has_body:
            raise WireError("STREAM out of turn")
        asked.has_body = True
        (asked.length,) = LENGTH.unpack_from(frame.payload)
        if asked.is_closing:
            return None
        if asked.floor:
            asked.judged_at = now + FLOOR_TIME
            self.timer = min(self.timer, asked.judged_at)
        self._grow(frame.id, asked)
        length = None if asked.length == UNKNOWN_LENGTH else asked.length
        return AnswerArrived(frame.id, frame.payload[LENGTH.size :], has_body=True, length=length)

    def _data(self, frame: Frame, asked: Asked) -> DataArrived | None:
        size = len(frame.payload)
        if not asked.has_body:
            raise WireError("DATA out of turn")
        if size > asked.credit:
            raise WireError(f"{size} bytes of a body, with credit for {asked.credit}")
        asked.credit -= size
        asked.received += size
        if asked.received > asked.length:
            raise WireError(f"a body longer than the {asked.length} bytes announced")
        if asked.is_closing:
            return None
        asked.held += size
        asked.was_without_credit |= asked.credit == 0
        return DataArrived(frame.id, frame.payload)

    def gone_away(self, last: int) -> list[RequestFailed]:
        """The other side answers nothing above `last`."""
        self.is_over = True
        lost = [(request, asked) for request, asked in self.live.items() if request > last]
        for request, asked in lost:
            self._finish(request, asked, keep=0)
        return [RequestFailed(request, Code.MOVED, "") for request, asked in lost if not asked.is_closing]

    # Time, and the end.

    def expire(self, now: float) -> list[RequestFailed]:
        """What time has ended. Raises WireError when the other side does not acknowledge."""
        failed: list[RequestFailed] = []
        for request, asked in list(self.live.items()):
            if asked.timer > now:
                continue
            if asked.is_closing:
                raise WireError("it does not acknowledge that a request was cancelled")
            if asked.deadline <= now:
                failed.append(RequestFailed(request, Code.TOO_SLOW, "no answer in time"))
                self._close(request, asked, Code.CANCELLED, now)
            elif not self._is_fast_enough(asked, now):
                failed.append(RequestFailed(request, Code.TOO_SLOW, f"slower than {asked.floor} bytes a second"))
                self._close(request, asked, Code.CANCELLED, now)
        failed += self._expire_tails(now)
        self.timer = min((asked.timer for asked in (*self.live.values(), *self._tails.values())), default=math.inf)
        return failed

    def _expire_tails(self, now: float) -> list[RequestFailed]:
        late = [request for request, tail in self._tails.items() if tail.deadline <= now]
        for request in late:
            self._budget.give(self._tails.pop(request).held)
        return [RequestFailed(request, Code.TOO_SLOW, "its body was not used in time") for request in late]

    def lose(self, code: Code, reason: str) -> list[RequestFailed]:
        """The link is gone, and all that is under way with it. Nobody keeps the time of what was not consumed."""
        self.is_over = True
        self.timer = math.inf
        lost = list(self.live.items())
        for request, asked in lost:
            self._finish(request, asked, keep=0)
        for tail in self._tails.values():
            self._budget.give(tail.held)
        self._tails.clear()
        return [RequestFailed(request, code, reason) for request, asked in lost if not asked.is_closing]

    def _is_fast_enough(self, asked: Asked, now: float) -> bool:
        fast = asked.was_without_credit or asked.received - asked.judged_from >= asked.floor * FLOOR_TIME
        asked.judged_at = now + FLOOR_TIME
        asked.judged_from = asked.received
        asked.was_without_credit = asked.credit == 0
        return fast

    def _close(self, request: int, asked: Asked, code: Code, now: float) -> None:
        self._outbox.control(Kind.RESET, request, CODE.pack(code) + encode_text(""))
        self._budget.forget((self, request))
        self._budget.give(asked.taken)
        asked.held = asked.spent = 0
        asked.is_closing = True
        asked.deadline = now + CLOSING_TIME
        self.timer = min(self.timer, asked.deadline)

    def _finish(self, request: int, asked: Asked, *, keep: int) -> None:
        del self.live[request]
        self._budget.forget((self, request))
        if asked.is_closing:
            return  # given back already
        self._budget.give(asked.taken - keep)
        if keep:
            asked.judged_at = math.inf
            self._tails[request] = asked

    def _grow(self, request: int, asked: Asked) -> None:
        """Up to a whole window, as far as there is room; without any credit, as soon as there is."""
        wants = asked.wants
        if wants <= 0:
            return
        asked.spent += self._budget.take(wants)
        if asked.spent:
            self._give_credit(request, asked)
        elif not asked.taken:
            asked.was_without_credit = True
            self._budget.wait((self, request), lambda: self._feed(request, asked))

    def _feed(self, request: int, asked: Asked) -> None:
        self._grow(request, asked)
        self._told()

    def _give_credit(self, request: int, asked: Asked) -> None:
        self._outbox.control(Kind.CREDIT, request, CREDIT.pack(asked.spent))
        asked.credit += asked.spent
        asked.spent = 0


def _refusal(frame: Frame) -> RequestFailed:
    (code,) = CODE.unpack_from(frame.payload)
    if code in (Code.MOVED, Code.LOST):
        code = Code.FAILED  # what this side alone can tell
    return RequestFailed(frame.id, code, decode_text(frame.payload[CODE.size :]))
