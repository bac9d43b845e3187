"""What all tests share: where the table of operations is, and the Vulkan device or the reason why there is none.

NYX_TEST_DEVICE: the index of the device to test, 0 unless set. NYX_REQUIRE_VULKAN=1: having none is a failure.
"""

from __future__ import annotations

import importlib.util
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent / "ops"))


def open_device() -> Any:
    """The device under test, or a sentence that says why there is none."""
    try:
        from nyx import _core  # type: ignore[attr-defined]
    except ImportError as error:
        return f"nyx._core is not built ({error}): run `make setup`"
    index, devices = int(os.environ.get("NYX_TEST_DEVICE", "0")), _core.devices()
    if index >= len(devices):
        return _core.vulkan_error() or f"there is no Vulkan device {index}, only {len(devices)}"
    if devices[index]["problem"]:
        return f"{devices[index]['name']}: {devices[index]['problem']}"
    return _core.Device(index)


@pytest.fixture(scope="session")
def vulkan_device() -> Any:
    """A nyx._core.Device. Without one the test is skipped, and fails under NYX_REQUIRE_VULKAN=1."""
    device = open_device()
    if isinstance(device, str):
        if os.environ.get("NYX_REQUIRE_VULKAN") == "1":
            pytest.fail(f"NYX_REQUIRE_VULKAN=1, but {device}")
        pytest.skip(f"no Vulkan: {device}")
    return device


@pytest.fixture
def cpu_threads() -> Iterator[None]:
    """The number of threads of the CPU kernels, as it was before, after a test that changes it."""
    from nyx import _core  # type: ignore[attr-defined]

    before = _core.cpu_threads()
    yield
    _core.set_cpu_threads(before)


def pytest_configure(config: pytest.Config) -> None:
    """NYX_REQUIRE_TORCH=1: the comparisons with PyTorch must run, not be skipped."""
    if os.environ.get("NYX_REQUIRE_TORCH") == "1" and importlib.util.find_spec("torch") is None:
        pytest.exit("NYX_REQUIRE_TORCH=1, but PyTorch is not installed", returncode=1)
    # Tests fork while a driver has threads; Python 3.12 and newer warn of that.
    config.addinivalue_line("filterwarnings", "ignore:This process .* is multi-threaded:DeprecationWarning")
    # A signal that is ignored here (SIGHUP under nohup, SIGINT in a shell's background) would be ignored in every child
    # too; one that is caught has its default effect there. Here it still does nothing.
    for name in ("SIGHUP", "SIGINT", "SIGTERM"):
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, lambda *_: None)


def pytest_runtest_logstart(nodeid: str) -> None:
    """Tells tests/validation_gate.py which test the layer's next messages belong to."""
    if "NYX_GATE_LOG" in os.environ:
        with open(os.environ["NYX_GATE_LOG"], "a") as log:
            log.write(f"NYX_GATE_TEST {nodeid}\n")
