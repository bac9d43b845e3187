"""nyx._core: what it computes is right, and nothing brings the process down."""

from __future__ import annotations

import gc
import signal
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nyx.errors import DeviceLostError, ProgramError

from .conftest import ADD_ONE, SLOW, Compile, N, content, groups, host, words


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
    for name in ("libvulkan.so.1", "libvulkan.so"):  # found first, and no library
        (tmp_path / name).write_bytes(b"")
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
