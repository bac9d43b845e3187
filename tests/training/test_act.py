"""The act variant against a PyTorch statement of the same equations: every segment's outputs, losses, gradients and
halting decisions, the weights after five batches; micro-batches, decoding, going on, stablemax in evaluation."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from nyx import ops
from nyx.backends.base import Backend
from nyx.backends.cpu import CpuBackend
from nyx.config import Config, HrmConfig
from nyx.generation import Sampling
from nyx.nn import build
from nyx.nn.hrm_act import ActHrm
from nyx.nn.layers import Context
from nyx.ops._philox import uniform
from nyx.ops.cross_entropy import stablemax_mass
from nyx.planning import describe
from nyx.program import Program
from nyx.resource_aware_hrm import ResourceAwareHRM
from nyx.tensor import Tensor
from nyx.text.batches import Batch
from nyx.text.vocabulary import Vocabulary
from nyx.training.programs import Decoder
from nyx.training.segments import STREAM
from nyx.training.updates import Training
from tests.training.small import make_config

torch = pytest.importorskip("torch", reason="PyTorch is not installed: whole models are not compared with it")
torch_models = pytest.importorskip("benchmarks.torch_models")
F = torch.nn.functional
torch.set_num_threads(1)  # at these sizes threads only wait for each other

V, ROWS, TIME, SEED = 23, 6, 11, 1337
EPS = 1e-5  # Adam makes full steps of gradients that are rounding alone where eps is much smaller
ACT = HrmConfig(
    variant="act", H_cycles=2, L_cycles=2, L_layers=2, n_head=2, n_embd=16, block_size=12, ff_multiple=8,
    halt_max_steps=4, halt_exploration_prob=0.4, halt_accuracy=0.1,
)  # fmt: skip
SHALLOW = ACT.model_copy(update={"H_cycles": 1, "L_cycles": 1, "halt_max_steps": 2, "L_layers": 1})
ONCE = SHALLOW.model_copy(update={"halt_max_steps": 1})
WORDS = Vocabulary("".join(map(chr, range(97, 97 + V))))


def make_batch(rng: np.random.Generator) -> Batch:
    """Rows with all, some and none of their targets."""
    x, y = (rng.integers(0, V, (ROWS, TIME)).astype(np.int32) for _ in range(2))
    y[0, 3:] = y[2, 0] = -1
    y[4] = -1
    return Batch(x, y, int((y >= 0).sum()))


def settings(config: HrmConfig, **train: Any) -> Config:
    return make_config(config, **{"batch_size": ROWS, "seq_len": TIME, "grad_clip": 0.5, "eps": EPS} | train)


def start(backend: Backend, config: HrmConfig, micro_batch: int | None = None, **train: Any) -> ResourceAwareHRM:
    """A model whose halting head is not at its start values: some rows want to halt early, some do not."""
    hrm = ResourceAwareHRM(config, WORDS, backend)
    hrm.initialize_training(settings(config, **train), 8, micro_batch=micro_batch)
    hrm.initialize(5)
    weights, rng = hrm.weights(), np.random.default_rng(8)
    weights["q_head.weight"] = rng.standard_normal((2, config.n_embd)).astype(np.float32)
    weights["q_head.bias"] = np.array([0.3, 0.0], np.float32)
    hrm.load_weights(weights)
    return hrm


def training_of(hrm: ResourceAwareHRM) -> Training:
    assert hrm._training is not None
    return hrm._training


def carried(hrm: ResourceAwareHRM) -> tuple[np.ndarray, np.ndarray]:
    """z_H and z_L (B, T, C)."""
    carry = training_of(hrm).carry
    assert carry
    z_h, z_l = (hrm.backend.read(z)[:ROWS].reshape(ROWS, TIME, -1) for z in (carry.z_h, carry.z_l))
    return z_h, z_l


def least(config: HrmConfig, step: int) -> np.ndarray:
    """The least number of segments of each row, from the definition."""
    counter, most = np.array([SEED, 0, step, 0], np.uint32), config.halt_max_steps
    whether, how_many = uniform(counter, STREAM, 0, 2 * ROWS).reshape(ROWS, 2).T
    longer = 2 + np.minimum((how_many * np.float32(most - 1)).astype(int), most - 2)
    return np.where((whether < config.halt_exploration_prob) & (most > 1), longer, 1)


class Reference:
    """The same training in PyTorch: one batch's segments one after the other."""

    def __init__(self, hrm: ResourceAwareHRM, config: HrmConfig, loss: str) -> None:
        self.config, self.loss = config, loss
        fixed = ("z_L", "z_H")
        self.weights = {n: torch.tensor(a, requires_grad=n not in fixed) for n, a in hrm.weights().items()}
        self.trained = {n: w for n, w in self.weights.items() if w.requires_grad}
        matrices, vectors = ([w for w in self.trained.values() if (w.dim() > 1) == two] for two in (True, False))
        self.optimizer = torch.optim.AdamW(
            [{"params": matrices, "weight_decay": 0.1}, {"params": vectors, "weight_decay": 0.0}],
            lr=1e-2, betas=(0.9, 0.99), eps=EPS,
        )  # fmt: skip
        self.begin()

    def begin(self) -> None:
        """A new batch."""
        self.z_h, self.z_l = self.weights["z_H"], self.weights["z_L"]
        self.ended, self.segment = torch.zeros(ROWS, dtype=torch.bool), 0
        self.taken = torch.zeros(ROWS)
        self.sums = np.zeros(2)

    def gradients(self, batch: Batch, step: int) -> None:
        """One segment: its loss, its gradients, who ends, and what those add to the totals."""
        p, config, self.segment = self.weights, self.config, self.segment + 1
        x, y = torch.tensor(batch.x).long(), torch.tensor(batch.y).long()
        logits, q, self.z_h, self.z_l = torch_models.hrm_act_segment(p, x, self.z_h, self.z_l, config)
        with torch.no_grad():
            _, q_next, _, _ = torch_models.hrm_act_segment(p, x, self.z_h, self.z_l, config)
        if self.loss == "stablemax":
            nats = torch_models.stablemax_cross_entropy(logits.reshape(-1, V), y.reshape(-1))
        else:
            nats = F.cross_entropy(logits.reshape(-1, V), y.reshape(-1), ignore_index=-1, reduction="none")
        nats = nats.view(ROWS, TIME).sum(dim=1)
        counted = y >= 0
        right = ((logits.argmax(dim=-1) == y) & counted).sum(dim=1)
        active = ~self.ended & counted.any(dim=1)
        last = self.segment == config.halt_max_steps
        goal = (right / counted.sum(dim=1).clamp(min=1) >= config.halt_accuracy - 1e-6).float()
        value = torch.sigmoid(q_next[:, 0] if last else q_next.max(dim=1).values)
        bce = [F.binary_cross_entropy_with_logits(q[:, i], t, reduction="none") for i, t in enumerate((goal, value))]
        head = 0.5 * (bce[0] + bce[1])
        self.optimizer.zero_grad()
        (nats[active].sum() / batch.count + head[active].sum() / counted.any(dim=1).sum()).backward()
        ends = (q[:, 0] > q[:, 1]) & (self.segment >= torch.tensor(least(config, step))) | last
        self.taken[active] = self.segment
        now = active & ends
        self.sums += [nats[now].sum().item(), right[now].sum().item()]
        self.ended |= ends | ~counted.any(dim=1)

    def follow(self, hrm: ResourceAwareHRM) -> None:
        """Takes the weights and states of Nyx."""
        with torch.no_grad():
            for name, values in hrm.weights().items():
                self.weights[name].copy_(torch.tensor(values))
        self.z_h, self.z_l = map(torch.tensor, carried(hrm))

    def update(self, lr: float) -> None:
        torch.nn.utils.clip_grad_norm_(list(self.trained.values()), 0.5)
        for group in self.optimizer.param_groups:
            group["lr"] = lr
        self.optimizer.step()


