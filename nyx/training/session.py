"""A whole training from its configuration: what `nyx train` and `nyx resume` call."""

from __future__ import annotations

import contextlib
import os
import platform
import shlex
import sys
from collections.abc import Callable, Container, Sequence
from pathlib import Path
from typing import Any

import numpy as np

import nyx
from nyx import configload
from nyx.config import CheckpointConfig, Config
from nyx.configfit import shorter_warm_up
from nyx.configload import Loaded, dump_yaml
from nyx.errors import (
    CheckpointError,
    ConfigError,
    DataError,
    DeviceLostError,
    MissingInputError,
    NyxError,
    RunDirectoryError,
    Stopped,
    StorageError,
    UsageError,
)  # fmt: skip
from nyx.files import show_path
from nyx.resource_aware_hrm import ResourceAwareHRM
from nyx.text.check import examine_text
from nyx.text.corpus import Text
from nyx.text.prepare import Corpus, load_text, make_vocabulary, prepare
from nyx.text.sources import STDIN
from nyx.text.vocabulary import Vocabulary
from nyx.trained import Trained, is_export
from nyx.training.changes import announce, asks_for_more
from nyx.training.checkpoint import Checkpoint, CheckpointInfo
from nyx.training.checkpoint_folder import BEST, check_template
from nyx.training.fit import open_fitting, read_config, require_header
from nyx.training.monitor import Monitor
from nyx.training.old_weights import compare, take_over, vocabulary_of
from nyx.training.place import HERE, Place, find_place, published_name
from nyx.training.plan import longest_window, parts_of, parts_of_phase
from nyx.training.published import doubt
from nyx.training.remarks import jump_of_rate, lower_rate, verdict
from nyx.training.rundir import Keeping, RunDirectory, require_empty
from nyx.training.trainer import CharacterLanguageTrainer, TrainingResult


def train(
    loaded: Loaded, *, run_path: Path | None = None, parent: Trained | None = None, phase: int | None = None
) -> TrainingResult:
    """A new training. run_path: its directory instead of one in run_dir. parent: the model whose weights and
    vocabulary it starts with; symbols it never saw get new rows. phase: this phase of the plan alone."""
    config, monitor = loaded.config, Monitor()
    for note in loaded.notes:
        monitor.line(note)
    _check_output(config)
    if run_path is None:
        _check_folder(Path(config.run_dir), "another run_dir")
    elif run_path.exists():
        require_empty(run_path)
    if phase is not None:
        parts_of_phase(parts_of(config), phase)
        if phase > 1 and parent is None:
            raise UsageError(f"--phase {phase} starts from what the phase before it left: name it with --init-from")
    if parent is not None:
        compare(parent, config, monitor)
        if loaded.origins["model.kind"] == show_path(parent.path):
            monitor.line(f"the model is that of {show_path(parent.path)}")
    _announce_stdin(config, monitor)
    text = load_text(config, monitor.line)
    if parent is None:
        vocabulary = make_vocabulary(config.model.vocabulary, text, config.model.vocab_size, config.data)
    else:
        vocabulary = vocabulary_of(parent, config, text)
    corpus = _prepare(text, vocabulary, config, monitor)
    config = _fit_warm_up(loaded, corpus, monitor)
    _look_through(text, config, monitor)
    hrm = _open(config, vocabulary, monitor)
    if parent is not None:
        take_over(hrm, parent, config.seed, monitor)

    trainer = CharacterLanguageTrainer(
        hrm, corpus, config, keep_weights=parent is not None, phase=phase, monitor=monitor
    )
    result = _train(trainer, lambda: _new_run(hrm, corpus, config, run_path, parent, monitor))
    return _judge(trainer, result, fresh=parent is None)


