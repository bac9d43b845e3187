"""The HRM against the transformer with as many parameters: once with equal steps, once with equal work.

    python -m benchmarks.hrm_against_transformer TEXT [--steps 2000] [--seeds 2] [--device cpu]

Work is counted in the Programs themselves: multiplications and additions of every matrix product, in the projections
and in attention, forward and backward, of a whole training. Both train on the same batches with the recipe of gpt-mini;
the loss is over the whole validation part, every target once.
"""

from __future__ import annotations

import argparse
import io
import math
import statistics
import time
from pathlib import Path

from benchmarks import machine
from nyx.config import Config
from nyx.configload import load
from nyx.program import Program, Step
from nyx.resource_aware_hrm import ResourceAwareHRM
from nyx.text.prepare import load_corpus
from nyx.training.monitor import Monitor
from nyx.training.trainer import CharacterLanguageTrainer

HRM = ["model.H_cycles=2", "model.L_cycles=2", "model.H_layers=2", "model.L_layers=2",
       "model.n_embd=128", "model.n_head=4", "model.block_size=64", "model.expansion=3.515625", "model.ff_multiple=4",
       "train.batch_size=12", "train.warmup_steps=100", "train.betas=[0.9, 0.99]"]  # fmt: skip
QUIET = ["train.eval_every=0", "train.sample_every=0", "train.log_every=0", "train.lr=1e-3"]


def work(program: Program) -> int:
    """Floating-point operations of the matrix products of a Program."""
    return sum(_work(step) for step in program.steps)


def _work(step: Step) -> int:
    name = step.op.name
    if name == "linear":  # x (..., K) with w (N, K)
        x, w = step.inputs[0], step.inputs[1]
        assert x and w
        return 2 * x.rows * math.prod(w.shape)
    if name == "linear_backward":  # dx and dw, each as much as the forward product
        x, w, _ = step.inputs
        assert x and w
        return 2 * x.rows * math.prod(w.shape) * sum(t is not None for t in step.outputs[:2])
    if name in ("attention", "attention_backward"):  # scores and values; dq, dk, dv, dscores and the scores again
        q = step.inputs[0]
        assert q
        batch, time_, width = q.shape
        return (2 if name == "attention" else 5) * batch * time_ * time_ * width  # half of 2 T T C: it is causal
    return 0


def work_of_a_training(hrm: ResourceAwareHRM, config: Config) -> int:
    """Floating-point operations of all its steps; the HRM's gradient depth grows as it trains."""
    steps = config.train.max_steps or 0
    hrm.initialize_training(config, steps)
    depths = [hrm.model.bp_steps(step, steps) for step in range(steps)]
    programs = {name: program for program in hrm.training_programs() if (name := program.name).startswith("train")}
    return sum(work(programs["train" if d is None else f"train.bp{d}"]) for d in depths)


def train(text: Path, base: str, sets: list[str], seed: int, device: str) -> tuple[float, int, int, float]:
    """Validation loss, parameters, work and seconds of a training."""
    config = load(base, [*QUIET, *sets, f"seed={seed}", f"data.path={text}", f"device={device}"], env={}).config
    corpus = load_corpus(config)
    hrm = ResourceAwareHRM(config.model, corpus.vocabulary, config.device)
    operations = work_of_a_training(hrm, config)
    trainer = CharacterLanguageTrainer(hrm, corpus, config, monitor=Monitor(stream=io.StringIO()))
    start = time.perf_counter()
    result = trainer.train_character_language_model()
    seconds = time.perf_counter() - start
    assert result.validation
    count = hrm.model.parameters.count()
    hrm.close()
    return result.validation.loss, count, operations, seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("text", type=Path)
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()
    print(f"{machine.line()}; {options.text.name}, device {options.device}\n")
    print("| model | parameters | steps | 10^12 operations | seed | validation loss | seconds |")
    print("|---|---|---|---|---|---|---|")

    def row(name: str, base: str, sets: list[str], steps: int) -> int:
        losses, operations = [], 0
        for seed in range(1337, 1337 + options.seeds):
            loss, count, operations, seconds = train(
                options.text, base, [*sets, f"train.max_steps={steps}"], seed, options.device
            )
            losses.append(loss)
            shown = f"{operations / 1e12:.2f} | {seed} | {loss:.4f} | {seconds:.0f}"
            print(f"| {name} | {count:,} | {steps} | {shown} |", flush=True)
        print(f"| {name} | | {steps} | | mean | {statistics.mean(losses):.4f} | |", flush=True)
        return operations

    hrm = row("HRM, 2 + 2 blocks called 4 and 2 times", "default", HRM, options.steps)
    one = row("transformer, 4 blocks, equal steps", "gpt-mini", [], options.steps)
    row("transformer, 4 blocks, equal work", "gpt-mini", [], round(options.steps * hrm / one))


if __name__ == "__main__":
    main()
