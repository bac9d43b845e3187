"""The command line in this process, in a folder of the test's own, and a text."""

from __future__ import annotations

import random
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from nyx import cli

Program = Callable[..., tuple[int, str, str]]
WORDS = ("a", "small", "lamp", "stood", "near", "every", "green", "door", "while", "two", "quiet", "bakers", "sang",
         "about", "cold", "rain", "and", "bread")  # fmt: skip
SMOKE = ["--config", "smoke", "--device", "cpu", "--set", "train.sample_every=0", "--set", "checkpoint.every_minutes=0",
         "--set", "data.check=off"]  # fmt: skip


def sets(*settings: str) -> list[str]:
    """Each as an option --set."""
    return [part for setting in settings for part in ("--set", setting)]


def book(characters: int, seed: int = 1) -> str:
    """Dull English lines."""
    rng, text = random.Random(seed), ""
    while len(text) < characters:
        text += " ".join(rng.choice(WORDS) for _ in range(rng.randint(3, 9))) + "\n"
    return text


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes]) -> Program:
    """Runs the command line in tmp_path; gives the exit code, stdout and stderr."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NYX_CACHE_DIR", str(tmp_path / "cache"))

    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["nyx", *arguments])
        capfdbinary.readouterr()
        with pytest.raises(SystemExit) as ended:
            cli.main()
        out, err = capfdbinary.readouterr()
        return int(ended.value.code or 0), out.decode(), err.decode()

    return run
