"""Nyx beside the golden values in tests/golden, which scripts there make from the published equations in float64.

What is ours on purpose (causal attention, the Q-head at the last position, rows that take examples in order) is so in
the golden values too; docs/hrm.md has all of it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nyx import ops
from nyx.backends.base import Backend
from nyx.backends.cpu import CpuBackend
from nyx.config import HrmConfig
from nyx.nn import build
from nyx.nn.hrm import Hrm
from nyx.program import Program
from nyx.resource_aware_hrm import ResourceAwareHRM
from nyx.tensor import Tensor
from nyx.text.batches import Batch
from nyx.text.vocabulary import Vocabulary
from nyx.training.segments import Carry
from tests.golden import hrm_act, hrm_recipe, hrm_text
from tests.training.small import make_config

RECIPE: dict[str, Any] = json.loads(hrm_recipe.FILE.read_text())
WORDS = Vocabulary("abcde")
ACT = HrmConfig(
    variant="act", H_cycles=2, L_cycles=2, n_head=2, n_embd=8, block_size=6, ff_multiple=8,
    halt_max_steps=3, halt_exploration_prob=0.5, halt_accuracy=1.0,
)  # fmt: skip


@pytest.fixture(params=["numpy", "cpu", "vulkan"])
def backend(request: pytest.FixtureRequest) -> Iterator[Backend]:
    """NumPy in float64, the reference of every kernel; the CPU's kernels; Vulkan."""
    if request.param == "vulkan":
        request.getfixturevalue("vulkan_device")
        from nyx.backends.vulkan import VulkanBackend

        opened: Backend = VulkanBackend(int(os.environ.get("NYX_TEST_DEVICE", "0")))
    else:
        opened = CpuBackend(np.float64 if request.param == "numpy" else np.float32)
    yield opened
    opened.close()


def read(path: Path) -> dict[str, np.ndarray]:
    with np.load(path, allow_pickle=False) as file:
        return {name: file[name] for name in file.files}


@pytest.fixture(scope="module")
def golden() -> dict[str, np.ndarray]:
    return read(hrm_act.FILE)


def part(golden: dict[str, np.ndarray], prefix: str) -> dict[str, np.ndarray]:
    return {name.removeprefix(prefix): a for name, a in golden.items() if name.startswith(prefix)}


def numbers(value: Any, name: str = "") -> dict[str, float]:
    """Every number of nested lists and dicts, by its place."""
    if not isinstance(value, list | dict):
        return {name: value}
    items = value.items() if isinstance(value, dict) else enumerate(value)
    return {place: n for key, inner in items for place, n in numbers(inner, f"{name}/{key}").items()}


# That the files are what their scripts make


def test_the_recipe_is_what_its_script_makes() -> None:
    made, kept = numbers(hrm_recipe.make()), numbers(RECIPE)
    assert made.keys() == kept.keys()
    assert list(made.values()) == pytest.approx(list(kept.values()), rel=1e-12, abs=1e-15)


@pytest.mark.parametrize("script", [hrm_act, hrm_text], ids=["act", "text"])
def test_the_trainings_are_what_their_scripts_make(script: Any) -> None:
    """As far as the first update goes."""
    kept, again = read(script.FILE), script.train(1)
    gradients = part(again, "gradient.0.")
    assert gradients
    for name, values in gradients.items():
        near(values, kept[f"gradient.0.{name}"], name, 1e-6)
    for name in ("step.loss", "step.z_H", "step.q", "loss"):
        if name in kept:
            np.testing.assert_allclose(again[name][0], kept[name][0], rtol=1e-10, err_msg=name)


# Adam-atan2


