"""Memory of a process; it imports nothing of weight, for a measured process must not either."""

from __future__ import annotations

import pathlib


def peak_gb() -> float:
    """The most memory that this process has held, in GB; getrusage's figure begins with that of the process it came from."""
    for line in pathlib.Path("/proc/self/status").read_text(encoding="utf-8").splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1]) * 1024 / 1e9
    raise RuntimeError("expected VmHWM in /proc/self/status")
