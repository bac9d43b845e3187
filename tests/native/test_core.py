"""nyx._core: what it computes is right, what cannot be is refused in words, and nothing brings the process down."""

from __future__ import annotations

import gc
import signal
import struct
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nyx.errors import DeviceError, DeviceLostError, DeviceMemoryError, ProgramError

from .conftest import ADD_ONE, SLOW, Compile

N = 1000


def words(*values: int) -> bytes:
    return struct.pack(f"{len(values)}I", *values)


def groups(n: int = N) -> tuple[int, int, int]:
    return ((n + 63) // 64, 1, 1)


@pytest.fixture
def add(vulkan_device: Any, glsl: Compile) -> Callable[[Any, Any], Any]:
    """A kernel y = x + step on two buffers."""
    return lambda x, y: vulkan_device.kernel(glsl(ADD_ONE), [x, y], 2)


def host(device: Any, values: np.ndarray | None = None, kind: str = "host") -> Any:
    buffer = device.buffer(N if values is None else values.size, kind)
    if values is not None:
        buffer.write(0, values)
    return buffer


def content(buffer: Any) -> np.ndarray:
    values = np.empty(buffer.words, np.uint32)
    buffer.read(0, values)
    return values


def test_info_says_what_the_device_is(vulkan_device: Any) -> None:
    info = vulkan_device.info
    assert info["name"]
    assert info["type"] in ("discrete", "integrated", "virtual", "cpu", "other")
    assert info["driver"] and info["api_version"].count(".") == 2 and len(info["uuid"]) == 32
    assert all(heap["bytes"] >= heap["budget"] > 0 for heap in info["heaps"])
    assert any(heap["device_local"] for heap in info["heaps"])
    assert info["limits"]["max_storage_buffer_range"] >= 1 << 27
    assert min(info["limits"]["max_groups"]) >= 65535 and info["limits"]["push_bytes"] >= 128
    subgroup = info["subgroup"]
    assert subgroup["min"] <= subgroup["size"] <= subgroup["max"] and "basic" in subgroup["operations"]
    assert info["features"] and all(isinstance(value, bool) for value in info["features"].values())


def test_a_dispatch_writes_what_it_should_and_no_more(vulkan_device: Any, add: Any) -> None:
    before = np.arange(N, dtype=np.uint32)
    x, y = host(vulkan_device, before), host(vulkan_device, np.full(N, 7, np.uint32), "readback")
    recording = vulkan_device.recording()
    recording.dispatch(add(x, y), groups(), words(N - 3, 5))
    recording.finish()
    recording.submit()
    recording.wait(30)
    assert np.array_equal(content(y)[: N - 3], before[: N - 3] + 5)
    assert np.array_equal(content(y)[N - 3 :], [7, 7, 7])
    assert np.array_equal(content(x), before)


def test_chained_dispatches_see_each_other(vulkan_device: Any, add: Any) -> None:
    x, y, out = host(vulkan_device, np.zeros(N, np.uint32)), *(vulkan_device.buffer(N, "device") for _ in range(2))
    there, back = add(x, y), add(y, out)
    forth, last = add(out, y), host(vulkan_device, np.zeros(N, np.uint32), "readback")
    recording = vulkan_device.recording()
    recording.dispatch(there, groups(), words(N, 1))
    for step in range(50):
        recording.barrier()
        recording.dispatch(back if step % 2 == 0 else forth, groups(), words(N, step))
    recording.barrier()
    recording.dispatch(add(y, last), groups(), words(N, 0))
    recording.finish()
    assert (recording.dispatches, recording.barriers) == (52, 51)
    recording.submit()
    recording.wait(30)
    assert np.array_equal(content(last), np.full(N, 1 + sum(range(50)), np.uint32))


def test_a_recording_is_replayed_and_reads_what_the_host_wrote_last(vulkan_device: Any, glsl: Compile) -> None:
    source = ADD_ONE.replace("readonly", "").replace("writeonly", "").replace("y[i] = x[i] + step", "y[i] += x[i]")
    x, y = host(vulkan_device, np.zeros(N, np.uint32)), host(vulkan_device, np.zeros(N, np.uint32), "readback")
    recording = vulkan_device.recording()
    recording.dispatch(vulkan_device.kernel(glsl(source), [x, y], 2), groups(), words(N, 0))
    recording.finish()
    for step in range(1000):
        x.write(3, np.array([step], np.int32))
        recording.submit()
        recording.wait(30)
    expected = np.zeros(N, np.uint32)
    expected[3] = 999 * 1000 // 2
    assert np.array_equal(content(y), expected)


def test_recordings_submitted_one_after_the_other_are_ordered(vulkan_device: Any, add: Any) -> None:
    x, middle = host(vulkan_device, np.zeros(N, np.uint32)), vulkan_device.buffer(N, "device")
    y = host(vulkan_device, None, "readback")
    recordings = []
    for source, target, step in ((x, middle, 3), (middle, y, 4)):
        recording = vulkan_device.recording()
        recording.dispatch(add(source, target), groups(), words(N, step))
        recording.finish()
        recordings.append(recording)
    for _ in range(20):
        for recording in recordings:
            recording.submit()
        for recording in reversed(recordings):
            recording.wait(30)
    assert np.array_equal(content(y), np.full(N, 7, np.uint32))


def test_kernels_of_one_module_share_a_pipeline(vulkan_device: Any, glsl: Compile) -> None:
    module = glsl(ADD_ONE.replace("local_size_x = 64", "local_size_x = 32"))  # of no other test
    x, y = host(vulkan_device), host(vulkan_device)
    started = time.perf_counter()
    first = vulkan_device.kernel(module, [x, y], 2)
    first_took = time.perf_counter() - started
    del first
    kernels = [vulkan_device.kernel(module, [y, x], 2) for _ in range(200)]
    each = (time.perf_counter() - started - first_took) / len(kernels)
    assert kernels[0].local_size == (32, 1, 1) and kernels[0].push_words == 2
    assert each < 0.002


def test_words_are_copied_where_they_belong(vulkan_device: Any) -> None:
    buffer = vulkan_device.buffer(8, "host")
    buffer.write(0, np.arange(8, dtype=np.float32))
    buffer.write(2, np.array([[-1, -2]], np.int32))
    out = np.zeros((2, 2), np.int32)
    buffer.read(2, out[:1])
    assert out.tolist() == [[-1, -2], [0, 0]]
    buffer.write(8, np.zeros(0, np.float32))
    single = np.zeros(1, np.float32)
    buffer.read(7, single)
    assert single[0] == 7


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


def test_an_empty_recording_runs(vulkan_device: Any) -> None:
    recording = vulkan_device.recording(ordered=False)
    recording.finish()
    recording.submit()
    recording.wait(30)


def test_what_is_in_use_outlives_its_names(vulkan_device: Any, glsl: Compile) -> None:
    from nyx import _core

    device = _core.Device(vulkan_device.info["index"])
    x, y = host(device, np.zeros(N, np.uint32)), host(device, None, "readback")
    recording = device.recording()
    recording.dispatch(device.kernel(glsl(ADD_ONE), [x, y], 2), groups(), words(N, 9))
    recording.finish()
    del device, x
    gc.collect()
    recording.submit()
    recording.wait(30)
    assert np.array_equal(content(y), np.full(N, 9, np.uint32))
    recording.submit()
    del recording  # while it runs
    gc.collect()
    assert np.array_equal(content(y), np.full(N, 9, np.uint32))


def slow_recording(device: Any, glsl: Compile, workgroups: int) -> Any:
    recording = device.recording()
    rows = -(-workgroups // 65535)
    recording.dispatch(device.kernel(glsl(SLOW), [host(device)], 0), (-(-workgroups // rows), rows, 1))
    recording.finish()
    return recording


def recording_of(device: Any, glsl: Compile, seconds: float) -> Any:
    """A recording that takes about `seconds`."""
    workgroups = 16
    while True:
        recording = slow_recording(device, glsl, workgroups)
        for _ in range(2):  # the first builds the pipeline
            started = time.perf_counter()
            recording.submit()
            recording.wait(60)
            took = time.perf_counter() - started
        if took > 0.05:
            return slow_recording(device, glsl, int(workgroups * seconds / took))
        workgroups *= 4


def test_other_threads_run_while_one_waits(vulkan_device: Any, glsl: Compile) -> None:
    recording = recording_of(vulkan_device, glsl, 0.6)
    ticks, done = [], threading.Event()

    def tick() -> None:
        while not done.wait(0.01):
            ticks.append(time.perf_counter())

    thread = threading.Thread(target=tick)
    thread.start()
    recording.submit()
    recording.wait(60)
    done.set()
    thread.join()
    assert len(ticks) >= 10


def test_a_signal_handler_ends_a_wait(vulkan_device: Any, glsl: Compile) -> None:
    class Rung(Exception):
        pass

    def ring(*_: object) -> None:
        raise Rung

    recording = recording_of(vulkan_device, glsl, 1.5)
    former = signal.signal(signal.SIGALRM, ring)
    try:
        recording.submit()
        signal.setitimer(signal.ITIMER_REAL, 0.05)
        started = time.perf_counter()
        with pytest.raises(Rung):
            recording.wait(60)
        assert time.perf_counter() - started < 1.0
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, former)
    with pytest.raises(ProgramError, match="runs already"):
        recording.submit()
    recording.wait(60)


def test_a_device_that_takes_too_long_is_lost_and_the_process_lives(glsl: Compile, vulkan_device: Any) -> None:
    from nyx import _core

    device = _core.Device(vulkan_device.info["index"])
    recording = recording_of(device, glsl, 2)
    recording.submit()
    with pytest.raises(DeviceLostError, match=r"0\.1 s"):
        recording.wait(0.1)
    assert device.lost
    with pytest.raises(DeviceLostError):
        recording.wait(1)
    with pytest.raises(ProgramError):
        recording.submit()
    with pytest.raises(DeviceLostError):
        device.recording()
    with pytest.raises(DeviceLostError):
        device.buffer(1, "host")
    del recording, device
    gc.collect()
    time.sleep(2.5)  # it still runs, and nothing it uses may be gone


@pytest.mark.parametrize("index", [10**6, 2**32 - 1])
def test_a_device_that_is_not_there_is_refused(vulkan_device: Any, index: int) -> None:
    from nyx import _core

    with pytest.raises(DeviceError, match="nyx devices"):
        _core.Device(index)


def test_devices_can_be_opened_again_and_again(vulkan_device: Any, glsl: Compile) -> None:
    from nyx import _core

    for _ in range(10):
        device = _core.Device(vulkan_device.info["index"])
        x, y = host(device, np.zeros(N, np.uint32)), host(device)
        recording = device.recording()
        recording.dispatch(device.kernel(glsl(ADD_ONE), [x, y], 2), groups(), words(N, 2))
        recording.finish()
        recording.submit()
        recording.wait(30)
        assert content(y)[-1] == 2


NOTHING = """
import nyx, numpy
from nyx import _core, devices, errors
assert _core.devices() == [] and _core.vulkan_error(), _core.vulkan_error()
try:
    _core.Device(0)
except errors.DeviceError as error:
    print("refused:", error)
print(devices.choose("auto").kind)
try:
    devices.choose("vulkan")
except errors.DeviceError as error:
    print("refused:", error)
"""


def test_without_a_driver_there_is_an_answer(child: Any) -> None:
    result = child(NOTHING, VK_ICD_FILENAMES="/nonexistent", VK_DRIVER_FILES="/nonexistent")
    assert result.returncode == 0, result.stderr
    assert result.stdout.count("refused:") == 2 and "cpu" in result.stdout.split()
    assert "driver" in result.stdout


def test_without_a_loader_there_is_an_answer(child: Any, tmp_path: Path) -> None:
    (tmp_path / "libvulkan.so.1").write_bytes(b"")  # found first, and no library
    result = child(NOTHING, LD_LIBRARY_PATH=str(tmp_path))
    assert result.returncode == 0, result.stderr
    assert result.stdout.count("refused:") == 2 and "libvulkan1" in result.stdout


def test_the_validation_layer_comes_when_asked_for(child: Any, vulkan_device: Any, tmp_path: Path) -> None:
    source = "from nyx import _core; print(_core.vulkan_error()); print('validation' in open('/proc/self/maps').read())"
    assert child(source).stdout.split()[-1] == "False"
    asked = child(source, NYX_VALIDATION="1").stdout.split()
    if "vulkan-validationlayers)" in asked:
        pytest.skip("the validation layer is not installed")
    assert asked == ["None", "True"]
    missing = child(source, NYX_VALIDATION="1", VK_LAYER_PATH=str(tmp_path))
    assert "apt install vulkan-validationlayers" in missing.stdout