def close(ours: np.ndarray, theirs: Any, name: str) -> None:
    theirs = theirs.detach().numpy()
    assert np.abs(ours - theirs).max() <= 1e-4 * np.abs(theirs).max(), name


@pytest.mark.parametrize("loss", ["softmax", "stablemax"])
@pytest.mark.parametrize("config", [ACT, SHALLOW, ONCE], ids=["four", "two", "one"])
def test_every_segment(backend: Backend, config: HrmConfig, loss: str) -> None:
    """States, totals, every gradient and who ended after each segment of one batch, with updates between them: each
    segment from the same weights and states, since the recursion makes rounding grow about fivefold in each."""
    hrm, step = start(backend, config, loss=loss), 3
    theirs, training, batch = Reference(hrm, config, loss), training_of(hrm), make_batch(np.random.default_rng(1))
    filled = (batch.y >= 0).any(axis=1)
    assert training.carry
    for segment in range(config.halt_max_steps):
        training._gradients(backend, batch, step, None, segment)
        theirs.gradients(batch, step)
        for ours, wanted, name in zip(carried(hrm), (theirs.z_h, theirs.z_l), ("z_H", "z_L"), strict=True):
            close(ours, wanted, name)
        for name, weight in theirs.trained.items():
            gradient = backend.read(hrm.model.parameters.like("grad", name))
            close(gradient, weight.grad, f"{name} in segment {segment}")
        progress = backend.read(training.carry.progress)[:ROWS, 0]
        np.testing.assert_array_equal(progress < 0, theirs.ended.numpy())
        np.testing.assert_array_equal(np.abs(progress)[filled], theirs.taken.numpy()[filled])
        training.optimizer.step(backend, None, step=step, lr=1e-2, grad_clip=0.5)
        theirs.follow(hrm)
    assert theirs.ended.all()
    if config is ACT:
        assert len(set(theirs.taken[torch.tensor(filled)].tolist())) > 1, "rows must end in different segments"
    sums = backend.read(training.inputs.sums)
    np.testing.assert_allclose(sums[:2], theirs.sums, rtol=1e-5)


