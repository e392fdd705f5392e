"""Version control, done by the go command: the reference for building a module's files from its repository."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from p2pmods.gomod.module import FileKey
    from p2pmods.upstream.sink import Sink


@dataclass(frozen=True, slots=True)
class VcsStatistics:
    """Runs of the go command so far."""

    runs: int = 0
    failures: int = 0


class VersionControl:
    async def fetch_file(self, key: FileKey, sink: Sink) -> None:
        raise NotImplementedError

    async def list(self, path: str) -> bytes:
        raise NotImplementedError

    async def query(self, path: str, query: str) -> bytes:
        raise NotImplementedError

    def statistics(self) -> VcsStatistics:
        return VcsStatistics()