def test_adam_atan2(backend: Backend) -> None:
    """Six updates, with gradients from 1e-12 to 1e12, of changing sign, and 0: the step, and what it leaves."""
    wanted = RECIPE["adam_atan2"]
    beta1, beta2 = wanted["betas"]
    n = len(wanted["start"])
    g, p, m, v = (Tensor(name, (n,), role="state") for name in "gpmv")
    hyper, control = Tensor("hyper", (2, 4), role="input"), Tensor("control", (4,), role="state")
    program = Program("update")
    with program:
        ops.adam_atan2(g, hyper, control, p, m, v, row=1, beta1=beta1, beta2=beta2)
    for tensor, values in ((p, wanted["start"]), (m, [0] * n), (v, [0] * n), (control, [1, 0, 0, 0])):
        backend.write(tensor, np.array(values, np.float32))
    before = np.array(wanted["start"])
    for t, update in enumerate(wanted["updates"], start=1):
        rate, decay = update["lr"], wanted["weight_decay"]
        backend.write(g, np.array(update["g"], np.float32))
        backend.write(hyper, np.array([[rate, 0, t - 1, 0], [decay, 1 - beta1**t, 1 - beta2**t, 0]], np.float32))
        backend.run(program)
        after = backend.read(p)
        np.testing.assert_allclose(after, update["p"], rtol=1e-6, atol=1e-8)
        np.testing.assert_allclose((1 - rate * decay) * before - after, update["step"], rtol=2e-3, atol=3e-7)
        np.testing.assert_allclose(backend.read(m), update["m"], rtol=1e-5)
        np.testing.assert_allclose(backend.read(v), update["v"], rtol=1e-5)
        before = after.astype(np.float64)


def test_the_first_update_is_nearly_the_rate(backend: Backend) -> None:
    """Through the optimizer of a whole training, from weights of 0, without decay or clipping."""
    lr = 1e-3
    config = make_config(optimizer="adam_atan2", lr=lr, grad_clip=0, weight_decay=0.0, betas=(0.9, 0.95))
    hrm = ResourceAwareHRM(config.model, WORDS, backend)
    hrm.initialize_training(config, 8)
    hrm.initialize(1)
    before = hrm.weights()["head.weight"].astype(np.float64)
    rng = np.random.default_rng(0)
    x, y = (rng.integers(0, len(WORDS), (4, config.train.seq_len)).astype(np.int32) for _ in range(2))
    hrm.process_character_training_batch(Batch(x, y, y.size), 0, lr)
    moved = np.abs(hrm.weights()["head.weight"] - before)
    assert np.median(moved) / lr == pytest.approx(RECIPE["adam_atan2"]["first_update_in_rates"], abs=1e-4)


# What the authors' programs do before and around an update


@pytest.mark.parametrize("case", RECIPE["bp_steps"], ids=lambda case: f"{case['max_steps']}-{case['ratio']}")
def test_bp_steps(case: dict[str, Any]) -> None:
    config = HrmConfig(
        H_cycles=2, L_cycles=3, bp_min_steps=case["least"], bp_max_steps=case["most"], bp_warmup_ratio=case["ratio"]
    )
    model = Hrm(config, 8)
    assert [model.bp_steps(step, case["max_steps"]) for step in range(case["max_steps"])] == case["depths"]
    assert set(case["depths"]) <= set(model.bp_depths(case["max_steps"]))


@pytest.mark.parametrize("variant", ["text", "act"])
def test_start_values(variant: str) -> None:
    """How 40,000 of them are spread, by the distribution of the authors' own start values."""
    wanted = RECIPE["start_values"][variant]
    model = build(HrmConfig(variant="act" if variant == "act" else "text", n_embd=128, block_size=8), 1000)
    drawn = model.parameters.initial(4)
    for name, fan_in in (("head.weight", 128), ("H.0.mlp.down.weight", drawn["H.0.mlp.down.weight"].shape[1])):
        values = np.abs(drawn[name].astype(np.float64).ravel()) * fan_in**0.5  # symmetric: twice as many
        count = values.size
        assert values.max() <= wanted["largest"] * (1 + 1e-6)
        assert values.max() > wanted["largest"] * 0.98
        assert np.sqrt((values**2).mean()) == pytest.approx(1, abs=4 / count**0.5)
        for point, share in zip(RECIPE["start_values"]["points"], wanted["cumulative"], strict=True):
            assert (values <= point).mean() == pytest.approx(2 * share - 1, abs=2.5 / count**0.5), point


