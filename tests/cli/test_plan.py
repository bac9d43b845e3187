"""`nyx plan` answers first: memory, time, and whether it fits."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.cli.conftest import Program, book, sets

CPU = ["--device", "cpu"]


def test_the_answers_come_first(program: Program) -> None:
    code, out, err = program("plan", "--config", "smoke", *CPU)
    assert (code, err) == (0, "")
    memory, time, fits, *rest = out.splitlines()
    assert re.fullmatch(r"memory: [\d.]+ MiB", memory)
    measured = r"measured here on 3 steps of 4 windows: [\d.,]+ ms each"
    assert re.fullmatch(rf"time: about [\d:]+ for 60 steps \({measured}\)", time)
    assert re.match(rf"fits: yes: {memory.partition(' ')[2]} of [\d.]+ GiB of memory, on ", fits)
    assert rest[0].startswith("train.bp2: ") and "= linear(" not in out
    assert "= linear(" in program("plan", "--config", "smoke", "--steps", *CPU)[1]
    assert len(program("plan", "--config", "smoke", "--no-steps", *CPU)[1].splitlines()) == len(out.splitlines())
    assert list(Path().iterdir()) == []


def test_the_size_of_the_answer_is_that_of_the_plan(program: Program) -> None:
    """Parameters, gradients, moments, activations and copies, of the device and of the host, as the list below has."""
    out = program("plan", "--config", "smoke", *CPU)[1]
    parts = re.findall(r"^CPU: (?:device|host) memory: ([\d.]+) (KiB|MiB)", out, re.MULTILINE)
    assert len(parts) == 2
    total = sum(float(size) / (1 if unit == "MiB" else 1024) for size, unit in parts)
    assert float(re.findall(r"memory: ([\d.]+) MiB", out)[0]) == pytest.approx(total, abs=0.11)


def test_a_text_gives_symbols_and_epochs(program: Program) -> None:
    Path("x.txt").write_text(book(6000), encoding="utf-8")
    code, out, _ = program("plan", "x.txt", "--config", "smoke", *sets("train.epochs=3"), *CPU)
    assert code == 0
    symbols = len(set(Path("x.txt").read_text()))
    assert f" parameters, {symbols} symbols" in out
    trained = program("train", "x.txt", "--config", "smoke", *sets("train.epochs=3", "train.sample_every=0"), *CPU)[2]
    steps = re.findall(r"steps 0 to (\d+)", trained)[0]
    assert f" for {steps} steps with its evaluations" in out
    out = program("plan", "x.txt", "--config", "smoke", "--config", "seven-stages", *CPU)[1]
    assert re.search(r"^time: about [\d:]+ for \d+ steps", out, re.MULTILINE)
    assert "name a TEXT" in program("plan", "--config", "smoke", *sets("train.epochs=3"), *CPU)[1]
    assert program("plan", "nothing.txt")[0] == 66


@pytest.mark.parametrize(
    ("budget", "fits"),
    [("200KB", "no: even one character"), ("2MB", "yes: a batch of 4 windows .* micro-batches of"), ("2GB", "yes: ")],
)
def test_within_a_budget(program: Program, budget: str, fits: str) -> None:
    code, out, _ = program("plan", "--config", "smoke", *sets(f"memory_budget={budget}"), *CPU)
    assert code == 0 and re.search(f"^fits: {fits}", out, re.MULTILINE), out
    assert ("not measured" in out) == (budget == "200KB")


def test_vocabularies_up_to_all_of_unicode(program: Program) -> None:
    small = sets("model.n_embd=2", "model.n_head=1", "train.seq_len=2", "train.batch_size=1")
    code, out, err = program("plan", "--config", "smoke", "--vocab", "1114112", *small, *CPU)
    assert code == 0, err
    assert " parameters, 1114112 symbols" in out and "fits: yes" in out
    code, out, _ = program("plan", "--config", "smoke", "--vocab", "1114112", *CPU)
    assert code == 0 and "fits: no: embedding.weight (1114112, 32)" in out
    assert program("plan", "--vocab", "1114113")[0] == 64


def test_what_is_too_large_to_try_is_estimated(program: Program) -> None:
    wide = sets("model.n_embd=1536", "model.n_head=8", "model.H_layers=2", "model.L_layers=2", "model.block_size=128")
    code, out, _ = program("plan", "--config", "default", *wide, *CPU)
    assert code == 0
    said = r"^time: about [\d:]+ for 1,000 steps \(estimated, not measured: at the \d+ GFLOP/s"
    assert re.search(said, out, re.MULTILINE)
