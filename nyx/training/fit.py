"""Whether the parts of a checkpoint fit each other: its configuration, plan, vocabulary and tensors.

It is found out before anything of the size that the file asks for is made or allocated.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from nyx.config import Config, HrmConfig
from nyx.errors import CheckpointError, ConfigError, DataError, DeviceMemoryError, UsageError
from nyx.files import AnyPath, show_path
from nyx.nn import build
from nyx.nn.model import LanguageModel
from nyx.text.vocabulary import Vocabulary
from nyx.training import container, segments
from nyx.training.checkpoint import Checkpoint, CheckpointInfo, TrainingState, impossible
from nyx.training.metadata import MOST, missing, parse_json
from nyx.training.plan import parts_of, parts_of_phase
from nyx.training.rundir import open_checkpoint

SUMS = (4,)  # of state.sums
MOMENTS = ("optim.m.", "optim.v.")
HEADER_REST = 64 << 10  # bytes for what a header has beside this: names of the run, a carry
Shapes = dict[str, tuple[int, ...]]


def open_fitting(path: Path, say: Callable[[str], None], prefixes: Iterable[str] = ("",)) -> Checkpoint:
    """What `open_checkpoint` loads, checked by `check`. Raises as both do."""
    checkpoint = open_checkpoint(path, say, prefixes)
    check(checkpoint)
    return checkpoint


def check(checkpoint: Checkpoint) -> None:
    """Raises CheckpointError where one part of a file does not fit another. Of a wholly loaded training all that a
    resume takes is looked at, else the weights that were loaded. A file with weights alone may be one too."""
    path, tensors = checkpoint.path, checkpoint.tensors
    if "training" not in checkpoint.metadata:
        _check_export(checkpoint)
        return
    info = checkpoint.info()
    config = read_config(info.config, path)
    _check_place(config, info.training, path)
    trained, kept = _shapes(config, _vocabulary(info.vocabulary, path), path)
    if tensors or checkpoint.complete:
        _compare(tensors, "model.", trained | kept, path)
    if any(name.startswith("ema.") for name in tensors):
        _compare(tensors, "ema.", trained, path)
    if checkpoint.complete:
        for prefix in MOMENTS:
            _compare(tensors, prefix, trained, path)
        if name := missing(info.training.counters):
            raise impossible(path, f"counter {name} is missing")
        if info.training.counters["updates"].keys() != trained.keys():
            raise impossible(path, "counter updates is not of the model's parameters")
        symbols = len(_vocabulary(info.vocabulary, path))
        if isinstance(config.model, HrmConfig) and (why := segments.fault(tensors, config.model, symbols)):
            raise impossible(path, why)
        sums = tensors.get("state.sums")
        if sums is None or sums.shape != SUMS or sums.dtype != np.float64:
            raise impossible(path, f"tensor state.sums is not {SUMS} of float64")


def require_header(config: Config, vocabulary: Vocabulary) -> None:
    """Raises DataError (65), or ConfigError (78) where it is not for the text, when no header of a checkpoint can hold
    what this training would save: found out before it begins."""
    trained, kept = _names(build(config.model, len(vocabulary)))
    shapes = {f"model.{name}": shape for name, shape in (trained | kept).items()}
    shapes |= {prefix + name: shape for prefix in (*MOMENTS, "ema.") for name, shape in trained.items()}
    specs = [container.Spec(name, "F32", shape) for name, shape in shapes.items()]
    state = TrainingState(counters={"updates": dict.fromkeys(trained, MOST)})
    metadata = CheckpointInfo(config.to_dict(), vocabulary.to_json(), state).to_metadata()
    size = len(container.encode_header(specs, metadata)) + HEADER_REST
    if size <= container.HEADER_LIMIT:
        return
    sizes = {key: len(json.dumps(text, ensure_ascii=False).encode()) for key, text in metadata.items()}
    too_much = f"a checkpoint's header would have {size:,} bytes, and {container.HEADER_LIMIT:,} is the most"
    room = container.HEADER_LIMIT - (size - sizes["vocabulary"]) - 200
    if sizes["vocabulary"] == max(sizes.values()) and room > 0:
        # In the header's JSON one of the vocabulary's JSON takes 7 bytes, and beyond U+FFFF, as two surrogates, 14.
        long = sum(ord(character) > 0xFFFF for character in vocabulary.characters)
        fitting = room // 14 if room <= 14 * long else long + (room - 14 * long) // 7
        raise DataError(
            f"{too_much}: the vocabulary has {len(vocabulary.characters):,} characters; set data.max_characters to "
            f"{fitting} or less, and data.unknown to bytes or skip"
        )
    if sizes["config"] > sizes["training"] + len(specs) * 100:
        raise ConfigError(f"{too_much}: data.path has {len(config.data.path):,} names; name their folder instead")
    raise ConfigError(f"{too_much}: the model has {len(trained):,} tensors; give it fewer layers")


def read_config(values: dict[str, Any], path: AnyPath) -> Config:
    """A stored configuration. Raises CheckpointError when this Nyx cannot read it."""
    try:
        return Config.from_dict(values)
    except ConfigError as error:
        first, *more = str(error).splitlines()
        others = f" (and {len(more)} more faults)" if more else ""
        raise CheckpointError(
            f"{show_path(path)} has a configuration this Nyx cannot read: {first[:1000]}{others}"
        ) from error


def _check_export(checkpoint: Checkpoint) -> None:
    path, metadata = checkpoint.path, checkpoint.metadata
    try:
        values = parse_json(metadata.get("config", ""))
        model = values["model"]
    except (ValueError, RecursionError, KeyError, TypeError):
        raise CheckpointError(f"{show_path(path)} does not say which model its weights are of; export again") from None
    config = read_config({"model": model, "train": {"max_steps": 1}}, path)
    trained, kept = _shapes(config, _vocabulary(metadata.get("vocabulary", ""), path), path)
    if checkpoint.tensors or checkpoint.complete:
        _compare(checkpoint.tensors, "", trained | kept, path)


def _check_place(config: Config, state: TrainingState, path: AnyPath) -> None:
    plan, only = parts_of(config), state.counters.get("only_phase")
    if state.stage >= len(plan):
        raise impossible(path, f"stage is part {state.stage + 1} of a plan that has {len(plan)}")
    if state.phase != plan[state.stage].phase:
        raise impossible(path, f"phase is {state.phase}, and part {state.stage + 1} of its plan is in another one")
    if only is not None:
        try:
            fits = plan[state.stage] in parts_of_phase(plan, only)
        except UsageError:
            fits = False
        if not fits:
            raise impossible(path, f"only phase is {only}, and it is in another one")


def _vocabulary(text: str, path: AnyPath) -> Vocabulary:
    try:
        return Vocabulary.from_json(text)
    except CheckpointError as error:
        raise CheckpointError(f"{show_path(path)}: {error}") from None


def _shapes(config: Config, vocabulary: Vocabulary, path: AnyPath) -> tuple[Shapes, Shapes]:
    try:
        return _names(build(config.model, len(vocabulary)))
    except (DeviceMemoryError, ConfigError) as error:
        raise CheckpointError(f"{show_path(path)} has a model that cannot be made: {error}") from None


def _names(model: LanguageModel) -> tuple[Shapes, Shapes]:
    """The shapes of the tensors that are trained, and of the others that a model keeps."""
    trained = {item.name: item.tensor.shape for item in model.parameters}
    return trained, {name: constant.tensor.shape for name, constant in model.constants.items() if constant.kept}


def _compare(tensors: Mapping[str, np.ndarray], prefix: str, shapes: Shapes, path: AnyPath) -> None:
    for name, shape in shapes.items():
        array = tensors.get(prefix + name)
        if array is None or array.shape != shape or array.dtype != np.float32:
            got = "there is none" if array is None else f"it is {array.shape} of {array.dtype}"
            raise impossible(path, f"tensor {prefix + name} must be {shape} of float32, and {got}")
