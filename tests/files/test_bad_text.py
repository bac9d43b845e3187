"""Every fault a text can have, as `nyx train` meets it: it trains with a finite loss, or says one line with the byte
offset or the reason, with its exit code, and what needs no reading is refused at once."""

from __future__ import annotations

import json
import math
import os
import re
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from nyx import cli

OPTIONS = ["--config", "smoke", "--device", "cpu", "--set", "train.max_steps=2", "--set", "train.warmup_steps=1",
           "--set", "train.log_every=1", "--set", "train.eval_every=2", "--set", "train.eval_chars=200",
           "--set", "train.sample_every=0", "--set", "model.n_embd=16"]  # fmt: skip
PLAIN = "the cat sat on the mat, and the dog ran over the road.\n" * 20
FEW = r"has \d+ characters.*needs 33"

TRAINS: dict[str, bytes] = {
    "one repeated character": b"a" * 1000,
    "only newlines": b"\n" * 1000,
    "only NUL": b"\0" * 1000,
    "CRLF": PLAIN.replace("\n", "\r\n").encode(),
    "byte order mark": b"\xef\xbb\xbf" + PLAIN.encode(),
    "NUL and other control characters": PLAIN.encode() + bytes(range(32)) * 20,
    "4-byte code points": "🜊🜂🜁\U0010ffff".encode() * 300,
    "the replacement character itself": "a\ufffd".encode() * 500,
    "one line of 3 MB": b"ab cd" * 600_000,
    "combining marks alone": "\u0301".encode() * 1000,
}
REFUSED: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "no text in it"),
    "only a byte order mark": (b"\xef\xbb\xbf", "no text in it"),
    "1 byte": (b"a", FEW),
    "as long as the window": (b"ab" * 16, FEW),
    "a validation part shorter than the window": (b"ab" * 100, FEW),
    "not UTF-8 at the start": (b"\xff" + PLAIN.encode(), r"byte offset 0 \(0xff\)"),
    "not UTF-8 in the middle": (PLAIN.encode() + b"\xc3(" + PLAIN.encode(), rf"byte offset {len(PLAIN)} \(0xc3\)"),
    "not UTF-8 in a later block": (b"a" * 3_000_000 + b"\x80", r"byte offset 3000000 \(0x80\)"),
    "a last character cut off": (PLAIN.encode() + "🜊".encode()[:3], rf"byte offset {len(PLAIN)} \(0xf0\)"),
    "an encoded lone surrogate": (PLAIN.encode() + b"\xed\xa0\x80", rf"byte offset {len(PLAIN)} \(0xed\)"),
    "UTF-16": (PLAIN.encode("utf-16"), r"UTF-16LE text, not a UTF-8 text: iconv -f UTF-16LE -t UTF-8 a\.txt > a"),
}


def fifo(path: Path) -> str:
    os.mkfifo(path)
    return str(path)


def listening(path: Path) -> str:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(path.name)  # a socket's path has at most 107 bytes: this one is relative
    return str(path)


def folder(path: Path) -> str:
    path.mkdir()
    (path / "data.bin").write_bytes(b"\xff")
    return str(path)


def sparse(path: Path) -> str:
    with path.open("wb") as file:
        file.write(PLAIN.encode())
        file.truncate(100 << 30)
    return str(path)


def circle(path: Path) -> str:
    path.symlink_to(path)
    return str(path)


AT_ONCE: dict[str, tuple[Callable[[Path], str], int, str]] = {
    "a named pipe": (fifo, 65, "a named pipe, not a text file"),
    "a socket": (listening, 65, "a socket, not a text file"),
    "/dev/zero": (lambda path: "/dev/zero", 65, "a character device, not a text file"),
    "a folder without text": (folder, 65, r"no \.txt, \.text, \.md file in this folder"),
    "a sparse file of 100 GiB": (sparse, 65, r"at byte offset \d+ of 107374182400 is a hole"),
    "a file that is not there": (str, 66, "no such file"),
    "a path through a file": (lambda path: f"{__file__}/a.txt", 66, "no such file"),
    "a pattern nothing matches": (lambda path: f"{path}*", 66, "no file matches"),
    "a link to itself": (circle, 66, "cannot be read"),
    "too long a name": (lambda path: "a" * 300, 66, "cannot be read"),
}
Run = Callable[[str], tuple[int, list[str], float]]


@pytest.fixture
def train(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Run:
    """Trains on a path in an empty folder; gives the exit code, the lines said, and the seconds it took."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NYX_CACHE_DIR", str(tmp_path / "cache"))

    def run(path: str) -> tuple[int, list[str], float]:
        monkeypatch.setattr(sys, "argv", ["nyx", "train", path, *OPTIONS])
        start = time.monotonic()
        with pytest.raises(SystemExit) as ended:
            cli.main()
        seconds = time.monotonic() - start
        out, err = capfd.readouterr()
        assert out == ""
        return int(ended.value.code or 0), err.splitlines(), seconds

    return run


@pytest.mark.parametrize("name", TRAINS)
def test_it_trains(train: Run, tmp_path: Path, name: str) -> None:
    (tmp_path / "a.txt").write_bytes(TRAINS[name])
    code, said, _ = train("a.txt")
    assert code == 0, said
    (metrics,) = tmp_path.glob("runs/*/metrics.jsonl")
    rows = [json.loads(line) for line in metrics.read_text("utf-8").splitlines()]
    losses = [row[key] for row in rows for key in ("train/loss", "val/loss") if row.get(key) is not None]
    assert len(losses) >= 3
    assert all(math.isfinite(loss) for loss in losses)
    if name.startswith("only") or name == "one repeated character":
        assert max(losses) == 0


@pytest.mark.parametrize("name", REFUSED)
def test_its_bytes_are_refused(train: Run, tmp_path: Path, name: str) -> None:
    data, words = REFUSED[name]
    (tmp_path / "a.txt").write_bytes(data)
    code, said, _ = train("a.txt")
    assert (code, len(said)) == (65, 1), said
    assert re.search(words, said[0])
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["a.txt"]


@pytest.mark.parametrize("name", AT_ONCE)
def test_it_is_refused_at_once(train: Run, tmp_path: Path, name: str) -> None:
    make, code, words = AT_ONCE[name]
    found, said, seconds = train(make(tmp_path / "a.txt"))
    assert (found, len(said)) == (code, 1), said
    assert re.search(words, said[0])
    assert seconds < 1
    assert not (tmp_path / "runs").exists()
    assert not (tmp_path / "cache").exists()
