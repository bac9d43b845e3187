"""Why a GPU that may be there cannot be used, in words, with the remedy: what Linux says of its device files.

Drivers answer "initialization failed" to a missing /dev/dri, to a file that the user may not open, and to a container
that was given none.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping
from pathlib import Path

VENDORS = {"0x1002": "AMD", "0x10de": "NVIDIA", "0x8086": "Intel"}
LISTS = ("VK_DRIVER_FILES", "VK_ICD_FILENAMES")  # of the Vulkan loader


def remedy(root: Path = Path("/"), environment: Mapping[str, str] = os.environ) -> str:
    """What keeps drivers from their device here, and what to do; empty where nothing does."""
    for name in LISTS:
        gone = [path for path in environment.get(name, "").split(os.pathsep) if path and not Path(path).exists()]
        if gone:
            return f"{name} names {', '.join(map(shlex.quote, gone))}, which is not there: correct it or unset {name}"
    if not (root / "dev").is_dir():
        return ""  # no Linux
    if (root / "dev/nvidiactl").exists() and not os.access(root / "dev/nvidiactl", os.R_OK | os.W_OK):
        return "you may not open /dev/nvidiactl: ask for the group that owns it, then log in again"
    nodes = sorted((root / "dev/dri").glob("renderD*")) if (root / "dev/dri").is_dir() else []
    if not nodes:
        return _no_node(root)
    closed = [node for node in nodes if not os.access(node, os.R_OK | os.W_OK)]
    if len(closed) < len(nodes):
        return ""
    group = _group(closed[0])
    return (
        f"you may not open /dev/dri/{closed[0].name}, which belongs to the group {group}: "
        f"sudo usermod -aG {group} $USER, then log in again"
    )


def hidden_gpu(root: Path = Path("/")) -> str | None:
    """The maker of a GPU that the machine has on its PCI bus, whether or not a driver offers it."""
    for device in sorted((root / "sys/bus/pci/devices").glob("*")):
        if _read(device / "class").startswith("0x03") and (maker := VENDORS.get(_read(device / "vendor").strip())):
            return maker
    return None


def _no_node(root: Path) -> str:
    if "microsoft" in _read(root / "proc/sys/kernel/osrelease").lower():
        there = (root / "dev/dxg").exists()
        return (
            "WSL has /dev/dxg, but no Vulkan driver for it: install a Mesa that has its driver dzn" if there
            else "WSL has no /dev/dxg: run `wsl --update` in Windows and install the GPU's driver there"
        )  # fmt: skip
    if (root / ".dockerenv").exists() or (root / "run/.containerenv").exists():
        return "this container has no /dev/dri: start it with --device /dev/dri, or for NVIDIA with --gpus all"
    return "there is no /dev/dri/renderD*: the kernel has no driver for a GPU, or hides it from here"


def _group(node: Path) -> str:
    number = node.stat().st_gid
    try:
        import grp

        return grp.getgrgid(number).gr_name
    except (ImportError, KeyError):
        return str(number)


def _read(path: Path) -> str:
    try:
        return path.read_text("ascii", "replace")
    except OSError:
        return ""
