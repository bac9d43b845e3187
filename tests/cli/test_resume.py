"""`nyx resume` from wherever: the run's own directory, the file that was named, and what is said about the text and the
rate."""

from __future__ import annotations

import json
import os
import pty
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from nyx.training.checkpoint import load
from nyx.training.metrics_log import read_metrics
from tests.cli.conftest import SMOKE, Program, book, sets

STEPS = ["train.max_steps=12", "train.eval_every=4", "checkpoint.every_steps=4"]


def step_of(path: str | Path) -> int:
    return load(path).info().training.step


def all_files(folder: str) -> set[str]:
    return {str(path.relative_to(folder)) for path in Path(folder).rglob("*")}


def start(program: Program, *more: str) -> None:
    Path("a").mkdir()
    Path("b").mkdir()
    os.chdir("a")
    Path("b.txt").write_text(book(4000), encoding="utf-8")
    code, _, err = program("train", "b.txt", *SMOKE, *sets(*STEPS), *more)
    assert code == 0, err


@pytest.mark.parametrize("named", ["a/models/hrm.ckpt", "run", "step"])
@pytest.mark.parametrize("run_dir", [[], ["--run-dir", "r"]])
def test_from_another_folder(program: Program, named: str, run_dir: list[str]) -> None:
    """The same as from its own folder: the same directory, the same published file, nothing beside it."""
    start(program, *run_dir)
    run = next(path for path in (Path("r"), *Path().glob("runs/*")) if path.exists())
    os.chdir("..")
    before = all_files(".")
    names = {"run": f"a/{run}", "step": str(Path("../a", run, "checkpoints/step-00000008.ckpt"))}
    os.chdir("b")
    path = str(Path("..", names.get(named, named))) if named != "step" else names["step"]
    code, _, err = program("resume", path, "--set", "train.max_steps=16")
    assert code == 0, err
    os.chdir("..")
    assert not list(Path("b").iterdir())
    assert {p for p in all_files(".") - before if "superseded" not in p and "config.before" not in p} <= {
        f"a/{run}/checkpoints/step-00000016.ckpt"
    }
    assert step_of("a/models/hrm.ckpt") == 16
    assert [r["step"] for r in read_metrics(Path("a", run)) if "val/loss" in r][-1] == 16
    config = (Path("a") / run / "config.yaml").read_text()
    assert "path: [b.txt]" in config and "path: models/hrm.ckpt" in config and "run_dir: runs" in config
    os.chdir("a")
    assert program("resume", "models/hrm.ckpt", "--set", "train.max_steps=18")[0] == 0
    assert step_of("models/hrm.ckpt") == 18
    os.chdir("..")
    shutil.move("a", "c")  # the folder may be renamed, and a path be absolute
    assert program("resume", str(Path("c/models/hrm.ckpt").absolute()), "--set", "train.max_steps=20")[0] == 0
    assert step_of("c/models/hrm.ckpt") == 20 and not Path("a").exists() and not Path("runs").exists()


def test_a_stop_elsewhere_names_the_file_to_go_on_with(program: Program) -> None:
    start(program)
    os.chdir("../b")
    more = ["--set", "train.max_steps=100000", "--set", "train.eval_every=0", "--set", "data.path=../a/b.txt"]
    process = subprocess.Popen([sys.executable, "-m", "nyx.cli", "resume", "../a/models/hrm.ckpt", *more],
                               stderr=subprocess.PIPE, text=True)  # fmt: skip
    assert process.stderr
    said = ""
    while "step 15/" not in said:
        said += process.stderr.readline()
    process.terminate()
    said += process.communicate()[1]
    assert process.returncode == 143
    assert "go on with: nyx resume ../a/models/hrm.ckpt" in said


def test_what_is_given_in_another_folder_is_relative_to_it(program: Program) -> None:
    start(program)
    os.chdir("../b")
    Path("copy.txt").write_text(book(4000), encoding="utf-8")
    more = sets("train.max_steps=14", "data.path=copy.txt", "checkpoint.path=new.ckpt")
    code, _, err = program("resume", "../a/models/hrm.ckpt", *more)
    assert code == 0, err
    assert step_of("new.ckpt") == 14 and step_of("../a/models/hrm.ckpt") == 12
    Path("../a/b.txt").unlink()
    assert program("resume", "new.ckpt", "--set", "train.max_steps=16")[0] == 0
    assert step_of("new.ckpt") == 16


def test_a_checkpoint_whose_run_is_not_here(program: Program) -> None:
    start(program, "--out", "deep/m.ckpt", *sets("run_dir=elsewhere"))
    os.chdir("../b")
    shutil.move("../a/deep/m.ckpt", "mine.ckpt")
    shutil.rmtree("../a/elsewhere")
    shutil.copy("../a/b.txt", "b.txt")
    code, _, err = program("resume", "mine.ckpt", "--set", "train.max_steps=14")
    assert code == 0, err
    assert "is not here" in err
    assert step_of("mine.ckpt") == 14
    assert {path.name for path in Path().iterdir()} == {"b.txt", "mine.ckpt", "runs"}


