"""Whatever goes away around a training, it goes on, or saves and ends with the code of its signal."""

from __future__ import annotations

import json
import os
import pty
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from nyx.training.checkpoint import load
from nyx.training.metrics_log import read_metrics
from tests.training.small import make_text
from tests.training.test_resume import COMMON, GPT, HRM, same, sets

RUN = Callable[..., subprocess.CompletedProcess[str]]
NYX = [sys.executable, "-m", "nyx"]
ENDLESS = ["train.max_steps=100000", "checkpoint.every_steps=0", "checkpoint.every_minutes=0", "train.log_every=5"]


def prepare(folder: Path, lines: int = 60) -> list[str]:
    """A text and a configuration; what to call `nyx train` with."""
    (folder / "text.txt").write_text(make_text(lines), encoding="utf-8")
    (folder / "config.yaml").write_text("{}")
    return ["train", "text.txt", "--config", "config.yaml", "--device", "cpu", "--set", "data.check=off"]


def started(command: list[str], folder: Path, *, ignore: int | None = None) -> subprocess.Popen[str]:
    """A training in a process of its own; its signals are those of a shell's foreground job."""

    def plain() -> None:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN if number == ignore else signal.SIG_DFL)

    return subprocess.Popen([*NYX, *command], cwd=folder, stderr=subprocess.PIPE, text=True, preexec_fn=plain)


def read_until(process: subprocess.Popen[str], what: str) -> list[str]:
    """Its lines, up to the first that matches."""
    assert process.stderr
    lines = []
    for line in process.stderr:
        lines.append(line)
        if re.search(what, line):
            return lines
    raise AssertionError("".join(lines))


def test_a_terminal_that_is_closed(tmp_path: Path) -> None:
    command = [*prepare(tmp_path), *sets([*COMMON[1:], *HRM, *ENDLESS])]
    child, master = pty.fork()
    if child == 0:
        os.chdir(tmp_path)
        signal.signal(signal.SIGHUP, signal.SIG_DFL)
        os.execv(sys.executable, [*NYX, *command])
    seen = b""
    while b"step 10/" not in seen:
        seen += os.read(master, 65536)
    os.close(master)  # SIGHUP, and every write to the terminal fails from now on
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 129
    state = load(tmp_path / "models/hrm.ckpt").info().training
    assert state.step >= 10 and not state.finished


@pytest.mark.parametrize("streams", ["2>&-", "2>/dev/full", "0<&- 1>&- 2>&-", "2>&1 | head -1", ">/dev/full 2>&1"])
def test_streams_that_are_closed_full_or_without_a_reader(streams: str, nyx: RUN, tmp_path: Path) -> None:
    options = sets([*COMMON, *GPT])
    command = " ".join([*NYX, *prepare(tmp_path), *options, "--run-dir", "r", "--out", "m.ckpt"])
    subprocess.run(["bash", "-c", f"{command} {streams}"], cwd=tmp_path, check=True, timeout=120)
    assert load(tmp_path / "m.ckpt").info().training.finished
    assert "finished at step 14" in (tmp_path / "r/train.log").read_text("utf-8"), "the log has what nobody saw"
    nyx(*prepare(tmp_path), *options, "--run-dir", "open", "--out", "open.ckpt")
    same(tmp_path / "m.ckpt", tmp_path / "open.ckpt")


def test_a_hangup_is_ignored_under_nohup(tmp_path: Path) -> None:
    command = [*prepare(tmp_path), *sets([*COMMON[1:], *HRM, *ENDLESS])]
    with started(command, tmp_path, ignore=signal.SIGHUP) as process:
        read_until(process, "^step 10/")
        process.send_signal(signal.SIGHUP)
        read_until(process, "^step 30/")
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 143


SLOW = ["model.n_embd=128", "model.n_layer=6", "model.block_size=128", "train.batch_size=192",
        "train.grad_accum_steps=1"]  # fmt: skip


def test_a_signal_is_answered_while_native_code_runs(tmp_path: Path) -> None:
    command = [*prepare(tmp_path, 3000), *sets([*COMMON[1:], *GPT, *ENDLESS, *SLOW, "train.log_every=1"])]
    with started(command, tmp_path) as process:
        first = read_until(process, r"^step 1/")
        assert first and process.stderr
        time.sleep(0.2)  # into the next step, which takes a second or more
        start = time.monotonic()
        process.send_signal(signal.SIGINT)
        said = read_until(process, "^stopping: ")[-1]
        answered = time.monotonic() - start
        assert re.search(r"step \d+ is finished and saved \((about \d+ s|within a second)\)", said), said
        assert "Ctrl-C again ends at once and keeps nothing, since no state is saved yet" in said
        assert process.wait(120) == 130
        whole = time.monotonic() - start
    assert answered < 0.3 or answered < whole / 4, (answered, whole)
    assert load(tmp_path / "models/hrm.ckpt").info().training.step >= 1


