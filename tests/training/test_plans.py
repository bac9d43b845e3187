"""Curricula and phases: parts in order, the same bits after a stop anywhere, checkpoints by phase, moving on."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nyx.backends.cpu import CpuBackend
from nyx.config import Config
from nyx.errors import CheckpointError, DataError, UsageError
from nyx.resource_aware_hrm import ResourceAwareHRM
from nyx.text import hlx
from nyx.text.corpus import text_from_string
from nyx.text.prepare import prepare
from nyx.text.vocabulary import Vocabulary
from nyx.training.checkpoint import load
from nyx.training.monitor import Monitor
from nyx.training.plan import parts_of, parts_of_phase
from nyx.training.trainer import CharacterLanguageTrainer, TrainingResult
from tests.training.small import GPT, HRM, make_text
from tests.training.test_resume import losses, same, sets

RUN = Callable[..., subprocess.CompletedProcess[str]]
MODEL = ["model.block_size=16", "model.n_embd=16", "model.n_head=2", "model.ff_multiple=8", "model.L_cycles=1",
         "model.bp_max_steps=4"]  # fmt: skip
COMMON = ["train.batch_size=4", "train.log_every=1", "train.eval_every=6", "train.sample_every=0", "train.lr=1e-2",
          "train.warmup_steps=2", "checkpoint.every_steps=1", "checkpoint.keep_last=0"]  # fmt: skip
CURRICULUM = """
curriculum:
  - {name: short, share: 0.3, context: 0.5, epochs: 1}
  - {name: few, share: 0.5, max_sequences: 12, max_steps: 5, lr: 5e-3}
  - {name: all, max_steps: 7}
"""
PHASES = """
data: {cut: notation, split_by: example, pack: true}
checkpoint: {template: "phase{phase}_epoch{epoch}.ckpt", every_epochs: 1}
phases:
  - {name: English, fields: English, arrange: line, epochs: 2}
  - name: notations
    fields: [HLXL, LC-R]
    stages: [{name: short, seq_len: 8, max_steps: 4}, {name: long, seq_len: 16, max_steps: 5}]
  - {name: pairs, arrange: pair, max_steps: 3, lr: 1e-3}
