"""A value that is not finite is never saved: injected into every tensor of a live training just before a save."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nyx.backends.cpu import CpuBackend
from nyx.config import ModelConfig
from nyx.errors import CheckpointError, DivergenceError
from nyx.resource_aware_hrm import ResourceAwareHRM
from nyx.text.corpus import text_from_string
from nyx.text.prepare import make_vocabulary, prepare
from nyx.training import checkpoint, container
from nyx.training.finite import not_finite
from nyx.training.rundir import Keeping, RunDirectory
from nyx.training.trainer import CharacterLanguageTrainer
from tests.training.small import GPT, HRM, make_config, make_text

BAD = (np.nan, np.inf, -np.inf)
ACT = HRM.model_copy(update={"variant": "act", "halt_max_steps": 3})
LONG = {"max_steps": 100_000, "eval_every": 0, "log_every": 0, "ema_decay": 0.9}


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)


def begin(model: ModelConfig, execution: str, **train: Any) -> CharacterLanguageTrainer:
    """A training that saves after every step and keeps two states."""
    config = make_config(model, **LONG, **train)
    often = config.checkpoint.model_copy(update={"every_steps": 1})
    config = config.model_copy(update={"execution": execution, "checkpoint": often})
    text = text_from_string(make_text(200))
    vocabulary = make_vocabulary("corpus", text, None, config.data)
    corpus = prepare(text, vocabulary, config.data, seq_len=config.train.seq_len, seed=1)
    hrm = ResourceAwareHRM(config.model, vocabulary, CpuBackend())
    run = RunDirectory.create("test", "", {}, Keeping(keep_last=2), say=lambda _: None)
    return CharacterLanguageTrainer(hrm, corpus, config, run=run)


def places(trainer: CharacterLanguageTrainer) -> dict[str, Callable[[float | None], None]]:
    """For every tensor that a checkpoint of this training has, what puts a value into it, or (None) what was there."""
    hrm = trainer.hrm
    found: dict[str, Callable[[float | None], None]] = {}

    def of_device(backend: Any, tensor: Any) -> Callable[[float | None], None]:
        before: list[np.ndarray] = []

        def put(value: float | None) -> None:
            if value is None:
                backend.write(tensor, before.pop())
                return
            before.append(backend.read(tensor))
            changed = before[0].copy()
            changed.reshape(-1)[changed.size // 2] = value
            backend.write(tensor, changed)

        return put

    def of_sums(index: int) -> Callable[[float | None], None]:
        before: list[float] = []

        def put(value: float | None) -> None:
            totals = hrm._train.totals
            if value is not None:
                before.append(totals[index])
            totals[index] = before.pop() if value is None else value

        return put

    for name in hrm.training_state()[0]:
        kind, _, rest = name.partition(".")
        if kind == "model" and rest in hrm.model.constants:
            found[name] = of_device(hrm.backend, hrm.model.constants[rest].tensor)
        elif kind == "model":
            found[name] = of_device(hrm.backend, hrm.model.parameters.like("param", rest))
        elif kind == "optim":
            moment, _, parameter = rest.partition(".")
            found[name] = of_device(hrm._train.home, hrm.model.parameters.like(moment, parameter))
        elif kind == "ema":
            found[name] = of_device(hrm._train.home, hrm.model.parameters.like("ema", rest))
    for index in range(3):
        found[f"state.sums {index}"] = of_sums(index)
    return found


def kept(run: RunDirectory) -> dict[str, bytes]:
    files = [*(run.path / "checkpoints").iterdir(), Path("models/hrm.ckpt")]
    return {str(path): path.read_bytes() for path in files}


@pytest.mark.parametrize(
    ("model", "execution", "train"),
    [
        (HRM, "device", {}), (HRM, "hybrid", {}), (HRM, "device", {"optimizer": "adam_atan2"}),
        (GPT, "device", {}), (ACT, "device", {}),
    ],
    ids=["hrm", "hybrid", "atan2", "gpt", "act"],
)  # fmt: skip
def test_not_one_is_saved(
    model: ModelConfig, execution: str, train: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    trainer = begin(model, execution, **train)
    real, inject = trainer.snapshot, None

    def snapshot() -> Any:
        if inject is not None:
            inject()
        return real()

    monkeypatch.setattr(trainer, "snapshot", snapshot)

    def step() -> None:
        before = trainer.state.step
        trainer._run(lambda: trainer.state.step > before)

    step()
    step()
    assert trainer.run is not None
    done = saved = 0
    for name, put in places(trainer).items():
        for value in BAD:
            before, at = kept(trainer.run), trainer.state.step
            inject = lambda put=put, value=value: put(value)  # noqa: E731
            with pytest.raises(DivergenceError) as caught:
                step()
            inject = None
            put(None)
            assert caught.value.exit_code == 76 and str(caught.value).isprintable()
            if not name.startswith("state."):  # of the sums the training itself says what made them so
                assert name in str(caught.value) and "1 of " in str(caught.value)
            saved += kept(trainer.run) != before
            done += 1
            assert trainer.state.step == at + 1
    assert saved == 0 and done >= 100
    step()  # the training is as it was and goes on
    newest = checkpoint.load("models/hrm.ckpt")
    assert newest.info().training.step == trainer.state.step and not not_finite(newest.tensors)
    trainer.run.close()
    trainer.hrm.close()


def test_a_carry_is_looked_at_too() -> None:
    """The states of rows that are between two segments, in every number of them that a checkpoint has."""
    trainer = begin(ACT, "device")
    trainer._run(lambda: trainer.state.step > 0)
    carry, run = trainer.hrm._train.carry, trainer.run
    assert carry and run and (carry.progress == 1).any(), "no head halts a row after its first segment"
    row, before = int(np.flatnonzero(carry.progress == 1)[0]), kept(run)
    for name, tensor in (("z_H", carry.z_h), ("z_L", carry.z_l)):
        whole = trainer.hrm.backend.read(tensor)
        for value in BAD:
            for at in range(0, whole.shape[1], 7):
                changed = whole.copy()
                changed[row, at] = value
                trainer.hrm.backend.write(tensor, changed)
                with pytest.raises(DivergenceError, match=rf"state\.carry\.{name}"):
                    trainer._write(best=False, over=False)
        trainer.hrm.backend.write(tensor, whole)
    assert kept(run) == before
    trainer._write(best=False, over=False)
    run.close()
    trainer.hrm.close()


def test_the_gate_itself_and_how_fast_it_is(tmp_path: Path) -> None:
    """Every float type and every place in a tensor, whoever saves; about 0.2 ms for a million values when idle."""
    for kind in ("f2", "f4", "f8", ">f4"):
        for at in (0, 65_535, 65_536, 99_999):
            for value in BAD:
                array = np.ones(100_000, kind)
                array[at] = value
                tensors = {"model.a": np.ones(3, np.float32), "state.carry.x": array}
                with pytest.raises(DivergenceError, match=r"state\.carry\.x has 1 of 100,000"):
                    checkpoint.save(tmp_path / "file", tensors, {})
    assert list(tmp_path.iterdir()) == []
    assert (
        not_finite({"a": np.array([3.4e38, -3.4e38, 3.4e38], np.float32), "b": np.arange(3), "c": np.array(True)}) == ""
    )
    assert not_finite({"\x1b[31m": np.array(np.nan)}).isprintable()
    big = {"a": np.random.default_rng(0).standard_normal(1 << 22, dtype=np.float32)}
    times = []
    for _ in range(5):
        start = time.perf_counter()
        assert not_finite(big) == ""
        times.append(time.perf_counter() - start)
    assert min(times) < 0.02, "5 ms for each million values, on a machine with much else to do"


def test_loading_refuses_one_among_what_is_asked_for(tmp_path: Path) -> None:
    good, bad = np.ones(5, np.float32), np.array([1, np.nan, np.inf], np.float32)
    container.write(tmp_path / "file", {"model.a": good, "optim.m.a": bad}, {"format_version": "1"})
    assert checkpoint.load(tmp_path / "file", ["model."]).tensors.keys() == {"model.a"}
    with pytest.raises(CheckpointError, match=r"optim\.m\.a has 2 of 3 values that are not finite") as caught:
        checkpoint.load(tmp_path / "file")
    assert caught.value.exit_code == 65
