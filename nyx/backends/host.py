"""How much memory the host has left for this process."""

from __future__ import annotations

from pathlib import Path

import psutil

CGROUPS = Path("/sys/fs/cgroup")
UNLIMITED = 1 << 60  # version 1 of control groups says "no limit" with a number near 2**63


def free_memory() -> int:
    """Bytes that this process can still take: what the machine has free, within its control group (a container) and
    its resource limits (`ulimit -v` and `-d`)."""
    limits = [psutil.virtual_memory().available, group_free(CGROUPS, Path("/proc/self/cgroup")), *_limits_free()]
    return max(0, min(limit for limit in limits if limit is not None))


def group_free(root: Path, membership: Path) -> int | None:
    """What the control group of a process, or one above it, leaves free; None where none has a limit.

    root: where control groups are mounted, version 2, or version 1 with the memory controller in root/memory.
    membership: the process's /proc/self/cgroup, lines of number:controllers:path.
    """
    try:
        lines = [line.split(":", 2) for line in membership.read_text().splitlines()]
    except OSError:
        return None
    found: list[int] = []
    for _, controllers, path in (line for line in lines if len(line) == 3):
        if controllers == "":
            found += _levels(root, path, "memory.max", "memory.current", "inactive_file")
        elif "memory" in controllers.split(","):
            names = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
            found += _levels(root / "memory", path, *names)
    return min(found, default=None)


def _levels(root: Path, path: str, limit: str, used: str, cache: str) -> list[int]:
    """Free bytes at every level with a limit, from the group up to the root. A file cache is given back on demand.

    In a container the path may be that of the host, and the container's own group stands at the root.
    """
    found = []
    folder = root / path.lstrip("/")
    for level in [folder, *folder.parents]:
        if not level.is_relative_to(root):
            break
        try:
            most, now = (level / limit).read_text().strip(), int((level / used).read_text())
            stat = dict(line.split(" ", 1) for line in (level / "memory.stat").read_text().splitlines())
            if most != "max" and int(most) < UNLIMITED:
                found.append(int(most) - now + int(stat.get(cache, 0)))
        except (OSError, ValueError):
            continue
    return found


def _limits_free() -> list[int]:
    """What RLIMIT_AS and RLIMIT_DATA leave, where they are set."""
    try:
        import resource
    except ImportError:  # Windows has none
        return []
    info = psutil.Process().memory_info()
    found = []
    for kind, used in ((resource.RLIMIT_AS, info.vms), (resource.RLIMIT_DATA, getattr(info, "data", 0))):
        soft, _ = resource.getrlimit(kind)
        if soft != resource.RLIM_INFINITY:
            found.append(soft - used)
    return found
