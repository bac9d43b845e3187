"""What cannot be written: a file that only tells is done without, a checkpoint is tried again, and a run whose last
save failed says so with its exit code."""

from __future__ import annotations

import errno
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nyx import files
from nyx.backends.cpu import CpuBackend
from nyx.errors import DataError, StorageError
from nyx.resource_aware_hrm import ResourceAwareHRM
from nyx.text.corpus import text_from_string
from nyx.text.prepare import prepare
from nyx.text.vocabulary import Vocabulary
from nyx.training import checkpoint_folder, session, trainer
from nyx.training.checkpoint import load
from nyx.training.metrics_log import read_metrics
from nyx.training.monitor import Monitor
from nyx.training.rundir import RunDirectory
from nyx.training.trainer import CharacterLanguageTrainer
from tests.training import small

Fails = Callable[[int], bool]
SIDE_FILES = ("metrics.jsonl", "train.log", "samples.txt", "status.json")


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(trainer, "RETRY", 0.0)


def make(said: list[str], **train: Any) -> tuple[CharacterLanguageTrainer, RunDirectory]:
    """A small training with a run in runs/, ten steps, logged and evaluated every second, saved every third."""
    made = small.make_config(small.GPT, **({"max_steps": 10, "log_every": 2, "eval_every": 4} | train))
    config = made.model_copy(update={"checkpoint": made.checkpoint.model_copy(update={"every_steps": 3})})
    text = text_from_string(small.make_text(80))
    vocabulary = Vocabulary.from_text(text)
    corpus = prepare(text, vocabulary, config.data, seq_len=12, seed=config.seed)
    hrm = ResourceAwareHRM(config.model, vocabulary, CpuBackend())
    monitor = Monitor(said.append)
    run = session._new_run(hrm, corpus, config, None, None, monitor)

    def log(line: str) -> None:
        said.append(line)
        run.log(line)

    monitor.attach(log)
    return CharacterLanguageTrainer(hrm, corpus, config, run=run, monitor=monitor), run


def failing(monkeypatch: pytest.MonkeyPatch, module: Any, name: str, fails: Fails, only: str = "") -> list[int]:
    """Lets the calls fail (numbered from 0) whose path ends with `only`; the numbers of all calls."""
    real, calls = getattr(module, name), []

    def call(path: Any, *args: Any, **more: Any) -> Any:
        if not str(path).endswith(only):
            return real(path, *args, **more)
        calls.append(len(calls))
        if fails(calls[-1]):
            with files.storage_errors("write", path):
                raise OSError(errno.ENOSPC, "no space")
        return real(path, *args, **more)

    monkeypatch.setattr(module, name, call)
    return calls


