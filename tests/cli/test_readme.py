"""What README.md says is so: its Python runs, and its map names what is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_python_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    Path("my.txt").write_text("a small boat on a large sea. " * 60)
    code = re.search(r"```python\n(.*?)```", README, re.S)
    assert code
    exec(compile(code[1].replace('device="auto"', 'device="cpu"'), "README.md", "exec"), {})
    assert 0 < float(capsys.readouterr().out) < 4
    assert not Path("runs").exists()


def test_the_map_names_every_file() -> None:
    house = README.split("## The house", 1)[1]
    for folder in ("nyx", "nyx/nn", "nyx/text", "nyx/training", "nyx/backends", "nyx/backends/vulkan", "native/vulkan"):
        stems = {p.stem for p in (ROOT / folder).glob("*.*") if p.suffix in (".py", ".cpp") and p.stem[0] != "_"}
        assert not {stem for stem in stems if not re.search(rf"\b{stem}\b", house)}, folder
