"""What scripts rely on: lines on a piped stderr, names of measures, keys of the JSON of `nyx eval`."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

from nyx.training.metrics_log import read_metrics
from tests.cli.conftest import SMOKE, Program, book, sets

NUMBER = r"\d+(?:\.\d+)?(?:e[+-]\d+)?"
STEP = re.compile(rf"step (\d+)/(\d+)  loss ({NUMBER})  lr {NUMBER}  [\d,]+ chars/s  ETA [\d:]+")
VALIDATION = re.compile(
    rf"step (\d+)/(\d+)  validation loss ({NUMBER})  perplexity {NUMBER}  {NUMBER} bits/char  "
    rf"accuracy {NUMBER}%(  best)?"
)
TRAINED = {"train/loss", "train/acc", "train/lr", "train/grad_norm", "train/chars_per_sec"}
HELD_OUT = {"val/loss", "val/ppl", "val/bpc", "val/bpb", "val/acc"}
JSON = ["loss", "perplexity", "bits_per_character", "bits_per_byte", "accuracy", "characters", "bytes", "seq_len"]


def test_lines_names_and_keys(program: Program) -> None:
    Path("x.txt").write_text(book(4000), encoding="utf-8")
    more = sets("train.max_steps=24", "train.log_every=4", "train.eval_every=8")
    command = [sys.executable, "-m", "nyx.cli", "train", "x.txt", *SMOKE, *more, "--run-dir", "r", "--out", "m.ckpt"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == ""
    lines = [line for line in done.stderr.splitlines() if line.startswith("step ")]
    steps = [found for found in map(STEP.fullmatch, lines) if found]
    checks = [found for found in map(VALIDATION.fullmatch, lines) if found]
    assert len(steps) + len(checks) == len(lines)
    assert [(int(m[1]), int(m[2])) for m in steps] == [(n, 24) for n in range(4, 25, 4)]
    assert [int(m[1]) for m in checks] == [8, 16, 24]
    best = [float(m[3]) for m in checks if m[4]]
    assert best and best == sorted(best, reverse=True) and checks[0][4]

    records = read_metrics(Path("r"))
    assert [set(r) - {"step", "epoch"} for r in records if "train/loss" in r] == [TRAINED] * 6
    assert [set(r) - {"step", "epoch"} for r in records if "val/loss" in r] == [HELD_OUT] * 3
    assert [f"{r['train/loss']:.4f}" for r in records if "train/loss" in r] == [m[3] for m in steps]
    assert [f"{r['val/loss']:.4f}" for r in records if "val/loss" in r] == [m[3] for m in checks]
    assert not Path("r/gates").exists()

    found = json.loads(program("eval", "m.ckpt", "x.txt", "--device", "cpu")[1])
    assert list(found)[: len(JSON)] == JSON
    assert all(type(found[key]) is float for key in JSON[:5]) and all(type(found[key]) is int for key in JSON[5:])