@pytest.mark.parametrize("case", RECIPE["exploration"], ids=lambda case: f"{case['chance']}-{case['most']}")
def test_exploration(case: dict[str, Any]) -> None:
    """The least numbers of segments of 20,000 examples, by the paper's distribution; five deviations are allowed."""
    config = ACT.model_copy(update={"halt_max_steps": case["most"], "halt_exploration_prob": case["chance"]})
    model, rows, updates = build(config, len(WORDS)), 200, 100
    carry = Carry(model, rows, 6, seed=7)  # type: ignore[arg-type]
    drawn = np.concatenate([carry._draw(step) for step in range(updates)])
    counts = np.bincount(drawn, minlength=case["most"] + 1)
    assert counts[0] == 0 and len(counts) == case["most"] + 1
    for count, share in zip(counts[1:], case["least"], strict=True):
        assert count / drawn.size == pytest.approx(share, abs=5 * (share * (1 - share) / drawn.size) ** 0.5 + 1e-12)


# Trainings


def test_text_training(backend: Backend) -> None:
    """The whole recipe of HRM-Text: five updates whose gradient reaches back further and further, everything decays,
    nothing is clipped, an average follows."""
    golden = read(hrm_text.FILE)
    model = HrmConfig(
        H_cycles=hrm_text.H_CYCLES, L_cycles=hrm_text.L_CYCLES, n_head=2, n_embd=8, block_size=6, ff_multiple=8,
        bp_min_steps=hrm_text.BP_LEAST, bp_max_steps=hrm_text.BP_MOST, bp_warmup_ratio=hrm_text.BP_RATIO,
    )  # fmt: skip
    settings = make_config(
        model, optimizer="adam_atan2", decay="all", weight_decay=hrm_act.DECAY, grad_clip=0, betas=hrm_act.BETAS,
        batch_size=hrm_text.ROWS, max_steps=hrm_text.UPDATES, ema_decay=hrm_text.AVERAGE,
    )  # fmt: skip
    hrm = ResourceAwareHRM(model, WORDS, backend)
    hrm.initialize_training(settings, hrm_text.UPDATES)
    hrm.load_weights({name: values.astype(np.float32) for name, values in part(golden, "start.").items()})
    assert hrm._training
    hrm._training.restart_average()
    for update in range(hrm_text.UPDATES):
        x, y = (golden[name][update].astype(np.int32) for name in "xy")
        counted = int((y >= 0).sum())
        assert hrm.model.bp_steps(update, hrm_text.UPDATES) == golden["depth"][update]
        hrm.process_character_training_batch(Batch(x, y, counted), update, hrm_act.LR)
        assert hrm.read_sums().loss / counted == pytest.approx(golden["loss"][update], rel=1e-5)
        for name, wanted in part(golden, f"gradient.{update}.").items():
            near(backend.read(hrm.model.parameters.like("grad", name)), wanted, f"gradient of {name}", 1e-4)
    for name, wanted in part(golden, "end.").items():
        near(hrm.weights()[name], wanted, name, 1e-4)
    for name, ours in hrm.model.parameters.read(backend, "ema").items():
        near(ours, golden[f"average.{name}"], f"average of {name}", 1e-4)


def start(
    backend: Backend, golden: dict[str, np.ndarray], config: HrmConfig, micro_batch: int | None = None, **train: Any
) -> tuple[ResourceAwareHRM, Carry]:
    """A model that begins with the golden weights, and the carry of its training."""
    settings = make_config(
        config, optimizer="adam_atan2", decay="all", weight_decay=hrm_act.DECAY, grad_clip=0, betas=hrm_act.BETAS,
        batch_size=hrm_act.ROWS, seq_len=hrm_act.TIME, max_steps=hrm_act.UPDATES, **{"loss": "stablemax"} | train,
    )  # fmt: skip
    hrm = ResourceAwareHRM(config, WORDS, backend)
    hrm.initialize_training(settings, hrm_act.UPDATES, micro_batch=micro_batch)
    hrm.load_weights({name: values.astype(np.float32) for name, values in part(golden, "start.").items()})
    assert hrm._training and hrm._training.carry
    return hrm, hrm._training.carry