def test_a_training_from_a_pipe(program: Program) -> None:
    text = book(5000)
    command = [sys.executable, "-m", "nyx.cli"]
    trained = [*command, "train", "-", *SMOKE, *sets("train.max_steps=8"), "--run-dir", "r", "--out", "m.ckpt"]
    subprocess.run(trained, input=text, text=True, check=True, capture_output=True)
    again = [*command, "resume", "m.ckpt", "--set", "train.max_steps=10"]
    done = subprocess.run(again, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    assert done.returncode == 65
    assert "came from standard input; pipe the same text again: nyx resume m.ckpt < TEXT" in done.stderr
    done = subprocess.run(again, input=text, capture_output=True, text=True)
    assert done.returncode == 0 and step_of("m.ckpt") == 10, done.stderr


def test_on_a_terminal_it_does_not_wait_for_the_text(program: Program) -> None:
    command = [sys.executable, "-m", "nyx.cli"]
    trained = [*command, "train", "-", *SMOKE, *sets("train.max_steps=8"), "--run-dir", "r", "--out", "m.ckpt"]
    subprocess.run(trained, input=book(5000), text=True, check=True, capture_output=True)
    ours, theirs = pty.openpty()
    done = subprocess.run([*command, "resume", "m.ckpt", "--set", "train.max_steps=10"], stdin=theirs,
                          capture_output=True, text=True, timeout=60)  # fmt: skip
    os.close(ours)
    os.close(theirs)
    assert done.returncode == 66
    assert done.stderr.splitlines()[-1].endswith("pipe the same text again: nyx resume m.ckpt < TEXT")


def test_another_text_counts_best_and_patience_anew(program: Program) -> None:
    Path("b.txt").write_text("aab" * 2000, encoding="utf-8")
    early = sets("train.max_steps=30", "train.eval_every=5", "train.early_stop_patience=3", "train.lr=1e-2")
    assert program("train", "b.txt", *SMOKE, *early, "--run-dir", "r", "--out", "m.ckpt")[0] == 0
    best = load("m.ckpt").info().training.best_val_loss
    assert best is not None and best < 0.9
    Path("b.txt").write_text("".join("ab"[hash((7, i)) % 2] for i in range(6000)), encoding="utf-8")
    code, _, err = program("resume", "m.ckpt", "--any-corpus", *sets("train.max_steps=34", "train.eval_every=1"))
    assert code == 0, err
    assert "counted anew" in err and "stopping early" not in err
    after = load("m.ckpt").info().training
    assert after.best_val_loss is not None and after.best_val_loss > best
    assert after.best_step is not None and after.best_step > 30
    assert re.search(r"step 31/34  validation loss \S+ .*best$", err, re.MULTILINE)


def rates(err: str) -> list[tuple[float, float]]:
    found = re.findall(r"the learning rate goes from (\S+) at step \d+ to (\S+) at the next one", err)
    return [(float(a), float(b)) for a, b in found]


@pytest.mark.parametrize(
    ("setting", "before"),
    [
        ("train.max_steps=600", []),
        ("train.lr=1e-4", ["train.max_steps=60"]),
        ("train.schedule=constant", ["train.max_steps=60"]),
        ("train.min_lr=1e-6", []),
        ("train.warmup_steps=30", []),
        ("train.epochs=20", ["train.epochs=4", "train.max_steps=null"]),
        ("train.batch_size=2", ["train.epochs=4", "train.max_steps=null"]),
    ],
)
def test_a_rate_that_jumps_is_said(program: Program, setting: str, before: list[str]) -> None:
    Path("b.txt").write_text(book(2000), encoding="utf-8")
    keep = ["checkpoint.every_steps=10", "checkpoint.keep_last=0", "train.eval_every=0", "train.log_every=1"]
    code, _, err = program("train", "b.txt", *SMOKE, *sets(*keep, *before), "--run-dir", "r", "--out", "m.ckpt")
    assert code == 0, err
    length = int(re.findall(r"steps 0 to (\d+)", err)[0])
    shutil.copytree("r", "same")
    half = f"r/checkpoints/step-{length // 20 * 10:08d}.ckpt"
    assert not rates(program("resume", half, "--set", "seed=1337")[2])
    more = ["--set", f"train.max_steps={length + 4}"] if setting in ("train.min_lr=1e-6",) else []
    named = "m.ckpt" if more or setting.endswith("600") else half
    code, _, err = program("resume", named, "--set", setting, *more)
    assert code == 0, err
    (jump,) = rates(err)
    records = [record for record in read_metrics(Path("r")) if "train/lr" in record]
    first = next(n for n, record in enumerate(records) if record["step"] > step_before(err))
    assert jump == pytest.approx((records[first - 1]["train/lr"], records[first]["train/lr"]), rel=0.01)


def step_before(err: str) -> int:
    return int(re.findall(r"at step (\d+) to", err)[0])


def test_an_unchanged_resume_says_nothing_of_the_rate(program: Program) -> None:
    Path("b.txt").write_text(book(3000), encoding="utf-8")
    for schedule in ("cosine", "cosine_restarts", "wsd", "linear"):
        more = [f"train.schedule={schedule}", "train.restart_steps=7", "checkpoint.keep_last=0", "train.eval_every=0"]
        program("train", "b.txt", *SMOKE, *sets(*more), "--run-dir", schedule, "--out", "m.ckpt")
        code, _, err = program("resume", f"{schedule}/checkpoints/step-00000020.ckpt")
        assert code == 0 and "learning rate" not in err


def test_an_export_is_refused_with_what_to_type(program: Program) -> None:
    Path("b.txt").write_text(book(3000), encoding="utf-8")
    assert program("train", "b.txt", *SMOKE, *sets("train.max_steps=6"), "--out", "m.ckpt")[0] == 0
    assert program("export", "m.ckpt", "w.safetensors")[0] == 0
    code, out, err = program("resume", "w.safetensors")
    assert (code, out, err.count("\n")) == (65, "", 1)
    assert "nyx train TEXT --init-from w.safetensors" in err
    assert json.loads(load("w.safetensors").metadata["config"]).keys() == {"seed", "model", "data", "train"}
