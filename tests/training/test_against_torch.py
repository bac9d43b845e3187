"""Whole models against PyTorch on the same weights: logits, loss and every gradient; then 20 updates of AdamW."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from nyx import ops
from nyx.backends.base import Backend
from nyx.config import HrmConfig, ModelConfig, TransformerConfig
from nyx.nn import build
from nyx.nn.layers import Context
from nyx.program import Program
from nyx.resource_aware_hrm import ResourceAwareHRM
from nyx.tensor import Tensor
from nyx.text.batches import Batch
from nyx.text.vocabulary import Vocabulary
from nyx.training.programs import Inputs, micro_step
from tests.training.small import GPT, HRM, make_config

torch = pytest.importorskip("torch", reason="PyTorch is not installed: whole models are not compared with it")
torch_models = pytest.importorskip("benchmarks.torch_models")

V = 23
RELU = TransformerConfig(
    n_layer=2, n_head=2, n_embd=16, block_size=12, bias=True, tied_head=False, final_norm=False, activation="relu",
    n_ff=40, init="xavier_uniform",
)  # fmt: skip
MODELS: list[tuple[str, ModelConfig, int | None]] = [
    ("gpt", GPT, None),
    ("gpt-bias-tanh", GPT.model_copy(update={"bias": True, "activation": "gelu_tanh"}), None),
    ("relu-untied", RELU, None),
    *((f"hrm-bp{bp}", HRM, bp) for bp in (2, 3, 4, 5, 6)),
    ("hrm-deep", HRM.model_copy(update={"H_layers": 2, "L_layers": 2, "L_cycles": 3, "n_head": 4}), 5),
]


def torch_logits(config: ModelConfig, weights: dict[str, Any], tokens: Any, bp: int | None) -> Any:
    if isinstance(config, HrmConfig):
        return torch_models.hrm(weights, tokens, config, bp_steps=bp)
    return torch_models.transformer(weights, tokens, config)


def batch(rng: np.random.Generator, b: int, t: int) -> tuple[np.ndarray, np.ndarray]:
    x, y = (rng.integers(0, V, (b, t)).astype(np.int32) for _ in range(2))
    y[0, 1] = y[-1, -1] = -1
    return x, y


def close(ours: np.ndarray, theirs: Any, name: str) -> None:
    theirs = theirs.detach().numpy()
    assert np.abs(ours - theirs).max() <= 1e-4 * np.abs(theirs).max(), name


@pytest.mark.parametrize(("config", "bp"), [m[1:] for m in MODELS], ids=[m[0] for m in MODELS])
def test_logits_loss_and_every_gradient(backend: Backend, config: ModelConfig, bp: int | None) -> None:
    rng, shape = np.random.default_rng(1), (3, 11)
    model = build(config, V)
    model.initialize(backend, 5)
    inputs = Inputs(*shape)
    micro = micro_step(model, inputs, bp_steps=bp, accumulate=False, label_smoothing=0.1, dropout=False)
    forward, kept = Program("forward"), Tensor("kept", (*shape, V), role="state")
    with forward, forward.no_grad():
        ops.copy(model.logits(inputs.tokens, Context(bp_steps=bp))).place(kept)
    x, y = batch(rng, *shape)
    inputs.write(backend, x, y, 1 / (y >= 0).sum(), (0, 0, 0))
    backend.run(forward)
    backend.run(micro.program)

    weights = {n: torch.tensor(a, requires_grad=n != "z_L") for n, a in model.state(backend).items()}
    logits = torch_logits(config, weights, torch.tensor(x).long(), bp)
    loss = torch.nn.functional.cross_entropy(
        logits.reshape(-1, V), torch.tensor(y).long().reshape(-1), ignore_index=-1, label_smoothing=0.1
    )
    loss.backward()
    close(backend.read(kept), logits, "logits")
    assert backend.read(inputs.sums)[0] / (y >= 0).sum() == pytest.approx(loss.item(), rel=1e-5)
    reached = {t.name for t in micro.reached}
    assert reached == {name for name, w in weights.items() if w.grad is not None}
    for name in reached:
        close(backend.read(model.parameters.like("grad", name)), weights[name].grad, name)


def test_at_two_steps_the_gradient_does_not_reach_the_embedding() -> None:
    micro = micro_step(build(HRM, V), Inputs(2, 5), bp_steps=2, accumulate=False, label_smoothing=0.0, dropout=False)
    assert "embedding.weight" not in {t.name for t in micro.reached}


# Without biases: a key bias has no gradient but rounding, and Adam makes full steps of that.
@pytest.mark.parametrize("config", [HRM, RELU.model_copy(update={"bias": False})], ids=["hrm", "transformer"])
def test_twenty_updates(backend: Backend, config: ModelConfig) -> None:
    """Fails when an update is skipped, doubled, or applied to a copy: the losses would part from PyTorch's."""
    steps, shape = 20, (4, 12)
    settings = make_config(config, max_steps=steps, weight_decay=0.3, grad_clip=0.5, warmup_steps=3)
    hrm = ResourceAwareHRM(config, Vocabulary("".join(map(chr, range(97, 97 + V)))), backend)
    hrm.initialize_training(settings, steps)
    hrm.initialize(3)
    weights = {n: torch.tensor(a, requires_grad=n != "z_L") for n, a in hrm.weights().items()}
    trained = {n: w for n, w in weights.items() if w.requires_grad}
    optimizer = torch.optim.AdamW(
        [
            {"params": [w for w in trained.values() if w.dim() > 1], "weight_decay": 0.3},
            {"params": [w for w in trained.values() if w.dim() < 2], "weight_decay": 0.0},
        ],
        betas=(0.9, 0.99),
        eps=1e-8,
    )
    rng = np.random.default_rng(2)
    x, y = batch(rng, *shape)
    ours, theirs = [], []
    for step in range(steps):
        lr = 1e-2 * (step + 1) / steps
        hrm.process_character_training_batch(Batch(x, y, int((y >= 0).sum())), step, lr)
        ours.append(hrm.read_sums().loss / (y >= 0).sum())
        optimizer.zero_grad(set_to_none=True)
        bp = hrm.model.bp_steps(step, steps)
        logits = torch_logits(config, weights, torch.tensor(x).long(), bp)
        loss = torch.nn.functional.cross_entropy(
            logits.reshape(-1, V), torch.tensor(y).long().reshape(-1), ignore_index=-1
        )
        loss.backward()
        torch.nn.utils.clip_grad_norm_([w for w in trained.values() if w.grad is not None], 0.5)
        for group in optimizer.param_groups:
            group["lr"] = lr
        optimizer.step()
        theirs.append(loss.item())
    assert ours[-1] < ours[0] - 0.5
    assert ours == pytest.approx(theirs, rel=2e-4)
    for name, w in trained.items():
        close(hrm.weights()[name], w, name)
