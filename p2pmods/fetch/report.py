"""The JSON that `status` and `why` print, from the store alone: a node need not run for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from p2pmods.gomod.module import FileKey, FileKind, ModuleVersion
from p2pmods.store.thinning import is_above
from p2pmods.trust.evidence import evidence_to_json

if TYPE_CHECKING:
    from p2pmods.store.store import Store
    from p2pmods.store.stored import Alarm, StoredFile, StoreStatistics, Traffic


def status_report(held: StoreStatistics, unproven: int | None, limit: int | None) -> dict[str, Any]:
    """The part of `status --json` that is known with no node running; `limit` in bytes."""
    over = limit is not None and is_above(held.bytes, limit)
    return {
        "node_id": None,
        "api": None,
        "peer": None,
        "uptime_s": None,
        "held": {
            "modules": held.modules,
            "files": held.files,
            "bytes": held.bytes,
            "unproven": unproven,
            "limit": limit,
            "over": over,
        },
        "quarantined": held.quarantined,
        "traffic": {name: _traffic(traffic) for name, traffic in held.traffic.items()},
        "given": _traffic(held.given),
        "upstream": {"state": "offline"},
        "peers": [],
        "mesh": {"state": "off", "problem": "no node runs"},
        "failures": [],
        "alarms": [alarm_json(alarm) for alarm in held.alarms if not alarm.acknowledged],
        "trouble": held.trouble,
    }


def why_report(store: Store, module: ModuleVersion) -> dict[str, Any] | None:
    """`why --json`: each file, where it came from and what speaks for it; None when nothing is known of `module`."""
    files = [_file(held) for kind in FileKind for held in store.held(FileKey(module, kind))[:1]]
    refusals = [
        {"name": r.key.kind.value, "source": _source(r.source.kind, r.source.id, r.source.at), "reason": r.reason}
        for r in store.refusals(module)
    ]
    marks = [{"state": m.state.value, "name": m.kind, "reason": m.reason, "at": m.at} for m in store.marks(module)]
    alarms = [alarm_json(alarm) for alarm in store.alarms() if alarm.id.startswith(f"hash:{module}.")]
    if not (files or refusals or marks or alarms):
        return None
    return {
        "module": module.path,
        "version": module.version,
        "files": files,
        "refused": refusals,
        "marks": marks,
        "alarms": alarms,
    }


def alarm_json(alarm: Alarm) -> dict[str, Any]:
    return {"id": alarm.id, "since": alarm.since, "text": alarm.text, "evidence": alarm.evidence}


def _file(held: StoredFile) -> dict[str, Any]:
    return {
        "name": held.key.kind.value,
        "sha256": held.sha256,
        "size": held.size,
        "h1": held.h1,
        "source": _source(held.source.kind, held.source.id, held.source.at),
        "evidence": [evidence_to_json(item) for item in held.evidence],
        "proven": held.proven,
    }


def _source(kind: str, identity: str, at: float) -> dict[str, Any]:
    return {"kind": str(kind), "id": identity, "at": at}


def _traffic(traffic: Traffic) -> dict[str, int]:
    return {"files": traffic.files, "bytes": traffic.bytes}