@pytest.mark.parametrize("loss", ["softmax", "stablemax"])
def test_five_batches(backend: Backend, loss: str) -> None:
    hrm = start(backend, ACT, loss=loss)
    theirs, rng = Reference(hrm, ACT, loss), np.random.default_rng(2)
    for step in range(5):
        batch, lr = make_batch(rng), 1e-2 / (step + 1)
        hrm.process_character_training_batch(batch, step, lr)
        theirs.begin()
        for _ in range(ACT.halt_max_steps):
            theirs.gradients(batch, step)
            theirs.update(lr)
        sums = hrm.read_sums()
        assert [sums.loss, sums.correct] == pytest.approx(theirs.sums.tolist(), rel=1e-4)
        filled = torch.tensor((batch.y >= 0).any(axis=1))
        assert sums.segments == pytest.approx(theirs.taken[filled].mean().item())
    for name, weight in theirs.trained.items():
        close(hrm.weights()[name], weight, name)
    assert set(training_of(hrm).optimizer.updates().values()) == {5 * ACT.halt_max_steps}


def test_logits_are_those_of_the_last_segment(backend: Backend) -> None:
    hrm, kept = start(backend, ACT), Tensor("kept", (ROWS, TIME, V), role="state")
    tokens, x = Tensor("tokens", (ROWS, TIME), "i32", "input"), make_batch(np.random.default_rng(3)).x
    forward = Program("forward")
    with forward, forward.no_grad():
        ops.copy(hrm.model.logits(tokens, Context())).place(kept)
    backend.write(tokens, x)
    backend.run(forward)
    weights = {name: torch.tensor(a) for name, a in hrm.weights().items()}
    whole = torch_models.hrm_act(weights, torch.tensor(x).long(), ACT)
    close(backend.read(kept), whole, "logits")

    decoder = Decoder(hrm.model, ROWS)
    steps = [decoder.step(backend, x[:, t], t) for t in range(TIME)]
    np.testing.assert_allclose(np.stack(steps, axis=1), whole.numpy(), atol=1e-4)


Segment = tuple[dict[str, np.ndarray], dict[str, np.ndarray], np.ndarray]


def go_over(backend: Backend, like: list[Segment], **cut: int) -> list[Segment]:
    """Weights, gradients and progress of every segment of two batches; with the weights of `like` where it is given."""
    hrm, found, rng = start(backend, ACT, **cut), [], np.random.default_rng(4)
    training = training_of(hrm)
    assert training.carry and hrm.micro_batch == min(cut.values(), default=ROWS)
    for step in range(2):
        batch = make_batch(rng)
        for segment in range(ACT.halt_max_steps):
            if like:
                hrm.load_weights(like[len(found)][0])
            weights = hrm.weights()
            training._gradients(backend, batch, step, None, segment)
            gradients = hrm.model.parameters.read(backend, "grad")
            found.append((weights, gradients, backend.read(training.carry.progress)[:ROWS, 0]))
            training.optimizer.step(backend, None, step=step, lr=1e-2, grad_clip=0.5)
    return found


