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
from nyx.training.segments import STREAM, Carry, fault
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


class Reference:
    """The same training in PyTorch: rows with examples of their own, one segment after the other."""

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
        shape = (ROWS, TIME, config.n_embd)
        self.z_h, self.z_l = torch.zeros(shape), torch.zeros(shape)
        self.x, self.y = torch.zeros((ROWS, TIME), dtype=torch.long), torch.full((ROWS, TIME), -1)
        self.steps, self.halted, self.least = torch.zeros(ROWS), torch.ones(ROWS, dtype=torch.bool), torch.ones(ROWS)
        self.sums, self.taken = np.zeros(3), []

    def take(self, batch: Batch, step: int) -> None:
        """Rows that ended take the examples of the batch one after the other."""
        offered = [i for i in range(ROWS) if (batch.y[i] >= 0).any()]
        least = drawn(self.config, step)
        for row in range(ROWS):
            if not self.halted[row]:
                continue
            self.steps[row], self.y[row], self.least[row] = 0, -1, float(least[row])
            self.z_h[row], self.z_l[row] = self.weights["z_H"], self.weights["z_L"]
            if offered:
                i = offered.pop(0)
                self.x[row], self.y[row] = torch.tensor(batch.x[i]).long(), torch.tensor(batch.y[i]).long()

    def gradients(self) -> None:
        """One segment: its loss, its gradients, who ends, and what those add to the totals."""
        p, config, y = self.weights, self.config, self.y
        logits, q, z_h, z_l = torch_models.hrm_act_segment(p, self.x, self.z_h, self.z_l, config)
        self.z_h, self.z_l = z_h.detach(), z_l.detach()
        with torch.no_grad():
            _, q_next, _, _ = torch_models.hrm_act_segment(p, self.x, self.z_h, self.z_l, config)
        if self.loss == "stablemax":
            nats = torch_models.stablemax_cross_entropy(logits.reshape(-1, V), y.reshape(-1))
        else:
            nats = F.cross_entropy(logits.reshape(-1, V), y.reshape(-1), ignore_index=-1, reduction="none")
        nats, counted = nats.view(ROWS, TIME).sum(dim=1), y >= 0
        right, active = ((logits.argmax(dim=-1) == y) & counted).sum(dim=1), counted.any(dim=1)
        self.steps += 1
        last = self.steps >= config.halt_max_steps
        goal = (right / counted.sum(dim=1).clamp(min=1) >= config.halt_accuracy - 1e-6).float()
        value = torch.sigmoid(torch.where(last, q_next[:, 0], q_next.max(dim=1).values))
        bce = [F.binary_cross_entropy_with_logits(q[:, i], t, reduction="none") for i, t in enumerate((goal, value))]
        head = 0.5 * (bce[0] + bce[1] if config.halt_max_steps > 1 else bce[0])
        self.optimizer.zero_grad()
        (nats[active].sum() / counted.sum() + head[active].sum() / active.sum()).backward()
        self.halted = last | ((q[:, 0] > q[:, 1]) & (self.steps >= self.least)) | ~active
        now = active & self.halted
        self.sums += [nats[now].sum().item(), right[now].sum().item(), counted[now].sum().item()]
        self.taken += self.steps[now].tolist()

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


def drawn(config: HrmConfig, step: int) -> np.ndarray:
    """The least number of segments of an example that each row takes at this step, from the definition."""
    counter, most = np.array([SEED, 0, step, 0], np.uint32), config.halt_max_steps
    whether, how_many = uniform(counter, STREAM, 0, 2 * ROWS).reshape(ROWS, 2).T
    longer = 2 + np.minimum((how_many * np.float32(most - 1)).astype(int), most - 2)
    return np.where((whether < config.halt_exploration_prob) & (most > 1), longer, 1)


def close(ours: np.ndarray, theirs: Any, name: str) -> None:
    theirs = theirs.detach().numpy()
    assert np.abs(ours - theirs).max() <= 1e-4 * np.abs(theirs).max(), name


