"""The published hlxl-brain recipe beside PyTorch, its loss as published and as it should be told, and a better recipe.

    python -m benchmarks.published_hlxl hlx_combined_phase1.md [--seeds 3] [--only published|best]

The text is the bodies of the `LC-R:` lines. As published: Python's random.shuffle with seed 42, the first 80 % for
training, every body with an end symbol padded to 128 characters, and the loss averaged over all places, padding
included; many bodies stand on both sides. Honestly: bodies that are the same on one side, padding not counted, per
character (the end symbol is one).
"""

from __future__ import annotations

import argparse
import random
import re
import statistics
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

from benchmarks import machine
from benchmarks.loss_against_torch import TorchTraining
from nyx.config import Config
from nyx.configload import load
from nyx.resource_aware_hrm import ResourceAwareHRM
from nyx.text.batches import IGNORE, Batch
from nyx.text.vocabulary import Vocabulary
from nyx.training.programs import Inputs, evaluation
from nyx.training.schedule import learning_rate

LENGTH = 128
PUBLISHED: list[str] = []  # the packaged configuration
BEST = ["train.schedule=cosine", "train.min_lr=1e-4", "train.ema_decay=0.98"]
Rows = np.ndarray  # (N, LENGTH + 1) symbols


def bodies(path: Path) -> list[str]:
    """What stands after `LC-R:`, line by line."""
    return [m[1] for m in re.finditer(r"^LC-R: ?(.*)$", path.read_text(encoding="utf-8"), re.MULTILINE) if m[1]]


def rows_of(texts: list[str], vocabulary: Vocabulary) -> Rows:
    """Every text with an end symbol, cut or padded to LENGTH + 1."""
    padding, end = vocabulary.special("padding"), vocabulary.special("end")
    rows = np.full((len(texts), LENGTH + 1), padding, np.int32)
    for row, text in zip(rows, texts, strict=True):
        ids = [*vocabulary.encode(text), end][: LENGTH + 1]
        row[: len(ids)] = ids
    return rows


def split_as_published(texts: list[str]) -> tuple[list[str], list[str]]:
    shuffled = list(texts)
    random.Random(42).shuffle(shuffled)
    cut = int(len(shuffled) * 0.8)
    return shuffled[:cut], shuffled[cut:]


def split_honestly(texts: list[str]) -> tuple[list[str], list[str]]:
    """The same, of distinct bodies: no body stands on both sides. A body that comes often is trained on often."""
    train, val = split_as_published(sorted(set(texts)))
    return [text for text in texts if text in set(train)], val


def batch_of(rows: Rows, size: int, padding: int | None) -> Batch:
    """Some rows as a batch of `size`; with `padding`, places after the end symbol count as nothing."""
    x, y = np.zeros((size, LENGTH), np.int32), np.full((size, LENGTH), IGNORE, np.int32)
    x[: len(rows)], y[: len(rows)] = rows[:, :-1], rows[:, 1:]
    if padding is not None:
        y[y == padding] = IGNORE
    return Batch(x, y, int((y != IGNORE).sum()))


def epochs(rows: Rows, config: Config, seed: int, padding: int | None) -> Iterator[Batch]:
    rng = np.random.Generator(np.random.Philox(key=[seed, 1]))
    for _ in range(config.train.epochs or 1):
        yield from in_order(rows[rng.permutation(len(rows))], config.train.batch_size, padding)


def in_order(rows: Rows, size: int, padding: int | None) -> Iterator[Batch]:
    for at in range(0, len(rows), size):
        yield batch_of(rows[at : at + size], size, padding)


