"""What a packaged configuration says and what a person chose does not leave possible: it gives way, and that is said.

A training of 20 steps under a configuration made for 1000 has no use for its warm-up of 50 steps. What a person chose
never gives way: where two such values do not go together, validation refuses them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

from nyx.config import HrmConfig, TrainConfig, TransformerConfig
from nyx.configfile import KeyPath, Parsed, dotted

Change = tuple[tuple[str, str], Any, str]  # a key, its value now, and why
SECTIONS = {"train": TrainConfig, "hrm": HrmConfig, "transformer": TransformerConfig}


def give_way(parsed: Parsed, chosen: Collection[KeyPath]) -> list[str]:
    """Changes values of `parsed` whose paths are not among the chosen ones; gives a line about each."""
    layers, lines = _Layers(parsed, chosen), []
    for rule in (_length, _warm_up, _restarts, _least_rate, _patience, _window, _depth):
        for path, value, why in rule(layers):
            old, origin = layers.value(*path), parsed.origins.get(path, "the default")
            parsed.tree.setdefault(path[0], {})[path[1]] = value
            parsed.origins[path] = f"because {why}"
            now = f"is {value} instead of {old}" if value is not None else f"{old} is left out"
            lines.append(f"{dotted(path)} {now} ({origin}), because {why}")
    lines += _parts(layers)
    return lines


class _Layers:
    """Values as they are so far, and whether a person chose them."""

    def __init__(self, parsed: Parsed, chosen: Collection[KeyPath]) -> None:
        self.tree, self.paths = parsed.tree, chosen

    def value(self, section: str, key: str) -> Any:
        """The value of a key, None for one that is not there."""
        part = self.tree.get(section)
        if isinstance(part, dict) and key in part:
            return part[key]
        kind = part.get("kind", "hrm") if section == "model" and isinstance(part, dict) else section
        fields = SECTIONS[kind].model_fields if isinstance(kind, str) and kind in SECTIONS else {}
        return fields[key].default if key in fields else None

    def number(self, section: str, key: str) -> Any:
        """The value of a key where that is a number, else None: what is wrong is validation's to say."""
        value = self.value(section, key)
        return value if isinstance(value, int | float) and not isinstance(value, bool) else None

    def chosen(self, *path: str) -> bool:
        return path in self.paths


def _length(layers: _Layers) -> Iterator[Change]:
    """Steps and epochs: what a person says of the length stands alone."""
    plan = next((key for key in ("curriculum", "phases") if layers.tree.get(key) and layers.chosen(key)), None)
    for key, other in (("max_steps", "epochs"), ("epochs", "max_steps")):
        if layers.chosen("train", key) or layers.value("train", key) is None:
            continue
        if plan:
            yield ("train", key), None, f"{plan} says how long each part is"
        elif layers.chosen("train", other) and layers.value("train", other) is not None:
            yield ("train", key), None, f"train.{other} is {layers.value('train', other)}"


def _warm_up(layers: _Layers) -> Iterator[Change]:
    steps, warm = layers.number("train", "max_steps"), layers.number("train", "warmup_steps")
    if steps is None or warm is None or not layers.chosen("train", "max_steps"):
        return
    if not layers.chosen("train", "warmup_steps") and warm > steps // 2:
        yield ("train", "warmup_steps"), shorter_warm_up(steps), f"train.max_steps is {steps}"


def shorter_warm_up(steps: int) -> int:
    """Steps of a warm-up where one made for a longer training is more than half of this one."""
    return int(min(max(1, steps // 10), steps // 2))


def _restarts(layers: _Layers) -> Iterator[Change]:
    steps, period = layers.number("train", "max_steps"), layers.number("train", "restart_steps")
    warm = layers.number("train", "warmup_steps")
    if layers.value("train", "schedule") != "cosine_restarts" or layers.chosen("train", "restart_steps"):
        return
    if steps is not None and period is not None and warm is not None and period > steps - warm > 0:
        yield ("train", "restart_steps"), steps - warm, f"train.max_steps is {steps}"


def _least_rate(layers: _Layers) -> Iterator[Change]:
    rate, least = layers.number("train", "lr"), layers.number("train", "min_lr")
    if rate is None or least is None or layers.chosen("train", "min_lr") or not layers.chosen("train", "lr"):
        return
    if least > rate:
        yield ("train", "min_lr"), None, f"train.lr is {rate}: it falls to a tenth of that"


def _patience(layers: _Layers) -> Iterator[Change]:
    """Evaluations so far apart that patience could never be used up."""
    steps, every = layers.number("train", "max_steps"), layers.number("train", "eval_every")
    patience = layers.number("train", "early_stop_patience")
    if not (steps and every and patience) or layers.chosen("train", "eval_every"):
        return
    if layers.chosen("train", "early_stop_patience") and every * (patience + 1) > steps:
        value = max(1, int(steps // (2 * (patience + 1))))
        if value < every:
            yield ("train", "eval_every"), value, f"train.early_stop_patience is {patience} and train.max_steps {steps}"


def _window(layers: _Layers) -> Iterator[Change]:
    size, positions = layers.number("train", "seq_len"), layers.number("model", "block_size")
    if size is None or positions is None or not layers.chosen("model", "block_size"):
        return
    if size > positions and not layers.chosen("train", "seq_len"):
        yield ("train", "seq_len"), positions, f"model.block_size is {positions}"


def _depth(layers: _Layers) -> Iterator[Change]:
    """Calls that the gradient flows through, of a model with fewer calls."""
    if layers.value("model", "kind") != "hrm" or layers.value("model", "variant") != "text":
        return
    slow, fast = layers.number("model", "H_cycles"), layers.number("model", "L_cycles")
    if slow is None or fast is None or not (layers.chosen("model", "H_cycles") or layers.chosen("model", "L_cycles")):
        return
    most = slow * (fast + 1)
    for key in ("bp_max_steps", "bp_min_steps"):
        value = layers.number("model", key)
        if value is not None and value > most >= 2 and not layers.chosen("model", key):
            yield ("model", key), most, f"the model has {most} calls (H_cycles {slow}, L_cycles {fast})"


def _parts(layers: _Layers) -> list[str]:
    """Stages and phases with longer windows than the positions that a person chose."""
    positions, lines = layers.number("model", "block_size"), []
    for key in ("curriculum", "phases"):
        parts = layers.tree.get(key)
        if positions is None or not layers.chosen("model", "block_size") or layers.chosen(key):
            continue
        for part in _dicts(parts):
            for one in (part, *_dicts(part.get("stages"))):
                if isinstance(one.get("seq_len"), int) and one["seq_len"] > positions:
                    name, old, one["seq_len"] = one.get("name", "part"), one["seq_len"], positions
                    lines.append(f"{key}: {name}: seq_len is {positions} instead of {old}, because model.block_size is")
    return [f"{line} {positions}" for line in lines]


def _dicts(parts: Any) -> list[dict[str, Any]]:
    return [part for part in parts if isinstance(part, dict)] if isinstance(parts, list) else []
