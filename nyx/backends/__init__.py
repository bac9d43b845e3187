"""Backends: where Programs run."""

from __future__ import annotations

from nyx.backends.base import Backend
from nyx.backends.cpu import CpuBackend
from nyx.devices import Choice


def open_backend(choice: Choice) -> Backend:
    """The backend of a device that `nyx.devices.choose` chose."""
    if choice.index is None:
        return CpuBackend()
    from nyx.backends.vulkan import VulkanBackend

    return VulkanBackend(choice.index)
