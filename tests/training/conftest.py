"""Every backend that is here, and the command line."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from nyx.backends.base import Backend
from nyx.backends.cpu import CpuBackend


@pytest.fixture(params=["cpu", "vulkan"])
def device(request: pytest.FixtureRequest) -> str:
    """What --device takes: the CPU, then the Vulkan device under test."""
    if request.param == "vulkan":
        request.getfixturevalue("vulkan_device")
        return f"vulkan:{os.environ.get('NYX_TEST_DEVICE', '0')}"
    return "cpu"


@pytest.fixture
def backend(device: str) -> Iterator[Backend]:
    """An open backend."""
    if device == "cpu":
        opened: Backend = CpuBackend()
    else:
        from nyx.backends.vulkan import VulkanBackend

        opened = VulkanBackend(int(device.removeprefix("vulkan:")))
    yield opened
    opened.close()


@pytest.fixture
def nyx(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs the command line in a new process, in tmp_path."""

    def run(*arguments: str, expect: int = 0) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [sys.executable, "-m", "nyx.cli", *arguments], cwd=tmp_path, capture_output=True, text=True, timeout=300
        )
        assert done.returncode == expect, f"exit {done.returncode}, not {expect}:\n{done.stdout}\n{done.stderr}"
        assert "Traceback" not in done.stderr, done.stderr
        return done

    return run
