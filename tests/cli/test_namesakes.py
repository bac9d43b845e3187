"""Another program that is called nyx, as Tor's monitor is: `nyx doctor` says where, and what to do."""

from __future__ import annotations

import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

import nyx
from nyx import doctor


def _distribution(folder: Path, name: str, *files: str) -> None:
    info = folder / f"{name.replace('-', '_')}-9.9.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 9.9\n")
    (info / "RECORD").write_text("".join(f"{file},,\n" for file in files))


def _program(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)
    return path


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An environment of its own, where nyx-lm is installed with its program."""
    site = tmp_path / "lib/site-packages"
    (site / "nyx").mkdir(parents=True)
    (site / "nyx/__init__.py").write_text("")
    _distribution(site, "nyx-lm", "nyx/__init__.py", "../../bin/nyx")
    _program(tmp_path / "bin/nyx", "#!/usr/bin/python3\nfrom nyx.__main__ import main\nmain()\n")
    monkeypatch.setattr(nyx, "__file__", str(site / "nyx/__init__.py"))
    monkeypatch.setattr(sys, "path", [str(site)])
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    return site


def test_alone_there_is_nothing_to_say(site: Path) -> None:
    assert {d.metadata["Name"] for d in metadata.distributions()} == {"nyx-lm"}
    assert doctor.namesakes() == ([], [])


def test_a_distribution_that_owns_the_same_files_is_a_fault(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _distribution(site, "nyx", "nyx/__init__.py")
    faults, remarks = doctor.namesakes()
    assert remarks == [] and len(faults) == 1
    assert "nyx 9.9" in faults[0] and str(site / "nyx") in faults[0] and "pip uninstall nyx nyx-lm" in faults[0]
    monkeypatch.setattr(doctor, "_examine_devices", lambda say: True)
    said: list[str] = []
    assert not doctor.examine(said.append)
    assert f"fail  {faults[0]}" in said


def test_a_program_that_path_finds_first_is_named(site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = _program(tmp_path / "usr/bin/nyx", "#!/usr/bin/python3\nimport nyx\nnyx.main()\n")
    monkeypatch.setenv("PATH", f"{other.parent}:{tmp_path / 'bin'}")
    faults, remarks = doctor.namesakes()
    assert faults == [] and len(remarks) == 1
    assert str(other) in remarks[0] and str(tmp_path / "bin/nyx") in remarks[0]
    (tmp_path / "bin/nyx").unlink()
    assert str(other) in doctor.namesakes()[1][0] and f"{sys.executable} -m nyx" in doctor.namesakes()[1][0]


def test_a_link_to_this_program_is_this_program(site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "home/nyx").symlink_to(tmp_path / "bin/nyx")
    monkeypatch.setenv("PATH", f"{tmp_path / 'home'}:{tmp_path / 'bin'}")
    assert doctor.namesakes() == ([], [])


def test_a_program_that_replaced_this_one_is_a_fault(site: Path, tmp_path: Path) -> None:
    _program(tmp_path / "bin/nyx", "#!/usr/bin/python3\nimport nyx\nnyx.main()\n")
    faults, remarks = doctor.namesakes()
    assert remarks == [] and len(faults) == 1 and str(tmp_path / "bin/nyx") in faults[0]


@pytest.mark.parametrize("name", ["nyx/__init__.py", "nyx.py"])
def test_a_package_where_python_looks_is_named(
    site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    other = tmp_path / "dist-packages" / name
    other.parent.mkdir(parents=True)
    other.write_text("")
    monkeypatch.setattr(sys, "path", [str(tmp_path / "dist-packages"), str(site)])
    faults, remarks = doctor.namesakes()
    assert faults == [] and len(remarks) == 1 and str(other) in remarks[0]


def test_a_package_in_this_folder_is_named(site: Path) -> None:
    Path("nyx.py").write_text("")
    assert "nyx.py" in doctor.namesakes()[1][0]


def test_a_package_that_another_program_has_replaced_in_part_is_named() -> None:
    code = "import sys, nyx; {}; sys.argv = ['nyx', '--version']; from nyx.__main__ import main; main()"
    for change, expected in (("pass", ""), ("del nyx.__all__", f"{sys.executable} -m nyx doctor")):
        result = subprocess.run([sys.executable, "-c", code.format(change)], capture_output=True, text=True, timeout=60)
        assert result.returncode == 0 and nyx.__version__ in result.stdout
        assert expected in result.stderr and bool(expected) == bool(result.stderr)
