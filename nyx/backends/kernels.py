"""Which CPU kernels run: of what instruction set, and on how many threads."""

from __future__ import annotations

import os
from pathlib import Path

from nyx.errors import DeviceError

QUOTA = Path("/sys/fs/cgroup/cpu.max")


def choose() -> tuple[str | None, str]:
    """The instruction set of `nyx._core.CpuSequence` (None: NumPy alone), and what to call it. Sets the threads, too.

    NYX_CPU_KERNELS: 0 for NumPy alone, or the name of an instruction set; the best one unless set.
    NYX_NUM_THREADS: as many threads as processors unless set. Raises DeviceError where either is not what is there.
    """
    try:
        from nyx import _core

        here = _core.cpu_isas()
    except ImportError:
        here = []
    wanted = os.environ.get("NYX_CPU_KERNELS") or (here[0] if here else "0")
    if wanted == "0":
        return None, "CPU (NumPy)"
    if wanted not in here:
        raise DeviceError(f"NYX_CPU_KERNELS is {wanted!r}; here are: {', '.join([*here, '0'])}")
    threads = thread_count()
    _core.set_cpu_threads(threads)
    return wanted, f"CPU ({wanted}, {threads} thread{'s' if threads > 1 else ''})"


def thread_count() -> int:
    """NYX_NUM_THREADS, or the processors that this process may use."""
    wanted = os.environ.get("NYX_NUM_THREADS")
    if not wanted:
        return min(processors(), quota() or processors())
    if not (wanted.isdecimal() and 1 <= int(wanted) <= 256):
        raise DeviceError(f"NYX_NUM_THREADS must be a number from 1 to 256, not {wanted!r}")
    return int(wanted)


def processors() -> int:
    """The processors that this process may be scheduled on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def quota(path: Path = QUOTA) -> int | None:
    """How many processors' time the control group (a container) may use, rounded up; None where that is not limited."""
    try:
        limit, period = path.read_text().split()
        return max(1, -(-int(limit) // int(period)))
    except (OSError, ValueError):
        return None
