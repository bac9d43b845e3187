"""The plan says what is then allocated; what a budget, a control group and a resource limit leave is found."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nyx.backends import host
from nyx.backends.base import Backend
from nyx.backends.cpu import CpuBackend
from nyx.backends.null import NullBackend
from nyx.config import ModelConfig
from nyx.errors import ConfigError, DeviceMemoryError
from nyx.generation import Sampling
from nyx.memory_budget import parse_size
from nyx.planning import describe
from nyx.resource_aware_hrm import ResourceAwareHRM
from nyx.text.batches import Batch
from nyx.text.vocabulary import Vocabulary
from tests.training.small import GPT, HRM, make_config

SYMBOLS = Vocabulary("".join(map(chr, range(0x100, 0x13C))), (), None)  # 60
WIDE = GPT.model_copy(update={"n_embd": 96, "n_head": 4, "dropout": 0.1, "block_size": 40})
ACT = HRM.model_copy(update={"variant": "act", "n_embd": 32})


@pytest.fixture(params=["cpu", "vulkan"])
def backend(request: pytest.FixtureRequest) -> Iterator[Backend]:
    if request.param == "cpu":
        opened: Backend = CpuBackend()
    else:
        request.getfixturevalue("vulkan_device")
        from nyx.backends.vulkan import VulkanBackend

        opened = VulkanBackend(int(os.environ.get("NYX_TEST_DEVICE", "0")))
    yield opened
    opened.close()


@pytest.mark.parametrize("model", [HRM, WIDE, ACT], ids=["hrm", "gpt", "act"])
@pytest.mark.parametrize(("rows", "seq_len", "parts"), [(4, 12, 1), (7, 9, 2)])
def test_the_plan_is_what_a_training_then_allocates(
    backend: Backend, model: ModelConfig, rows: int, seq_len: int, parts: int
) -> None:
    """Steps of every gradient depth, an evaluation, and text past the window's end."""
    config = make_config(model, batch_size=rows, seq_len=seq_len, grad_accum_steps=parts, ema_decay=0.9)
    hrm = ResourceAwareHRM(model, SYMBOLS, backend)
    hrm.initialize_training(config, 8)
    plan = hrm.memory_plan
    hrm.initialize(1)
    x = np.random.default_rng(0).integers(0, 60, (rows * parts, seq_len)).astype(np.int32)
    for step in range(8):
        hrm.process_character_training_batch(Batch(x, x, x.size), step, 1e-3)
    hrm.read_sums()
    with hrm.averaged():
        hrm.evaluate(x.reshape(-1), seq_len=seq_len, batch_size=rows)
        before = backend.memory().total
        hrm.generate_text("āĂ", seq_len, Sampling())
    use = backend.memory()
    assert plan.device["decoding"] == pytest.approx(use.total - before, rel=0.15)
    # Without the buffers for transfers, which are most of what so small a model takes.
    assert plan.device_total - plan.device["staging"] == pytest.approx(use.total - use.staging, rel=0.15)
    assert plan.device["staging"] == use.staging
    if not isinstance(backend, CpuBackend):
        assert use.total == backend._device.memory()["allocated"]  # type: ignore[attr-defined]
    assert plan.host["checkpoints"] == pytest.approx(sum(a.nbytes for a in hrm.training_state()[0].values()), rel=0.15)


def test_the_plan_of_hybrid_execution_counts_both_sides(backend: Backend) -> None:
    config = make_config(WIDE, ema_decay=0.9).model_copy(update={"execution": "hybrid"})
    hrm = ResourceAwareHRM(WIDE, SYMBOLS, backend)
    hrm.initialize_training(config, 8)
    plan = hrm.memory_plan
    assert plan.device["moments"] == plan.device["average"] == 0
    hrm.initialize(1)
    x = np.zeros((4, 40), np.int32)
    hrm.process_character_training_batch(Batch(x, x, x.size), 0, 1e-3)
    hrm.evaluate(x.reshape(-1), seq_len=40, batch_size=4)
    hrm.decoder().step(backend, np.zeros(1, np.int32), 0)
    use = backend.memory()
    assert plan.device_total - plan.device["staging"] == pytest.approx(use.total - use.staging, rel=0.15)
    assert hrm.home is not None
    beside = plan.host_total - plan.host["checkpoints"] - plan.host["batches"]
    assert beside == pytest.approx(hrm.home.memory().total, rel=0.15)


