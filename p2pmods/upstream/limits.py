"""The bounds and deadlines on everything that comes from an upstream, and the floor under its speed."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Final

from p2pmods.gomod.info import MAX_INFO
from p2pmods.gomod.listing import MAX_LIST

MAX_ZIP: Final = 500 << 20  # x/mod/zip.MaxZipFile
MAX_MOD: Final = 16 << 20  # x/mod/zip.MaxGoMod
MAX_SUMDB: Final = 2 << 20  # a data tile is 256 records of some hundred bytes; hash tiles are 8 KiB


class Want(Enum):
    """What kind of answer is asked for; the value is (name, largest size in bytes)."""

    ZIP = ("zip", MAX_ZIP)
    MOD = ("mod", MAX_MOD)
    INFO = ("info", MAX_INFO)
    LIST = ("list", MAX_LIST)
    SUMDB = ("sumdb", MAX_SUMDB)

    @property
    def cap(self) -> int:
        return self.value[1]


@dataclass(frozen=True, slots=True)
class Limits:
    """Times are seconds, rates bytes a second. Tests make them small."""

    connect: float = 10.0  # TCP and TLS
    answer: float = 60.0  # from the request to the head of the answer: a proxy may have to clone first
    silence: float = 15.0  # between two reads of a body
    floor: int = 4 << 10  # slower than this over `window` is given up, all bodies together: a slow line is no fault
    window: float = 15.0
    small_total: float = 120.0
    zip_total: float = 3600.0
    attempts: int = 4  # of one request at one upstream
    backoff: float = 0.25  # before the second attempt; doubles, with jitter
    backoff_longest: float = 5.0
    retry_after: float = 10.0  # a longer Retry-After is not waited for
    redirects: int = 10  # as net/http
    small_at_once: int = 32  # requests to one host
    zips_at_once: int = 8

    def total(self, want: Want) -> float:
        """The deadline of one whole request, all attempts included."""
        return self.zip_total if want is Want.ZIP else self.small_total


class RateFloor:
    """Whether a body comes fast enough, judged once per window.

    Bodies that share the line share the floor: each of `sharers` must do its part of it only.
    """

    def __init__(self, limits: Limits, *, now: float) -> None:
        self._floor = limits.floor
        self._window = limits.window
        self._since = now
        self._received = 0

    def receive(self, size: int, *, sharers: int, now: float) -> bool:
        """Count `size` bytes; False when the window that ends now was below the floor."""
        self._received += size
        elapsed = now - self._since
        if elapsed < self._window:
            return True
        fast_enough = self._received * max(sharers, 1) >= self._floor * elapsed
        self._since = now
        self._received = 0
        return fast_enough
