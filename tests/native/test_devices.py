"""The choice of a device, over lists of devices that no single machine has."""

from __future__ import annotations

from typing import Any

import pytest

from nyx import devices
from nyx.errors import DeviceError

GIB = 2**30


def device(index: int, name: str, kind: str, gib: float = 8, problem: str | None = None) -> dict[str, Any]:
    heaps = [
        {"bytes": int(gib * GIB), "budget": int(gib * GIB), "used": 0, "device_local": True},
        {"bytes": 64 * GIB, "budget": 64 * GIB, "used": 0, "device_local": False},
    ]
    return {
        "index": index,
        "name": name,
        "type": kind,
        "driver": f"driver of {name} 1.0",
        "api_version": "1.3.0",
        "problem": problem,
        "heaps": heaps,
    }


SOFTWARE = device(0, "llvmpipe (LLVM 15)", "cpu", 2)
INTEGRATED = device(1, "Iris Xe", "integrated", 16)
SMALL = device(2, "GeForce GTX 1650", "discrete", 4)
LARGE = device(3, "Radeon RX 7900", "discrete", 24)
OLD = device(4, "Radeon HD 5450", "discrete", 48, problem="its driver has only Vulkan 1.0")
VIRTUAL = device(5, "virtio Venus", "virtual", 4)
ODD = device(6, "Accelerator", "other", 80)
ALL = [SOFTWARE, INTEGRATED, SMALL, LARGE, OLD, VIRTUAL, ODD]


@pytest.mark.parametrize(
    ("here", "index"),
    [
        (ALL, 3),
        ([SOFTWARE, INTEGRATED, SMALL], 2),
        ([SOFTWARE, INTEGRATED, VIRTUAL], 1),
        ([SOFTWARE, VIRTUAL], 5),
        ([SOFTWARE], None),
        ([OLD, ODD], None),
        ([], None),
    ],
)
def test_auto_takes_the_best_real_device_and_never_software(here: list[dict[str, Any]], index: int | None) -> None:
    choice = devices.pick("auto", here, None)
    assert choice.index == index
    assert choice.kind == ("cpu" if index is None else "vulkan")
    assert choice.info is (None if index is None else next(d for d in here if d["index"] == index))


def test_auto_says_why_it_is_the_cpu() -> None:
    assert "llvmpipe" in devices.pick("auto", [SOFTWARE], None).reason
    assert "no loader" in devices.pick("auto", [], "there is no loader").reason


@pytest.mark.parametrize("here", [[], ALL])
def test_the_cpu_is_always_there(here: list[dict[str, Any]]) -> None:
    choice = devices.pick("CPU", here, None)
    assert (choice.kind, choice.index) == ("cpu", None) and choice.name and "asked for" in str(choice)


@pytest.mark.parametrize(
    ("spec", "here", "index"),
    [
        ("vulkan", ALL, 3),
        ("Vulkan", [SOFTWARE, INTEGRATED], 1),
        ("vulkan", [SOFTWARE], 0),
        ("vulkan:0", ALL, 0),
        ("vulkan:6", ALL, 6),
        ("radeon", ALL, 3),
        ("GTX", ALL, 2),
        ("llvm", ALL, 0),
        ("driver of iris", ALL, 1),
        (" Venus ", ALL, 5),
    ],
)
def test_what_is_asked_for_is_taken(spec: str, here: list[dict[str, Any]], index: int) -> None:
    choice = devices.pick(spec, here, None)
    assert (choice.kind, choice.index) == ("vulkan", index)
    assert choice.name in str(choice) and choice.reason in str(choice)


@pytest.mark.parametrize(
    ("spec", "here", "says"),
    [
        ("vulkan", [], "no loader"),
        ("vulkan", [OLD], "Radeon HD 5450"),
        ("vulkan:9", ALL, "vulkan:3 Radeon RX 7900"),
        ("vulkan:-1", ALL, "vulkan:-1"),
        ("vulkan:", ALL, "llvmpipe"),
        ("vulkan:\u00b2", ALL, "llvmpipe"),
        ("vulkan:4", ALL, "only Vulkan 1.0"),
        ("HD 5450", ALL, "HD 5450"),
        ("H200", ALL, "Iris Xe"),
        ("", ALL, "empty"),
    ],
)
def test_what_is_not_there_is_refused_with_what_is(spec: str, here: list[dict[str, Any]], says: str) -> None:
    with pytest.raises(DeviceError, match=says.replace("(", r"\(")) as caught:
        devices.pick(spec, here, "there is no loader" if not here else None)
    assert "\n" not in str(caught.value) and caught.value.exit_code == 69


def test_choose_reads_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "vulkan_devices", lambda: [SOFTWARE, SMALL])
    monkeypatch.setattr(devices, "vulkan_error", lambda: None)
    assert devices.choose().index == 2
    lines = devices.describe()
    assert len(lines) == 4 and lines[0].startswith("cpu")
    assert "software" in lines[1] and "4.0 GiB" in lines[2] and lines[3].startswith("auto takes vulkan:2")


def test_choosing_the_cpu_starts_no_driver(monkeypatch: pytest.MonkeyPatch) -> None:
    def never() -> list[dict[str, Any]]:
        raise AssertionError("the list of devices was asked for")

    monkeypatch.setattr(devices, "vulkan_devices", never)
    assert devices.choose("cpu").kind == "cpu"


def test_without_the_native_core_there_is_the_cpu(child: Any) -> None:
    source = (
        "import sys\n"
        "sys.modules['nyx._core'] = None\n"
        "from nyx import devices, errors\n"
        "print(devices.choose('auto'))\n"
        "try:\n"
        "    devices.choose('vulkan')\n"
        "except errors.DeviceError as error:\n"
        "    print('refused', error)\n"
    )
    result = child(source)
    assert result.returncode == 0, result.stderr
    assert "make setup" in result.stdout and "refused" in result.stdout
