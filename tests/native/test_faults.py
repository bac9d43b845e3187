"""Every Vulkan call that the core makes is made to fail once: each failure ends in a typed error, and nothing else.

A layer of our own (fault.c) lies between the core and the driver. A child process runs a small program once for every
call of one entry point and every result; it would die of a crash, and time out at a hang.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from .conftest import ADD_ONE, Compile, need

HERE = Path(__file__).parent
ENTRIES = re.findall(r"X\((vk\w+),", (HERE / "fault.c").read_text())
OUT_OF_HOST, OUT_OF_DEVICE, FAILED, LOST = -1, -2, -3, -4
EXPECTED = {
    OUT_OF_HOST: "DeviceMemoryError",
    OUT_OF_DEVICE: "DeviceMemoryError",
    FAILED: "DeviceError",
    LOST: "DeviceLostError",
}

PROGRAM = """
import ctypes, gc, json, os, struct, sys
import numpy as np
from nyx import _core, errors

entry, library, codes = sys.argv[1], ctypes.CDLL(sys.argv[2]), json.loads(sys.argv[4])
module = open(sys.argv[3], "rb").read()
STEPS = 3

def train():
    device = _core.Device(0)
    x, y, out = device.buffer(64, "host"), device.buffer(64, "device"), device.buffer(64, "readback")
    recordings = []
    for source, target in ((x, y), (y, out)):
        recording = device.recording()
        recording.dispatch(device.kernel(module, [source, target], 2), (1, 1, 1), struct.pack("2I", 64, 1))
        recording.finish()
        recordings.append(recording)
    values = np.zeros(64, np.uint32)
    for step in range(STEPS):
        x.write(0, values)
        for recording in recordings:
            recording.submit()
        for recording in recordings:
            recording.wait(30)
        out.read(0, values)
    return "done" if (values == 2 * STEPS).all() else "wrong"

def run(fault):
    os.environ["NYX_FAULT"] = fault
    try:
        result = train()
    except errors.NyxError as error:
        result = type(error).__name__
        assert "\\n" not in str(error) and len(str(error)) > 20, str(error)
    gc.collect()
    return result

print(json.dumps(["count", 0, 0, run("count")]))
calls = library.nyx_fault_count(entry.encode())
for code in codes:
    for call in range(1, calls + 1):
        print(json.dumps([entry, call, code, run(f"{entry}:{call}:{code}")]), flush=True)
print(json.dumps(["again", 0, 0, run("again")]))
"""


@pytest.fixture(scope="session")
def layer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The fault layer, built; its folder is what VK_LAYER_PATH takes."""
    folder = tmp_path_factory.mktemp("layer")
    library = folder / "libVkLayer_nyx_fault.so"
    command = [
        need("gcc"),
        "-O1",
        "-Wall",
        "-Wextra",
        "-Werror",
        "-shared",
        "-fPIC",
        "-o",
        str(library),
        str(HERE / "fault.c"),
    ]
    subprocess.run(command, check=True)
    description = {
        "file_format_version": "1.1.2",
        "layer": {
            "name": "VK_LAYER_NYX_fault",
            "type": "GLOBAL",
            "library_path": str(library),
            "api_version": "1.3.0",
            "implementation_version": "1",
            "description": "makes chosen calls fail",
        },
    }
    (folder / "VkLayer_nyx_fault.json").write_text(json.dumps(description))
    return library


@pytest.fixture
def outcomes(
    child: Callable[..., Any], layer: Path, glsl: Compile, vulkan_device: Any, tmp_path: Path
) -> Callable[..., list[list[Any]]]:
    """Fails every call of an entry point with every code; [entry point, call, code, what became of it] each."""
    assert vulkan_device is not None
    module = tmp_path / "add.spv"
    module.write_bytes(glsl(ADD_ONE))

    def run(entry: str, codes: list[int], layers: str = "VK_LAYER_NYX_fault", **environment: str) -> list[list[Any]]:
        paths = os.pathsep.join([str(layer.parent), "/usr/share/vulkan/explicit_layer.d"])
        arguments = entry, str(layer), str(module), json.dumps(codes)
        result = child(PROGRAM, *arguments, VK_LAYER_PATH=paths, VK_INSTANCE_LAYERS=layers, **environment)
        assert result.returncode == 0, f"{entry}: exit {result.returncode}\n{result.stdout}\n{result.stderr}"
        run.said = result.stdout  # type: ignore[attr-defined]
        return [json.loads(line) for line in result.stdout.splitlines() if line.startswith("[")]

    return run


@pytest.mark.parametrize("entry", ["vkCreateDevice", *ENTRIES])
def test_every_failed_call_is_a_typed_error(outcomes: Callable[..., list[list[Any]]], entry: str) -> None:
    first, *faults, last = outcomes(entry, list(EXPECTED))
    assert first[3] == "done" and last[3] == "done"
    assert len(faults) >= len(EXPECTED), f"{entry} is never called"
    if entry == "vkCreateComputePipelines":  # one for both kernels, which are of one module
        assert len(faults) == len(EXPECTED)
    assert [fault for fault in faults if fault[3] != EXPECTED[fault[2]]] == []


def test_a_device_lost_while_it_computes_is_lost_for_the_whole_process(
    child: Callable[..., Any], layer: Path, glsl: Compile, vulkan_device: Any, tmp_path: Path
) -> None:
    module = tmp_path / "add.spv"
    module.write_bytes(glsl(ADD_ONE))
    for call in range(1, 7):
        fault = f"vkWaitForFences:{call}:{LOST}:sticky"
        source = PROGRAM.split("print(")[0] + f"\nprint(run({fault!r}))\n"
        environment = {"VK_LAYER_PATH": str(layer.parent), "VK_INSTANCE_LAYERS": "VK_LAYER_NYX_fault"}
        result = child(source, "-", str(layer), str(module), "[]", **environment)
        assert (result.returncode, result.stdout.strip()) == (0, "DeviceLostError"), result.stderr


@pytest.mark.parametrize("entry", [name for name in ENTRIES if name != "vkWaitForFences"])
def test_a_failed_call_leaves_nothing_behind(outcomes: Callable[..., list[list[Any]]], entry: str) -> None:
    """The validation layer lists what is still there when a device goes away, and every wrong call on the way.

    It lies below the layer that fails the calls: to newer ones a submission that failed below them is pending for ever.
    """
    if not Path("/usr/share/vulkan/explicit_layer.d/VkLayer_khronos_validation.json").exists():
        need("VkLayer_khronos_validation.json")
    outcomes(entry, [OUT_OF_DEVICE], layers="VK_LAYER_NYX_fault:VK_LAYER_KHRONOS_validation")
    said = outcomes.said  # type: ignore[attr-defined]
    assert not re.search(r"VUID|UNASSIGNED|Validation (Error|Warning)|has not been destroyed", said), said
