"""A training that cannot go on: what it says, its exit code, and that what was saved stays good."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from nyx.training.checkpoint import load
from tests.training.small import make_text

RUN = Callable[..., subprocess.CompletedProcess[str]]
FAULT = Path(__file__).parents[1] / "native" / "fault.c"


def sets(*values: str) -> list[str]:
    return [part for value in values for part in ("--set", value)]


@pytest.fixture
def start(tmp_path: Path) -> list[str]:
    (tmp_path / "text.txt").write_text(make_text(200), encoding="utf-8")
    return ["train", "text.txt", "--config", "smoke", *sets("checkpoint.every_steps=5", "train.sample_every=0")]


def test_divergence_ends_with_76_and_saves_no_bad_value(start: list[str], nyx: RUN, tmp_path: Path) -> None:
    done = nyx(
        *start, "--device", "cpu", *sets("train.lr=10", "train.min_lr=10", "train.grad_clip=0", "train.eval_every=0",
        "train.weight_decay=100", "train.max_steps=400"), expect=76,
    )  # fmt: skip
    assert "diverged at step" in done.stderr
    assert "train.lr" in done.stderr.splitlines()[-1]
    for path in (tmp_path / "runs").glob("*/checkpoints/*.ckpt"):
        assert all(np.isfinite(a).all() for a in load(path).tensors.values())


def test_a_lost_device_ends_with_75_and_the_cpu_goes_on(
    vulkan_device: object, start: list[str], nyx: RUN, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not shutil.which("gcc"):
        pytest.fail("gcc is needed to build the layer that makes calls fail")
    layer = tmp_path / "layer"
    layer.mkdir()
    built = subprocess.run(["gcc", "-O2", "-shared", "-fPIC", "-o", layer / "libfault.so", FAULT], capture_output=True)
    assert built.returncode == 0, built.stderr
    (layer / "fault.json").write_text(
        '{"file_format_version": "1.1.2", "layer": {"name": "VK_LAYER_NYX_fault", "type": "GLOBAL", '
        '"library_path": "./libfault.so", "api_version": "1.3.239", "implementation_version": "1", "description": "f"}}'
    )
    monkeypatch.setenv("VK_LAYER_PATH", str(layer))
    monkeypatch.setenv("VK_INSTANCE_LAYERS", "VK_LAYER_NYX_fault")
    monkeypatch.setenv("NYX_FAULT", "vkQueueSubmit:200:-4:sticky,vkWaitForFences:200:-4:sticky")
    device = f"vulkan:{os.environ.get('NYX_TEST_DEVICE', '0')}"
    done = nyx(*start, "--device", device, *sets("train.eval_every=0"), expect=75)
    assert "device was lost" in done.stderr
    for name in ("VK_INSTANCE_LAYERS", "NYX_FAULT"):
        monkeypatch.delenv(name)
    saved = load(tmp_path / "models" / "hrm.ckpt").info().training.step
    assert saved > 0
    assert saved % 5 == 0
    nyx("resume", "models/hrm.ckpt", "--device", "cpu")
    assert load(tmp_path / "models" / "hrm.ckpt").info().training.step == 60
