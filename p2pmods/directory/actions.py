"""What the directory's machines want done; a driver maps these to its links.

A message to the node's own id is for the machine of this very node: a driver hands it over without a link.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from p2pmods.directory.messages import Growing, Holder
    from p2pmods.directory.tenure import Tenure


@dataclass(frozen=True, slots=True)
class Ask:
    """Request `message` from `node`. The machine hears of `ask` once: `answered`, or `unanswered` when the link
    cannot be had, the request is refused, or `timeout` seconds have passed since the link was up."""

    ask: int
    node: str
    message: Any
    timeout: float


@dataclass(frozen=True, slots=True)
class Tell:
    """Notify `node` of `message`; it does not matter much when it is lost."""

    node: str
    message: Any


@dataclass(frozen=True, slots=True)
class Reply:
    """Answer the request that was given to the machine as `call`."""

    call: int
    message: Any


@dataclass(frozen=True, slots=True)
class Refuse:
    """Refuse the request that was given to the machine as `call`."""

    call: int
    reason: str


@dataclass(frozen=True, slots=True)
class FetchFrom:
    """Take the object from any of these; what was under way for this claim otherwise may end once this is better.

    `records` are signed records that help to reach the holders.
    """

    holders: tuple[Holder, ...]
    records: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Relay:
    """Take the object from its fetcher while it grows there."""

    growing: Growing
    record: bytes | None


@dataclass(frozen=True, slots=True)
class GoUpstream:
    """Fetch it from upstream: for all under `tenure`, or, when that is None, for this node alone."""

    tenure: Tenure | None


@dataclass(frozen=True, slots=True)
class Settle:
    """What was under way for this claim leads nowhere any more; what to do instead is said later."""


HomeAction = Ask | Tell | Reply | Refuse
ClaimAction = Ask | Tell | FetchFrom | Relay | GoUpstream | Settle
