"""What cannot be is refused in words, before it reaches a driver."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from nyx.errors import DeviceError, DeviceMemoryError, ProgramError

from .conftest import ADD_ONE, Compile, N, groups, host, words


@pytest.mark.parametrize(
    ("offset", "array"),
    [
        (7, np.zeros(2, np.float32)),
        (9, np.zeros(0, np.float32)),
        (2**63, np.zeros(4, np.float32)),
        (0, np.zeros(4, np.float64)),
        (0, np.zeros(4, np.uint8)),
        (0, np.zeros(8, np.float32)[::2]),
        (0, np.zeros((2, 3), np.float32).T),
    ],
)
def test_words_that_do_not_fit_are_refused(vulkan_device: Any, offset: int, array: np.ndarray) -> None:
    buffer = vulkan_device.buffer(8, "host")
    with pytest.raises(ProgramError):
        buffer.write(offset, array)
    with pytest.raises(ProgramError):
        buffer.read(offset, array)


def test_a_device_buffer_is_out_of_the_hosts_reach(vulkan_device: Any) -> None:
    with pytest.raises(ProgramError, match="host buffer"):
        vulkan_device.buffer(8, "device").read(0, np.zeros(8, np.float32))


def test_a_read_only_array_is_not_written(vulkan_device: Any) -> None:
    array = np.zeros(8, np.float32)
    array.flags.writeable = False
    with pytest.raises((BufferError, ValueError)):
        vulkan_device.buffer(8, "host").read(0, array)


@pytest.mark.parametrize("kind", ["device", "host", "readback"])
def test_what_is_too_large_is_refused_before_it_is_allocated(vulkan_device: Any, kind: str) -> None:
    before = vulkan_device.memory()
    most = vulkan_device.info["limits"]["max_storage_buffer_range"]
    sizes = {most // 4 + 1: str(most), 2**30 + 1024: "GiB", 2**40: "GiB", 2**62: "GiB"}
    for size, named in sizes.items():
        with pytest.raises(DeviceMemoryError, match=named):
            vulkan_device.buffer(size, kind)
    assert vulkan_device.memory() == before
    with pytest.raises(ProgramError):
        vulkan_device.buffer(0, kind)
    with pytest.raises(ProgramError, match="kind"):
        vulkan_device.buffer(1, "shared")


def test_the_sum_of_all_buffers_stays_within_the_heap(vulkan_device: Any) -> None:
    info = vulkan_device.info
    heap = max(heap["bytes"] for heap in info["heaps"])
    if "llvmpipe" not in info["driver"] or heap > 2**32:
        pytest.skip("fills the heap only where its pages are not touched")
    size = min(info["limits"]["max_storage_buffer_range"], heap // 4)
    buffers = []
    with pytest.raises(DeviceMemoryError, match="are free"):
        for _ in range(1 + heap // size):
            buffers.append(vulkan_device.buffer(size // 4, "device"))
    assert len(buffers) >= heap // size - 1
    used = vulkan_device.memory()["allocated"]
    del buffers
    assert vulkan_device.memory()["allocated"] < used
    assert vulkan_device.buffer(size // 4, "device").words == size // 4


def damaged(module: bytes) -> dict[str, bytes]:
    return {
        "nothing": b"",
        "a header alone": module[:20],
        "half a word": module[:-2],
        "cut short": module[: len(module) // 2 // 4 * 4 - 8],
        "another magic": b"\0" + module[1:],
        "an instruction of no words": module[:20] + b"\0\0\0\0" + module[24:],
        "no entry point": module.replace(b"main", b"niam"),
        "text": b"#version 450\n" * 8,
    }


@pytest.mark.parametrize("damage", list(damaged(b"\0" * 100)))
def test_a_damaged_module_is_refused(vulkan_device: Any, glsl: Compile, damage: str) -> None:
    buffers = [host(vulkan_device), host(vulkan_device)]
    with pytest.raises(DeviceError):
        vulkan_device.kernel(damaged(glsl(ADD_ONE))[damage], buffers, 2)


def test_a_kernel_that_does_not_fit_is_refused(vulkan_device: Any, glsl: Compile) -> None:
    from nyx import _core

    x, y = host(vulkan_device), host(vulkan_device)
    with pytest.raises(ProgramError, match="2 bindings"):
        vulkan_device.kernel(glsl(ADD_ONE), [x], 2)
    with pytest.raises(ProgramError, match="push constants"):
        vulkan_device.kernel(glsl(ADD_ONE), [x, y], 1)
    with pytest.raises(ProgramError, match="at least one"):
        vulkan_device.kernel(glsl(ADD_ONE), [], 2)
    with pytest.raises(DeviceError, match="push constants"):
        vulkan_device.kernel(glsl(ADD_ONE), [x, y], vulkan_device.info["limits"]["push_bytes"] // 4 + 1)
    with pytest.raises(DeviceError, match="buffers"):
        vulkan_device.kernel(glsl(ADD_ONE), [x] * (vulkan_device.info["limits"]["max_storage_buffers"] + 1), 2)
    wide = ADD_ONE.replace("local_size_x = 64", "local_size_x = 1024, local_size_y = 64")
    with pytest.raises(DeviceError, match="invocations"):
        vulkan_device.kernel(glsl(wide), [x, y], 2)
    other = _core.Device(vulkan_device.info["index"])
    with pytest.raises(ProgramError, match="same device"):
        vulkan_device.kernel(glsl(ADD_ONE), [x, other.buffer(N, "host")], 2)
    with pytest.raises(ProgramError, match="same device"):
        other.recording().dispatch(vulkan_device.kernel(glsl(ADD_ONE), [x, y], 2), groups(), words(1, 1))


def test_a_recording_used_out_of_turn_says_so(vulkan_device: Any, add: Any) -> None:
    kernel = add(host(vulkan_device, np.zeros(N, np.uint32)), host(vulkan_device))
    recording = vulkan_device.recording()
    with pytest.raises(ProgramError, match="finish"):
        recording.submit()
    with pytest.raises(ProgramError, match="push constants"):
        recording.dispatch(kernel, groups(), words(1))
    for wrong in ((0, 1, 1), (1, 1, 0), (1, vulkan_device.info["limits"]["max_groups"][1] + 1, 1)):
        with pytest.raises(ProgramError, match="workgroups"):
            recording.dispatch(kernel, wrong, words(1, 1))
    with pytest.raises(TypeError):
        recording.dispatch(kernel, (-1, 1, 1), words(1, 1))
    recording.dispatch(kernel, groups(), words(N, 1))
    recording.finish()
    for late in (recording.finish, recording.barrier, lambda: recording.dispatch(kernel, groups(), words(N, 1))):
        with pytest.raises(ProgramError, match="finished"):
            late()
    recording.wait(0)
    recording.submit()
    with pytest.raises(ProgramError, match="runs already"):
        recording.submit()
    with pytest.raises(ProgramError, match="zero seconds"):
        recording.wait(-1)
    with pytest.raises(ProgramError, match="zero seconds"):
        recording.wait(float("nan"))
    recording.wait(float("inf"))
    recording.wait(30)


@pytest.mark.parametrize("index", [10**6, 2**32 - 1])
def test_a_device_that_is_not_there_is_refused(vulkan_device: Any, index: int) -> None:
    from nyx import _core

    with pytest.raises(DeviceError, match="nyx devices"):
        _core.Device(index)
