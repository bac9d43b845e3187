"""`nyx eval`: a model measured on a text as its training measured it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import Any

from nyx import configload
from nyx.config import Config, differences, is_architecture
from nyx.configload import Loaded
from nyx.errors import ConfigError, DataError, UsageError
from nyx.files import show_path
from nyx.resource_aware_hrm import ResourceAwareHRM
from nyx.text.corpus import Text, read_text
from nyx.text.prepare import prepare
from nyx.text.sequences import Sequences
from nyx.text.sources import STDIN
from nyx.trained import Trained

UNITS = {
    "loss": "nats per character",
    "perplexity": "per character",
    "bits_per_character": "bits per character",
    "bits_per_byte": "bits per UTF-8 byte",
    "accuracy": "share of symbols",
    "seq_len": "symbols",
    "loss_per_symbol": "nats per symbol",
}
MEASURED = ("data.", "train.seq_len", "train.batch_size", "train.eval_chars", "train.loss", "seed")
"""What a key begins with that changes a measurement."""


def measure(trained: Trained, hrm: ResourceAwareHRM, paths: Sequence[str], say: Callable[[str], None], *,
            sets: Sequence[str] = (), overrides: dict[str, Any] | None = None,
            validation: bool = False) -> tuple[dict[str, Any], Text]:  # fmt: skip
    """The measures of a text by their names in the JSON of `nyx eval`, with their units; and the text.

    How the text is normalized, cut and encoded, and the window, is as in the training, unless `sets` or `overrides` (by
    key) say otherwise. validation: only the part that the training holds out, at most train.eval_chars targets of it.
    Raises DataError when there is nothing to measure, or a character that the model does not know and data.unknown is
    error; ConfigError, UsageError as `_settings` does; and as `read_text` does.
    """
    loaded = _settings(trained, sets, overrides or {})
    config, data, train = loaded.config, loaded.config.data, loaded.config.train
    if STDIN in paths and sys.stdin is not None and sys.stdin.isatty():
        say("reading the text from standard input; Ctrl-D ends it")
    if data.arrange == "pair" and not validation:
        say("pairs are drawn by the places of lines in the text; those of the training: its text, with --validation")
    text = read_text(paths, data.normalization, cache=data.cache, stdin_bytes=data.stdin_bytes, say=say)
    part = _part(hrm, config, text, say, validation=validation)
    hrm.loss = train.loss
    given = validation or loaded.origins["train.eval_chars"] == "--set"
    rows = None if trained.info is None else trained.info.training.micro_batch
    found = hrm.evaluate(
        part, seq_len=train.seq_len, batch_size=min(train.batch_size, rows or train.batch_size),
        limit=train.eval_chars if given else None,
    )  # fmt: skip
    lengths = hrm.vocabulary.lengths(text.symbols, data.unknown)
    return {
        "loss": found.loss, "perplexity": found.perplexity, "bits_per_character": found.bits_per_character,
        "bits_per_byte": found.bits_per_byte, "accuracy": found.accuracy, "characters": found.characters,
        "bytes": found.bytes, "seq_len": train.seq_len, "symbols": found.symbols,
        "loss_per_symbol": found.loss_per_symbol, "left_out": int(text.counts[lengths == 0].sum()), "cut": data.cut,
        "examples": len(part), "units": UNITS,
    }, text  # fmt: skip


def _settings(trained: Trained, sets: Sequence[str], overrides: dict[str, Any]) -> Loaded:
    """How the model was trained, and what is said otherwise. Raises ConfigError for another architecture, UsageError
    for a key that changes no measurement."""
    name, before = show_path(trained.path), trained.config
    loaded = configload.amend(before.to_dict(), name, sets, env={}, overrides=overrides)
    for key, old, _ in differences(before, loaded.config):
        if is_architecture(key):
            raise ConfigError(f"{key} is {old} in {name}, and a trained model keeps its architecture")
        if not key.startswith(MEASURED):
            raise UsageError(f"--set {key}: it changes nothing that is measured; leave it out")
    return loaded


def _part(hrm: ResourceAwareHRM, config: Config, text: Text, say: Callable[[str], None], *,
          validation: bool) -> Sequences:  # fmt: skip
    data = config.data
    if validation:
        if not data.val_fraction:
            raise UsageError("--validation: it was trained with data.val_fraction 0, which holds out nothing")
        return prepare(text, hrm.vocabulary, data, seq_len=config.train.seq_len, seed=config.seed, say=say).val
    if len(text) < 2:
        raise DataError(f"the text to evaluate has {len(text)} characters: give at least 2")
    whole = data.model_copy(update={"val_fraction": 0.0, "split_by": "position"})
    return prepare(text, hrm.vocabulary, whole, seq_len=1, seed=config.seed, say=say).train