def test_nothing_is_allocated_before_the_plan_fits(backend: Backend) -> None:
    hrm = ResourceAwareHRM(WIDE, SYMBOLS, backend)
    before = backend.memory()
    with pytest.raises(DeviceMemoryError):
        hrm.initialize_training(make_config(WIDE).model_copy(update={"memory_budget": "200KB"}), 8)
    assert backend.memory() == before


def test_nyx_plan_shows_every_use() -> None:
    text = describe(make_config(HRM, batch_size=8), 60, steps=False)
    for part in ("parameters", "gradients", "moments", "activations", "evaluation", "decoding", "staging"):
        assert part in text
    for line in ("evaluate: ", "decode: ", "GPU: device memory: ", "CPU: device memory: "):
        assert line in text
    small = describe(make_config(HRM, batch_size=8).model_copy(update={"memory_budget": "400KB"}), 60, steps=False)
    assert "CPU: a batch of 8 windows does not fit into the 390.6 KiB of memory_budget" in small
    assert "GPU: even one character at a time needs" in small


@pytest.mark.parametrize(
    ("text", "size"),
    [("8GB", 8 * 10**9), ("512MiB", 2**29), ("1.5 KiB", 1536), ("7B", 7), ("2TB", 2 * 10**12), ("0.5GiB", 2**29)],
)
def test_sizes(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "8", "8 gigs", "-1GB", "0B", "0.0MB", "GB", "1e3MB", "8GBs"])
def test_no_sizes(text: str) -> None:
    with pytest.raises(ConfigError, match="memory_budget"):
        parse_size(text)


def write(folder: Path, **files: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name.replace("__", ".")).write_text(text)


def test_the_tightest_control_group_counts(tmp_path: Path) -> None:
    """Version 2: a limit above the group counts too, and file caches are given back."""
    membership = tmp_path / "cgroup"
    membership.write_text("0::/outer/inner\n")
    assert host.group_free(tmp_path / "fs", membership) is None
    inner, outer = tmp_path / "fs/outer/inner", tmp_path / "fs/outer"
    write(inner, memory__max="max\n", memory__current="5\n", memory__stat="anon 1\ninactive_file 3\n")
    assert host.group_free(tmp_path / "fs", membership) is None
    write(outer, memory__max="1000\n", memory__current="400\n", memory__stat="anon 1\ninactive_file 100\n")
    assert host.group_free(tmp_path / "fs", membership) == 700
    write(inner, memory__max="500\n")
    assert host.group_free(tmp_path / "fs", membership) == 498


def test_control_groups_of_version_1_and_of_a_container(tmp_path: Path) -> None:
    """The path in a container may be the host's: then the container's own group is at the root."""
    membership = tmp_path / "cgroup"
    membership.write_text("9:cpu,cpuacct:/\n4:memory:/docker/abc\n1:name=systemd:/\n")
    files = {
        "memory__limit_in_bytes": "1000",
        "memory__usage_in_bytes": "900",
        "memory__stat": "total_inactive_file 50",
    }
    write(tmp_path / "fs/memory", **files)
    assert host.group_free(tmp_path / "fs", membership) == 150
    write(tmp_path / "fs/memory", memory__limit_in_bytes=str(2**63 - 4096))
    assert host.group_free(tmp_path / "fs", membership) is None
    assert host.group_free(tmp_path / "fs", tmp_path / "none") is None


@pytest.mark.skipif(sys.platform == "win32", reason="no resource limits here")
@pytest.mark.parametrize("kind", ["RLIMIT_AS", "RLIMIT_DATA"])
def test_resource_limits_count(kind: str) -> None:
    code = (
        f"import resource, sys; size = int(sys.argv[1]); resource.setrlimit(resource.{kind}, (size, size));"
        "from nyx.backends import host; print(host.free_memory())"
    )
    size = 3 * 2**30
    done = subprocess.run([sys.executable, "-c", code, str(size)], capture_output=True, text=True, check=True)
    assert 0 < int(done.stdout) < size


def test_a_null_backend_limits_nothing() -> None:
    said: list[Any] = []
    hrm = ResourceAwareHRM(HRM, SYMBOLS, NullBackend())
    hrm.initialize_training(make_config(HRM, batch_size=64), 8, say=said.append)
    assert (hrm.micro_batch, hrm.execution, said) == (64, "device", [])