def resume(
    path: Path, sets: Sequence[str] = (), device: str | None = None, *, any_corpus: bool = False
) -> TrainingResult:
    """Goes on from a checkpoint, exactly where it stopped, with the settings in `sets` changed: in its run's own
    directory, wherever it is resumed from, or in a new one where that is not there.

    Raises ConfigError when the architecture would change, CheckpointError when the corpus did and not any_corpus.
    """
    monitor = Monitor()
    checkpoint = open_fitting(path, monitor.line)
    if is_export(checkpoint):
        raise CheckpointError(
            f"{show_path(path)} holds weights alone, and no training to go on with; start one from them: "
            f"nyx train TEXT --init-from {shlex.quote(str(path))}"
        )
    info = checkpoint.info()
    before = read_config(info.config, path)
    overrides = {} if device is None else {"device": device}
    loaded = configload.amend(info.config, show_path(path), sets, overrides=overrides)
    given = {key for key, origin in loaded.origins.items() if origin != show_path(path)}
    place = find_place(info, path, Path(checkpoint.path))
    config = place.stored(loaded.config, given)
    if place.home is None:
        config, place = _without_home(config, place, path, given), HERE
    elif "checkpoint.path" not in given:
        config = _with_published(config, place, info, path, monitor)
    local = place.local(config)
    _check_output(local)
    announce(before, config, monitor)
    vocabulary = Vocabulary.from_json(info.vocabulary)
    if info.training.finished and not asks_for_more(before, config):
        return _finished(path, checkpoint, local, place.home, monitor)
    if place.home is None:
        monitor.line(
            f"the directory of the run that {show_path(path)} is of is not here: it goes on in a new one in "
            f"{show_path(config.run_dir)}, and the newest state in {show_path(config.checkpoint.path)}"
        )
    _announce_stdin(local, monitor, "" if "data.path" in given else f"nyx resume {shlex.quote(str(path))} < TEXT")
    text = load_text(local, monitor.line)
    corpus = _prepare(text, vocabulary, config, monitor)
    if corpus.sha256 != info.corpus_sha256 and not any_corpus:
        raise CheckpointError(
            f"{corpus.name} is not the text that {show_path(path)} was trained on; give that text again, "
            "or say --any-corpus to go on with this one"
        )
    hrm = _open(config, vocabulary, monitor)

    def make_run() -> RunDirectory:
        return RunDirectory.resume(
            checkpoint, config.name, dump_yaml(config), _about(config, hrm, corpus), _keeping(local),
            home=place.home, recorded=place.recorded, say=monitor.line,
        )  # fmt: skip

    trainer = CharacterLanguageTrainer(hrm, corpus, config, checkpoint=checkpoint, monitor=monitor)
    trainer.result.checkpoint = path
    if trainer.state.finished:
        hrm.close()
        return _finished(path, checkpoint, local, place.home, monitor)
    if corpus.sha256 != info.corpus_sha256:
        trainer.state.best_val_loss = trainer.state.best_step = None
        trainer.state.counters.pop("evaluations_without_gain", None)
        monitor.line(f"{corpus.name} is another text: the best validation loss and patience are counted anew")
    if jump := jump_of_rate(before, info.training, trainer.course):
        monitor.line(jump)
    return _judge(trainer, _train(trainer, make_run), fresh=False)


def _fit_warm_up(loaded: Loaded, corpus: Corpus, monitor: Monitor) -> Config:
    """The configuration with a warm-up that a training of so many epochs has room for, as `give_way` does for steps.

    Raises ConfigError when a person chose one that is longer than the training.
    """
    config, train = loaded.config, loaded.config.train
    if train.epochs is None or not train.warmup_steps or len(parts_of(config)) > 1:
        return config
    rows = train.batch_size * train.grad_accum_steps
    steps = train.epochs * corpus.batches(train.seq_len, rows, config.seed).steps_per_epoch
    why = f"train.epochs {train.epochs} is {steps} steps of this text"
    if "train.warmup_steps" in loaded.chosen:
        if train.warmup_steps > steps:
            raise ConfigError(f"train.warmup_steps {train.warmup_steps}: {why}")
        return config
    if train.warmup_steps <= steps // 2:
        return config
    warm = shorter_warm_up(steps)
    monitor.line(f"train.warmup_steps is {warm} instead of {train.warmup_steps}, because {why}")
    return config.model_copy(update={"train": train.model_copy(update={"warmup_steps": warm})})


def _without_home(config: Config, place: Place, path: Path, given: Container[str]) -> Config:
    """The configuration of a training whose run is not here, with paths as they are from the working directory: nothing
    is written where only the checkpoint says so."""
    local = place.local(config)
    run_dir, published = local.run_dir, local.checkpoint.path
    if "run_dir" not in given:
        run_dir = Config.model_fields["run_dir"].default
    if "checkpoint.path" not in given:
        published = published_name(path) or CheckpointConfig().path
    checkpoint = config.checkpoint.model_copy(update={"path": published})
    return local.model_copy(update={"checkpoint": checkpoint, "run_dir": run_dir})


