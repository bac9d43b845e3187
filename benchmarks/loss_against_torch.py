"""The loss that Nyx reaches beside the one that PyTorch reaches: same recipe, same start weights, same batches.

    python -m benchmarks.loss_against_torch TEXT [--config gpt-mini] [--seeds 3] [--steps N] [--device cpu]

The loss is over the whole validation part, every target once, as `nyx eval` measures it, for both by the same
function. Prints a curve for each seed and the means as Markdown.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from benchmarks import machine, torch_models
from nyx.config import Config, TransformerConfig
from nyx.configload import load
from nyx.resource_aware_hrm import ResourceAwareHRM
from nyx.text.batches import Batch, evaluation_windows
from nyx.text.corpus import read_text
from nyx.text.prepare import Corpus, make_vocabulary, prepare
from nyx.text.sequences import Sequences
from nyx.training.schedule import learning_rate

Curve = list[tuple[int, float]]


class TorchTraining:
    """The recipe in PyTorch: AdamW with the same groups of decay, clipping, the same learning rates."""

    def __init__(self, config: Config, weights: dict[str, np.ndarray]) -> None:
        self.config = config
        self.weights = {n: torch.tensor(a, requires_grad=n != "z_L") for n, a in weights.items()}
        trained = [w for w in self.weights.values() if w.requires_grad]
        least = 1 if config.train.decay == "all" else 2  # dimensions of a parameter that decays
        groups = [
            {"params": [w for w in trained if w.dim() >= least], "weight_decay": config.train.weight_decay},
            {"params": [w for w in trained if w.dim() < least], "weight_decay": 0.0},
        ]
        self.optimizer = torch.optim.AdamW([g for g in groups if g["params"]], betas=config.train.betas)

    def loss(self, batch: Batch, *, training: bool, bp_steps: int | None = None) -> torch.Tensor:
        """Mean loss of the batch's targets."""
        model, tokens = self.config.model, torch.from_numpy(batch.x).long()
        if isinstance(model, TransformerConfig):
            logits = torch_models.transformer(self.weights, tokens, model, training=training)
        else:
            logits = torch_models.hrm(self.weights, tokens, model, bp_steps=bp_steps)
        targets = torch.from_numpy(batch.y).long().reshape(-1)
        return torch.nn.functional.cross_entropy(logits.reshape(len(targets), -1), targets, ignore_index=-1)

    def update(self, batch: Batch, lr: float, bp_steps: int | None) -> None:
        for group in self.optimizer.param_groups:
            group["lr"] = lr
        self.optimizer.zero_grad(set_to_none=True)
        self.loss(batch, training=True, bp_steps=bp_steps).backward()
        if self.config.train.grad_clip:
            reached = [w for w in self.weights.values() if w.grad is not None]
            torch.nn.utils.clip_grad_norm_(reached, self.config.train.grad_clip)
        self.optimizer.step()

    @torch.no_grad()
    def evaluate(self, part: Sequences) -> float:
        train, total, count = self.config.train, 0.0, 0
        for batch in evaluation_windows(part, train.seq_len, train.batch_size):
            total += self.loss(batch, training=False).item() * batch.count
            count += batch.count
        return total / count


def run(config: Config, corpus: Corpus, device: str, seed: int, every: int) -> tuple[Curve, Curve, float, float]:
    """Validation losses of Nyx and of PyTorch by step, and the seconds each spent on training steps."""
    train, steps = config.train, config.train.max_steps or 0
    hrm = ResourceAwareHRM(config.model, corpus.vocabulary, device)
    hrm.initialize_training(config, steps)
    hrm.initialize(seed)
    other = TorchTraining(config, hrm.weights())
    windows = corpus.batches(train.seq_len, train.batch_size * train.grad_accum_steps, seed)
    seconds, curves = [0.0, 0.0], ([], [])
    for step in range(steps):
        batch, lr, bp = windows.batch(step), learning_rate(train, step, steps), hrm.model.bp_steps(step, steps)
        seconds[0] += _seconds(lambda b=batch, s=step, r=lr: _nyx_step(hrm, b, s, r))
        seconds[1] += _seconds(lambda b=batch, r=lr, d=bp: other.update(b, r, d))
        if (step + 1) % every == 0 or step + 1 == steps:
            ours = hrm.evaluate(corpus.val, seq_len=train.seq_len, batch_size=train.batch_size).loss
            theirs = other.evaluate(corpus.val)
            curves[0].append((step + 1, ours))
            curves[1].append((step + 1, theirs))
            print(f"| {seed} | {step + 1} | {ours:.4f} | {theirs:.4f} | {ours - theirs:+.4f} |", flush=True)
    hrm.close()
    return curves[0], curves[1], seconds[0], seconds[1]


def _nyx_step(hrm: ResourceAwareHRM, batch: Batch, step: int, lr: float) -> None:
    hrm.process_character_training_batch(batch, step, lr)
    hrm.backend.synchronize()


def _seconds(work: Callable[[], None]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("text", type=Path)
    parser.add_argument("--config", default="gpt-mini")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--steps", type=int)
    parser.add_argument("--every", type=int, default=250)
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()
    sets = [] if options.steps is None else [f"train.max_steps={options.steps}"]
    config = load(options.config, sets, env={}).config
    text = read_text(options.text, config.data.normalization)
    vocabulary = make_vocabulary(config.model.vocabulary, text, config.model.vocab_size, config.data)
    corpus = prepare(text, vocabulary, config.data, seq_len=config.train.seq_len, seed=config.seed)
    print(f"{machine.line()}, PyTorch {torch.__version__}, {torch.get_num_threads()} threads; {options.config}, ")
    print(f"{options.text.name}, {config.train.max_steps} steps, device {options.device}\n")
    print("| seed | step | Nyx | PyTorch | difference |\n|---|---|---|---|---|")
    found = [run(config, corpus, options.device, config.seed + n, options.every) for n in range(options.seeds)]
    ours = statistics.mean(curve[-1][1] for curve, _, _, _ in found)
    theirs = statistics.mean(curve[-1][1] for _, curve, _, _ in found)
    steps = (config.train.max_steps or 1) * options.seeds
    print(f"\nmean over {options.seeds} seeds: Nyx {ours:.4f}, PyTorch {theirs:.4f}, difference {ours - theirs:+.4f}")
    print(
        f"milliseconds a step: Nyx {1e3 * sum(f[2] for f in found) / steps:.1f}, "
        f"PyTorch {1e3 * sum(f[3] for f in found) / steps:.1f}"
    )


if __name__ == "__main__":
    main()