def offered(golden: dict[str, np.ndarray], update: int) -> Batch:
    """The batch of an update: an example for every row."""
    rows = slice(update * hrm_act.ROWS, (update + 1) * hrm_act.ROWS)
    x, y = (golden[f"examples.{name}"][rows].astype(np.int32) for name in "xy")
    return Batch(x, y, int((y >= 0).sum()))


def near(ours: np.ndarray, wanted: np.ndarray, what: str, tolerance: float = 2e-5) -> None:
    """Apart by at most `tolerance` of the largest value; in float64 by a twentieth, since rates are in float32 there
    too."""
    assert ours.shape == wanted.shape, what
    tolerance /= 20 if ours.dtype == np.float64 else 1
    assert np.abs(ours - wanted).max() <= tolerance * np.abs(wanted).max(), what


@pytest.mark.parametrize("micro_batch", [None, 2], ids=["whole", "micro-batches"])
def test_act_training(
    backend: Backend, golden: dict[str, np.ndarray], micro_batch: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ten updates over rows that take new examples: who has which example and segment, states, losses, targets by the
    losses they give, who halts, gradients, and the weights at the end."""
    hrm, carry = start(backend, golden, ACT, micro_batch)
    step = part(golden, "step.")
    for update in range(hrm_act.UPDATES):
        monkeypatch.setattr(carry, "_draw", lambda _, u=update: step["least"][u])
        hrm.process_character_training_batch(offered(golden, update), update, hrm_act.LR)
        example, segment, halts = (step[name][update] for name in ("example", "segment", "halts"))
        np.testing.assert_array_equal(carry.x, golden["examples.x"][example])
        np.testing.assert_array_equal(carry.y, golden["examples.y"][example])
        now, nats, right, halt, go_on = backend.read(carry.report)[: hrm_act.ROWS].T
        np.testing.assert_array_equal(now, np.where(halts, -segment, segment))
        np.testing.assert_array_equal(right, step["right"][update])
        for ours, name in ((carry.z_h, "z_H"), (carry.z_l, "z_L")):
            wanted = step[name][update]
            near(backend.read(ours)[: hrm_act.ROWS].reshape(wanted.shape), wanted, f"{name} of {update}", 1e-3)
        near(nats, step["nats"][update], f"nats of {update}", 3e-4)
        near(np.stack([halt, go_on], axis=1), step["q_loss"][update], f"losses of the Q-head of {update}", 3e-4)
        if f"gradient.{update}.head.weight" in golden:
            for name, wanted in part(golden, f"gradient.{update}.").items():
                near(
                    backend.read(hrm.model.parameters.like("grad", name)),
                    wanted,
                    f"gradient of {name}",
                    3e-3 if update else 2e-5,
                )
    for name, wanted in part(golden, "end.").items():
        near(hrm.weights()[name], wanted, name, 1e-4)


def test_one_segment_has_nothing_to_go_on_to(backend: Backend, golden: dict[str, np.ndarray]) -> None:
    """With halt_max_steps 1 the choice to continue has no loss and no gradient."""
    hrm, carry = start(backend, golden, ACT.model_copy(update={"halt_max_steps": 1}))
    hrm.process_character_training_batch(offered(golden, 0), 0, hrm_act.LR)
    for name, wanted in part(golden, "once.gradient.0.").items():
        near(backend.read(hrm.model.parameters.like("grad", name)), wanted, f"gradient of {name}")
    slope = golden["once.gradient.0.q_head.bias"]
    assert slope[0] != 0 and slope[1] == 0
    assert (backend.read(carry.report)[: hrm_act.ROWS, 4] == 0).all()
    assert "train/q_continue_loss" not in hrm.read_sums().more


@pytest.mark.parametrize("loss", ["stablemax", "softmax"])
def test_the_loss_of_characters(golden: dict[str, np.ndarray], loss: str) -> None:
    """Both ways to make probabilities of the logits of the first segment."""
    hrm, carry = start(CpuBackend(), golden, ACT, loss=loss)
    hrm.process_character_training_batch(offered(golden, 0), 0, hrm_act.LR)
    nats = hrm.backend.read(carry.report)[: hrm_act.ROWS, 1]
    name = "step.nats" if loss == "stablemax" else "step.softmax_nats"
    np.testing.assert_allclose(nats, golden[name][0], rtol=2e-5)
