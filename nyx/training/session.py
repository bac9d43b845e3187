"""A whole training from its configuration: what `nyx train` and `nyx resume` call."""

from __future__ import annotations

import contextlib
import os
import platform
import shlex
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

import nyx
from nyx import config as configuration
from nyx import configload
from nyx.config import Config
from nyx.configload import Loaded, dump_yaml
from nyx.errors import (
    CheckpointError,
    ConfigError,
    DataError,
    DeviceLostError,
    DivergenceError,
    NyxError,
    StorageError,
    UsageError,
)  # fmt: skip
from nyx.files import show_path, show_paths
from nyx.nn import build
from nyx.resource_aware_hrm import ResourceAwareHRM
from nyx.text.check import examine_text
from nyx.text.corpus import Text
from nyx.text.prepare import Corpus, load_text, make_vocabulary, prepare
from nyx.text.vocabulary import Vocabulary
from nyx.training.checkpoint import WEIGHTS, Checkpoint
from nyx.training.checkpoint_folder import check_template
from nyx.training.monitor import Monitor
from nyx.training.plan import longest_window, parts_of, parts_of_phase
from nyx.training.rundir import Keeping, RunDirectory, open_checkpoint, require_empty
from nyx.training.trainer import CharacterLanguageTrainer, TrainingResult


def train(
    loaded: Loaded, *, run_path: Path | None = None, init_from: Path | None = None, phase: int | None = None
) -> TrainingResult:
    """A new training. run_path: its directory instead of one in run_dir. init_from: a checkpoint whose weights and
    vocabulary it starts with; symbols it never saw get new rows. phase: this phase of the plan alone."""
    config, monitor = loaded.config, Monitor()
    _check_output(config)
    if run_path is None:
        _check_folder(Path(config.run_dir), "another run_dir")
    elif run_path.exists():
        require_empty(run_path)
    if phase is not None:
        parts_of_phase(parts_of(config), phase)
        if phase > 1 and init_from is None:
            raise UsageError(f"--phase {phase} starts from what the phase before it left: name it with --init-from")
    parent = None if init_from is None else open_checkpoint(init_from, monitor.line)
    if parent is not None:
        _compare(parent, config, monitor)
    text = load_text(config, monitor.line)
    if parent is None:
        vocabulary = make_vocabulary(config.model.vocabulary, text, config.model.vocab_size, config.data)
    else:
        vocabulary = _vocabulary_of(parent, config, text)
    corpus = _prepare(text, vocabulary, config, monitor)
    _look_through(text, config, monitor)
    hrm = _open(config, vocabulary, monitor)
    if parent is not None:
        _take_over(hrm, parent, config.seed, monitor)

    trainer = CharacterLanguageTrainer(
        hrm, corpus, config, keep_weights=parent is not None, phase=phase, monitor=monitor
    )
    return _train(trainer, lambda: _new_run(hrm, corpus, config, run_path, parent, monitor))


def resume(
    path: Path, sets: Sequence[str] = (), device: str | None = None, *, any_corpus: bool = False
) -> TrainingResult:
    """Goes on from a checkpoint, exactly where it stopped, with the settings in `sets` changed.

    Raises ConfigError when the architecture would change, CheckpointError when the corpus did and not any_corpus.
    """
    monitor = Monitor()
    checkpoint = open_checkpoint(path, monitor.line)
    info = checkpoint.info()
    before = _stored_config(checkpoint)
    overrides = {} if device is None else {"device": device}
    config = configload.amend(info.config, show_path(path), sets, overrides=overrides).config
    _check_output(config)
    _announce(before, config, monitor)
    vocabulary = Vocabulary.from_json(info.vocabulary)
    if info.training.finished and not _asks_for_more(before, config):
        return _finished(path, info.training.step, config, monitor)
    text = load_text(config, monitor.line)
    corpus = _prepare(text, vocabulary, config, monitor)
    if corpus.sha256 != info.corpus_sha256 and not any_corpus:
        raise CheckpointError(
            f"{corpus.name} is not the text that {show_path(path)} was trained on; give that text again, "
            "or say --any-corpus to go on with this one"
        )
    hrm = _open(config, vocabulary, monitor)

    def make_run() -> RunDirectory:
        return RunDirectory.resume(
            checkpoint, config.name, dump_yaml(config), _about(config, hrm, corpus), _keeping(config), say=monitor.line
        )

    trainer = CharacterLanguageTrainer(hrm, corpus, config, checkpoint=checkpoint, monitor=monitor)
    trainer.result.checkpoint = path
    if trainer.state.finished:
        hrm.close()
        return _finished(path, info.training.step, config, monitor)
    return _train(trainer, make_run)


def _finished(path: Path, step: int, config: Config, monitor: Monitor) -> TrainingResult:
    """Says that nothing is left to do, and what would be."""
    keys = [key for key in ("max_steps", "epochs") if getattr(config.train, key) is not None]
    more = "give more: " + " ".join(f"--set train.{key}=N" for key in keys)
    if not keys:
        more = f"start from it: nyx train TEXT --init-from {shlex.quote(str(path))}"
    monitor.line(f"{show_path(path)} is finished at step {step}; to train on, {more}")
    return TrainingResult(step, None, checkpoint=path)


