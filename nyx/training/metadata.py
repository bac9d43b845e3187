"""What the metadata of a checkpoint may say: strict JSON, and values that a training can have.

A checksum finds damage and does not say who wrote a file, so nothing here trusts it.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from typing import Any

MOST = 1 << 53  # of a count: what every reader of JSON reads exactly
MOST_SECONDS = 1e12
MOST_ROWS = (1 << 31) - 1
MOST_SEED = (1 << 63) - 1
PATH_LENGTH, TEXT_LENGTH = 4096, 1000

COUNTS = ("step", "epoch", "epoch_steps", "stage", "phase", "chars_seen", "attempt")
COUNTERS: dict[str, tuple[int, int]] = {
    "part_start": (0, MOST), "phase_start": (0, MOST), "data_step": (0, MOST), "steps_per_epoch": (1, MOST),
    "epochs_before": (0, MOST), "window_chars": (0, MOST), "saved_step": (0, MOST), "part_over": (0, 1),
    "patience_over": (0, 1), "owed": (0, 2),
    "log_owed": (0, 1), "window_more": (0, MOST), "evaluations_without_gain": (0, MOST), "only_phase": (1, MOST),
}  # fmt: skip
"""Counters of whole numbers, with the least and the most each may be."""
NEEDED = ("updates", "part_start", "phase_start", "data_step", "steps_per_epoch", "epochs_before")
"""Counters without which no training goes on."""
_ID = re.compile(r"[0-9A-Za-z_-]{0,64}")
_DIGEST = re.compile(r"[0-9a-f]{0,64}")


def parse_json(text: str) -> Any:
    """A JSON value in which no object has a key twice and every number is finite. Raises ValueError, RecursionError."""
    return json.loads(text, object_pairs_hook=_object, parse_constant=_no_number, parse_float=_number)


def printable(text: str) -> str:
    """A text as the metadata may hold it: what does not print is escaped, and no more than some length."""
    escaped = text if text.isprintable() else text.encode("unicode_escape").decode("ascii")
    return escaped[:TEXT_LENGTH]


def fault(values: Mapping[str, Any]) -> str:
    """What is impossible in the fields of a CheckpointInfo, whose types are right, in words; "" where nothing is."""
    training = values["training"]
    return _state_fault(vars(training)) or _other_fault(values)


def missing(counters: Mapping[str, Any]) -> str:
    """The name of the first counter that a training could not go on without; "" when all are there."""
    return next((name for name in NEEDED if name not in counters), "")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key stands twice in an object")
    return found


def _no_number(name: str) -> Any:
    raise ValueError(f"{name} is no number")


def _number(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError("a number beyond any that can be calculated with")
    return value


def _outside(name: str, value: Any, least: int, most: float) -> str:
    if type(value) in (int, float) and least <= value <= most:
        return ""
    return f"{name} is {ascii(value)[:40]}, and it must be a number from {least} to {most:,}"


def _state_fault(state: Mapping[str, Any]) -> str:
    step = state["step"]
    checks = [_outside(name, state[name], 0, MOST) for name in COUNTS]
    checks.append(_outside("elapsed_seconds", state["elapsed_seconds"], 0, MOST_SECONDS))
    if state["micro_batch"] is not None:
        checks.append(_outside("micro_batch", state["micro_batch"], 1, MOST_ROWS))
    if state["best_step"] is not None:
        checks.append(_outside("best_step", state["best_step"], 0, step))
    if state["best_val_loss"] is not None and not math.isfinite(state["best_val_loss"]):
        checks.append("best_val_loss is not finite")
    if state["epoch"] > step:
        checks.append(f"epoch is {state['epoch']}, after {step} steps")
    checks += [f"{name} is no name of a run" for name in ("run_id", "parent_id") if not _ID.fullmatch(state[name])]
    if len(state["run_dir"]) > PATH_LENGTH or "\0" in state["run_dir"]:
        checks.append("run_dir is no path")
    return next((check for check in checks if check), "") or _counter_fault(state["counters"], step)


def _counter_fault(counters: Mapping[str, Any], step: int) -> str:
    for name in COUNTERS.keys() & counters.keys():
        least, most = COUNTERS[name]
        if type(counters[name]) is not int:
            return f"counter {name} is {ascii(counters[name])[:40]}, and it must be a whole number"
        if name in ("part_start", "phase_start", "saved_step"):
            most = step
        if found := _outside(f"counter {name}", counters[name], least, most):
            return found
    updates = counters.get("updates", {})
    if not isinstance(updates, dict):
        return "counter updates is no object"
    for name, count in updates.items():
        if type(count) is not int or not 0 <= count <= MOST:
            return f"counter updates of {ascii(name)[:80]} is {ascii(count)[:40]}, and it must be a whole number"
    return ""


def _other_fault(values: Mapping[str, Any]) -> str:
    random = values.get("random", {})
    if random.keys() - {"seed"}:
        return "random state has fields that are unknown here"
    if "seed" in random and (type(random["seed"]) is not int or not 0 <= random["seed"] <= MOST_SEED):
        return "random state has no seed"
    if not _DIGEST.fullmatch(values.get("corpus_sha256", "")):
        return "corpus_sha256 is no checksum"
    for name in ("nyx_version", "device"):
        text = values.get(name, "")
        if len(text) > TEXT_LENGTH or not text.isprintable():
            return f"{name} is no line of text"
    return ""
