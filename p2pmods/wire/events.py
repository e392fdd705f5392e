"""What a link's machine tells its driver. Ids are those of the frames; texts of the other side are safe to print."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum


class Code(IntEnum):
    """Why a request was reset. Below 64 they belong to the link, from 64 on to whoever defined the message."""

    CANCELLED = 1  # who asked does not want it any more
    UNKNOWN = 2  # a message that this node does not handle, or cannot read
    BUSY = 3  # too much under way for this peer
    FAILED = 4  # a fault of the one who was asked
    TOO_SLOW = 5  # a deadline or the floor of speed was missed
    MOVED = 6  # not looked at: ask again over another link
    LOST = 7  # the link ended


FIRST_OWN_CODE = 64


@dataclass(frozen=True, slots=True)
class Opened:
    """The other side's preface has arrived."""


@dataclass(frozen=True, slots=True)
class RequestArrived:
    id: int
    message: bytes


@dataclass(frozen=True, slots=True)
class RequestCancelled:
    """Who made the request does not want the answer any more, or did not take it in time. Nothing may be sent."""

    id: int


@dataclass(frozen=True, slots=True)
class AnswerArrived:
    """The head of an answer to a request of ours; a body of `length` bytes (None: unknown) follows if `has_body`."""

    id: int
    message: bytes
    has_body: bool = False
    length: int | None = None


@dataclass(frozen=True, slots=True)
class DataArrived:
    """A part of the body. It counts against the request's credit until `consumed`."""

    id: int
    data: bytes


@dataclass(frozen=True, slots=True)
class BodyEnded:
    """The body is complete, and of the length that was announced."""

    id: int


@dataclass(frozen=True, slots=True)
class RequestFailed:
    """There will be no (more) answer to a request of ours. `code` is a Code, or the other side's own from 64 on."""

    id: int
    code: int
    text: str


@dataclass(frozen=True, slots=True)
class NoticeArrived:
    message: bytes


@dataclass(frozen=True, slots=True)
class GoingAway:
    """The other side gives this link up: nothing new is asked here, what is under way is finished."""

    reason: str


@dataclass(frozen=True, slots=True)
class Broken:
    """The last event there is: the other side broke the protocol or fell silent. Send what is left, then close."""

    reason: str


Event = (
    Opened
    | RequestArrived
    | RequestCancelled
    | AnswerArrived
    | DataArrived
    | BodyEnded
    | RequestFailed
    | NoticeArrived
    | GoingAway
    | Broken
)