"""


def write_plan(folder: Path, plan: str) -> None:
    (folder / "plan.yaml").write_text(plan, encoding="utf-8")
    text = hlx.generate(6000) if "notation" in plan else make_text(60)
    (folder / "text.txt").write_text(text, encoding="utf-8")


def make_trainer(config: dict[str, Any], text: str, **more: Any) -> tuple[CharacterLanguageTrainer, list[str]]:
    """A trainer on the CPU, and what it says."""
    made = Config.model_validate({"model": HRM.model_dump(), **config})
    source = text_from_string(text)
    corpus = prepare(source, Vocabulary.from_text(source), made.data, seq_len=made.train.seq_len, seed=made.seed)
    hrm = ResourceAwareHRM(made.model, corpus.vocabulary, CpuBackend())
    said: list[str] = []
    return CharacterLanguageTrainer(hrm, corpus, made, monitor=Monitor(said.append), **more), said


def train(config: dict[str, Any], text: str, **more: Any) -> tuple[TrainingResult, ResourceAwareHRM, list[str]]:
    """A training in this process: its result, its model and what it said."""
    trainer, said = make_trainer(config, text, **more)
    return trainer.train_character_language_model(), trainer.hrm, said


def _measures(record: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in record.items() if key != "train/chars_per_sec"}


TRAIN = {"batch_size": 4, "lr": 1e-2, "sample_every": 0, "log_every": 1}


def test_a_plan_of_one_stage_is_a_training_without_one() -> None:
    plain, hrm, _ = train({"train": TRAIN | {"max_steps": 9}}, make_text())
    staged, other, _ = train({"train": TRAIN, "curriculum": [{"max_steps": 9}]}, make_text())
    assert [_measures(r) for r in plain.history] == [_measures(r) for r in staged.history]
    assert plain.step == staged.step == 9
    for name, value in hrm.weights().items():
        assert np.array_equal(value, other.weights()[name]), name


def test_the_forecast_leaves_no_trace() -> None:
    stages = [{"context": 0.5, "max_steps": 4}, {"max_steps": 3}]
    hrm = make_trainer({"train": TRAIN, "curriculum": stages}, make_text())[0].hrm
    start, (tensors, updates) = hrm.model.parameters.initial(1337), hrm.training_state()
    assert set(updates.values()) == {0} and not tensors["state.sums"].any()
    for name, value in start.items():
        assert np.array_equal(tensors[f"model.{name}"], value) and not tensors[f"optim.v.{name}"].any(), name


def test_stages_run_in_order() -> None:
    stages = [{"name": "a", "share": 0.2, "context": 0.5, "max_steps": 4}, {"name": "b", "max_steps": 3, "lr": 1e-3}]
    result, _, said = train({"train": TRAIN, "curriculum": stages}, make_text())
    steps = [(r["step"], r["part"]) for r in result.history if "train/loss" in r]
    assert steps == [(1, 0), (2, 0), (3, 0), (4, 0), (5, 1), (6, 1), (7, 1)]
    rates = [r["train/lr"] for r in result.history if "train/lr" in r]
    assert np.allclose(
        [rates[0], rates[4]], [1e-2, 1e-3], rtol=1e-9
    )  # the schedule begins again, with the stage's rate
    lines = [line for line in said if line.startswith("forecast")]
    assert "a: at most 4 steps" in lines[0] and "b: at most 3 steps" in lines[1] and "MiB" in lines[2]
    assert any(line.startswith("step 4/7  stage 1/2 a") for line in said)
    assert result.metrics["train/lr"] < 1e-3 and result.metrics["val/loss"] == result.validation.loss  # type: ignore[union-attr]


def test_a_stage_ends_when_its_validation_loss_stops_improving() -> None:
    stages = [{"max_steps": 40, "patience": 2, "lr": 1e-9}, {"max_steps": 2}]
    settings = TRAIN | {"eval_every": 2, "early_stop_min_delta": 0.5}
    result, _, said = train({"train": settings, "curriculum": stages}, make_text())
    assert result.step == 8 and sum("moving on: 2 evaluations" in line for line in said) == 1


def test_a_phase_begins_with_a_fresh_optimizer_and_a_stage_does_not() -> None:
    length = {"max_steps": 3, "lr": 1e-2}
    counts = {}
    for kind, key in (("curriculum", "curriculum"), ("phases", "phases")):
        _, hrm, _ = train({"train": TRAIN, key: [length, length]}, make_text())
        counts[kind] = set(hrm.training_state()[1].values())
    assert max(counts["curriculum"]) == 6 and max(counts["phases"]) == 3


@pytest.mark.parametrize("plan", ["curriculum", "phases"])
def test_resume_inside_any_part_and_at_its_end(plan: str, device: str, nyx: RUN, tmp_path: Path) -> None:
    write_plan(tmp_path, CURRICULUM if plan == "curriculum" else PHASES)
    options = sets([*MODEL, *COMMON, "checkpoint.template=step-{step:04d}.ckpt"])
    nyx("train", "text.txt", "--config", "plan.yaml", "--device", device, "--run-dir", "whole", *options)
    whole = tmp_path / "whole"
    last = max(int(p.stem.split("-")[1]) for p in (whole / "checkpoints").glob("step-*.ckpt"))
    states = {s: load(whole / f"checkpoints/step-{s:04d}.ckpt", ()).info().training for s in range(1, last + 1)}
    assert states[last].finished and states[last].stage == (2 if plan == "curriculum" else 3)
    ends = [s for s in range(1, last) if states[s].stage != states[s + 1].stage]
    assert len(ends) == states[last].stage
    tried = {1, last - 1, *ends, *(s + 1 for s in ends)} if device == "cpu" else {ends[0], ends[-1] + 1}
    for step in sorted(tried):
        copy = tmp_path / f"at{step}"
        shutil.copytree(whole, copy)
        nyx("resume", str(copy / f"checkpoints/step-{step:04d}.ckpt"), "--device", device)
        same(whole / f"checkpoints/step-{last:04d}.ckpt", copy / f"checkpoints/step-{last:04d}.ckpt")
        assert losses(copy) == losses(whole)


def test_checkpoints_of_phases_and_one_phase_alone(nyx: RUN, tmp_path: Path) -> None:
    write_plan(tmp_path, PHASES)
    options = ["--config", "plan.yaml", "--device", "cpu", *sets([*MODEL, *COMMON[:-2], "checkpoint.keep_last=1"])]
    nyx("train", "text.txt", *options, "--run-dir", "whole")
    names = {p.name for p in (tmp_path / "whole/checkpoints").glob("*.ckpt")}
    finals = [load(tmp_path / "whole/checkpoints" / n, ()).info().training for n in sorted(names) if "FINAL" in n]
    assert [f.phase for f in finals] == [1, 2, 3] and [f.finished for f in finals] == [False, False, True]
    assert "phase1_FINAL_epoch2.ckpt" in names
    assert sum("BEST" in n for n in names) == 3 and "phase1_epoch1.ckpt" not in names
    first = "whole/checkpoints/phase1_FINAL_epoch2.ckpt"
    nyx("train", "text.txt", *options, "--phase", "2", "--init-from", first, "--run-dir", "second", "--out", "two.ckpt")
    second = load(tmp_path / "two.ckpt")
    assert second.info().training.finished and second.info().training.phase == 2
    of_the_plan = load(next((tmp_path / "whole/checkpoints").glob("phase2_FINAL*")))
    for name, values in of_the_plan.tensors.items():
        if name.startswith("model."):  # the same weights, batches and rates: a fresh optimizer in both
            assert np.array_equal(values, second.tensors[name]), name
    done = nyx("train", "text.txt", *options, "--phase", "4", "--init-from", first, expect=64)
    assert "the plan has phases 1 to 3" in done.stderr
    done = nyx("train", "text.txt", *options, "--phase", "2", expect=64)
    assert "--init-from" in done.stderr


def test_a_plan_that_does_not_fit_is_refused() -> None:
    config = Config.model_validate({"model": GPT.model_dump(), "train": {"max_steps": 1}})
    with pytest.raises(UsageError, match="no phases"):
        parts_of_phase(parts_of(config), 1)
    phases = [{"max_steps": 1}, {"name": "long ones", "min_chars": 1000}]
    with pytest.raises(DataError, match=r"^long ones: no example is left"):
        make_trainer({"data": {"cut": "line"}, "phases": phases}, make_text(60))


def test_a_resume_keeps_the_parts_of_its_plan(nyx: RUN, tmp_path: Path) -> None:
    write_plan(tmp_path, CURRICULUM)
    nyx("train", "text.txt", "--config", "plan.yaml", "--device", "cpu", *sets([*MODEL, *COMMON]))
    path = max((tmp_path / "runs").glob("*/checkpoints/step-*.ckpt"))
    done = nyx("resume", str(path), "--set", "curriculum=[{max_steps: 30}]", expect=CheckpointError.exit_code)
    assert "part 3" in done.stderr and "has 1" in done.stderr
