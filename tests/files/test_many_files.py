"""Thousands of files: no line that is longer than a screen, and the run's own configuration is read again."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from nyx import cli, configfile, configload
from nyx.errors import ConfigError
from nyx.files import show_paths

COUNT = 5000
LONGEST = 240  # characters of a line
OPTIONS = ["--config", "smoke", "--device", "cpu", "--set", "train.max_steps=3", "--set", "train.warmup_steps=1",
           "--set", "train.sample_every=0"]  # fmt: skip
Run = Callable[..., tuple[str, str]]


@pytest.fixture
def nyx(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Run:
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str, code: int = 0) -> tuple[str, str]:
        monkeypatch.setattr(sys, "argv", ["nyx", *arguments])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        out, err = capfd.readouterr()
        assert ended.value.code == code, err
        return out, err

    return run


def longest(text: str) -> int:
    return max(map(len, text.splitlines()), default=0)


def test_a_training_on_thousands(nyx: Run) -> None:
    Path("texts").mkdir()
    names = [f"texts/part {number:04d} of a [large] corpus.txt" for number in range(COUNT)]
    for number, name in enumerate(names):
        Path(name).write_text(f"line {number} of a small file\n" * 2)
    _, err = nyx("train", *names, *OPTIONS)
    assert "; 5,000 files ('" not in err
    assert "; 5,000 files (part 0000 of a [large] corpus.txt, " in err
    assert longest(err) < LONGEST
    _, err = nyx("resume", "models/hrm.ckpt", "--set", "train.max_steps=5", "--set", "data.path=texts")
    assert "changed: data.path from 5,000 files (texts/part 0000" in err
    assert longest(err) < LONGEST
    (run,) = Path("runs").iterdir()
    for name in ("train.log", "status.json"):
        assert longest((run / name).read_text()) < 2 * LONGEST
    written = run / "config.before-attempt-1.yaml"
    assert written.stat().st_size > configfile.WRITTEN.bytes
    assert configload.load(str(written)).config.data.path == tuple(names)
    out, _ = nyx("config", "show", str(written))
    assert longest(out) < LONGEST
    assert len(json.loads((run / "run.json").read_text())["corpus"]) < LONGEST
    _, err = nyx("train", "--config", str(written), "--set", "train.max_steps=2", "--run-dir", "again")
    assert "5,000 files" in err
    out, _ = nyx("corpus", "check", *names)
    assert out.startswith("5,000 files (texts/part 0000")
    assert longest(out) < LONGEST


def test_what_is_no_runs_own_stays_short(tmp_path: Path) -> None:
    text = "data:\n  path:\n" + "".join(f"    - file {number} of many.txt\n" for number in range(COUNT))
    (tmp_path / "config.yaml").write_text(text)
    with pytest.raises(ConfigError, match="is larger than 64 KiB"):
        configload.load(str(tmp_path / "config.yaml"))
    (tmp_path / "run.json").write_text('{"id": "0123456789abcdef", "attempts": []}')
    assert len(configload.load(str(tmp_path / "config.yaml"), ["train.max_steps=1"]).config.data.path) == COUNT
    (tmp_path / "other.yaml").write_text(text)
    with pytest.raises(ConfigError, match="is larger than 64 KiB"):
        configload.load(str(tmp_path / "other.yaml"))
    (tmp_path / "config.yaml").write_text("#" * (configfile.OWN.bytes + 1))
    with pytest.raises(ConfigError, match="is larger than 4096 KiB"):
        configload.load(str(tmp_path / "config.yaml"))


@pytest.mark.parametrize("count", [0, 1, 2, 5, 40, 5000])
@pytest.mark.parametrize("length", [1, 20, 99, 255, 4000])
def test_names_together(count: int, length: int) -> None:
    names = [f"{number:0{length}d}"[-length:] for number in range(count)]
    shown = show_paths(names)
    assert len(shown) <= 100
    if len(", ".join(names)) > 100 and count > 1:
        assert shown.startswith(f"{count:,} files ({names[0][:20]}")
    elif length < 100:
        assert shown == ", ".join(names)
    assert show_paths(["a\nb", "c"]) == "'a\\nb', c"


@pytest.fixture
def deep(nyx: Run) -> Iterator[Callable[[str, bytes], None]]:
    """Makes a file so deep in a folder that Python's own recursion does not reach it, nor that of pytest's cleaning."""

    def make(folder: str, data: bytes) -> None:
        here = os.getcwd()
        os.chdir(folder)
        for _ in range(1100):  # not more than a path may have
            os.mkdir("d")
            os.chdir("d")
        Path("deep.txt").write_bytes(data)
        os.chdir(here)

    yield make
    subprocess.run(["rm", "-rf", "in"], check=True)


def test_odd_names_and_deep_folders(nyx: Run, deep: Callable[[str, bytes], None]) -> None:
    """A run on a folder of them is trained and resumed; each alone too, where a configuration can hold its name."""
    line = b"some words in a line of a small text\n" * 8
    names = [b"a\nb.txt", b"-x.txt", b" sp ace .txt", b"\x1b[31mred.txt", b"q'uote\".txt", b"star*.txt", b"~t.txt",
             b"[x].txt", b"\xff.txt"]  # fmt: skip
    os.mkdir("in")
    for name in names:
        Path(os.fsdecode(b"in/" + name)).write_bytes(line)
    deep("in", line)
    _, err = nyx("train", "in", *OPTIONS)
    assert "10 files (" in err
    assert longest(err) < LONGEST
    nyx("resume", "models/hrm.ckpt", "--set", "train.max_steps=5")
    for number, name in enumerate(names[:-1]):
        _, err = nyx("train", "in/" + os.fsdecode(name), *OPTIONS, "--run-dir", f"run{number}", "--set",
                     "data.val_fraction=0.3")  # fmt: skip
        assert longest(err) < LONGEST
        config = configload.load(f"run{number}/config.yaml").config
        assert config.data.path == ("in/" + os.fsdecode(name),)
    _, err = nyx("train", os.fsdecode(b"in/" + names[-1]), *OPTIONS, code=78)
    assert err.startswith("nyx: 'in/\\udcff.txt' is no UTF-8, and a configuration cannot keep it: rename the file, or ")
    assert err.count("\n") == 1
    _, err = nyx("train", "in/**/*.txt", *OPTIONS, code=65)
    assert "the folders are too deep for a pattern: name a folder" in err