def run_nyx(config: Config, vocabulary: Vocabulary, train: Rows, val: Rows, seed: int, padding: int | None) -> float:
    """Validation loss after the recipe."""
    hrm, batches = start(config, vocabulary, train, seed, padding)
    for step, batch in enumerate(batches):
        hrm.process_character_training_batch(batch, step, learning_rate(config.train, step, len(batches)))
    inputs = Inputs(config.train.batch_size, LENGTH, "measure.")
    program = evaluation(hrm.model, inputs)
    total, count = 0.0, 0
    with hrm.averaged():
        for batch in in_order(val, config.train.batch_size, padding):
            hrm.backend.write(inputs.sums, np.zeros(4, np.float32))
            inputs.write(hrm.backend, batch.x, batch.y, 1.0, (0, 0, 0))
            hrm.backend.run(program)
            total += float(hrm.backend.read(inputs.sums)[0])
            count += batch.count
    hrm.close()
    return total / count


def run_torch(config: Config, vocabulary: Vocabulary, train: Rows, val: Rows, seed: int, padding: int | None) -> float:
    """The same in PyTorch: the same start weights, batches and rates; dropout draws other masks."""
    hrm, batches = start(config, vocabulary, train, seed, padding)
    torch.manual_seed(seed)
    other = TorchTraining(config, hrm.weights())
    hrm.close()
    for step, batch in enumerate(batches):
        other.update(batch, learning_rate(config.train, step, len(batches)), None)
    total, count = 0.0, 0
    with torch.no_grad():
        for batch in in_order(val, config.train.batch_size, padding):
            total += other.loss(batch, training=False).item() * batch.count
            count += batch.count
    return total / count


def start(
    config: Config, vocabulary: Vocabulary, train: Rows, seed: int, padding: int | None
) -> tuple[ResourceAwareHRM, list[Batch]]:
    """A model with its start weights, and all batches."""
    batches = list(epochs(train, config, seed, padding))
    hrm = ResourceAwareHRM(config.model, vocabulary, config.device)
    hrm.initialize_training(config.model_copy(update={"seed": seed}), len(batches))
    hrm.initialize(seed)
    return hrm, batches


def measure(name: str, sets: list[str], texts: list[str], seeds: int, beside: bool) -> None:
    config = load("hlxl-brain", sets, env={}).config
    vocabulary = Vocabulary.fixed(config.model.vocabulary)
    print(f"\n{name}: hlxl-brain {' '.join(sets)}\n\n| split and padding | seed | Nyx | PyTorch |\n|---|---|---|---|")
    for kind, split, padding in (
        ("as published", split_as_published, None), ("honest", split_honestly, vocabulary.special("padding"))
    ):  # fmt: skip
        train, val = (rows_of(part, vocabulary) for part in split(texts))
        found: list[tuple[float, float | None]] = []
        for seed in range(config.seed, config.seed + seeds):
            ours = run_nyx(config, vocabulary, train, val, seed, padding)
            theirs = run_torch(config, vocabulary, train, val, seed, padding) if beside else None
            found.append((ours, theirs))
            print(f"| {kind} | {seed} | {ours:.4f} | {_shown(theirs)} |", flush=True)
        ours = statistics.mean(loss for loss, _ in found)
        theirs = statistics.mean(loss or 0.0 for _, loss in found) if beside else None
        print(f"| {kind} | mean | {ours:.4f} | {_shown(theirs)} |", flush=True)


def _shown(loss: float | None) -> str:
    return "-" if loss is None else f"{loss:.4f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("text", type=Path)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--only", choices=["published", "best"])
    parser.add_argument("--set", action="append", default=[], dest="sets", help="change a key of the best recipe")
    options = parser.parse_args()
    texts = bodies(options.text)
    torch.set_num_threads(1)  # its threads and ours would wait for each other
    print(f"{machine.line()}, PyTorch {torch.__version__}\n")
    print(f"{options.text.name}: {len(texts)} bodies, {len(set(texts))} distinct")
    if options.only != "best":
        measure("the published recipe", PUBLISHED, texts, options.seeds, True)
    if options.only != "published":
        measure("the best recipe found", [*BEST, *options.sets], texts, options.seeds, False)


if __name__ == "__main__":
    main()
