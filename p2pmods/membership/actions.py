"""What a membership machine wants done, and what it has to tell."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from p2pmods.identity.records import Endpoint, SignedRecord
    from p2pmods.membership.messages import Missing, Ping, TableDigests

Address = tuple[str, int]  # host and port, as a socket names them


@dataclass(frozen=True, slots=True)
class Datagram:
    """Sealed, at most 1,200 bytes."""

    data: bytes
    to: Address


@dataclass(frozen=True, slots=True)
class ProbeByLink:
    """Send `ping` over a link, opened if need be; answer by `link_probe_succeeded` with its Ack, or `…_failed`."""

    node_id: str
    ping: Ping


@dataclass(frozen=True, slots=True)
class AskByLink:
    """Send `message` over a link; answer by `link_answered` with what came, or `link_failed`."""

    node_id: str
    message: TableDigests


@dataclass(frozen=True, slots=True)
class TellByLink:
    """Send `message` over a link; nothing comes back."""

    node_id: str
    message: Missing


@dataclass(frozen=True, slots=True)
class MeetByLink:
    """No datagram gets through to `endpoint`: dial it, and call `met` with who is there. Nothing on failure."""

    endpoint: Endpoint


Action = ProbeByLink | AskByLink | TellByLink | MeetByLink


@dataclass(frozen=True, slots=True)
class Joined:
    """A director that was not a member, or was dead or gone."""

    node_id: str
    record: SignedRecord


@dataclass(frozen=True, slots=True)
class Changed:
    """A member with a newer record; one that was suspected no longer is."""

    node_id: str
    record: SignedRecord


@dataclass(frozen=True, slots=True)
class Suspected:
    """It did not answer, and has some seconds left to say that it is there."""

    node_id: str


@dataclass(frozen=True, slots=True)
class Died:
    """It did not refute the suspicion."""

    node_id: str


@dataclass(frozen=True, slots=True)
class Left:
    """It said that it is no director any more."""

    node_id: str


@dataclass(frozen=True, slots=True)
class ClonedIdentity:
    """Another live node has our key: a new one is needed."""

    node_id: str


Event = Joined | Changed | Suspected | Died | Left | ClonedIdentity
