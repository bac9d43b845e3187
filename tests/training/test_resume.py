"""To train, and to train, stop and resume in a new process: the same bits, at any step, with accumulation and
dropout."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nyx.training.checkpoint import load
from tests.training.small import make_text

RUN = Callable[..., subprocess.CompletedProcess[str]]
COMMON = [
    "train.max_steps=14", "train.batch_size=3", "train.grad_accum_steps=2", "train.log_every=1", "train.eval_every=5",
    "train.sample_every=0", "checkpoint.every_steps=1", "checkpoint.keep_last=0", "train.lr=1e-2",
    "train.warmup_steps=2",
]  # fmt: skip
HRM = [
    "model.block_size=12",
    "model.n_embd=16",
    "model.n_head=2",
    "model.ff_multiple=8",
    "model.L_cycles=1",
    "model.bp_max_steps=4",
]
GPT = [
    "model.kind=transformer",
    "model.n_layer=1",
    "model.n_embd=16",
    "model.n_head=2",
    "model.block_size=12",
    "model.dropout=0.2",
]


def sets(values: list[str]) -> list[str]:
    return [part for value in values for part in ("--set", value)]


def losses(run: Path) -> dict[int, str]:
    """The hexadecimal training loss of every step that counts."""
    from nyx.training.metrics_log import read_metrics

    return {r["step"]: float(r["train/loss"]).hex() for r in read_metrics(run) if "train/loss" in r}


def same(a: Path, b: Path) -> None:
    one, other = load(a), load(b)
    assert one.tensors.keys() == other.tensors.keys()
    different = [n for n in one.tensors if one.tensors[n].tobytes() != other.tensors[n].tobytes()]
    assert not different
    volatile = {"elapsed_seconds", "attempt", "run_id", "run_dir", "parent_id"}
    states = [{k: v for k, v in vars(c.info().training).items() if k not in volatile} for c in (one, other)]
    assert states[0] == states[1]


@pytest.fixture(params=["hrm", "transformer"])
def trained(request: pytest.FixtureRequest, device: str, nyx: RUN, tmp_path: Path) -> tuple[Path, str]:
    """The directory of a whole run; epochs are 9 steps long, so it crosses one."""
    (tmp_path / "text.txt").write_text(make_text(46), encoding="utf-8")
    config = tmp_path / "config.yaml"
    config.write_text("{}" if request.param == "hrm" else "model: {kind: transformer}")
    model = HRM if request.param == "hrm" else GPT[1:]
    nyx("train", "text.txt", "--config", str(config), "--device", device, "--run-dir", "whole", *sets(COMMON + model))
    return tmp_path / "whole", device


def test_resume_at_any_step(trained: tuple[Path, str], nyx: RUN, tmp_path: Path) -> None:
    whole, device = trained
    final = load(whole / "checkpoints" / "step-00000014.ckpt").info().training
    assert 0 < final.epoch < 14
    for step in (1, 4, 8, 11, 13) if device == "cpu" else (5, 11):
        copy = tmp_path / f"at{step}"
        shutil.copytree(whole, copy)
        nyx("resume", str(copy / "checkpoints" / f"step-{step:08d}.ckpt"), "--device", device)
        resumed = next(p for p in [copy, *sorted((tmp_path / "runs").glob("*"), reverse=True)] if _reached(p, step))
        same(whole / "checkpoints" / "step-00000014.ckpt", resumed / "checkpoints" / "step-00000014.ckpt")
        expected = losses(whole)
        assert {s: x for s, x in losses(resumed).items() if s > step} == {s: x for s, x in expected.items() if s > step}


def _reached(run: Path, step: int) -> bool:
    about = json.loads((run / "run.json").read_text())
    return about["attempts"][-1]["from_step"] == step


def test_ctrl_c_saves_and_resume_goes_on(device: str, nyx: RUN, tmp_path: Path) -> None:
    (tmp_path / "text.txt").write_text(make_text(60), encoding="utf-8")
    (tmp_path / "config.yaml").write_text("{}")
    options = sets([*COMMON[1:], *HRM, "train.max_steps=200", "checkpoint.every_steps=0", "checkpoint.keep_last=3"])
    command = ["train", "text.txt", "--config", "config.yaml", "--device", device]
    nyx(*command, "--run-dir", "whole", "--out", "whole.ckpt", *options)
    stopped = _stop([*command, "--run-dir", "stopped", *options], tmp_path, signal.SIGINT)
    assert stopped.returncode == 130
    assert "nyx resume models/hrm.ckpt" in stopped.stderr
    state = load(tmp_path / "models" / "hrm.ckpt").info().training
    assert 0 < state.step < 200
    assert state.finished is False
    nyx("resume", "models/hrm.ckpt", "--device", device)
    same(tmp_path / "whole.ckpt", tmp_path / "models" / "hrm.ckpt")
    assert losses(tmp_path / "whole") == losses(tmp_path / "stopped")
    again = nyx("resume", "models/hrm.ckpt", "--device", device)
    assert "finished" in again.stderr
    assert "train.max_steps" in again.stderr


def _stop(arguments: list[str], cwd: Path, signum: int) -> Any:
    """Starts a training and signals it once it has logged some steps."""
    env = os.environ | {"PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(
        [sys.executable, "-m", "nyx.cli", *arguments], cwd=cwd, stderr=subprocess.PIPE, text=True, env=env
    ) as process:
        lines: list[str] = []
        assert process.stderr
        for line in process.stderr:
            lines.append(line)
            if line.startswith("step 20/"):
                process.send_signal(signum)
                break
        lines += process.stderr.readlines()
        code = process.wait(60)
    return subprocess.CompletedProcess(arguments, code, "", "".join(lines))


@pytest.mark.parametrize(("signum", "code"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_other_signals_save_too(signum: int, code: int, tmp_path: Path) -> None:
    (tmp_path / "text.txt").write_text(make_text(60), encoding="utf-8")
    (tmp_path / "config.yaml").write_text("{}")
    options = sets([*COMMON[1:], *HRM, "train.max_steps=2000", "checkpoint.every_steps=0"])
    start = time.monotonic()
    stopped = _stop(["train", "text.txt", "--config", "config.yaml", "--device", "cpu", *options], tmp_path, signum)
    assert stopped.returncode == code
    assert time.monotonic() - start < 60
    assert load(tmp_path / "models" / "hrm.ckpt").info().training.step >= 20


def test_a_larger_batch_by_accumulation_is_the_same_training(nyx: RUN, tmp_path: Path) -> None:
    (tmp_path / "text.txt").write_text(make_text(60), encoding="utf-8")
    (tmp_path / "config.yaml").write_text("{}")
    found = []
    for rows, parts in ((6, 1), (3, 2)):
        options = sets([*COMMON, *HRM, f"train.batch_size={rows}", f"train.grad_accum_steps={parts}"])
        nyx("train", "text.txt", "--config", "config.yaml", "--device", "cpu", "--run-dir", f"by{rows}", *options)
        found.append(losses(tmp_path / f"by{rows}"))
    a, b = ([float.fromhex(x) for x in f.values()] for f in found)
    np.testing.assert_allclose(a, b, rtol=1e-5)
