"""What `nyx doctor` checks: that the parts of an installation are there and compute right."""

from __future__ import annotations

import os
import platform
import shutil
import sys
from collections.abc import Callable
from importlib import metadata
from pathlib import Path

import numpy as np

import nyx
from nyx import devices, ops, spirv
from nyx.errors import NyxError


def examine(say: Callable[[str], None]) -> bool:
    """Says a line for every check; False when something that should work does not.

    No Vulkan is no fault (the CPU computes everything); a device that is there and fails its round trip is one.
    """
    say(f"nyx {nyx.__version__}, Python {platform.python_version()}, NumPy {np.__version__}, {platform.platform()}")
    faults, remarks = namesakes()
    for line in faults:
        say(f"fail  {line}")
    for line in remarks:
        say(f"note  {line}")
    return _examine_devices(say) and not faults


def _examine_devices(say: Callable[[str], None]) -> bool:
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


def namesakes() -> tuple[list[str], list[str]]:
    """What else is called nyx here, as Tor's monitor is: faults, where it owns files of this Nyx, and remarks.

    Remarks are of a command `nyx` that PATH finds instead of this one, and of other packages where Python looks.
    """
    package, faults, remarks = Path(nyx.__file__).resolve().parent, [], []
    for other in metadata.distributions(name="nyx"):
        if Path(str(other.locate_file("nyx"))).resolve() == package:
            faults.append(
                f"package: the distribution nyx {other.version}, which is another program, owns files of this one in "
                f"{package}; {sys.executable} -m pip uninstall nyx nyx-lm, then install nyx-lm again"
            )
    for folder in dict.fromkeys(os.path.realpath(entry) for entry in [os.curdir, *sys.path]):
        for other in (Path(folder, "nyx/__init__.py"), Path(folder, "nyx.py")):
            if other.is_file() and other.resolve() != package / "__init__.py":
                remarks.append(f"package: {other} is another `nyx`; a Python that looks there first imports that one")
    own, found, module = _own_program(), shutil.which("nyx"), f"{sys.executable} -m nyx"
    if own is not None and own.read_bytes()[:2] == b"#!" and b"nyx.__main__" not in own.read_bytes():
        faults.append(f"command: another program has replaced {own}; install nyx-lm again, or use {module}")
    elif found is not None and (own is None or not os.path.samefile(found, own)):
        remarks.append(f"command: `nyx` is {found} here, and not this Nyx, which is {own or module}")
    return faults, remarks


def _own_program() -> Path | None:
    """The program that was installed with this package; None when there is none."""
    for distribution in metadata.distributions(name="nyx-lm"):
        for file in distribution.files or ():
            program = Path(str(distribution.locate_file(file)))
            if file.stem == "nyx" and file.parent.name in ("bin", "Scripts") and program.is_file():
                return program.resolve()
    return None


def _try(device: dict, say: Callable[[str], None]) -> bool:
    from nyx.backends.vulkan import VulkanBackend

    try:
        VulkanBackend(device["index"]).close()
    except NyxError as error:
        say(f"fail  vulkan:{device['index']} {device['name']}: {error}")
        return False
    say(f"ok    vulkan:{device['index']} {device['name']}: round trip")
    return True
