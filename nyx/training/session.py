"""A whole training from its configuration: what `nyx train` and `nyx resume` call."""

from __future__ import annotations

import contextlib
import platform
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

import nyx
from nyx import config as configuration
from nyx import configload
from nyx.config import Config
from nyx.configload import Loaded, dump_yaml
from nyx.errors import CheckpointError, ConfigError, DeviceLostError, DivergenceError
from nyx.files import show_path
from nyx.resource_aware_hrm import ResourceAwareHRM
from nyx.text import hlx
from nyx.text.corpus import Text, read_text
from nyx.text.prepare import Corpus, make_vocabulary, prepare
from nyx.text.vocabulary import Vocabulary
from nyx.training.checkpoint import Checkpoint
from nyx.training.monitor import Monitor
from nyx.training.rundir import Keeping, RunDirectory, open_checkpoint
from nyx.training.trainer import CharacterLanguageTrainer, TrainingResult

DEFAULT_CORPUS = "data/hlx.txt"


def train(loaded: Loaded, *, run_path: Path | None = None, init_from: Path | None = None) -> TrainingResult:
    """A new training. run_path: its directory instead of one in run_dir. init_from: a checkpoint whose weights (and
    vocabulary) it starts with."""
    config, monitor = loaded.config, Monitor()
    parent = None if init_from is None else open_checkpoint(init_from, monitor.line)
    text = _read_corpus(config, monitor)
    if parent is None:
        vocabulary = make_vocabulary(config.model.vocabulary, text, config.model.vocab_size)
    else:
        vocabulary = Vocabulary.from_json(parent.info().vocabulary)
    corpus = _prepare(text, vocabulary, config)
    hrm = ResourceAwareHRM(config.model, vocabulary, config.device)
    if parent is not None:
        hrm.load_weights(model_tensors(parent))
    run = RunDirectory.create(
        config.name, dump_yaml(config), _about(config, hrm, corpus), _keeping(config),
        path=run_path, parent=parent, say=monitor.line,
    )  # fmt: skip
    with run:
        monitor.attach(run.log)
        return _train(hrm, corpus, config, run, monitor, keep_weights=parent is not None)


def resume(
    path: Path, sets: Sequence[str] = (), device: str | None = None, *, any_corpus: bool = False
) -> TrainingResult:
    """Goes on from a checkpoint, exactly where it stopped, with the settings in `sets` changed.

    Raises ConfigError when the architecture would change, CheckpointError when the corpus did and not any_corpus.
    """
    monitor = Monitor()
    checkpoint = open_checkpoint(path, monitor.line)
    info = checkpoint.info()
    before = Config.from_dict(info.config)
    overrides = {} if device is None else {"device": device}
    config = configload.amend(info.config, show_path(path), sets, overrides=overrides).config
    _announce(before, config, monitor)
    vocabulary = Vocabulary.from_json(info.vocabulary)
    if info.training.finished and not _asks_for_more(before, config):
        monitor.line(
            f"{show_path(path)} is finished at step {info.training.step}; "
            "to train on, give more steps: --set train.max_steps=N"
        )
        return TrainingResult(info.training.step, None, checkpoint=path)
    corpus = _prepare(_read_corpus(config, monitor), vocabulary, config)
    if corpus.sha256 != info.corpus_sha256 and not any_corpus:
        raise CheckpointError(
            f"{corpus.name} is not the text that {show_path(path)} was trained on; give that text again, "
            "or say --any-corpus to go on with this one"
        )
    hrm = ResourceAwareHRM(config.model, vocabulary, config.device)
    run = RunDirectory.resume(
        checkpoint, config.name, dump_yaml(config), _about(config, hrm, corpus), _keeping(config),
        say=monitor.line,
    )  # fmt: skip
    with run:
        monitor.attach(run.log)
        return _train(hrm, corpus, config, run, monitor, checkpoint=checkpoint)


def _train(
    hrm: ResourceAwareHRM, corpus: Corpus, config: Config, run: RunDirectory, monitor: Monitor, **start: Any
) -> TrainingResult:
    parameters = hrm.model.parameters.count()
    monitor.line(f"device: {hrm.device}")
    monitor.line(
        f"{config.model.kind} with {parameters:,} parameters; {corpus.name}: {len(corpus.train):,} characters to train "
        f"on, {len(corpus.val):,} to validate, {len(corpus.vocabulary)} symbols"
    )
    trainer = CharacterLanguageTrainer(hrm, corpus, config, run=run, monitor=monitor, **start)
    monitor.line(f"run directory: {show_path(run.path)}; steps {trainer.state.step} to {trainer.max_steps}")
    try:
        result = trainer.train_character_language_model()
    except (DeviceLostError, DivergenceError) as error:
        saved = trainer.result.checkpoint
        where = f": nyx resume {show_path(saved)}" if saved else " (none is saved yet)"
        raise type(error)(f"{error}{where}") from error
    finally:
        with contextlib.suppress(DeviceLostError):  # a lost device says so once
            hrm.close()
    monitor.line(f"finished at step {result.step}; the model is in {show_path(config.checkpoint.path)}")
    return result


def load_model(path: Path, device: str, say: Any) -> ResourceAwareHRM:
    """The model of a checkpoint on a device, for evaluation and generation."""
    checkpoint = open_checkpoint(path, say, ("model.",))
    info = checkpoint.info()
    hrm = ResourceAwareHRM(Config.from_dict(info.config).model, Vocabulary.from_json(info.vocabulary), device)
    hrm.load_weights(model_tensors(checkpoint))
    return hrm


def model_tensors(checkpoint: Checkpoint) -> dict[str, np.ndarray]:
    """The weights of a checkpoint, by the model's names."""
    return {n.removeprefix("model."): a for n, a in checkpoint.tensors.items() if n.startswith("model.")}


def _read_corpus(config: Config, monitor: Monitor) -> Text:
    """The configured text; the default corpus is made where it is wanted and missing."""
    paths = config.data.path
    if paths == (DEFAULT_CORPUS,) and not Path(DEFAULT_CORPUS).exists():
        monitor.line(f"making the default corpus {DEFAULT_CORPUS}")
        hlx.write(Path(DEFAULT_CORPUS))
    return read_text(paths, config.data.normalization)


def _prepare(text: Text, vocabulary: Vocabulary, config: Config) -> Corpus:
    return prepare(text, vocabulary, val_fraction=config.data.val_fraction, seq_len=config.train.seq_len)


def _announce(before: Config, after: Config, monitor: Monitor) -> None:
    """Says what a resume changes. Raises ConfigError for what it must not."""
    changes = configuration.differences(before, after)
    refused = [change for change in changes if configuration.is_architecture(change[0])]
    if refused:
        text = "; ".join(f"{key} is {old} in the checkpoint and {new} here" for key, old, new in refused)
        raise ConfigError(f"a resume keeps the architecture: {text}; start a new training for that")
    for key, old, new in changes:
        monitor.line(f"changed: {key} from {old} to {new}")


def _asks_for_more(before: Config, after: Config) -> bool:
    keys = ("max_steps", "epochs", "early_stop_patience")
    return any(getattr(before.train, key) != getattr(after.train, key) for key in keys)


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
