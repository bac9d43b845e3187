"""A checkpoint: everything a training needs to go on, in one verified file (nyx/training/container.py).

Tensors are named `model.*`, `optim.m.*`, `optim.v.*`, `ema.*`, and `state.*` for whatever else a Program keeps between
steps. The metadata are JSON strings under the keys of CheckpointInfo's fields.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import re
import types
import typing
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from nyx.errors import CheckpointError, DivergenceError
from nyx.files import AnyPath, show_path
from nyx.training import container
from nyx.training import metadata as rules
from nyx.training.finite import not_finite, require_finite

FORMAT_VERSION = 1
WEIGHTS = ("model.", "ema.")  # what is in the second takes the place of the first


@dataclass
class Checkpoint:
    """A verified file in memory. `sha256` is its checksum: files with the same one are the same state.

    `complete` says that all its tensors are here, not only those of some prefixes.
    """

    tensors: dict[str, np.ndarray]
    metadata: dict[str, str]
    path: AnyPath
    sha256: str
    complete: bool = True

    def info(self) -> CheckpointInfo:
        """The metadata as typed values; raises CheckpointError when they are not those of a training."""
        return CheckpointInfo.from_metadata(self.metadata, self.path)

    def weights(self) -> dict[str, np.ndarray]:
        """The weights to use, by the model's names: their average where one is kept. Load `WEIGHTS` for them."""
        return {
            name.removeprefix(prefix): array
            for prefix in WEIGHTS
            for name, array in self.tensors.items()
            if name.startswith(prefix)
        }


@dataclass
class TrainingState:
    """Where a training is. Counts are totals since step 0, over all resumes.

    `stage` is the part of the plan it is in (nyx/training/plan.py), `phase` that part's phase; `epoch` counts whole
    epochs (since the phase began, where there are phases) and `epoch_steps` the steps since the last of them;
    `micro_batch` is the one in use (windows in one go); `counters` is for whatever else the trainer counts. The last
    four say which run this is, and `attempt` how often it was resumed before; RunDirectory.save fills them in.
    """

    step: int = 0
    epoch: int = 0
    epoch_steps: int = 0
    stage: int = 0
    phase: int = 0
    micro_batch: int | None = None
    chars_seen: int = 0
    elapsed_seconds: float = 0.0
    best_val_loss: float | None = None
    best_step: int | None = None
    finished: bool = False
    counters: dict[str, Any] = field(default_factory=dict)
    run_id: str = ""
    run_dir: str = ""
    parent_id: str = ""
    attempt: int = 0


@dataclass
class CheckpointInfo:
    """The metadata of a checkpoint. `vocabulary` is the vocabulary's own JSON."""

    config: dict[str, Any]
    vocabulary: str
    training: TrainingState
    corpus_sha256: str = ""
    random: dict[str, Any] = field(default_factory=dict)
    nyx_version: str = ""
    device: str = ""

    def to_metadata(self) -> dict[str, str]:
        """One JSON string a field. Raises DivergenceError for a number that is not finite: that is no state to go on
        from."""
        values = {**vars(self), "training": vars(self.training)}
        del values["vocabulary"]
        values |= {key: rules.printable(values[key]) for key in ("nyx_version", "device")}
        texts = {"vocabulary": self.vocabulary}
        for key, value in values.items():
            try:
                texts[key] = _text(value)
            except ValueError:
                raise DivergenceError(f"{key} has a number that is not finite: this state is not saved") from None
        return texts

    @classmethod
    def from_metadata(cls, metadata: Mapping[str, str], path: AnyPath) -> CheckpointInfo:
        """The inverse; `path` is for the message. Raises CheckpointError for what no training can have written, also
        for a weights-only export."""
        if "training" not in metadata:
            raise CheckpointError(f"{show_path(path)} holds weights alone; name a checkpoint that `nyx train` wrote")
        values: dict[str, Any] = {}
        for key, text in metadata.items():
            try:
                values[key] = rules.parse_json(text)
            except (ValueError, RecursionError):
                raise _unfit(path, f"metadata {key!a} are not JSON") from None
        values["vocabulary"] = metadata.get("vocabulary", 0)
        values["training"] = TrainingState(**_fields(TrainingState, values["training"], path))
        values.pop("format_version", None)
        if fault := rules.fault(_fields(cls, values, path)):
            raise impossible(path, fault)
        return cls(**values)


def _text(value: Any) -> str:
    return json.dumps(value, allow_nan=False, separators=(",", ":"))


