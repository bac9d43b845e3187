"""A trained model in a file, a checkpoint or what `nyx export` wrote, and what the file says of how it is used."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nyx.config import Config, TrainConfig
from nyx.errors import UsageError
from nyx.files import show_path
from nyx.resource_aware_hrm import ResourceAwareHRM
from nyx.text.vocabulary import BYTES, FIXED, Vocabulary
from nyx.training.checkpoint import WEIGHTS, Checkpoint, CheckpointInfo, export_weights
from nyx.training.fit import open_fitting, read_config
from nyx.training.place import find_place
from nyx.training.plan import parts_of

EXPORTED = {
    "data": (
        *("val_fraction", "split_by", "normalization", "cut", "pack", "fields", "arrange", "match", "min_chars"),
        *("max_chars", "max_characters", "unknown"),
    ),
    "train": ("batch_size", "seq_len", "loss", "eval_chars"),
}
"""Keys that say how a text is measured: what an export keeps beside the model, its vocabulary and the seed of pairs."""


@dataclass(frozen=True)
class Trained:
    """named: what the user named. checkpoint: the file it meant. config: how it was trained, with the section data of
    the part of its plan that it was in, and those keys of its section train that EXPORTED names. info: the metadata of
    a training, None of an export."""

    named: Path
    checkpoint: Checkpoint
    config: Config
    vocabulary: Vocabulary
    info: CheckpointInfo | None

    @property
    def path(self) -> Path:
        return Path(self.checkpoint.path)

    def weights(self) -> dict[str, np.ndarray]:
        """The weights to use, by the model's names."""
        return dict(self.checkpoint.tensors) if self.info is None else self.checkpoint.weights()

    def model(self, device: str) -> ResourceAwareHRM:
        """The model on a device. Raises DeviceError, DeviceMemoryError, CheckpointError for other weights."""
        hrm = ResourceAwareHRM(self.config.model, self.vocabulary, device)
        hrm.window, hrm.loss = self.config.train.seq_len, self.config.train.loss
        hrm.load_weights(self.weights())
        return hrm

    def texts(self) -> tuple[str, ...]:
        """The files, folders and patterns that it was trained on, as they are from the working directory. Raises
        UsageError for an export, which keeps none."""
        if self.info is None:
            raise UsageError(f"{show_path(self.path)} does not say which text it was trained on: name TEXT")
        return find_place(self.info, self.named, self.path).local(self.config).data.path

    def beneath(self) -> dict[str, dict[str, Any]]:
        """What a configuration that says nothing of it takes from here for a training with these weights: the model,
        with room for more symbols, and the Unicode form of its vocabulary."""
        model = self.config.to_dict()["model"]
        del model["vocab_size"]
        if not is_fixed(self.vocabulary, model["vocabulary"]):
            model["vocabulary"] = "corpus"
        return {"model": model, "data": {"normalization": self.vocabulary.normalization}}

    def settings(self) -> dict[str, Any]:
        """The keys that an export keeps, by section."""
        values = self.config.to_dict()
        kept = {section: {key: values[section][key] for key in keys} for section, keys in EXPORTED.items()}
        return {"seed": values["seed"], "model": values["model"], **kept}


def is_fixed(vocabulary: Vocabulary, name: str) -> bool:
    """Whether it is that fixed vocabulary, with or without bytes."""
    characters, specials = FIXED.get(name, ("", ()))
    return vocabulary.characters == characters and vocabulary.specials in (specials, specials + BYTES)


def export(trained: Trained, path: Path) -> int:
    """Writes the weights with what using them takes; returns how many tensors. Raises UsageError for what is an
    export already, StorageError."""
    if trained.info is None:
        raise UsageError(f"{show_path(trained.path)} is an export already; copy the file")
    return export_weights(trained.checkpoint, path, trained.settings())


def is_export(checkpoint: Checkpoint) -> bool:
    """Whether a file holds weights alone, and nothing that a training could go on from."""
    return "training" not in checkpoint.metadata


def open_trained(path: Path, say: Callable[[str], None]) -> Trained:
    """The trained model of a checkpoint, a run's directory or an export, with the weights alone. Raises as
    `open_checkpoint` does, and CheckpointError for a configuration that this Nyx cannot read."""
    checkpoint = open_fitting(path, say, WEIGHTS)
    if not is_export(checkpoint):
        info = checkpoint.info()
        return Trained(path, checkpoint, _of_part(checkpoint, info), Vocabulary.from_json(info.vocabulary), info)
    checkpoint = open_fitting(path, say)
    vocabulary = Vocabulary.from_json(checkpoint.metadata.get("vocabulary", ""))
    values = json.loads(checkpoint.metadata["config"])
    data, train = ({**section} if isinstance(section := values.get(key), dict) else {} for key in ("data", "train"))
    data = {"normalization": vocabulary.normalization} | data
    config = read_config(values | {"data": data, "train": {"max_steps": 1} | train}, path)
    return Trained(path, checkpoint, config, vocabulary, None)


def _of_part(checkpoint: Checkpoint, info: CheckpointInfo) -> Config:
    path = Path(checkpoint.path)
    config = read_config(info.config, path)
    part = parts_of(config)[info.training.stage]
    train = TrainConfig(max_steps=1, **{key: getattr(part.train, key) for key in EXPORTED["train"]})
    return config.model_copy(update={"data": part.data, "train": train, "curriculum": (), "phases": ()})
