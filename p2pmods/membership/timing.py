"""How long and how often: pure functions of the number of members, in SWIM's and Lifeguard's own terms.

SWIM: Das, Gupta, Motivala, 2002. Lifeguard: Dadgar, Phillips, Currey, 2017.
"""

from __future__ import annotations

import math
from typing import Final

PROBE_INTERVAL: Final = 1.0  # seconds
IDLE_INTERVAL: Final = 5.0  # between probes, after
IDLE_AFTER: Final = 60.0  # seconds without news
LEAST_TIMEOUT: Final = 0.5  # seconds until a probe goes ways round
MOST_TIMEOUT: Final = 2.0
INDIRECT_PROBES: Final = 3
GOSSIP_INTERVAL: Final = 0.2  # while there is something to tell
GOSSIP_FANOUT: Final = 3
REVIVE_INTERVAL: Final = 10.0  # between probes of the dead
ALONE_REVIVE_INTERVAL: Final = 2.0  # the same, when none is left: then it is us who are cut off
CONFIRMATIONS: Final = 3  # independent ones, after which a suspicion need not wait any longer
_SUSPICION_FACTOR: Final = 4.0
_SUSPICION_STRETCH: Final = 6.0
_RETRANSMIT_FACTOR: Final = 4


def least_suspicion(members: int) -> float:
    """Seconds that a suspect has to refute, at least: 4·log10 N, and never below those for ten."""
    return _SUSPICION_FACTOR * max(1.0, math.log10(max(members, 1)))


def suspicion_timeout(members: int, confirmations: int) -> float:
    """Seconds from the first suspicion to death, with so many independent confirmations of it.

    Six times the least at first: a single accuser may be the one that is slow. Where nobody else could confirm,
    the least.
    """
    least = least_suspicion(members)
    wanted = min(CONFIRMATIONS, members - 2)  # neither the suspect nor the first accuser counts
    if wanted < 1 or confirmations >= wanted:
        return least
    shrunk = math.log(confirmations + 1) / math.log(wanted + 1)
    return least * (_SUSPICION_STRETCH - (_SUSPICION_STRETCH - 1) * shrunk)


def transmissions(members: int) -> int:
    """How often one node passes a rumour on."""
    return _RETRANSMIT_FACTOR * math.ceil(math.log10(members + 1))


def probe_timeout(slowest_round_trip: float) -> float:
    """Seconds to wait for a direct answer, before the local health multiplier."""
    return min(max(LEAST_TIMEOUT, slowest_round_trip), MOST_TIMEOUT)


def probe_deadline(timeout: float) -> float:
    """Seconds from the first ping to failure: as long again for the ways round."""
    return max(PROBE_INTERVAL, 2 * timeout)