def _open(config: Config, vocabulary: Vocabulary, monitor: Monitor) -> ResourceAwareHRM:
    if config.sample.prompt:
        vocabulary.encode(config.sample.prompt, "sample.prompt")
    hrm = ResourceAwareHRM(config.model, vocabulary, config.device)
    monitor.line(f"device: {hrm.device}")
    return hrm


def _train(trainer: CharacterLanguageTrainer, make_run: Callable[[], RunDirectory]) -> TrainingResult:
    """Makes the run's directory once everything else has been found to fit, and trains."""
    hrm, corpus, config, monitor = trainer.hrm, trainer.corpus, trainer.config, trainer.monitor
    monitor.line(
        f"{config.model.kind} with {hrm.model.parameters.count():,} parameters; {corpus.name}: "
        f"{corpus.train.characters:,} characters to train on, {corpus.val.characters:,} to validate, "
        f"{len(corpus.vocabulary)} symbols"
    )
    with make_run() as run:
        monitor.attach(run.log)
        trainer.run = run
        monitor.line(f"run directory: {show_path(run.path)}; steps {trainer.state.step} to {trainer.course.max_steps}")
        try:
            result = trainer.train_character_language_model()
        except (DeviceLostError, DivergenceError) as error:
            saved = trainer.result.checkpoint
            where = f": nyx resume {shlex.quote(str(saved))}" if saved else " (none is saved yet)"
            run.log(f"{error}{where}")
            raise type(error)(f"{error}{where}") from error
        except NyxError as error:
            run.log(str(error))
            raise
        finally:
            with contextlib.suppress(DeviceLostError):  # a lost device says so once
                hrm.close()
        monitor.line(f"finished at step {result.step}; the model is in {show_path(config.checkpoint.path)}")
    return result


def _check_output(config: Config) -> None:
    """Refuses a checkpoint.path that a training could only fail to write, or that would take a text's place."""
    path = Path(config.checkpoint.path)
    check_template(config.checkpoint.template)
    if path.is_dir():
        raise ConfigError(f"checkpoint.path: {show_path(path)} is a folder; name a file")
    if any(path.exists() and Path(name).exists() and path.samefile(name) for name in config.data.path):
        raise ConfigError(f"checkpoint.path: {show_path(path)} is the text to train on; name another file")
    _check_folder(path.parent, "another place with --out")


def _check_folder(folder: Path, other: str) -> None:
    """Refuses a folder that could not be made or written into; nothing is made yet. Raises StorageError."""
    there = next(above for above in (folder, *folder.absolute().parents) if os.path.lexists(above))
    if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
        raise StorageError(f"cannot write into {show_path(folder)}: name {other}")


def _compare(parent: Checkpoint, config: Config, monitor: Monitor) -> None:
    """Says where the old weights come from another architecture. Raises CheckpointError where they do not fit."""
    before, vocabulary = _stored_config(parent), ("model.vocabulary", "model.vocab_size")
    changes = [change for change in _changes_of_model(before, config) if change[0] not in vocabulary]
    old, new = ({item.name: item.tensor.shape for item in build(c.model, 1).parameters} for c in (before, config))
    if old != new:
        text = "; ".join(f"{key} is {old} there and {new} here" for key, old, new in changes)
        raise CheckpointError(
            f"{show_path(parent.path)} has another architecture: {text}; "
            "give the configuration it was trained with, or leave out --init-from"
        )
    _say_changes(changes, monitor)


def _vocabulary_of(parent: Checkpoint, config: Config, text: Text) -> Vocabulary:
    """The vocabulary that comes with old weights, and what the text has beyond it unless data.unknown is skip; what
    the configuration says of it must agree."""
    vocabulary, model = Vocabulary.from_json(parent.info().vocabulary), config.model
    if model.vocabulary != "corpus" and Vocabulary.fixed(model.vocabulary, len(vocabulary)) != vocabulary:
        raise ConfigError(f"model.vocabulary is {model.vocabulary}, and the old weights have another one")
    if config.data.normalization != vocabulary.normalization:
        raise ConfigError(f"data.normalization must be {vocabulary.normalization}, as for the old weights")
    if (unknown := config.data.unknown) != "skip":
        most = config.data.max_characters
        vocabulary = vocabulary.extended(text, model.vocab_size, max_characters=most, unknown=unknown)
    if model.vocab_size not in (None, len(vocabulary)):
        raise ConfigError(f"model.vocab_size is {model.vocab_size}, and the old weights have {len(vocabulary)} symbols")
    return vocabulary


def _take_over(hrm: ResourceAwareHRM, parent: Checkpoint, seed: int, monitor: Monitor) -> None:
    """Loads the weights of an older model; symbols that it had not get rows of a new one."""
    tensors, new, old = parent.weights(), hrm.vocabulary, Vocabulary.from_json(parent.info().vocabulary)
    if new != old:
        rows, start = new.rows_from(old), hrm.model.parameters.initial(seed)
        kept = rows >= 0
        for name in (name for name in hrm.model.by_symbol if name in start and name in tensors):
            start[name][kept] = tensors[name][rows[kept]]
            tensors[name] = start[name]
        names = ", ".join(map(repr, new.characters[len(old.characters) :][:20]))
        more = len(new.characters) - len(old.characters)
        monitor.line(f"{more} characters are new to the old weights and start from nothing: {names}")
    hrm.load_weights(tensors)