@pytest.mark.parametrize("loss", ["softmax", "stablemax"])
@pytest.mark.parametrize("config", [ACT, SHALLOW, ONCE], ids=["four", "two", "one"])
def test_every_segment(backend: Backend, config: HrmConfig, loss: str) -> None:
    """States, totals, every gradient and who ended after each of twelve segments, with updates between them: each
    segment from the same weights and states, since the recursion makes rounding grow about fivefold in each."""
    hrm, rng = start(backend, config, loss=loss), np.random.default_rng(1)
    theirs, training = Reference(hrm, config, loss), training_of(hrm)
    carry, ended = training.carry, set()
    assert carry
    for step in range(12):
        batch = make_batch(rng)
        theirs.take(batch, step)
        hrm.process_character_training_batch(batch, step, 0.0)  # the weights stay
        theirs.gradients()
        training._collect()
        np.testing.assert_array_equal(carry.y, theirs.y.numpy())
        active = (theirs.y >= 0).any(dim=1).numpy()
        for ours, wanted, name in zip(carried(hrm), (theirs.z_h, theirs.z_l), ("z_H", "z_L"), strict=True):
            close(ours[active], wanted[torch.tensor(active)], name)
        for name, weight in theirs.trained.items():
            gradient = backend.read(hrm.model.parameters.like("grad", name))
            close(gradient, weight.grad, f"{name} in step {step}")
        np.testing.assert_array_equal(carry.progress < 0, theirs.halted.numpy())
        np.testing.assert_array_equal(carry.progress[carry.progress >= 0], theirs.steps[~theirs.halted].numpy())
        training.optimizer.step(backend, None, step=step, lr=1e-2, grad_clip=0.5)
        theirs.follow(hrm)
        ended |= set(theirs.taken)
    assert len(ended) == (1 if config is ONCE else config.halt_max_steps) or (config is ACT and len(ended) > 2)
    assert config is ONCE or (carry.progress > 0).any() or theirs.halted.all()
    sums = hrm.read_sums()
    assert [sums.loss, sums.correct, sums.symbols] == pytest.approx(theirs.sums.tolist(), rel=1e-5)
    assert sums.more["train/segments"] == pytest.approx(np.mean(theirs.taken))
    by_segments = [theirs.taken.count(n) for n in range(1, config.halt_max_steps + 1)]
    assert sums.more["train/segments_hist"] == by_segments
    assert ("train/q_continue_loss" in sums.more) == (config.halt_max_steps > 1)


@pytest.mark.parametrize("loss", ["softmax", "stablemax"])
def test_twelve_updates(backend: Backend, loss: str) -> None:
    hrm = start(backend, ACT, loss=loss)
    theirs, rng = Reference(hrm, ACT, loss), np.random.default_rng(2)
    for step in range(12):
        batch, lr = make_batch(rng), 1e-3 / (step + 1)
        theirs.take(batch, step)
        assert hrm.process_character_training_batch(batch, step, lr).count == (theirs.y >= 0).sum()
        theirs.gradients()
        theirs.update(lr)
    sums = hrm.read_sums()
    assert [sums.loss, sums.correct, sums.symbols] == pytest.approx(theirs.sums.tolist(), rel=1e-4)
    for name, weight in theirs.trained.items():
        close(hrm.weights()[name], weight, name)
    assert set(training_of(hrm).optimizer.updates().values()) == {12}


def test_no_update_is_without_a_row_and_none_is_idle() -> None:
    """Over 800 updates: every row has an example as long as the batches offer one."""
    hrm, rng = start(CpuBackend(), ACT), np.random.default_rng(3)
    carry, idle = training_of(hrm).carry, 0
    assert carry
    for step in range(800):
        batch = make_batch(rng)
        free = carry.progress < 0 if step == 0 else None
        trained = hrm.process_character_training_batch(batch, step, 1e-3)
        assert trained.count > 0 and (free is None or free.all())
        idle += int((~(carry.y >= 0).any(axis=1)).sum())
    assert idle <= 800  # a batch offers five examples for six rows