@pytest.mark.parametrize(
    "cut", [{"batch_size": 2, "grad_accum_steps": 3}, {"micro_batch": 4}, {"micro_batch": 1}], ids=str
)
def test_micro_batches_are_the_whole_batch(backend: Backend, cut: dict[str, int]) -> None:
    """Every micro-batch has its own carry, and rows draw the same least numbers: the gradients of each segment. A
    micro-batch of 4 of the 6 rows is padded."""
    whole = go_over(backend, [])
    parts = go_over(backend, whole, **cut)
    for i, ((_, want, progress), (_, got, same)) in enumerate(zip(whole, parts, strict=True)):
        np.testing.assert_array_equal(progress, same)
        for name in want:
            assert np.abs(got[name] - want[name]).max() <= 1e-6 * np.abs(want[name]).max(), f"{name}, segment {i}"


def test_going_on_gives_the_same_bits(backend: Backend) -> None:
    """Nothing but what `training_state` gives lives from one batch to the next."""
    hrm, rng = start(backend, ACT), np.random.default_rng(5)
    first, second = make_batch(rng), make_batch(rng)
    hrm.process_character_training_batch(first, 0, 1e-2)
    tensors, updates = hrm.training_state()
    hrm.process_character_training_batch(second, 1, 1e-2)
    ours, _ = hrm.training_state()

    hrm.initialize_training(settings(ACT), 8, updates)
    hrm.load_training_state(tensors)
    hrm.process_character_training_batch(second, 1, 1e-2)
    theirs, _ = hrm.training_state()
    assert ours.keys() == theirs.keys()
    for name in ours:
        np.testing.assert_array_equal(ours[name], theirs[name], name)


def test_the_halting_head_starts_where_it_says() -> None:
    model = build(ACT, V)
    assert isinstance(model, ActHrm)
    initial = model.parameters.initial(1)
    assert not initial["q_head.weight"].any() and (initial["q_head.bias"] == -5).all()
    z_h, z_l = (model.constants[name].values(1) for name in ("z_H", "z_L"))
    assert z_h.shape == (16,) and not np.array_equal(z_h, z_l)


def test_it_learns_and_halts_sooner() -> None:
    """On one batch again and again: loss falls, and rows that are right end after fewer segments than at first."""
    hrm = start(CpuBackend(), ACT.model_copy(update={"halt_accuracy": 0.8}))
    batch = make_batch(np.random.default_rng(6))
    hrm.initialize(5)  # the head at its start values: nobody halts
    found = []
    for step in range(60):
        hrm.process_character_training_batch(batch, step, 5e-3)
        found.append(hrm.read_sums())
    assert all(f.segments and f.segments > 3 for f in found[:5])
    assert found[-1].loss < 0.2 * found[0].loss
    assert np.mean([f.segments for f in found[-10:]]) < 3


def test_stablemax_in_evaluation_and_generation(backend: Backend) -> None:
    hrm = start(backend, ACT, loss="stablemax")
    text = np.random.default_rng(7).integers(0, V, 5 * TIME + 1).astype(np.int32)
    weights = {name: torch.tensor(a) for name, a in hrm.weights().items()}
    x, y = torch.tensor(text[:-1]).long().view(5, TIME), torch.tensor(text[1:]).long()
    logits = torch_models.hrm_act(weights, x, ACT)
    nats = torch_models.stablemax_cross_entropy(logits.reshape(-1, V), y)
    assert hrm.evaluate(text, seq_len=TIME, batch_size=2).loss == pytest.approx(nats.mean().item(), rel=1e-5)

    decoder = hrm.decoder()
    scores = decoder.step(backend, text[:1], 0)[0]
    probabilities = np.exp(scores) / np.exp(scores).sum()
    mass = stablemax_mass(logits[0, 0].numpy())
    np.testing.assert_allclose(probabilities, mass / mass.sum(), rtol=1e-4)
    assert len(hrm.generate_text("abc", 15, Sampling(seed=1))) == 18


def test_the_plan_knows_its_programs() -> None:
    text = describe(settings(ACT, batch_size=2, grad_accum_steps=3), V, steps=True)
    for name in ("train.first:", "train.first.more:", "train.next:", "train.next.more:", "update:"):
        assert f"\n{name}" in f"\n{text}"
    assert "carry.z_H" in text and "halt(" in text
