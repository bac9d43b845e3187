"""The file in which a driver's pipelines are kept: whole and of this device and driver, or none."""

from __future__ import annotations

import os
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nyx.backends.vulkan.pipeline_cache import MAGIC, PipelineCache


class Device:
    """What a driver would say and get."""

    def __init__(self, content: bytes = b"", **other: Any) -> None:
        self.info = {"vendor_id": 0x1002, "device_id": 7, "driver_version": 1, "cache_uuid": "ab" * 16} | other
        self.content, self.taken = content, b"nothing yet"

    def take_cache(self, data: bytes) -> None:
        self.taken = data

    def cache_data(self) -> bytes:
        header = struct.pack("<4I", 32, 1, self.info["vendor_id"], self.info["device_id"])
        return header + bytes.fromhex(self.info["cache_uuid"]) + self.content


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("NYX_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path / "cache/pipelines"


def test_the_next_run_gets_it(folder: Path) -> None:
    first = Device(b"pipelines")
    cache = PipelineCache(first)
    assert first.taken == b""
    cache.keep()
    second = Device()
    assert PipelineCache(second).path == cache.path and second.taken == first.cache_data()
    assert [path.name for path in folder.iterdir()] == [cache.path.name]


@pytest.mark.parametrize("other", [{"device_id": 8}, {"driver_version": 2}, {"cache_uuid": "cd" * 16}], ids=str)
def test_each_device_and_driver_has_its_own(other: dict[str, Any]) -> None:
    PipelineCache(Device(b"pipelines")).keep()
    device = Device(**other)
    PipelineCache(device)
    assert device.taken == b""


def test_damage_is_never_handed_to_a_driver() -> None:
    cache = PipelineCache(Device(b"pipelines"))
    cache.keep()
    whole = cache.path.read_bytes()
    foreign = Device(b"pipelines", vendor_id=1).cache_data()
    damaged = [whole[:n] for n in range(len(whole))] + [whole + b"\0", b"", b"\0" * 4096, MAGIC, foreign]
    flips = [(at, bit) for at in range(len(whole)) for bit in (0, 7)]
    damaged += [whole[:at] + bytes([whole[at] ^ 1 << bit]) + whole[at + 1 :] for at, bit in flips]
    for data in damaged:
        cache.path.write_bytes(data)
        device = Device()
        PipelineCache(device)
        assert device.taken == b""
    cache.path.unlink()
    os.mkfifo(cache.path)
    PipelineCache(device)  # does not wait
    assert device.taken == b""


def test_a_folder_that_cannot_be_written_is_no_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("NYX_CACHE_DIR", str(tmp_path / "file"))
    PipelineCache(Device(b"pipelines")).keep()


def test_a_real_driver_takes_back_what_it_gave(vulkan_device: Any) -> None:
    from nyx import _core
    from nyx.backends.vulkan import VulkanBackend
    from nyx.tensor import Tensor

    device = _core.Device(vulkan_device.info["index"])
    device.take_cache(b"")
    blob = device.cache_data()
    assert struct.unpack("<4I", blob[:16])[1:] == (1, device.info["vendor_id"], device.info["device_id"])
    assert blob[16:32].hex() == device.info["cache_uuid"]
    again = _core.Device(vulkan_device.info["index"])
    again.take_cache(blob)
    assert again.cache_data()[:32] == blob[:32]
    for _ in range(2):  # the second one finds what the first one kept, where the driver keeps anything
        backend = VulkanBackend(vulkan_device.info["index"])
        tensor = Tensor("x", (5,), role="state")
        backend.write(tensor, np.arange(5, dtype=np.float32))
        assert backend.read(tensor).tolist() == [0, 1, 2, 3, 4]
        backend.close()
