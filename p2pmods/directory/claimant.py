"""A claimant's side: from "I want this zip" to bytes from others, or upstream for all, or upstream alone.

No answer of a home is believed for long: a waiter counts only the bytes that it receives itself. Three silent seconds
send it to the next home, five more past that one, and whatever happens it is on its own way by its deadline, which
only bytes put off.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from p2pmods.directory.actions import ClaimAction, FetchFrom, GoUpstream, Relay, Settle
from p2pmods.directory.asking import Asking
from p2pmods.directory.claimstate import UNDECIDED, State
from p2pmods.directory.inflow import OwnFetch
from p2pmods.directory.messages import DONE, FAILED, LEFT, STOPPED, Alone, Grant, Providers, Wait
from p2pmods.directory.patience import Deadline, Patience, Verdict
from p2pmods.directory.proof import is_genuine
from p2pmods.directory.tenure import Tenure

if TYPE_CHECKING:
    from p2pmods.directory.asking import Surroundings, Wanted
    from p2pmods.directory.messages import Growing, Holding, Stop

MAX_SOURCES: Final = 6  # fetchers and sets of providers that one claim tries
INSIST: Final = 2  # times that a complaint is said again: to others, too, a fetcher may look too slow a second later
UNNOTICED: Final = 3.0  # seconds for which a change of network may be unknown to the node


class Claimant:
    """One claim. Of the actions FetchFrom, Relay and GoUpstream the latest counts; what was received stays useful."""

    def __init__(self, wanted: Wanted, surroundings: Surroundings, *, deadline: float) -> None:
        self.state = State.SETTLING
        self.tenure: Tenure | None = None
        self._wanted = wanted
        self._around = surroundings
        self._deadline = Deadline(deadline)
        self._asking = Asking(wanted, surroundings)
        self._patience = Patience(surroundings.inflow, now=0.0)
        self._source: Growing | tuple[str, ...] = ()  # a fetcher, or providers
        self._sources = 0
        self._losses = 0  # of the present source
        self._insisted = 0
        self._own = OwnFetch(surroundings.inflow)
        self._has_received = False  # anything, from any source
        self._lost: set[bytes] = set()  # tokens of fetchers of which nothing is expected any more
        self._vouchers: list[str] = []  # homes that named the present fetcher
        self._alone_at = math.inf
        self._upstream_since = -math.inf
        self._has_returned = False  # from upstream, after a change of network

    @property
    def is_asking(self) -> bool:
        """A home's answer is waited for."""
        return self._asking.ask is not None

    def answered(self, ask: int, answer: object, *, now: float) -> list[ClaimAction]:
        """A home answered; what is no answer to a claim counts against it."""
        if not self._asking.is_current(ask):
            return []
        match answer:
            case Providers(holders, records) if holders:
                self._blame(now)
                nodes = tuple([holder.node for holder in holders])
                return self._receive(nodes, FetchFrom(holders, records), now)
            case Wait(growing) if growing.fetcher != self._around.node:
                return self._wait(answer, now)
            case Grant(terms) if terms.fetcher == self._around.node and is_genuine(terms, self._wanted.key):
                if self.tenure is not None and self.tenure.terms.token == terms.token:
                    return self._refuse(terms.token, now)
                self._blame(now)
                self.state, self._upstream_since = State.FETCHING, now
                self.tenure = Tenure(self._wanted.key, terms, self._wanted.record, self._around.rendezvous, now=now)
                return [GoUpstream(self.tenure), *self.tenure.renewals(now=now)]
            case Alone(delay):
                self._blame(now)
                return self._go_alone(now, after=delay / 1000)
        return self._disappointed(now, is_silence=False)

    def unanswered(self, ask: int, *, now: float) -> list[ClaimAction]:
        """A home did not answer in time, or refused."""
        return self._disappointed(now) if self._asking.is_current(ask) else []

    def received(self, count: int, *, now: float) -> None:
        """`count` bytes of the zip came from peers."""
        self._has_received = True
        self._deadline.put_off(count, now=now)
        self._around.inflow.received(count, now=now)
        self._patience.received(count, now=now)

    def complete(self, *, now: float) -> None:
        """All bytes came that the present source has; until `finished` or `lost` they are being verified."""
        self._patience.complete(now=now)

    def progress(self, received: int, *, limited: bool = False, now: float) -> None:
        """The fetch from upstream has `received` bytes; `limited`: the upstream said to slow down."""
        if self.tenure is not None:
            self._own.progress(received, now=now)
            self.tenure.progress(received, limited=limited)

    def lost(self, *, now: float) -> list[ClaimAction]:
        """The source that was named last cannot be reached, ended early or sent what is wrong."""
        if self.state is not State.RECEIVING or (self.is_asking and self._asking.urgent):
            return []  # a home is told already; one that was only asked whether to wait on is told now
        self._losses += 1
        return [*self._asking.best(self._write_off(), now=now)] or self._go_alone(now)

    def stopped(self, peer: str, stop: Stop, *, now: float) -> list[ClaimAction]:
        """The home `peer` says that another fetcher goes on, or that nobody waits for this one any more."""
        tenure = self.tenure
        if self.state is not State.FETCHING or tenure is None or stop.token != tenure.terms.token:
            return []
        other = stop.instead
        if peer not in tenure.homes() or (other is not None and other.token in self._lost):
            return []  # of one that was lost to this node its home has only not heard yet
        if other is None or other.fetcher in {self._around.node, *self._around.silent.struck(now=now)}:
            tenure.is_over = True
            self.state = State.ALONE
            return []
        self._asking.afresh()
        self._asking.home = peer
        self._vouchers = [peer]
        return [*tenure.release(STOPPED), *self._receive(other, Relay(other, stop.record), now)]

    def finished(self, holding: Holding | None = None) -> list[ClaimAction]:
        """The zip is here; `holding` when it is proven as well."""
        return self._end(DONE, holding)

    def failed(self, *, out_of_reach: bool = False) -> list[ClaimAction]:
        """Upstream did not deliver. `out_of_reach`: nobody got there, which is held against no fetcher."""
        return self._end(STOPPED if out_of_reach else FAILED)

    def leave(self) -> list[ClaimAction]:
        """The node leaves the swarm."""
        return self._end(LEFT)

    def wake(self, *, now: float) -> list[ClaimAction]:
        """The node slept: nobody waits for it any more, and what homes said is old."""
        self._asking.drop()
        self._asking.afresh()
        if self.state is State.FETCHING and self.tenure is not None:
            self.tenure.is_over = True
            self.state = State.ALONE
        if self.state not in (State.ASKING, State.RECEIVING):
            return []
        self.state = State.ASKING
        return [*self._asking.next(now=now)] or self._go_alone(now)

    def moved(self, *, now: float) -> list[ClaimAction]:
        """The node's network is another one: who was asked, and what was begun just before, was so in vain."""
        if self.state not in UNDECIDED and not self._returns(now):
            return []
        released = self.tenure.release(STOPPED) if self.state is State.FETCHING and self.tenure is not None else []
        self._asking.drop()
        self._asking.afresh()
        self._sources, self._vouchers, self._alone_at = 0, [], math.inf
        self.state = State.SETTLING
        return [*released, Settle()]

    def _returns(self, now: float) -> bool:
        """Whether the fetch from upstream is given up: once, or frequent changes would prevent its end."""
        returns = self.state is not State.ENDED and now <= self._upstream_since + UNNOTICED and not self._has_returned
        self._has_returned = self._has_returned or returns
        return returns

    def next_timer(self, *, now: float) -> float:
        """When to call `handle_timer`; math.inf when nothing is waited for."""
        if self.state is State.FETCHING and self.tenure is not None:
            return self.tenure.next_timer()
        if self.state not in UNDECIDED:
            return math.inf
        soonest = self._deadline.at
        if self.state is State.SETTLING:
            soonest = min(soonest, self._around.cold_start.settled_at())
        elif self.state is State.RECEIVING and not self.is_asking:
            soonest = min(soonest, self._patience.next_timer(now=now))
        return min(soonest, self._asking.until, self._alone_at)

    def handle_timer(self, *, now: float) -> list[ClaimAction]:
        """Begin, renew, lose patience, or go alone. Called first when the claim begins."""
        if self.state is State.FETCHING and self.tenure is not None:
            return [*self.tenure.renewals(now=now)]
        if self.state not in UNDECIDED:
            return []
        if now >= self._deadline.at or now >= self._alone_at:
            return self._upstream(now)
        if self.state is State.SETTLING and now >= self._around.cold_start.settled_at():
            self.state = State.ASKING
            return [*self._asking.next(now=now)] or self._go_alone(now)
        if now >= self._asking.until:
            self._asking.drop()
            return self._disappointed(now)
        if self.state is State.RECEIVING and not self.is_asking:
            return self._reconsider(now)
        return []

    def _wait(self, answer: Wait, now: float) -> list[ClaimAction]:
        growing = answer.growing
        same = not isinstance(self._source, tuple) and self._source.token == growing.token
        if same and self.state is State.RECEIVING:
            self._vouchers.append(self._asking.home)
            self._patience.limit(growing.received, limited=answer.limited, now=now)
            if self._losses == 1:  # to others it may be there: once more
                self._losses += 1
                return [Relay(growing, answer.record)]
            is_borne = self._patience.is_limited(now=now) and self._patience.verdict(now=now) is Verdict.WAIT
            if self._asking.urgent and (self._losses or not is_borne):
                return self._insist(growing, now, may_repeat=self._patience.has_begun or answer.limited)
            self._patience.confirm(growing.received, now=now)
            return []
        self._blame(now)
        self._vouchers = [self._asking.home]
        if growing.fetcher in self._around.silent.struck(now=now):
            return [*self._asking.next(growing.token, urgent=True, now=now)] or self._go_alone(now)
        actions = self._receive(growing, Relay(growing, answer.record), now)
        self._patience.limit(growing.received, limited=answer.limited, now=now)
        return actions

    def _insist(self, growing: Growing, now: float, *, may_repeat: bool) -> list[ClaimAction]:
        """A home that was told still counts on the fetcher: others may find out only now that it gives nothing."""
        if may_repeat and self._insisted < INSIST:
            self._insisted += 1
            return [*self._asking.same(growing.token, urgent=True, now=now)]
        self._around.silent.strike(growing.fetcher, now=now)  # all who were asked agree, so it is to blame
        return self._go_alone(now)

    def _receive(self, source: Growing | tuple[str, ...], action: ClaimAction, now: float) -> list[ClaimAction]:
        self._sources += 1
        if self._sources > MAX_SOURCES:
            return self._go_alone(now)
        self.state = State.RECEIVING
        self._source, self._losses, self._insisted = source, 0, 0
        self._patience = Patience(self._around.inflow, got=self._patience.got, now=now)
        return [action]

    def _reconsider(self, now: float) -> list[ClaimAction]:
        """Whether to wait on for the source, and whom to ask if not."""
        verdict = self._patience.verdict(now=now)
        if verdict is Verdict.WAIT:
            return []
        if verdict is Verdict.ASK and not isinstance(self._source, tuple):
            token = self._source.token
            asks = self._asking.next(token, now=now) or self._asking.same(token, urgent=False, now=now)
            return [*asks]
        stalled = self._write_off()
        if self._has_received:  # the homes told the truth
            return [*self._asking.best(stalled, now=now)] or self._go_alone(now)
        return [*self._asking.next(stalled, urgent=True, now=now)] or self._go_alone(now)

    def _write_off(self) -> bytes | None:
        """Nothing is expected of the present source any more: the token of a fetcher to complain about."""
        if isinstance(self._source, tuple):
            self._asking.useless(list(self._source))
            return None
        self._asking.useless([self._source.fetcher])
        self._lost.add(self._source.token)
        return self._source.token

    def _refuse(self, token: bytes, now: float) -> list[ClaimAction]:
        """The home has not heard that this lease was given up, and others have: it is told, and asked for another."""
        if self._asking.stalled == token:
            return self._disappointed(now, is_silence=False)
        return [*self._asking.same(token, urgent=False, now=now)]

    def _disappointed(self, now: float, *, is_silence: bool = True) -> list[ClaimAction]:
        """The home that was asked is no help."""
        if self._around.strikes.is_apart(self._asking.home):
            self._asking.not_reached()
        else:
            self._around.strikes.strike(self._asking.home, now=now, is_silence=is_silence)
        actions: list[ClaimAction] = [*self._asking.repeat(now=now)]
        if not actions and self.state is State.RECEIVING and self._patience.has_begun and not self._asking.urgent:
            actions = [*self._asking.best(self._write_off(), now=now)]  # bytes come: others may know more
        return actions or self._go_alone(now)

    def _blame(self, now: float) -> None:
        """A home knows better than those that named the present source, unless bytes of it came."""
        for home in self._vouchers:
            if home != self._asking.home and not self._patience.has_begun:
                self._around.strikes.strike(home, now=now)
        self._vouchers = []

    def _go_alone(self, now: float, after: float = 0.0) -> list[ClaimAction]:
        if after <= 0:
            return self._upstream(now)
        self.state = State.DELAYED
        self._alone_at = now + after
        return []

    def _upstream(self, now: float) -> list[ClaimAction]:
        self._asking.drop()
        self.state, self._upstream_since = State.ALONE, now
        return [GoUpstream(None)]

    def _end(self, how: int, holding: Holding | None = None) -> list[ClaimAction]:
        self._asking.drop()
        self.state = State.ENDED
        return [*self.tenure.release(how, holding)] if self.tenure is not None else []
