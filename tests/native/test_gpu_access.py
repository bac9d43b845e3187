"""Why a GPU cannot be used, from the files of a system that is made up."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from nyx import gpu_access


def system(root: Path, *paths: str, **texts: str) -> Path:
    """A root with these files; texts: content by a path whose slashes are two underscores."""
    (root / "dev").mkdir(exist_ok=True)
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).touch()
    for name, text in texts.items():
        path = root / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def test_no_device_file(tmp_path: Path) -> None:
    assert "no /dev/dri/renderD*" in gpu_access.remedy(system(tmp_path), {})
    system(tmp_path, "dev/dri/card0")
    assert "no /dev/dri/renderD*" in gpu_access.remedy(tmp_path, {})
    assert "container" in gpu_access.remedy(system(tmp_path, ".dockerenv"), {})
    assert "--device /dev/dri" in gpu_access.remedy(tmp_path, {})


def test_wsl(tmp_path: Path) -> None:
    system(tmp_path, proc__sys__kernel__osrelease="5.15.90.1-microsoft-standard-WSL2\n")
    assert "wsl --update" in gpu_access.remedy(tmp_path, {})
    assert "dzn" in gpu_access.remedy(system(tmp_path, "dev/dxg"), {})


def test_a_file_that_may_not_be_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    system(tmp_path, "dev/dri/renderD128")
    assert gpu_access.remedy(tmp_path, {}) == ""
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    said = gpu_access.remedy(tmp_path, {})
    group = gpu_access._group(tmp_path / "dev/dri/renderD128")
    assert "/dev/dri/renderD128" in said and f"usermod -aG {group} $USER" in said
    assert "/dev/nvidiactl" in gpu_access.remedy(system(tmp_path, "dev/nvidiactl"), {})


def test_a_list_of_drivers_that_names_what_is_not_there(tmp_path: Path) -> None:
    for name in gpu_access.LISTS:
        said = gpu_access.remedy(tmp_path, {name: f"{tmp_path}/gone.json{os.pathsep}{tmp_path}"})
        assert name in said and "gone.json" in said and "unset" in said


def test_another_system_says_nothing(tmp_path: Path) -> None:
    assert gpu_access.remedy(tmp_path, {}) == "" and gpu_access.hidden_gpu(tmp_path) is None


def test_a_gpu_on_the_bus(tmp_path: Path) -> None:
    bus = "sys__bus__pci__devices__0000:0"
    system(tmp_path, **{f"{bus}1__class": "0x020000\n", f"{bus}1__vendor": "0x8086\n"})
    assert gpu_access.hidden_gpu(tmp_path) is None
    system(tmp_path, **{f"{bus}2__class": "0x030000\n", f"{bus}2__vendor": "0x1002\n"})
    assert gpu_access.hidden_gpu(tmp_path) == "AMD"


def test_a_driver_without_its_device() -> None:
    """Mesa's driver for AMD, where there is no such GPU."""
    manifest = next(Path("/usr/share/vulkan/icd.d").glob("radeon_icd*.json"), None)
    if manifest is None or list(Path("/dev").glob("dri/renderD*")):
        pytest.skip("Mesa's radeon driver is not here, or a GPU is")
    done = subprocess.run([sys.executable, "-m", "nyx", "devices"], capture_output=True, text=True, check=True,
                          env=os.environ | {"VK_ICD_FILENAMES": str(manifest)})  # fmt: skip
    line = next(line for line in done.stdout.splitlines() if line.startswith("no Vulkan"))
    assert "cannot open its device" in line and "/dev/dri" in line and "vk::" not in line
