"""What a process has cost so far, from /proc: CPU seconds and resident memory. Elsewhere than on Linux: None."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Usage:
    """CPU seconds of all threads since the process began; bytes of resident memory now, and at the worst."""

    cpu: float
    resident: int
    peak: int


def read_usage(pid: int) -> Usage | None:
    """None where there is no /proc, and for a process that is gone."""
    directory = Path("/proc") / str(pid)
    try:
        stat = (directory / "stat").read_text(encoding="utf-8", errors="replace")
        status = (directory / "status").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    return parse_usage(stat, status, os.sysconf("SC_CLK_TCK"))


def parse_usage(stat: str, status: str, ticks_per_second: int) -> Usage | None:
    """From the text of /proc/PID/stat and /proc/PID/status; None for a zombie, which has no memory any more."""
    after_name = stat.rpartition(")")[2].split()  # the name may hold spaces and parentheses
    user, system = int(after_name[11]), int(after_name[12])  # utime and stime, fields 14 and 15 of proc(5)
    sizes = dict(line.split(":", 1) for line in status.splitlines() if ":" in line)
    if "VmRSS" not in sizes or "VmHWM" not in sizes:
        return None
    resident, peak = (int(sizes[name].split()[0]) * 1024 for name in ("VmRSS", "VmHWM"))
    return Usage((user + system) / ticks_per_second, resident, peak)