def test_exploration_draws_evenly_once_a_row() -> None:
    rows, most = 6000, 4
    config = ACT.model_copy(update={"halt_exploration_prob": 0.6})
    model = build(config, V)
    assert isinstance(model, ActHrm)
    carry = Carry(model, rows, 1, SEED)
    batch = Batch(np.zeros((rows, 1), np.int32), np.zeros((rows, 1), np.int32), rows)
    carry.take(batch, 7)
    shares = np.bincount(carry.least, minlength=most + 1)[1:] / rows
    np.testing.assert_allclose(shares, [0.4, 0.2, 0.2, 0.2], atol=0.02)
    before = carry.least.copy()
    carry.progress[: rows // 2] = 1  # these go on with what they drew
    carry.progress[rows // 2 :] = -1
    carry.take(batch, 8)
    np.testing.assert_array_equal(carry.least[: rows // 2], before[: rows // 2])
    assert (carry.least[rows // 2 :] != before[rows // 2 :]).any()


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
    close(np.stack(steps, axis=1), whole, "decoded logits")


Segment = tuple[dict[str, np.ndarray], dict[str, np.ndarray], np.ndarray]


def go_over(backend: Backend, like: list[Segment], **cut: int) -> list[Segment]:
    """Weights, gradients and progress of eight segments; with the weights of `like` where it is given."""
    hrm, found, rng = start(backend, ACT, **cut), [], np.random.default_rng(4)
    training = training_of(hrm)
    assert training.carry and hrm.micro_batch == min(cut.values(), default=ROWS)
    for step in range(8):
        if like:
            hrm.load_weights(like[step][0])
        weights = hrm.weights()
        hrm.process_character_training_batch(make_batch(rng), step, 0.0)
        training._collect()
        gradients = hrm.model.parameters.read(backend, "grad")
        found.append((weights, gradients, training.carry.progress.copy()))
        training.optimizer.step(backend, None, step=step, lr=1e-2, grad_clip=0.5)
    return found


@pytest.mark.parametrize(
    "cut", [{"batch_size": 2, "grad_accum_steps": 3}, {"micro_batch": 4}, {"micro_batch": 1}], ids=str
)
def test_micro_batches_are_the_whole_batch(backend: Backend, cut: dict[str, int]) -> None:
    """Rows keep their states and draw the same least numbers: the gradients of each segment. A micro-batch of 4 of the
    6 rows is padded."""
    whole = go_over(backend, [])
    parts = go_over(backend, whole, **cut)
    for i, ((_, want, progress), (_, got, same)) in enumerate(zip(whole, parts, strict=True)):
        np.testing.assert_array_equal(progress, same)
        for name in want:
            assert np.abs(got[name] - want[name]).max() <= 1e-6 * np.abs(want[name]).max(), f"{name}, segment {i}"


def test_going_on_between_two_segments_gives_the_same_bits(backend: Backend) -> None:
    """Nothing but what `training_state` gives lives from one update to the next."""
    for at in (1, 2, 3, 6):
        hrm, rng = start(backend, ACT), np.random.default_rng(5)
        batches = [make_batch(rng) for _ in range(9)]
        for step in range(at):
            hrm.process_character_training_batch(batches[step], step, 1e-2)
        tensors, updates = hrm.training_state()
        assert at == 6 or (tensors["state.carry.progress"] > 0).any(), "a row is between two segments"
        for step in range(at, 9):
            hrm.process_character_training_batch(batches[step], step, 1e-2)
        ours, _ = hrm.training_state()

        hrm.initialize_training(settings(ACT), 8, updates)
        hrm.load_training_state(tensors)
        for step in range(at, 9):
            hrm.process_character_training_batch(batches[step], step, 1e-2)
        theirs, _ = hrm.training_state()
        assert ours.keys() == theirs.keys()
        for name in ours:
            np.testing.assert_array_equal(ours[name], theirs[name], name)


def test_another_batch_begins_anew_and_says_so(backend: Backend) -> None:
    hrm, said = start(backend, ACT), []
    hrm.process_character_training_batch(make_batch(np.random.default_rng(5)), 0, 1e-2)
    tensors, updates = hrm.training_state()
    hrm.initialize_training(settings(ACT, batch_size=4), 8, updates, say=said.append)
    hrm.load_training_state(tensors)
    assert said == ["the batch has another shape than before: every row begins with a new example"]
    carry = training_of(hrm).carry
    assert carry and (carry.progress == -1).all() and len(carry.progress) == 4


def test_a_carry_that_cannot_be_is_refused() -> None:
    hrm = start(CpuBackend(), ACT)
    hrm.process_character_training_batch(make_batch(np.random.default_rng(5)), 0, 1e-2)
    tensors, _ = hrm.training_state()
    assert fault(tensors, ACT, V) == "" and fault({}, ACT, V) == ""
    assert "not of its model" in fault(tensors, ACT.model_copy(update={"variant": "text"}), V)
    changes: dict[str, list[Any]] = {
        "x": [-1, V], "y": [-2, V], "progress": [-2, 4], "least": [0, 5], "sums": [-1.0, float("nan")],
    }  # fmt: skip
    for name, values in changes.items():
        for value in values:
            changed = tensors[f"state.carry.{name}"].copy()
            changed.reshape(-1)[0] = value
            assert f"state.carry.{name}" in fault(tensors | {f"state.carry.{name}": changed}, ACT, V)
    for name in (n for n in tensors if n.startswith("state.carry.")):
        assert fault({n: a for n, a in tensors.items() if n != name}, ACT, V)
        assert fault(tensors | {name: tensors[name][:-1]}, ACT, V)
        assert fault(tensors | {name: tensors[name].astype("f2")}, ACT, V)


def test_memory_does_not_grow() -> None:
    """What 10,000 segments take is what 1,000 take."""
    import psutil

    hrm, rng = start(CpuBackend(), SHALLOW), np.random.default_rng(6)
    batches, process, used, allocated = [make_batch(rng) for _ in range(10)], psutil.Process(), {}, {}
    for step in range(10_000):
        hrm.process_character_training_batch(batches[step % 10], step, 1e-4)
        if step % 100 == 99:
            hrm.read_sums()
        if step + 1 in (1_000, 10_000):
            used[step + 1], allocated[step + 1] = process.memory_info().rss, hrm.backend.memory().total
    assert allocated[1_000] == allocated[10_000]
    assert used[10_000] - used[1_000] < 1 << 20


def test_the_halting_head_starts_where_it_says() -> None:
    model = build(ACT, V)
    assert isinstance(model, ActHrm)
    initial = model.parameters.initial(1)
    assert not initial["q_head.weight"].any() and (initial["q_head.bias"] == -5).all()
    z_h, z_l = (model.constants[name].values(1) for name in ("z_H", "z_L"))
    assert z_h.shape == (16,) and not np.array_equal(z_h, z_l)


def test_start_values_are_cut_at_two_deviations() -> None:
    model = build(ACT.model_copy(update={"n_embd": 256, "n_head": 4}), V)
    initial = model.parameters.initial(1)
    for name, values in initial.items():
        if name.startswith("q_head"):
            continue
        std = 1 / np.sqrt(values.shape[1])
        assert np.abs(values).max() <= 2 / 0.8796256610342398 * std * (1 + 1e-6), name
        assert values.std() == pytest.approx(std, rel=0.05), name


def test_it_learns_and_halts_sooner() -> None:
    """On one batch again and again: loss falls, and rows that are right end after fewer segments than at first."""
    hrm = start(CpuBackend(), ACT.model_copy(update={"halt_accuracy": 0.8}))
    batch = make_batch(np.random.default_rng(6))
    hrm.initialize(5)  # the head at its start values: nobody halts
    found = []
    for step in range(240):
        hrm.process_character_training_batch(batch, step, 5e-3)
        if step % 24 == 23:
            found.append(hrm.read_sums())
    losses = [sums.loss / sums.characters for sums in found if sums.characters]
    assert len(losses) == 10 and losses[-1] < 0.2 * losses[0]
    assert found[0].more["train/segments"] > 3 and found[-1].more["train/segments"] < 3
    assert found[-1].more["train/exact_acc"] > found[0].more["train/exact_acc"]
    assert found[-1].more["train/q_halt_loss"] < 0.3


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
    for name in ("train.segment:", "train.segment.more:", "update:"):
        assert f"\n{name}" in f"\n{text}"
    assert "carry.z_H" in text and "halt(" in text
