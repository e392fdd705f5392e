"""One piece of work for many identical requests, which a caller that goes away does not stop."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast

import structlog
import trio

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Hashable

T = TypeVar("T")

log = structlog.get_logger()


class Work(Generic[T]):
    """A piece of work under way or done: `await wait()` gives its value or raises its error, as often as asked."""

    __slots__ = ("_done", "_error", "_value")

    def __init__(self) -> None:
        self._done = trio.Event()
        self._value: T | None = None
        self._error: BaseException | None = None

    @property
    def is_done(self) -> bool:
        return self._done.is_set()

    def resolve(self, value: T) -> None:
        self._value = value
        self._done.set()

    def fail(self, error: BaseException) -> None:
        self._error = error
        self._done.set()

    async def wait(self) -> T:
        await self._done.wait()
        if self._error is not None:
            # A fresh traceback for each waiter: one exception object raised in many tasks grows without bound.
            raise self._error.with_traceback(None)
        return cast("T", self._value)


class Sharing(Generic[T]):
    """Runs at most one `make` per key at a time, in `nursery`, so that it outlives the callers that wait for it.

    Whatever it raises is handed to every waiter. What is not of type `expected` is a fault of ours and is logged too:
    it fails these requests, not the node.
    """

    def __init__(self, nursery: trio.Nursery, expected: type[Exception] | tuple[type[Exception], ...]) -> None:
        self._nursery = nursery
        self._expected = expected
        self._works: dict[Hashable, Work[T]] = {}

    def __len__(self) -> int:
        return len(self._works)

    def start(self, key: Hashable, make: Callable[[], Awaitable[T]]) -> Work[T]:
        """The work under way for `key`, begun now with `make` when there is none."""
        work = self._works.get(key)
        if work is None:
            work = self._works[key] = Work()
            self._nursery.start_soon(self._run, key, make, work)
        return work

    async def get(self, key: Hashable, make: Callable[[], Awaitable[T]]) -> T:
        """Start or join the work for `key` and wait for its value."""
        return await self.start(key, make).wait()

    async def _run(self, key: Hashable, make: Callable[[], Awaitable[Any]], work: Work[T]) -> None:
        try:
            work.resolve(await make())
        except self._expected as error:
            work.fail(error)
        except Exception as error:  # the border between one shared piece of work and the node
            log.exception("work failed by a fault of p2pmods", work=str(key), exc_info=error)
            work.fail(error)
        except trio.Cancelled:
            work.fail(trio.RunFinishedError("the node is stopping"))
            raise
        finally:
            del self._works[key]


async def answer_of(nursery: trio.Nursery, work: Callable[[Callable[[T], None]], Awaitable[None]], name: str) -> T:
    """What `work`, in `nursery`, calls its argument with, however long it goes on after that; or its error before.

    A fault of ours after the answer is logged, as it has nobody to tell: it ends the work, not the node.
    """
    answer: T = await nursery.start(_work_and_go_on, work, name)
    return answer


async def _work_and_go_on(
    work: Callable[[Callable[[Any], None]], Awaitable[None]], name: str, *, task_status: trio.TaskStatus[Any]
) -> None:
    is_answered = False

    def answer(value: object) -> None:
        nonlocal is_answered
        is_answered = True
        task_status.started(value)

    try:
        await work(answer)
    except Exception as error:  # the border between what goes on after the answer and the node
        if not is_answered:
            raise
        log.exception("work failed by a fault of p2pmods after its answer", work=name, exc_info=error)
