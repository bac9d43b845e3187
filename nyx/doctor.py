"""What `nyx doctor` checks: that the parts of an installation are there and compute right."""

from __future__ import annotations

import platform
from collections.abc import Callable

import numpy as np

import nyx
from nyx import devices, ops, spirv
from nyx.errors import NyxError


def examine(say: Callable[[str], None]) -> bool:
    """Says a line for every check; False when something that should work does not.

    No Vulkan is no fault (the CPU computes everything); a device that is there and fails its round trip is one.
    """
    say(f"nyx {nyx.__version__}, Python {platform.python_version()}, NumPy {np.__version__}, {platform.platform()}")
    say(f"ok    CPU: {devices.cpu_name()}")
    there = {name.split(".")[0] for name in spirv.names()}
    missing = sorted(set(ops.names()) - there)
    reason = devices.vulkan_error()
    if reason is not None:
        say(f"none  Vulkan: {reason}")
        return True
    sound = not missing
    say("ok    shaders: all are there" if sound else f"fail  shaders: {', '.join(missing)} missing; run `make setup`")
    for device in devices.vulkan_devices():
        sound = _try(device, say) and sound
    say(f"auto takes: {devices.choose('auto')}")
    return sound


def _try(device: dict, say: Callable[[str], None]) -> bool:
    from nyx.backends.vulkan import VulkanBackend

    try:
        VulkanBackend(device["index"]).close()
    except NyxError as error:
        say(f"fail  vulkan:{device['index']} {device['name']}: {error}")
        return False
    say(f"ok    vulkan:{device['index']} {device['name']}: round trip")
    return True
