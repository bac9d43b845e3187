"""`nyx generate`: where a text ends, how many, and where a prompt comes from."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.conftest import SMOKE, Program, book, sets

Generate = Callable[..., tuple[int, str, str]]


@pytest.fixture
def generate(program: Program) -> Generate:
    Path("x.txt").write_text(book(4000) + "é 🜊\n" * 60, encoding="utf-8")
    assert program("train", "x.txt", *SMOKE, *sets("train.max_steps=40"), "--out", "m.ckpt")[0] == 0
    return lambda *words: program("generate", "m.ckpt", "--device", "cpu", *words)


def test_stop(generate: Generate) -> None:
    whole = generate("-p", "a ", "-n", "120", "--seed", "4")[1]
    assert len(whole) == 2 + 120 + 1
    text = whole[2:-1]
    for stops in (["\n"], [text[40:43]], [text[60:65], text[30:32]], ["never there"], [text[:1]], [text[118:] + "x"]):
        ends = [at for at in map(text.find, stops) if at >= 0]
        wanted = text[: min(ends)] if ends else text
        code, out, _ = generate("-p", "a ", "-n", "120", "--seed", "4", *(w for s in stops for w in ("--stop", s)))
        assert (code, out) == (0, "a " + wanted + "\n"), stops
    code, _, err = generate("-p", "a", "--stop", "")
    assert code == 64 and "--stop" in err


def test_several_samples_have_the_next_seeds(generate: Generate) -> None:
    each = [generate("-p", "a ", "-n", "30", "--seed", seed)[1] for seed in ("8", "9", "10")]
    code, out, err = generate("-p", "a ", "-n", "30", "--seed", "8", "--num-samples", "3")
    assert code == 0 and out == "".join(each) and len(set(each)) == 3
    assert err.splitlines() == [f"sample {n} of 3, seed {7 + n}" for n in (1, 2, 3)]


def test_prompts_from_elsewhere(generate: Generate) -> None:
    Path("prompt.txt").write_bytes("\ufeffa lamp é\n".encode())
    assert generate("-p", "@prompt.txt", "-n", "0")[1] == "a lamp é\n\n"
    command = [sys.executable, "-m", "nyx.cli", "generate", "m.ckpt", "-p", "-", "-n", "0", "--device", "cpu"]
    done = subprocess.run(command, input=b"two lamps", capture_output=True, check=True)
    assert done.stdout == b"two lamps\n"
    done = subprocess.run(command, input=b"ab\xff", capture_output=True)
    assert done.returncode == 65 and b"byte offset 2 is not UTF-8" in done.stderr
    assert subprocess.run(command, input=b"", capture_output=True).returncode == 65
    code, _, err = generate("-p", "@nothing.txt")
    assert code == 66 and "nothing.txt" in err
    Path("folder").mkdir()
    assert generate("-p", "@folder")[0] == 65
    code, _, err = generate("-p", "@@lamp", "-n", "0")
    assert code == 65 and "character '@' (U+0040) at position 0" in err


def test_a_prompt_from_a_terminal_is_asked_for(generate: Generate) -> None:
    ours, theirs = pty.openpty()
    os.write(ours, b"a lamp\n\x04")
    command = [sys.executable, "-m", "nyx.cli", "generate", "m.ckpt", "-p", "-", "-n", "0", "--device", "cpu"]
    done = subprocess.run(command, stdin=theirs, capture_output=True, text=True, timeout=100)
    os.close(ours)
    os.close(theirs)
    assert (done.returncode, done.stdout) == (0, "a lamp\n\n")
    assert done.stderr == "reading the prompt from standard input; Ctrl-D ends it\n"


def test_a_long_prompt_keeps_its_end(generate: Generate) -> None:
    text = book(3000)
    Path("long.txt").write_text(text, encoding="utf-8")
    code, out, err = generate("-p", "@long.txt", "-n", "20")
    assert code == 0 and out.startswith(text) and len(out) == len(text) + 21
    assert err == f"the prompt has {len(text)} symbols; the model reads the last 32, its window\n"
    assert out[len(text) :] == generate("-p", text[-32:], "-n", "20")[1][32:]


def test_lengths_count_characters(program: Program) -> None:
    Path("x.txt").write_text("🜊é" * 1200 + "ab\n" * 30, encoding="utf-8")
    more = sets("train.max_steps=30", "data.max_characters=1", "data.unknown=bytes")
    assert program("train", "x.txt", *SMOKE, *more, "--out", "m.ckpt")[0] == 0
    for length in (1, 10, 33):
        out = program("generate", "m.ckpt", "-p", "é", "-n", str(length), "--device", "cpu")[1]
        assert len(out) == 1 + length + 1
