"""What Nyx wrote itself is no corpus of a folder or a pattern, whatever it is called; named in full it is one."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from nyx import cli
from nyx.errors import DataError
from nyx.text.corpus import read_text
from nyx.text.sources import find_files

OPTIONS = ["--config", "smoke", "--device", "cpu", "--set", "train.max_steps=4", "--set", "train.warmup_steps=1",
           "--set", "train.sample_every=2", "--set", "sample.length=5", "--set", "data.check=off"]  # fmt: skip
PLAIN = "the cat sat on the mat, and the dog ran over the road.\n" * 40
Run = Callable[..., tuple[int, list[str]]]


@pytest.fixture
def nyx(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Run:
    """Runs a command in an empty folder with one text; gives the exit code and the lines said."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NYX_CACHE_DIR", str(tmp_path / "cache"))
    Path("b.txt").write_text(PLAIN)

    def run(*arguments: str) -> tuple[int, list[str]]:
        monkeypatch.setattr(sys, "argv", ["nyx", *arguments])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        return int(ended.value.code or 0), capfd.readouterr().err.splitlines()

    return run


def named(lines: list[str]) -> str:
    """The files that the line about the model names."""
    return next(line for line in lines if "parameters; " in line).split("; ")[1].split(":")[0]


def test_a_folder_is_trained_on_again_and_again(nyx: Run) -> None:
    code, said = nyx("train", ".", *OPTIONS)
    assert (code, named(said)) == (0, "b.txt")
    assert not any("left out" in line for line in said)
    assert list(Path("runs").glob("*/samples.txt"))
    code, said = nyx("resume", "models/hrm.ckpt", "--set", "train.max_steps=6")
    assert code == 0, said
    for _ in range(2):
        code, said = nyx("train", ".", *OPTIONS)
        assert (code, named(said)) == (0, "b.txt")
        (line,) = (line for line in said if "left out" in line)
        assert "because Nyx wrote it itself: runs/" in line
        assert len(line) < 200


def test_it_is_told_by_its_content(nyx: Run, tmp_path: Path) -> None:
    """Also a run that was moved, renamed, or linked to, checkpoints and weights named like texts."""
    assert nyx("train", "b.txt", *OPTIONS, "--out", "model.txt")[0] == 0
    assert nyx("export", "model.txt", "weights.md")[0] == 0
    (run,) = Path("runs").iterdir()
    Path("notes").mkdir()
    shutil.move(run, "notes/My last try")
    Path("runs").rmdir()
    Path("linked.txt").symlink_to("model.txt")
    said: list[str] = []
    assert find_files(".", said.append) == [Path("b.txt")]
    assert len(said) == 1
    for name in ("notes/My last try", "model.txt", "weights.md", "linked.txt"):
        assert name in said[0]
    for pattern in ("*", "**/*", "**/*.txt", "*.txt", "./**"):
        assert [path.name for path in find_files(pattern, said.append)] == ["b.txt"], pattern
    Path("runs").mkdir()
    Path("runs/mine.txt").write_text(PLAIN)  # the name alone says nothing
    Path("run.json").write_text('{"id": 5}')
    assert [path.name for path in find_files(".", said.append)] == ["b.txt", "mine.txt"]


def test_nothing_but_its_own_is_an_error_that_names_it(nyx: Run) -> None:
    assert nyx("train", "b.txt", *OPTIONS)[0] == 0
    (run,) = Path("runs").iterdir()
    for path in ("runs", str(run), str(run / "checkpoints"), "models", f"{run}/*"):
        code, said = nyx("train", path, *OPTIONS)
        assert (code, len(said)) == (65, 1), said
        assert "only what Nyx wrote itself" in said[0]
    code, said = nyx("train", *(str(path) for path in Path(".").iterdir()), *OPTIONS)  # as a shell puts * in
    assert (code, named(said)) == (0, "b.txt")


def test_named_in_full_it_is_taken(nyx: Run) -> None:
    assert nyx("train", "b.txt", *OPTIONS)[0] == 0
    (samples,) = Path("runs").glob("*/samples.txt")
    assert "--- step 2" in read_text(samples).string()
    assert find_files(["b.txt", samples], lambda line: pytest.fail(line)) == [Path("b.txt"), samples]
    with pytest.raises(DataError, match=r"models/hrm.ckpt: a Nyx checkpoint, .* nyx generate models/hrm.ckpt"):
        read_text("models/hrm.ckpt")