def test_a_second_signal_ends_at_once_but_not_within_two_seconds(tmp_path: Path) -> None:
    slower = [*SLOW, "train.batch_size=600", "train.log_every=1", "checkpoint.every_steps=1"]
    command = [*prepare(tmp_path, 12000), *sets([*COMMON[1:], *GPT, *ENDLESS, *slower])]
    with started(command, tmp_path) as process:
        read_until(process, r"^step 1/")
        time.sleep(0.5)
        process.send_signal(signal.SIGINT)
        read_until(process, "^stopping: .* keeps step 1")
        process.send_signal(signal.SIGINT)  # as of somebody who presses it twice
        time.sleep(2.2)
        assert process.poll() is None
        start = time.monotonic()
        process.send_signal(signal.SIGINT)
        assert "kept is step 1" in read_until(process, "^nyx: ended at once")[-1]
        assert process.wait(10) == 130
        assert time.monotonic() - start < 1
    state = load(tmp_path / "models/hrm.ckpt").info().training
    assert state.step == 1 and not list(tmp_path.rglob(".nyx-tmp-*"))


@pytest.mark.parametrize("owing", ["evaluation", "sample"])
def test_what_a_step_owes_is_done_on_resume(owing: str, nyx: RUN, tmp_path: Path) -> None:
    options = sets([*COMMON, *HRM, "checkpoint.every_steps=0", "train.sample_every=7", "train.max_steps=14"])
    long = ["sample.length=12000"] if owing == "sample" else ["train.eval_every=7", "data.val_fraction=0.8"]
    command = [*prepare(tmp_path, 25000 if owing == "evaluation" else 400), *options, *sets(long)]
    nyx(*command, "--run-dir", "whole", "--out", "whole.ckpt")
    with started([*command, "--run-dir", "stopped"], tmp_path) as process:
        read_until(process, "^step 7/14  loss")
        time.sleep(0.3)  # into what comes after that line, which takes a second or more
        process.send_signal(signal.SIGINT)
        said = read_until(process, "^nyx: stopped at step 7 of 14")
        assert process.wait(60) == 130
    assert f"the {owing} is left in the middle, step 7 is saved" in "".join(said)
    assert load(tmp_path / "models/hrm.ckpt").info().training.counters["owed"]
    nyx("resume", "models/hrm.ckpt", "--device", "cpu")
    same(tmp_path / "whole.ckpt", tmp_path / "models/hrm.ckpt")
    ours, whole = (
        [(r["step"], r["val/loss"]) for r in read_metrics(tmp_path / name) if "val/loss" in r]
        for name in ("stopped", "whole")
    )
    assert ours == whole and len(ours) >= 2
    assert (tmp_path / "stopped/samples.txt").read_text("utf-8") == (tmp_path / "whole/samples.txt").read_text("utf-8")


def test_no_traceback_from_the_first_line_on(tmp_path: Path) -> None:
    """SIGINT at ten moments of the start of a training, its imports included."""
    command, codes = [*prepare(tmp_path), *sets([*COMMON[1:], *HRM, *ENDLESS])], []
    for k in range(10):
        with started(command, tmp_path) as process:
            while process.poll() is None and "nyx" not in Path(f"/proc/{process.pid}/cmdline").read_text("utf-8"):
                time.sleep(0.001)
            time.sleep(0.06 + 0.08 * k)  # until Python itself is up, which answers to Ctrl-C in its own way
            process.send_signal(signal.SIGINT)
            assert process.stderr
            said = process.stderr.read()
            codes.append(process.wait(60))
        assert "Traceback" not in said and "nyx: stopped" in said, (k, said)
    assert set(codes) == {130}


def test_what_steers_a_terminal_reaches_none(nyx: RUN, tmp_path: Path) -> None:
    """A text full of sequences that steer a terminal reaches neither the terminal nor a log, and generates as it is."""
    text = "\x1b[31mred\x1b[0m \x1b]0;title\x07 \u202eplain words\x9b2J\n" * 60
    (tmp_path / "text.txt").write_text(text, encoding="utf-8")
    command = ["train", "text.txt", "--config", "smoke", "--device", "cpu", "--set", "data.check=off",
               "--run-dir", "r", "--set", "train.max_steps=20", "--set", "train.sample_every=10",
               "--set", "train.warmup_steps=2"]  # fmt: skip
    done = nyx(*command)
    said = [done.stderr, done.stdout, (tmp_path / "r/train.log").read_text(), (tmp_path / "r/samples.txt").read_text()]
    assert r"\x1b" in said[0] and r"\x1b" in said[3]
    assert not any(c in part for part in said for c in "\x1b\x07\x9b\u202e")
    raw = nyx("generate", "models/hrm.ckpt", "--prompt", "\x1b[31m", "-n", "5", "--device", "cpu").stdout
    assert raw.startswith("\x1b[31m"), "a pipe gets the text as it is"
    found = json.loads(nyx("eval", "models/hrm.ckpt", "text.txt", "--device", "cpu").stdout)
    assert found["loss"] > 0
