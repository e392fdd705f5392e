"""The members that this node met last time, in one file for each swarm."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import attrs
import structlog

from p2pmods.errors import MalformedData, StoreError
from p2pmods.identity.key import public_of_id
from p2pmods.identity.records import MAX_ENDPOINTS, Endpoint
from p2pmods.store import fs
from p2pmods.store.layout import Layout
from p2pmods.wire.bounds import at_most
from p2pmods.wire.codec import MAX_MESSAGE, decode_part, encode_part, part

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

MAX_MEMBERS: Final = 128
_DIRECTORY: Final = "members"
_TAG: Final = re.compile(r"[a-z0-9]{1,64}")

log = structlog.get_logger()


def _check_id(_: object, __: object, node_id: str) -> None:
    try:
        public_of_id(node_id)
    except MalformedData as error:
        raise ValueError(error.reason) from error


@part
class Member:
    """A node of the swarm, and where it was."""

    node_id: str = attrs.field(validator=_check_id)
    endpoints: tuple[Endpoint, ...] = attrs.field(validator=at_most(MAX_ENDPOINTS))


@part
class _Members:
    members: tuple[Member, ...] = attrs.field(validator=at_most(MAX_MEMBERS))


class RememberedMembers:
    """The file of one swarm below the data directory. No swarm's addresses are dialled for another."""

    def __init__(self, data: Path, tag: str) -> None:
        """`tag` is the swarm's `discovery_tag`."""
        if not _TAG.fullmatch(tag):
            raise ValueError(f"{tag!r} is no discovery tag")
        self._layout = Layout(data)
        self._tag = tag

    @property
    def path(self) -> Path:
        return self._layout.data / _DIRECTORY / self._tag

    def read(self) -> tuple[Member, ...]:
        """Newest first; none when there is no file, or a damaged one."""
        try:
            with self.path.open("rb") as file:
                return decode_part(_Members, file.read(MAX_MESSAGE + 1)).members
        except FileNotFoundError:
            return ()
        except (OSError, MalformedData) as error:
            log.warning("the members met last time are forgotten", file=str(self.path), reason=str(error))
            return ()

    def write(self, members: Iterable[Member]) -> None:
        """Keep the first MAX_MEMBERS in place of those that were kept. Raises StoreError."""
        data = encode_part(_Members(tuple(members)[:MAX_MEMBERS]))
        try:
            fs.make_directories(self._layout.data, self.path.parent)
            temporary = self._layout.tmp / f"members.{self._tag}"
            fs.remove(temporary)  # left behind by a kill
            fs.write_derived(self.path, temporary, data)
        except OSError as error:
            raise fs.store_error("write", self.path, error) from error


def keep(remembered: RememberedMembers, members: Iterable[Member]) -> None:
    """Write them, or say why not: the node is as good without."""
    try:
        remembered.write(members)
    except StoreError as error:
        log.warning("members are not remembered", reason=str(error))
