"""What README.md says is so: its Python runs, and its map names what is there."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from nyx.configload import load_config
from nyx.training.checkpoint import load
from nyx.training.plan import parts_of

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_notebook_runs_and_does_what_the_command_line_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("my.txt").write_text("The small boat on a large sea. " * 60)
    found = re.search(r"```python\n(.*?)```", README, re.S)
    assert found
    code = found[1].replace('device="auto"', 'device="cpu"')
    assert len([line for line in code.splitlines() if line]) == 9
    exec(compile(code, "README.md", "exec"), {})
    first, written = capsys.readouterr().out.splitlines()[:2]
    loss, path = first.split(" ", 1)
    assert 0 < float(loss) < 4 and written.startswith("The smal")
    options = ["my.txt", "--config", "smoke", "--device", "cpu", "--out", "other.ckpt"]
    subprocess.run([sys.executable, "-m", "nyx.cli", "train", *options], check=True, capture_output=True)
    one, other = load(path), load("other.ckpt")
    assert one.tensors.keys() == other.tensors.keys() and one.info().training.finished
    for name, values in one.tensors.items():
        assert values.tobytes() == other.tensors[name].tobytes(), name
    assert load("models/hrm.ckpt").sha256 == one.sha256


def test_the_plans_in_the_documentation_are_configurations(tmp_path: Path) -> None:
    found = re.findall(r"```yaml\n(.*?)```", (ROOT / "docs/texts-and-plans.md").read_text(encoding="utf-8"), re.S)
    counts = []
    for text in found:
        (tmp_path / "plan.yaml").write_text(text, encoding="utf-8")
        counts.append(len(parts_of(load_config(["hlxl-brain", str(tmp_path / "plan.yaml")]))))
    assert counts == [3, 4]


def test_the_map_names_every_file() -> None:
    house = README.split("## The house", 1)[1]
    for folder in ("nyx", "nyx/nn", "nyx/text", "nyx/training", "nyx/backends", "nyx/backends/vulkan", "native/vulkan"):
        stems = {p.stem for p in (ROOT / folder).glob("*.*") if p.suffix in (".py", ".cpp") and p.stem[0] != "_"}
        assert not {stem for stem in stems if not re.search(rf"\b{stem}\b", house)}, folder