@pytest.mark.parametrize("name", SIDE_FILES)
def test_a_file_that_only_tells(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    whole, run = make([], sample_every=2)
    whole.train_character_language_model()
    run.close()
    said: list[str] = []
    write = "write_text" if name == "status.json" else "append_line"
    calls = failing(monkeypatch, files, write, lambda n: 1 <= n < 4, name)
    ours, run = make(said, sample_every=2)
    ours.train_character_language_model()
    run.close()
    assert len(calls) > 4
    warnings = [line for line in said if line.startswith("warning: ") and "ENOSPC" in line]
    assert len(warnings) == 1 and name in warnings[0] and "goes on without it" in warnings[0]
    assert [r["step"] for r in read_metrics(run.path)] == [r["step"] for r in whole.result.history]
    assert [r.get("val/loss") for r in read_metrics(run.path)] == [r.get("val/loss") for r in whole.result.history]
    assert (run.path / "samples.txt").read_text("utf-8").count("--- step") == 5
    for key, value in whole.hrm.weights().items():
        np.testing.assert_array_equal(value, ours.hrm.weights()[key])


def test_a_disk_that_is_full_to_the_end_ends_no_training(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    ours, run = make(said)
    failing(monkeypatch, files, "append_line", lambda n: True)
    ours.train_character_language_model()
    run.close()
    assert ours.state.finished and load("models/hrm.ckpt").info().training.finished
    assert sum(line.startswith("warning: ") for line in said) == 2  # of the metrics and of the log


def saves(monkeypatch: pytest.MonkeyPatch, fails: Fails, **train: Any) -> tuple[list[str], CharacterLanguageTrainer]:
    said: list[str] = []
    ours, run = make(said, eval_every=0, **train)
    calls = failing(monkeypatch, checkpoint_folder, "save", fails)
    try:
        ours.train_character_language_model()
    finally:
        run.close()
        said.append(str(calls))
    return said, ours


def steps_saved(run: RunDirectory) -> list[int]:
    return sorted(entry.step for entry in run.checkpoints.entries()[0])


def test_a_checkpoint_is_tried_again_after_the_next_step(monkeypatch: pytest.MonkeyPatch) -> None:
    said, ours = saves(monkeypatch, lambda n: n == 1)  # steps 3, 6, 9 and 10
    assert ours.run and steps_saved(ours.run) == [7, 9, 10]
    (warning,) = (line for line in said if line.startswith("warning: "))
    assert warning.startswith("warning: step 6 is not saved: cannot write runs/") and "ENOSPC" in warning
    assert warning.endswith("step 3 is safe; it is tried again after the next step")


def test_a_checkpoint_that_fails_twice_waits_for_its_next_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    said, ours = saves(monkeypatch, lambda n: n in (0, 1))  # steps 3 and 4
    assert ours.run and steps_saved(ours.run) == [6, 9, 10]
    assert [line.split(":")[1] for line in said if line.startswith("warning: ")] == [
        " step 3 is not saved", " step 4 is not saved",
    ]  # fmt: skip


def test_the_last_save_is_tried_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    said, ours = saves(monkeypatch, lambda n: n == 3)
    assert load("models/hrm.ckpt").info().training.finished and ours.state.finished
    assert any(line.startswith("warning: step 10 is not saved") for line in said)


def test_a_run_whose_last_save_failed_ends_with_74(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(StorageError, match=r"step 10 is not saved: .*; step 9 is safe") as error:
        saves(monkeypatch, lambda n: n >= 3)
    assert error.value.exit_code == 74
    assert load("models/hrm.ckpt").info().training.step == 9


@pytest.mark.parametrize("what", ["batch", "evaluation", "gradients"])
@pytest.mark.parametrize("error", [StorageError("it fails"), MemoryError(), RuntimeError("a fault"), DataError("")])
def test_an_error_saves_what_is_good(what: str, error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    ours, run = make([], max_steps=8)

    def fail(*args: Any, **more: Any) -> Any:
        raise error

    def at_step_5(real: Callable[..., Any]) -> Callable[..., Any]:
        return lambda *args, **more: (fail if ours.state.step == 5 else real)(*args, **more)

    if what == "batch":
        monkeypatch.setattr(ours.course, "batch", at_step_5(ours.course.batch))
    elif what == "evaluation":
        monkeypatch.setattr(ours.hrm, "evaluate", lambda *args, **more: fail())
    else:
        monkeypatch.setattr(ours.hrm._train, "_gradients", at_step_5(ours.hrm._train._gradients))
    with pytest.raises(type(error)):
        ours.train_character_language_model()
    run.close()
    found = load("models/hrm.ckpt")
    assert found.info().training.step == (4 if what == "evaluation" else 5)

    monkeypatch.undo()
    monkeypatch.chdir(run.path.absolute().parents[1])
    again = CharacterLanguageTrainer(ours.hrm, ours.corpus, ours.config, checkpoint=found)
    again.train_character_language_model()
    whole, run = make([], max_steps=8)
    whole.train_character_language_model()
    run.close()
    for key, value in whole.hrm.weights().items():
        np.testing.assert_array_equal(value, again.hrm.weights()[key])
    assert whole.state.best_val_loss == again.state.best_val_loss
