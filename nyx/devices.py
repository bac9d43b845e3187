"""What computes here, and which of it a run takes: `--device auto|cpu|vulkan|vulkan:N|"name part"`."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nyx import gpu_access
from nyx.errors import DeviceError

# Real hardware, best first. Types that are not named here ("cpu", "other") are software, or nobody knows what.
_REAL = ("discrete", "integrated", "virtual")


@dataclass(frozen=True)
class Choice:
    """A device and why it was taken. `index` is what `nyx._core.Device` takes; None for the CPU."""

    kind: str  # "cpu" or "vulkan"
    name: str
    reason: str
    index: int | None = None
    info: dict[str, Any] | None = None

    def __str__(self) -> str:
        what = summary(self.info) if self.info else f"{self.name} (CPU)"
        return f"{what}: {self.reason}"


def choose(spec: str = "auto") -> Choice:
    """The device for `spec`; DeviceError, with what is here, when there is none such."""
    if spec == "cpu":  # says nothing about Vulkan, so it does not start any driver
        return pick(spec, [], None)
    return pick(spec, vulkan_devices(), vulkan_error())


def pick(spec: str, devices: Sequence[dict[str, Any]], error: str | None) -> Choice:
    """`choose` over a given list of devices (as of `nyx._core.devices`) and reason for there being none."""
    wanted = spec.strip()
    lowered = wanted.lower()
    if lowered == "cpu":
        return Choice("cpu", cpu_name(), "asked for")
    usable = sorted((d for d in devices if not d["problem"]), key=_rank)
    if lowered == "auto":
        return _auto(usable, error)
    if lowered == "vulkan":
        if not usable:
            raise DeviceError(_refusal("there is no Vulkan device", devices, error))
        real = usable[0]["type"] in _REAL
        how = "the best Vulkan device" if real else "asked for Vulkan, and there is only software for it"
        return _vulkan(usable[0], how)
    if lowered.startswith("vulkan:"):
        return _by_index(wanted, devices, error)
    if not wanted:
        raise DeviceError(_refusal("an empty device name", devices, error))
    named = [d for d in usable if lowered in f"{d['name']} {d['driver']}".lower()]
    if not named:
        raise DeviceError(_refusal(f'there is no device whose name holds "{wanted}"', devices, error))
    return _vulkan(named[0], f'its name holds "{wanted}"')


def _auto(usable: Sequence[dict[str, Any]], error: str | None) -> Choice:
    real = [d for d in usable if d["type"] in _REAL]
    if real:
        return _vulkan(real[0], "the best GPU" if len(real) > 1 else "the only GPU")
    if usable:
        names = ", ".join(d["name"] for d in usable)
        found = gpu_access.hidden_gpu()
        why = gpu_access.remedy() or "no Vulkan driver offers it: install the one of its maker"
        none = f"an {found} GPU is here, but cannot be used: {why}" if found else "no GPU here"
        return Choice("cpu", cpu_name(), f"{none}; a software driver is taken only by name ({names})")
    return Choice("cpu", cpu_name(), f"no GPU here: {error}" if error else "no GPU here")


def _by_index(wanted: str, devices: Sequence[dict[str, Any]], error: str | None) -> Choice:
    number = wanted[len("vulkan:") :]
    found = [d for d in devices if number.isdecimal() and d["index"] == int(number)]
    if not found:
        raise DeviceError(_refusal(f"there is no device {wanted}", devices, error))
    if found[0]["problem"]:
        raise DeviceError(f"{wanted} ({found[0]['name']}) cannot be used: {found[0]['problem']}")
    return _vulkan(found[0], "asked for by number")


def _rank(device: dict[str, Any]) -> tuple[int, int, int]:
    kind = _REAL.index(device["type"]) if device["type"] in _REAL else len(_REAL)
    return kind, -memory_bytes(device), device["index"]


def _vulkan(device: dict[str, Any], reason: str) -> Choice:
    return Choice("vulkan", device["name"], reason, device["index"], device)


def _refusal(what: str, devices: Sequence[dict[str, Any]], error: str | None) -> str:
    here = ", ".join(f"vulkan:{d['index']} {d['name']}" for d in devices)
    return f"{what}; here are: {here or 'no Vulkan devices' + (f' ({error})' if error else '')}, cpu"


def vulkan_devices() -> list[dict[str, Any]]:
    """`nyx._core.devices()`; empty where there is no Vulkan or no native core."""
    try:
        from nyx import _core
    except ImportError:
        return []
    return _core.devices()


def vulkan_error() -> str | None:
    """Why there is no Vulkan device here, in one line; None when there is one."""
    try:
        from nyx import _core
    except ImportError as missing:
        if getattr(missing, "name", None) != "nyx._core" and "_core" not in str(missing):
            raise
        return (
            "this build has no native core: a C++ compiler or Python's headers were missing when it was built; "
            "`make setup`, or pip with -v, builds it again and names what is missing"
        )
    reason = _core.vulkan_error()
    if reason is not None and (why := gpu_access.remedy()):
        reason = f"{reason}: {why}"
    return reason


def memory_bytes(device: dict[str, Any]) -> int:
    """The size of the device's own memory: its largest device-local heap."""
    return max((heap["bytes"] for heap in device["heaps"] if heap["device_local"]), default=0)


def summary(device: dict[str, Any]) -> str:
    """One Vulkan device in one line: number, name, type, driver, Vulkan version, memory."""
    kind = "software" if device["type"] == "cpu" else device["type"]
    memory = memory_bytes(device) / 2**30
    return (
        f"vulkan:{device['index']} {device['name']} ({kind}, {device['driver']}, "
        f"Vulkan {device['api_version']}, {memory:.1f} GiB)"
    )


def cpu_name() -> str:
    """The processor's name as the system gives it."""
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine() or "this computer's processor"


def describe() -> list[str]:
    """The lines of `nyx devices`: every device, and what `auto` takes."""
    devices, error = vulkan_devices(), vulkan_error()
    lines = [f"cpu      {cpu_name()}"]
    for device in devices:
        trouble = f"; cannot be used: {device['problem']}" if device["problem"] else ""
        lines.append(summary(device) + trouble)
    if error:
        lines.append(f"no Vulkan: {error}")
    lines.append(f"auto takes {pick('auto', devices, error)}")
    return lines
