"""Two tables that differ are made alike bucket by bucket, over a link, a bounded message at a time."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from p2pmods.identity.key import id_of_public
from p2pmods.membership.actions import AskByLink, TellByLink
from p2pmods.membership.chance import sample
from p2pmods.membership.messages import BUCKETS, DIGEST_SIZE, MAX_HELD, BucketContents, Missing, TableDigests
from p2pmods.membership.rumours import size_of
from p2pmods.membership.sources import Bucket

if TYPE_CHECKING:
    from p2pmods.membership.core import Core
    from p2pmods.membership.hearing import Hearing
    from p2pmods.membership.messages import Accusation

MAX_CONTENTS: Final = 32 << 10  # bytes of records and accusations in one message
_QUIET: Final = 3.0  # seconds since our table last changed: what is still being told will settle by itself
_PATIENCE: Final = 10.0  # seconds of differing, after which even news is no excuse
_PAUSE: Final = 5.0  # seconds between diffs; doubled by each that changed nothing
_MOST_PAUSE: Final = 300.0
_ROUNDS: Final = BUCKETS + 1
_MAX_ANSWERED: Final = 64
_ABANDONED: Final = 30.0  # seconds without an answer or a failure
_RATE: Final = 2.0  # questions a second that are answered, from all peers
_BURST: Final = 40.0


class Differences:
    """At most one diff of our own at a time."""

    def __init__(self, core: Core, hearing: Hearing, now: float) -> None:
        self._core = core
        self._hearing = hearing
        self._asked: str | None = None
        self._asked_at = now
        self._rounds = 0
        self._compared = 0
        self._digest_before = b""
        self._differ_since = math.inf
        self._pause = _PAUSE
        self._not_before = -math.inf
        self._answered: dict[str, None] = {}  # who may say once what we lack
        self._answers = Bucket(_RATE, _BURST, now)
        self._changed_at = now
        self._last_digest = b""

    def compare(self, node: bytes, digest: bytes, now: float, *, at_once: bool) -> None:
        """The node's table as it answered a ping of ours; `at_once` after a first contact."""
        mine = self._core.table.digest()
        if mine != self._last_digest:
            self._last_digest, self._changed_at = mine, now
        if digest == mine:
            self._differ_since = math.inf
            return
        self._differ_since = min(self._differ_since, now)
        settled = now - self._changed_at >= _QUIET or now - self._differ_since >= _PATIENCE
        if self._is_free(now) and (at_once or (settled and now >= self._not_before)):
            self._core.counters.differences += 1
            self._asked, self._rounds, self._compared, self._digest_before = id_of_public(node), 0, 0, mine
            self._ask(now)

    def answer(self, node_id: str, question: TableDigests, now: float) -> BucketContents | None:
        """What we hold where the asker's digests are not ours; None when too many ask."""
        if not self._answers.take(now):
            return None
        self._answered.pop(node_id, None)
        if len(self._answered) >= _MAX_ANSWERED:
            del self._answered[next(iter(self._answered))]
        self._answered[node_id] = None
        ours = self._core.table.bucket_digests()
        differ = [
            i for i in range(BUCKETS) if not question.skip >> i & 1 and _at(ours, i) != _at(question.digests, i)
        ]
        covered, records, accusations = 0, list[bytes](), list["Accusation"]()
        for i in differ:
            more_records, more_accusations = self._core.table.bucket(i)
            whole = _fits(records + more_records, accusations + more_accusations)
            if not whole and covered:
                break  # in the next answer
            # One bucket too full for a message takes someone who made keys for it: others each time, then.
            records += more_records if whole else sample(self._core.entropy, more_records, MAX_HELD)
            records, accusations = _cut(records, accusations + more_accusations)
            covered |= 1 << i
        return BucketContents(covered, tuple(records), tuple(accusations))

    def answered(self, node_id: str, contents: BucketContents, now: float) -> None:
        """Take what we lack, tell what the other lacks, and ask for the rest."""
        if node_id != self._asked:
            return
        self._hearing.hear(contents.records, contents.accusations, now)
        self._tell(node_id, contents)
        self._rounds += 1
        self._compared |= contents.covered
        if contents.covered and self._rounds < _ROUNDS:
            self._ask(now)
        else:
            self._finish(now)

    def failed(self, node_id: str, now: float) -> None:
        if node_id == self._asked:
            self._finish(now)

    def told(self, node_id: str, missing: Missing, now: float) -> None:
        """What a peer found missing here, after it asked what we hold."""
        if node_id in self._answered:
            del self._answered[node_id]
            self._hearing.hear(missing.records, missing.accusations, now)

    def drop(self) -> None:
        """Forget what is under way."""
        self._asked = None

    def _is_free(self, now: float) -> bool:
        return self._asked is None or now - self._asked_at > _ABANDONED

    def _ask(self, now: float) -> None:
        assert self._asked is not None
        self._asked_at = now
        question = TableDigests(self._core.table.bucket_digests(), self._compared)
        self._core.actions.append(AskByLink(self._asked, question))

    def _tell(self, node_id: str, contents: BucketContents) -> None:
        theirs = set(contents.records)
        told = set(contents.accusations)
        records, accusations = list[bytes](), list["Accusation"]()
        for i in range(BUCKETS):
            if contents.covered >> i & 1:
                more_records, more_accusations = self._core.table.bucket(i)
                records += [raw for raw in more_records if raw not in theirs]
                accusations += [a for a in more_accusations if a not in told]
        records, accusations = _cut(records, accusations)
        if records or accusations:
            self._core.actions.append(TellByLink(node_id, Missing(tuple(records), tuple(accusations))))

    def _finish(self, now: float) -> None:
        self._asked = None
        fruitless = self._core.table.digest() == self._digest_before
        self._pause = min(self._pause * 2, _MOST_PAUSE) if fruitless else _PAUSE
        self._not_before = now + self._pause
        self._differ_since = math.inf


def _at(digests: bytes, bucket: int) -> bytes:
    return digests[bucket * DIGEST_SIZE : (bucket + 1) * DIGEST_SIZE]


def _fits(records: list[bytes], accusations: list[Accusation]) -> bool:
    return (records, accusations) == _cut(records, accusations)


def _cut(records: list[bytes], accusations: list[Accusation]) -> tuple[list[bytes], list[Accusation]]:
    """As many of each as one message may hold."""
    room = MAX_CONTENTS
    kept_records, kept_accusations = list[bytes](), list["Accusation"]()
    for raw in records[:MAX_HELD]:
        room -= size_of(raw)
        if room >= 0:
            kept_records.append(raw)
    for accusation in accusations[:MAX_HELD]:
        room -= size_of(accusation)
        if room >= 0:
            kept_accusations.append(accusation)
    return kept_records, kept_accusations