def _with_published(config: Config, place: Place, info: CheckpointInfo, named: Path, monitor: Monitor) -> Config:
    """The configuration with another published name where the one that only the checkpoint says does not count."""
    target = Path(place.path(config.checkpoint.path))
    if place.home is None or (target.exists() and named.exists() and named.samefile(target)):
        return config
    why, default = doubt(target, info, place.home, place.folder), CheckpointConfig().path
    if not why or config.checkpoint.path == default:
        return config
    stored, name = config.checkpoint.path, published_name(named)
    changed = config.model_copy(update={"checkpoint": config.checkpoint.model_copy(update={"path": name or default})})
    changed = place.stored(changed, {"checkpoint.path"}) if name else changed
    monitor.line(
        f"the newest state goes to {show_path(place.path(changed.checkpoint.path))}: {why}; to keep it there, say "
        f"--set checkpoint.path={shlex.quote(stored)}"
    )
    return changed


def _announce_stdin(config: Config, monitor: Monitor, again: str = "") -> None:
    """Says that the text is read from standard input. Raises MissingInputError where a training is resumed (`again`:
    the command) and that is a terminal."""
    if STDIN not in config.data.path:
        return
    terminal = sys.stdin is not None and sys.stdin.isatty()
    if again:
        asked = f"the text that it was trained on came from standard input; pipe the same text again: {again}"
        if terminal:
            raise MissingInputError(asked)
        monitor.line(asked)
    elif terminal:
        monitor.line("reading the text from standard input; Ctrl-D ends it")


def _judge(trainer: CharacterLanguageTrainer, result: TrainingResult, *, fresh: bool) -> TrainingResult:
    """Says where the loss has not fallen, and what to try."""
    found = verdict(result.history, len(trainer.corpus.vocabulary), fresh=fresh)
    if found:
        best = None if trainer.run is None else trainer.run.checkpoints.pointer(BEST)
        trainer.monitor.line(lower_rate(*found, trainer.config, best))
    return result


def _finished(
    path: Path, checkpoint: Checkpoint, config: Config, home: Path | None, monitor: Monitor
) -> TrainingResult:
    """Says that nothing is left to do, and what would be. What a crash kept from being published is published."""
    step = checkpoint.info().training.step
    with contextlib.suppress(RunDirectoryError):  # another process has the run, and publishes
        RunDirectory.settle(checkpoint, _keeping(config), home=home, say=monitor.line)
    keys = [key for key in ("max_steps", "epochs") if getattr(config.train, key) is not None]
    more = "give more: " + " ".join(f"--set train.{key}=N" for key in keys)
    if not keys:
        more = f"start from it: nyx train TEXT --init-from {shlex.quote(str(path))}"
    monitor.line(f"{show_path(path)} is finished at step {step}; to train on, {more}")
    return TrainingResult(step, None, checkpoint=path)


def _open(config: Config, vocabulary: Vocabulary, monitor: Monitor) -> ResourceAwareHRM:
    require_header(config, vocabulary)
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
        except Stopped as error:
            run.log(str(error))
            raise
        except NyxError as error:
            saved = trainer.result.checkpoint
            where = f": nyx resume {shlex.quote(str(saved))}" if saved else " (none is saved yet)"
            run.log(f"{error}{where}")
            raise type(error)(f"{error}{where}") from error
        finally:
            with contextlib.suppress(DeviceLostError):  # a lost device says so once
                hrm.close()
        published = run.keeping.published or config.checkpoint.path
        monitor.line(f"finished at step {result.step}; the model is in {show_path(published)}")
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
    hrm: ResourceAwareHRM, corpus: Corpus, config: Config, path: Path | None, parent: Trained | None,
    monitor: Monitor,
) -> RunDirectory:  # fmt: skip
    return RunDirectory.create(
        config.name, dump_yaml(config), _about(config, hrm, corpus), _keeping(config),
        path=path, parent=parent.checkpoint if parent and parent.info else None, say=monitor.line,
    )  # fmt: skip


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
