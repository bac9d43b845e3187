"""Optimizers and the average of the weights, over whole trainings: PyTorch's AdamW, Adam-atan2 stated in PyTorch, the
average stated in NumPy; groups that decay; starting afresh; and going on with the same bits."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from nyx.backends.base import Backend
from nyx.config import Config, ModelConfig
from nyx.errors import CheckpointError, ConfigError, ProgramError
from nyx.generation import Sampling
from nyx.nn import build
from nyx.resource_aware_hrm import ResourceAwareHRM
from nyx.text.batches import Batch
from nyx.text.vocabulary import Vocabulary
from nyx.training.optimizer import AdamW, decaying, make_optimizer
from tests.training.small import GPT, HRM, make_config

V, SHAPE, STEPS = 23, (4, 12), 20
AVERAGE = {"ema_decay": 0.8}


def start(backend: Backend, config: Config, updates: Mapping[str, int] | None = None) -> ResourceAwareHRM:
    hrm = ResourceAwareHRM(config.model, Vocabulary("".join(map(chr, range(97, 97 + V)))), backend)
    hrm.initialize_training(config, STEPS, updates)
    hrm.initialize(3)
    return hrm


def rate(step: int) -> float:
    return 1e-2 * (step + 1) / STEPS


def batch(step: int) -> Batch:
    rng = np.random.default_rng(step)
    x, y = (rng.integers(0, V, SHAPE).astype(np.int32) for _ in range(2))
    return Batch(x, y, y.size)


def train(hrm: ResourceAwareHRM, first: int = 0, last: int = STEPS) -> None:
    for step in range(first, last):
        hrm.process_character_training_batch(batch(step), step, rate(step))


def average(hrm: ResourceAwareHRM) -> dict[str, np.ndarray]:
    return hrm.model.parameters.read(hrm.backend, "ema")


def bits(tensors: Mapping[str, np.ndarray]) -> dict[str, bytes]:
    return {name: values.tobytes() for name, values in tensors.items()}


class Atan2:
    """Adam-atan2 stated in PyTorch: p -= lr wd p, then p -= lr / c1 atan2(m, sqrt(v / c2))."""

    def __init__(self, torch: Any, groups: list[dict[str, Any]], betas: tuple[float, float]) -> None:
        self.torch, self.param_groups, self.betas = torch, groups, betas
        self.state: dict[Any, tuple[Any, Any, int]] = {}

    def step(self) -> None:
        for group in self.param_groups:
            for p in (p for p in group["params"] if p.grad is not None):
                m, v, n = self.state.get(p, (self.torch.zeros_like(p), self.torch.zeros_like(p), 0))
                (b1, b2), n = self.betas, n + 1
                m, v = b1 * m + (1 - b1) * p.grad, b2 * v + (1 - b2) * p.grad**2
                self.state[p] = m, v, n
                with self.torch.no_grad():
                    p -= group["lr"] * group["weight_decay"] * p
                    p -= group["lr"] / (1 - b1**n) * self.torch.atan2(m, (v / (1 - b2**n)).sqrt())


# Names that decay: all matrices, and then everything but one kind of matrix.
DECAYS = {
    "matrices": ({}, lambda name, w: w.dim() > 1),
    "patterns": ({"decay": "all", "no_decay": ("*attn*",)}, lambda name, w: "attn" not in name),
}


@pytest.mark.parametrize("optimizer", ["adamw", "adam_atan2"])
@pytest.mark.parametrize(("config", "decay"), [(GPT, "matrices"), (GPT, "patterns"), (HRM, "matrices")])
def test_twenty_updates_are_pytorchs(backend: Backend, optimizer: str, config: ModelConfig, decay: str) -> None:
    """Two groups of parameters, clipping, a rate that changes, and in the HRM parameters that begin later."""
    torch = pytest.importorskip("torch", reason="PyTorch is not installed: optimizers are not compared with it")
    torch.set_num_threads(1)  # at these sizes threads only wait for each other
    from tests.training.test_against_torch import close, torch_logits

    keys, decays = DECAYS[decay]
    settings = make_config(config, optimizer=optimizer, weight_decay=0.3, grad_clip=0.5, **keys)
    hrm = start(backend, settings)
    weights = {n: torch.tensor(a, requires_grad=n != "z_L") for n, a in hrm.weights().items()}
    trained = {n: w for n, w in weights.items() if w.requires_grad}
    groups = [
        {"params": [w for n, w in trained.items() if decays(n, w) is on], "weight_decay": 0.3 * on}
        for on in (True, False)
    ]
    groups = [group for group in groups if group["params"]]
    assert len(groups) == (1 if config is HRM else 2)
    betas = (0.9, 0.99)
    reference = torch.optim.AdamW(groups, betas=betas) if optimizer == "adamw" else Atan2(torch, groups, betas)
    ours, theirs = [], []
    for step in range(STEPS):
        same = batch(0)
        hrm.process_character_training_batch(same, step, rate(step))
        ours.append(hrm.read_sums().loss / same.count)
        for w in trained.values():
            w.grad = None
        logits = torch_logits(config, weights, torch.tensor(same.x).long(), hrm.model.bp_steps(step, STEPS))
        loss = torch.nn.functional.cross_entropy(logits.reshape(-1, V), torch.tensor(same.y).long().reshape(-1))
        loss.backward()
        torch.nn.utils.clip_grad_norm_([w for w in trained.values() if w.grad is not None], 0.5)
        for group in reference.param_groups:
            group["lr"] = rate(step)
        reference.step()
        theirs.append(loss.item())
    assert ours[-1] < ours[0] - 0.5
    assert ours == pytest.approx(theirs, rel=2e-4)
    for name, w in trained.items():
        close(hrm.weights()[name], w, name)


@pytest.mark.parametrize("model", [GPT, HRM], ids=["gpt", "hrm"])
def test_the_average_is_what_it_says(backend: Backend, model: ModelConfig) -> None:
    """From the weights on, after every update, also where no gradient came."""
    hrm = start(backend, make_config(model, weight_decay=0.3, **AVERAGE))
    assert bits(average(hrm)) == bits(hrm.model.parameters.read(backend))
    want = {name: values.astype(np.float64) for name, values in average(hrm).items()}
    for step in range(STEPS):
        train(hrm, step, step + 1)
        weights = hrm.weights()
        for name, e in want.items():
            e += (1 - 0.8) * (weights[name] - e)
    for name, values in average(hrm).items():
        assert np.abs(values - want[name]).max() <= 1e-6 * np.abs(want[name]).max(), name
        assert not np.array_equal(values, hrm.weights()[name]), name


def test_the_average_stays_where_updates_stop(backend: Backend) -> None:
    """A gradient that is not finite leaves it as it was, whatever the weights are by then."""
    hrm = start(backend, make_config(GPT, **AVERAGE))
    train(hrm, 0, 3)
    before, bad = average(hrm), hrm.weights()
    next(iter(bad.values()))[0, 0] = np.inf
    hrm.model.load(backend, bad)  # not load_weights, with which the average begins again
    train(hrm, 3, 5)
    assert bits(average(hrm)) == bits(before)


def test_averaged_exchanges_and_gives_back(backend: Backend) -> None:
    hrm = start(backend, make_config(GPT, **AVERAGE))
    train(hrm, 0, 5)
    weights, mean = hrm.weights(), average(hrm)
    assert bits(weights) != bits(mean)
    text = np.arange(60) % V

    def use() -> tuple[float, str]:
        return hrm.evaluate(text, seq_len=12, batch_size=2).loss, hrm.generate_text("abc", 9, Sampling(temperature=0))

    plain = use()
    with hrm.averaged():
        assert bits(hrm.weights()) == bits(mean)
        with hrm.averaged():
            assert bits(hrm.weights()) == bits(mean)
        of_average = use()
        for refused in (lambda: train(hrm, 5, 6), hrm.training_state, hrm.reset_optimizer):
            with pytest.raises(ProgramError, match=r"leave averaged\(\)"):
                refused()
    assert bits(hrm.weights()) == bits(weights)
    assert bits(average(hrm)) == bits(mean)
    assert use() == plain
    with pytest.raises(ValueError, match="inside"), hrm.averaged():
        raise ValueError("inside")
    assert bits(hrm.weights()) == bits(weights)
    hrm.load_weights(mean)
    assert use() == of_average != plain
    train(hrm, 5, 6)


def test_without_an_average_averaged_does_nothing(backend: Backend) -> None:
    hrm = start(backend, make_config(GPT))
    train(hrm, 0, 2)
    before = hrm.weights()
    with hrm.averaged():
        assert bits(hrm.weights()) == bits(before)
        train(hrm, 2, 3)
    assert not any(name.startswith("ema.") for name in hrm.training_state()[0])


@pytest.mark.parametrize("optimizer", ["adamw", "adam_atan2"])
@pytest.mark.parametrize("model", [GPT, HRM], ids=["gpt", "hrm"])
def test_going_on_gives_the_same_bits(backend: Backend, model: ModelConfig, optimizer: str) -> None:
    config = make_config(model, optimizer=optimizer, **AVERAGE)
    whole = start(backend, config)
    train(whole, 0, 9)
    tensors, updates = whole.training_state()
    assert {name.removeprefix("ema.") for name in tensors if name.startswith("ema.")} == set(average(whole))
    train(whole, 9)
    want = whole.training_state()
    other = start(backend, config, updates)
    other.load_training_state(tensors)
    train(other, 9)
    assert bits(other.training_state()[0]) == bits(want[0])
    assert other.training_state()[1] == want[1]


def test_an_average_that_a_state_has_not_begins_with_its_weights(backend: Backend) -> None:
    first = start(backend, make_config(GPT))
    train(first, 0, 4)
    tensors, updates = first.training_state()
    hrm = start(backend, make_config(GPT, **AVERAGE), updates)
    hrm.load_training_state(tensors)
    assert {f"model.{name}": b for name, b in bits(average(hrm)).items()}.items() <= bits(tensors).items()
    train(hrm, 4, 6)
    tensors, updates = hrm.training_state()
    half = {name: values for name, values in tensors.items() if name != "ema.embedding.weight"}
    with pytest.raises(CheckpointError, match=r"needs embedding\.weight"):
        hrm.load_training_state(half)
    plain = start(backend, make_config(GPT), updates)
    plain.load_training_state(tensors)
    assert not any(name.startswith("ema.") for name in plain.training_state()[0])


@pytest.mark.parametrize("optimizer", ["adamw", "adam_atan2"])
@pytest.mark.parametrize("model", [GPT, HRM], ids=["gpt", "hrm"])
def test_a_reset_optimizer_is_a_new_one(backend: Backend, model: ModelConfig, optimizer: str) -> None:
    """Also after a value that was not finite, and when the training is made anew without counts."""
    config = make_config(model, optimizer=optimizer, **AVERAGE)
    hrm = start(backend, config)
    train(hrm, 0, 6)
    weights = hrm.weights()
    fresh = start(backend, config)
    fresh.load_weights(weights)
    train(fresh)
    want = fresh.training_state()
    hrm = start(backend, config)
    train(hrm, 0, 6)

    def same() -> None:
        hrm.read_sums()
        train(hrm)
        assert bits(hrm.training_state()[0]) == bits(want[0])
        assert hrm.training_state()[1] == want[1]

    hrm.reset_optimizer()
    assert bits(average(hrm)) == bits(hrm.model.parameters.read(backend))
    same()
    hrm.load_weights({name: values * np.float32(np.nan) for name, values in weights.items()})
    train(hrm, 0, 1)
    hrm.load_weights(weights)
    hrm.reset_optimizer()
    backend.write(hrm._train.inputs.sums, np.zeros(4, np.float32))
    same()
    hrm.initialize_training(config, STEPS)
    hrm.load_weights(weights)
    same()


def test_a_training_made_anew_with_counts_goes_on(backend: Backend) -> None:
    """As the next stage of a curriculum: moments and average stay."""
    config = make_config(GPT, **AVERAGE)
    whole = start(backend, config)
    train(whole)
    want = whole.training_state()[0]
    hrm = start(backend, config)
    train(hrm, 0, 9)
    hrm.initialize_training(config, STEPS, hrm.training_state()[1])
    train(hrm, 9)
    tensors = hrm.training_state()[0]
    assert bits({n: a for n, a in tensors.items() if n != "state.sums"}) == bits(
        {n: a for n, a in want.items() if n != "state.sums"}
    )


def test_which_parameters_decay() -> None:
    parameters = build(GPT, V).parameters
    names = {p.name: len(p.tensor.shape) for p in parameters}

    def found(**keys: Any) -> set[str]:
        return decaying(parameters, make_config(GPT, **keys).train)

    assert found() == {name for name, dimensions in names.items() if dimensions > 1}
    assert found(decay="all") == set(names)
    patterns = ("embedding.*", "*norm*")
    assert found(decay="all", no_decay=patterns) == {n for n in names if n != "embedding.weight" and "norm" not in n}
    assert found(no_decay="*") == set()


def test_a_pattern_without_a_match_names_the_closest() -> None:
    model = build(GPT, V)
    train = make_config(GPT, no_decay=("embeding.*", "*", "wte.weight")).train
    expected = r"train.no_decay: no parameter's name matches 'embeding.\*'; the closest are embedding.weight, .*'wte"
    with pytest.raises(ConfigError, match=expected):
        make_optimizer(model.parameters, {None: [p.tensor for p in model.parameters]}, {}, train)


@pytest.mark.parametrize(("keys", "groups"), [({}, 2), ({"decay": "all"}, 1), ({"no_decay": "*"}, 1)])
def test_neighbours_are_one_step(keys: dict[str, Any], groups: int) -> None:
    parameters = build(GPT, V).parameters
    config = make_config(GPT, **keys, **AVERAGE)
    optimizer = make_optimizer(parameters, {None: [p.tensor for p in parameters]}, {}, config.train)
    assert isinstance(optimizer, AdamW)
    steps = [step.op.name for step in optimizer.programs[None].steps]
    assert steps == ["grad_norm"] * groups + ["clip"] + ["adam"] * groups + ["ema"]