def _stored_config(checkpoint: Checkpoint) -> Config:
    try:
        return Config.from_dict(checkpoint.info().config)
    except ConfigError as error:
        raise CheckpointError(
            f"{show_path(checkpoint.path)} has a configuration this Nyx cannot read: {error}"
        ) from error


def load_model(path: Path, device: str, say: Any) -> ResourceAwareHRM:
    """The model of a checkpoint on a device, for evaluation and generation."""
    checkpoint = open_checkpoint(path, say, WEIGHTS)
    config, info = _stored_config(checkpoint), checkpoint.info()
    hrm = ResourceAwareHRM(config.model, Vocabulary.from_json(info.vocabulary), device)
    train = parts_of(config)[info.training.stage].train
    hrm.window, hrm.loss = train.seq_len, train.loss
    hrm.load_weights(checkpoint.weights())
    return hrm


def _prepare(text: Text, vocabulary: Vocabulary, config: Config, monitor: Monitor) -> Corpus:
    longest = longest_window(parts_of(config))
    return prepare(text, vocabulary, config.data, seq_len=longest, seed=config.seed, say=monitor.line)


def _look_through(text: Text, config: Config, monitor: Monitor) -> None:
    """Says what is wrong with the text, as data.check asks for. Raises DataError (65) when it shall stop there."""
    if config.data.check == "off":
        return
    found = examine_text(text, config.data.val_fraction).warnings()
    for line in found:
        monitor.line(f"warning: {line}")
    if found and config.data.check == "stop":
        raise DataError(f"{len(found)} warnings about the text, and data.check is stop: with warn it is trained on")


def open_run(hrm: ResourceAwareHRM, corpus: Corpus, config: Config, path: Path | None = None) -> RunDirectory:
    """A new run's directory, in config.run_dir or at `path`, for CharacterLanguageTrainer; `nyx train` makes the same.

    Use it as a context manager. Raises RunDirectoryError (73), StorageError (74).
    """
    return _new_run(hrm, corpus, config, path, None, Monitor())


def _new_run(
    hrm: ResourceAwareHRM, corpus: Corpus, config: Config, path: Path | None, parent: Checkpoint | None,
    monitor: Monitor,
) -> RunDirectory:  # fmt: skip
    return RunDirectory.create(
        config.name, dump_yaml(config), _about(config, hrm, corpus), _keeping(config),
        path=path, parent=parent, say=monitor.line,
    )  # fmt: skip


def _announce(before: Config, after: Config, monitor: Monitor) -> None:
    """Says what a resume changes. Raises ConfigError for what it must not."""
    if refused := _changes_of_model(before, after):
        text = "; ".join(f"{key} is {old} in the checkpoint and {new} here" for key, old, new in refused)
        raise ConfigError(f"a resume keeps the architecture: {text}; start a new training for that")
    _say_changes(configuration.differences(before, after), monitor)


def _changes_of_model(before: Config, after: Config) -> list[tuple[str, Any, Any]]:
    """What differs in the architecture; of another kind of model only the kind, from which the rest follows."""
    changes = [c for c in configuration.differences(before, after) if configuration.is_architecture(c[0])]
    return [c for c in changes if c[0] == "model.kind"] or changes


def _say_changes(changes: list[tuple[str, Any, Any]], monitor: Monitor) -> None:
    for key, old, new in changes:
        what = key if key in ("curriculum", "phases") else f"{key} from {_shown(old)} to {_shown(new)}"
        monitor.line(f"changed: {what}")


def _shown(value: Any) -> str:
    """A value as it may stand in a line; a long list of files by its first ones."""
    return str(value) if not isinstance(value, list) or len(str(value)) <= 100 else show_paths(value)


def _asks_for_more(before: Config, after: Config) -> bool:
    keys = ("max_steps", "epochs", "early_stop_patience")
    return (before.curriculum, before.phases) != (after.curriculum, after.phases) or any(
        getattr(before.train, key) != getattr(after.train, key) for key in keys
    )


def _keeping(config: Config) -> Keeping:
    return Keeping(
        template=config.checkpoint.template,
        keep_last=config.checkpoint.keep_last,
        published=Path(config.checkpoint.path),
        runs=Path(config.run_dir),
    )


def _about(config: Config, hrm: ResourceAwareHRM, corpus: Corpus) -> dict[str, Any]:
    return {
        "nyx": nyx.__version__,
        "python": platform.python_version(),
        "numpy": np.__version__,
        "platform": platform.platform(),
        "device": hrm.device,
        "seed": config.seed,
        "corpus": corpus.name,
        "corpus_sha256": corpus.sha256,
        "parameters": hrm.model.parameters.count(),
        "command": sys.argv[1:],
    }
