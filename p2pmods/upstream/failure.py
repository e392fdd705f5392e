"""How an upstream fails, and which of several failures is the one to tell: go's TryProxies."""

from __future__ import annotations

from dataclasses import dataclass

from p2pmods.errors import NotFound, Refused, SourceError, Unavailable


@dataclass(frozen=True, slots=True)
class Attempt:
    """One step of the list that was tried: who (without credentials), why it failed, and its HTTP status if any."""

    source: str
    reason: str
    status: int | None = None


class UpstreamFailed(SourceError):
    """An upstream, or no step of a whole list of them, delivered. `attempts` names each one tried, in order."""

    def __init__(
        self, source: str, reason: str, *, status: int | None = None, attempts: tuple[Attempt, ...] = ()
    ) -> None:
        super().__init__(source, reason)
        self.attempts = attempts or (Attempt(source, reason, status),)


class UpstreamNotFound(UpstreamFailed, NotFound):
    """It does not exist there (404, 410), or the step is `off`."""


class UpstreamRefused(UpstreamFailed, Refused):
    """It will not be given (401, 403, 451), or our own rules forbid to ask."""


class UpstreamUnavailable(UpstreamFailed, Unavailable):
    """It cannot answer now, or its answer made no sense."""


class Unreachable(UpstreamUnavailable):
    """Nothing that speaks for the upstream answered: no name, no connection, silence, a captive portal's page."""


class CaptivePortal(Unreachable):
    """A web page came where a file should: somebody on the way answers for everyone, until the user has logged in."""


class ProxiesLackIt(Unreachable):
    """Every proxy that was asked says "not found", and version control, whose turn it was then, is out of reach.

    To go that is "not found": a module whose repository cannot be told from its path does not exist.
    """


class Tried:
    """The failures of the steps tried so far, and by go's TryProxies which of them is to be told.

    The words of version control are best, then those of a proxy that did not say "not found", then the last
    "not found".
    """

    _NOT_FOUND, _PROXY, _DIRECT = range(3)

    def __init__(self) -> None:
        self._attempts: tuple[Attempt, ...] = ()
        self._best: UpstreamFailed | None = None
        self._rank = self._NOT_FOUND
        self._proxies_lack_it = False

    def add(self, error: UpstreamFailed, *, direct: bool) -> None:
        """Note one step's failure; `direct` when the step was version control."""
        self._attempts += error.attempts
        not_found = isinstance(error, NotFound)
        if direct:
            self._proxies_lack_it = self._best is not None and self._rank == self._NOT_FOUND
            self._best, self._rank = error, self._DIRECT
        elif self._rank <= self._PROXY and not not_found:
            self._best, self._rank = error, self._PROXY
        elif self._rank == self._NOT_FOUND:
            self._best = error

    def error(self) -> UpstreamFailed:
        """The failure to raise, with all attempts."""
        best = self._best
        if best is None:
            return UpstreamNotFound("upstream", "the upstream list is empty")
        if self._proxies_lack_it and isinstance(best, Unreachable):
            reason = f"no proxy of the list has it, and there is no way to its repository: {best.reason}"
            return ProxiesLackIt(best.source, reason, attempts=self._attempts)
        return type(best)(best.source, best.reason, attempts=self._attempts)