def _unfit(path: AnyPath, what: str) -> CheckpointError:
    return CheckpointError(f"{show_path(path)} does not fit this Nyx: its {what}; use the Nyx that wrote it")


def impossible(path: AnyPath, what: str) -> CheckpointError:
    """For content that no training can have written; `what` goes on after "its"."""
    return CheckpointError(f"{show_path(path)} is not as Nyx writes it: its {what}; use another checkpoint")


def _fits(value: Any, hint: Any) -> bool:
    if isinstance(hint, types.UnionType):
        return any(_fits(value, part) for part in typing.get_args(hint))
    if hint is float:
        return type(value) in (int, float)
    return type(value) is (typing.get_origin(hint) or hint)


@functools.cache
def _hints(cls: type) -> dict[str, Any]:
    return typing.get_type_hints(cls)


def _fields(cls: type, values: Any, path: AnyPath) -> dict[str, Any]:
    """The values for a dataclass, each checked against its declared type; one that is not there keeps its default."""
    hints = _hints(cls)
    if type(values) is not dict:
        raise _unfit(path, f"{cls.__name__} is no object")
    for item in dataclasses.fields(cls):
        optional = item.default is not dataclasses.MISSING or item.default_factory is not dataclasses.MISSING
        if not (_fits(values[item.name], hints[item.name]) if item.name in values else optional):
            raise _unfit(path, f"{item.name} is missing or of another type")
    if values.keys() - hints.keys():
        raise _unfit(path, f"fields {sorted(values.keys() - hints.keys())!a} are unknown here")
    return values


def _check_version(metadata: Mapping[str, str], path: AnyPath) -> dict[str, str]:
    found = metadata.get("format_version", "")
    if not re.fullmatch("[1-9][0-9]{0,8}", found):
        raise _unfit(path, "format version is missing")
    if int(found) > FORMAT_VERSION:
        raise _unfit(path, f"format version is {found}, and this one reads up to {FORMAT_VERSION}")
    return dict(metadata)


def save(path: AnyPath, tensors: Mapping[str, np.ndarray], metadata: Mapping[str, str]) -> str:
    """Write a checkpoint atomically and durably; returns its checksum.

    When it returns, the file survives a power cut; until then the file that was there before does. Raises StorageError,
    and DivergenceError before anything is written when a tensor has a value that is not finite.
    """
    require_finite(tensors)
    return container.write(path, tensors, {**metadata, "format_version": str(FORMAT_VERSION)})


def load(path: AnyPath, prefixes: Iterable[str] = ("",)) -> Checkpoint:
    """Read and verify a checkpoint. With `prefixes`, only tensors whose names begin with one of them take memory.

    Raises CheckpointError for anything but a whole, undamaged checkpoint of this format, and where one of those tensors
    has a value that is not finite; MissingInputError when there is none, DeviceMemoryError, StorageError.
    """
    wanted = tuple(prefixes)
    contents = container.read(path, lambda name: name.startswith(wanted))
    metadata = _check_version(contents.metadata, path)
    if found := not_finite(contents.tensors):
        raise CheckpointError(f"{show_path(path)} cannot be used: {found[:400]}; use another checkpoint of its run")
    return Checkpoint(contents.tensors, metadata, path, contents.sha256, complete="" in wanted)


def read_metadata(path: AnyPath) -> dict[str, str]:
    """The metadata of a checkpoint, after the whole file was verified; takes 1 MiB whatever the file's size."""
    return load(path, ()).metadata


def export_weights(checkpoint: Checkpoint, path: AnyPath, settings: Mapping[str, Any] | None = None) -> int:
    """Write the weights to use as a safetensors file, by the model's names; returns how many tensors.

    settings: the keys of the configuration that using the weights takes, by section; by default the section model. With
    the vocabulary they are the metadata, which keep nothing of the run or its machine. Raises CheckpointError when
    there are no weights, StorageError.
    """
    weights = checkpoint.weights()
    if not weights:
        raise CheckpointError(f"{show_path(checkpoint.path)} has no tensors {WEIGHTS[0]}*; name a checkpoint that has")
    info = checkpoint.info()
    if settings is None:
        settings = {"model": info.config["model"]} if "model" in info.config else {}
    metadata = {"config": _text(settings), "nyx_version": _text(info.nyx_version), "vocabulary": info.vocabulary}
    save(path, weights, metadata)
    return len(weights)
