"""The train step with one barrier left out, each in turn: the validation layer must report every one of them.

Run through `python tests/validation_gate.py --mutations tests/training/barrier_mutations.py`; it proves nothing without
the layer, so the name keeps it out of an ordinary run.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from nyx.backends.vulkan import VulkanBackend
from nyx.backends.vulkan.recorder import Hazards, barriers
from nyx.config import HrmConfig, ModelConfig, TransformerConfig
from nyx.program import Program
from nyx.resource_aware_hrm import ResourceAwareHRM
from nyx.text.vocabulary import Vocabulary
from tests.training.small import make_config

# The smallest models that have every kind of Step between them.
MODELS: tuple[ModelConfig, ...] = (
    HrmConfig(
        H_cycles=1, L_cycles=1, n_head=2, n_embd=8, block_size=6, ff_multiple=8, bp_max_steps=2, bp_warmup_ratio=0.0
    ),
    TransformerConfig(n_layer=1, n_head=2, n_embd=8, block_size=6, bias=True, dropout=0.1),
    HrmConfig(variant="act", H_cycles=1, L_cycles=1, n_head=2, n_embd=8, block_size=6, ff_multiple=8, halt_max_steps=2),
)


class Step:
    """One backend for all mutations: its kernels are made once."""

    def __init__(self) -> None:
        self.backend = VulkanBackend(int(os.environ.get("NYX_TEST_DEVICE", "0")))
        self.programs: list[Program] = []
        for model in MODELS:
            hrm = ResourceAwareHRM(model, Vocabulary("abcdefgh"), self.backend)
            parts = 1 if getattr(model, "variant", "") == "act" else 2  # its Programs are twice as many already
            config = make_config(model, max_steps=1, batch_size=2, grad_accum_steps=parts, ema_decay=0.9)
            hrm.initialize_training(config, 1)
            hrm.initialize(1)
            self.programs += hrm.training_programs()

    def run(self, without: tuple[int, int] | None) -> None:
        """Runs the programs twice; without: (program, dispatch) whose barrier is left out."""
        for _ in range(2):
            for number, program in enumerate(self.programs):
                left_out = without[1] if without and without[0] == number else None
                self.backend.submit(self.backend.record(self.backend.dispatches(program), without=left_out))
        self.backend.synchronize()


@pytest.fixture(scope="module")
def step() -> Iterator[Step]:
    made = Step()
    yield made
    made.backend.close()


def found() -> list[tuple[int, int]]:
    """Every barrier that the sequence of the programs needs: (program, dispatch).

    The one before a program's first dispatch stands there for whatever may have run earlier; here it counts where what
    really ran before it meets it.
    """
    made, hazards, needed = Step(), Hazards(), []
    for second in (False, True):
        for number, program in enumerate(made.programs):
            dispatches = made.backend.dispatches(program)
            stops = set(barriers(dispatches))
            for i, dispatch in enumerate(dispatches):
                if i in stops:
                    if second and hazards.needs_barrier(dispatch):
                        needed.append((number, i))
                    hazards.clear()
                hazards.add(dispatch)
    made.backend.close()
    return needed


def test_with_all_barriers(step: Step) -> None:
    step.run(None)


@pytest.mark.parametrize("without", found(), ids=lambda at: f"program{at[0]}-dispatch{at[1]}")
def test_mutation(step: Step, without: tuple[int, int]) -> None:
    with open(os.environ["NYX_GATE_LOG"], "a") as log:  # what the layer says from here on belongs to this
        log.write(f"NYX_GATE_TEST without barrier of program {without[0]}, dispatch {without[1]}\n")
    step.run(without)
