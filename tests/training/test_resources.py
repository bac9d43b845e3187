"""A batch in micro-batches, memory that runs out, an optimizer on the host, one stage after the other: the same result,
within the same memory."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nyx.backends.base import Backend
from nyx.backends.cpu import CpuBackend
from nyx.config import Config, ModelConfig
from nyx.errors import CheckpointError, DeviceMemoryError, DivergenceError, MissingInputError, ProgramError
from nyx.memory_budget import Fitting
from nyx.program import Program
from nyx.resource_aware_hrm import ResourceAwareHRM
from nyx.text.batches import Batch
from nyx.text.corpus import text_from_string
from nyx.text.prepare import Corpus, make_vocabulary, prepare
from nyx.text.vocabulary import Vocabulary
from tests.training.small import GPT, HRM, make_config, make_text

SYMBOLS = Vocabulary("".join(map(chr, range(0x100, 0x11E))), (), None)  # 30
DROPOUT = GPT.model_copy(update={"dropout": 0.2})
ACT = HRM.model_copy(update={"variant": "act", "halt_max_steps": 3})
ROWS, STEPS = 6, 3
MODELS = pytest.mark.parametrize("model", [HRM, DROPOUT, ACT], ids=["hrm", "dropout", "act"])


def batch(step: int, rows: int = ROWS, seq_len: int = 12) -> Batch:
    """Rows of different lengths, one of them empty."""
    rng = np.random.default_rng(step)
    x, y = (rng.integers(0, 30, (rows, seq_len)).astype(np.int32) for _ in range(2))
    y[1, 2:] = -1
    y[4] = -1
    return Batch(x, y, int((y >= 0).sum()))


def settings(model: ModelConfig, *, budget: str | None = None, execution: str = "device", **train: Any) -> Config:
    train = {"batch_size": ROWS, "max_steps": STEPS, **train}
    return make_config(model, **train).model_copy(update={"memory_budget": budget, "execution": execution})


def begin(backend: Backend, config: Config, **options: Any) -> ResourceAwareHRM:
    hrm = ResourceAwareHRM(config.model, SYMBOLS, backend)
    hrm.initialize_training(config, STEPS, **options)
    hrm.initialize(3)
    return hrm


def train(hrm: ResourceAwareHRM, steps: range = range(STEPS)) -> None:
    for step in steps:
        hrm.process_character_training_batch(batch(step), step, 1e-3)


def left(hrm: ResourceAwareHRM) -> dict[str, np.ndarray]:
    """Weights, optimizer state and sums."""
    return hrm.training_state()[0]


def assert_same(a: dict[str, np.ndarray], b: dict[str, np.ndarray], bound: float) -> None:
    """Within `bound` of every tensor's largest value; what Adam makes of a gradient's rounding is left out."""
    assert a.keys() == b.keys()
    for name, values in a.items():
        assert np.abs(values - b[name]).max() <= bound * max(np.abs(values).max(), 1e-3), name


def gradients(hrm: ResourceAwareHRM) -> dict[str, np.ndarray]:
    return hrm.model.parameters.read(hrm.backend, "grad")


@MODELS
@pytest.mark.parametrize("rows", [1, 4])
def test_micro_batches_give_the_gradients_of_the_whole_batch(backend: Backend, model: ModelConfig, rows: int) -> None:
    """Also where the last one is not full."""
    config = settings(model, grad_clip=0.0)
    found = []
    for micro_batch in (None, rows):
        hrm = begin(backend, config, micro_batch=micro_batch)
        train(hrm, range(1))
        found.append((gradients(hrm), hrm.read_sums()))
    assert hrm.micro_batch == rows
    assert_same(found[0][0], found[1][0], 1e-6)
    assert found[0][1].loss == pytest.approx(found[1][1].loss, rel=1e-6)
    assert found[0][1].correct == found[1][1].correct


@MODELS
def test_a_whole_training_in_micro_batches_is_the_same(backend: Backend, model: ModelConfig) -> None:
    """Weights, moments and sums, after several steps of several segments; the bound is Adam's."""
    found = []
    for micro_batch in (None, 4):
        hrm = begin(backend, settings(model, eps=1e-4), micro_batch=micro_batch)
        train(hrm)
        found.append(left(hrm))
    sums = [one.pop("state.sums") for one in found]
    np.testing.assert_allclose(sums[0][:2], sums[1][:2], rtol=1e-6)
    assert_same(found[0], found[1], 1e-5)


def test_a_budget_splits_the_batch_and_says_so(backend: Backend) -> None:
    whole = begin(backend, settings(HRM, batch_size=24)).memory_plan
    said: list[str] = []
    config = settings(HRM, batch_size=24, budget=f"{whole.total - 1}B")
    hrm = begin(backend, config, say=said.append)
    assert hrm.micro_batch == 12 and hrm.memory_plan.total < whole.total
    assert len(said) == 1
    assert "batch of 24 windows does not fit" in said[0] and "micro-batches of 12, with the same result" in said[0]
    said.clear()
    again = begin(backend, settings(HRM, batch_size=24), micro_batch=hrm.micro_batch, say=said.append)
    assert again.micro_batch == 12 and "as before" in said[0]
    said.clear()
    assert begin(backend, settings(HRM, batch_size=24), say=said.append).micro_batch == 24
    assert said == []


def test_the_largest_micro_batch_that_fits_is_taken(backend: Backend) -> None:
    hrm = begin(backend, settings(DROPOUT, batch_size=7))
    sizes = {}
    for rows in range(1, 8):
        hrm.initialize_training(settings(DROPOUT, batch_size=7), STEPS, micro_batch=rows)
        sizes[rows] = hrm.memory_plan.total
    assert sorted(sizes.values()) == list(sizes.values())
    for rows, even in {1: 1, 2: 2, 3: 3, 4: 4, 5: 4, 6: 4, 7: 7}.items():  # 4 + 3 is evener than 5 + 2
        hrm.initialize_training(settings(DROPOUT, batch_size=7, budget=f"{sizes[rows]}B"), STEPS)
        assert hrm.micro_batch == even


def test_what_does_not_fit_names_the_longest_window(backend: Backend) -> None:
    config = settings(HRM, batch_size=2)
    hrm = begin(backend, config, micro_batch=1)
    config = config.model_copy(update={"memory_budget": f"{hrm.memory_plan.total - 1}B"})
    with pytest.raises(DeviceMemoryError, match=r"one window of 12 characters needs .*: set train.seq_len to \d+") as e:
        hrm.initialize_training(config, STEPS)
    longest = int(str(e.value).split("train.seq_len to ")[1].split()[0])
    for seq_len, fits in ((longest, True), (longest + 1, False)):
        assert bool(Fitting(hrm, config, STEPS, {}).fit(1, False, seq_len)) == fits
    hrm.initialize_training(settings(HRM, batch_size=2, seq_len=longest, budget=config.memory_budget), STEPS)
    assert hrm.micro_batch == 1


def test_a_training_that_does_not_fit_leaves_the_one_before(backend: Backend) -> None:
    hrm = begin(backend, settings(HRM))
    train(hrm)
    before = left(hrm)
    with pytest.raises(DeviceMemoryError, match="even one character at a time needs"):
        hrm.initialize_training(settings(HRM, budget="100KB"), STEPS, hrm.training_state()[1])
    after = left(hrm)
    assert all(np.array_equal(before[name], after[name]) for name in before)


def test_stages_keep_weights_and_optimizer_and_take_no_more_memory(backend: Backend) -> None:
    """Twenty stages of two window lengths and batch sizes, each trained, evaluated and sampled from."""
    hrm = begin(backend, settings(DROPOUT, ema_decay=0.9))
    train(hrm)
    seen = []
    for stage in range(20):
        rows, seq_len = ((6, 12), (5, 7))[stage % 2]
        before, counts = hrm.training_state()
        config = settings(DROPOUT, batch_size=rows, seq_len=seq_len, ema_decay=0.9)
        hrm.initialize_training(config, STEPS, counts)
        after, recounted = hrm.training_state()
        assert recounted == counts
        assert all(np.array_equal(before[n], after[n]) for n in before if n != "state.sums")
        hrm.process_character_training_batch(batch(stage, rows, seq_len), stage, 1e-3)
        hrm.read_sums()
        hrm.evaluate(np.arange(29, dtype=np.int32), seq_len=seq_len, batch_size=rows)
        hrm.decoder().step(backend, np.zeros(1, np.int32), 0)
        seen.append((backend.memory().total, len(getattr(backend, "_buffers", ())), len(_kept(backend))))
    assert seen[2:4] == seen[-2:]
    assert hrm.training_state()[1]["head.weight" if "head.weight" in counts else "embedding.weight"] == STEPS + 20


def _kept(backend: Backend) -> Any:
    return backend._store if isinstance(backend, CpuBackend) else backend._places  # type: ignore[attr-defined]


def test_a_fresh_optimizer_for_a_new_phase(backend: Backend) -> None:
    hrm = begin(backend, settings(HRM, ema_decay=0.9))
    train(hrm)
    weights = hrm.weights()
    hrm.initialize_training(settings(HRM, ema_decay=0.9), STEPS)
    state, counts = hrm.training_state()
    assert set(counts.values()) == {0}
    for name, values in weights.items():
        assert np.array_equal(state[f"model.{name}"], values)
        if name != "z_L":
            assert np.array_equal(state[f"ema.{name}"], values)
            assert not state[f"optim.m.{name}"].any()


# Memory that runs out


class Failing:
    """Makes a backend fail with DeviceMemoryError at chosen calls of a method, counted from 0."""

    def __init__(self, backend: Backend, method: str, calls: set[int]) -> None:
        self.backend, self.method, self.calls, self.count = backend, method, calls, -1
        self.right = getattr(backend, method)

    def __enter__(self) -> Failing:
        setattr(self.backend, self.method, self._call)
        return self

    def __exit__(self, *_: object) -> None:
        delattr(self.backend, self.method)

    def _call(self, *arguments: Any, **options: Any) -> Any:
        self.count += 1
        if self.count in self.calls:
            raise DeviceMemoryError("no memory left (injected)")
        return self.right(*arguments, **options)


@MODELS
@pytest.mark.parametrize(("method", "call"), [("prepare", 1), ("run", 1)])
def test_a_step_goes_on_in_smaller_parts(backend: Backend, model: ModelConfig, method: str, call: int) -> None:
    """The failure comes before the second step, or in its middle; with micro-batches of 3, then 2."""
    config = settings(model, eps=1e-4)
    hrm = begin(backend, config)
    train(hrm)
    wanted = left(hrm)

    said: list[str] = []
    hrm = begin(backend, config, micro_batch=3, say=said.append)
    said.clear()
    train(hrm, range(1))
    with Failing(backend, method, {call}) as failing:
        train(hrm, range(1, STEPS))
    assert failing.count > call
    assert hrm.micro_batch == 2
    assert said == ["no memory left (injected): going on in micro-batches of 2, with the same result"]
    found = left(hrm)
    np.testing.assert_allclose(wanted.pop("state.sums")[:2], found.pop("state.sums")[:2], rtol=1e-6)
    assert_same(wanted, found, 1e-5)


def test_rows_that_have_moved_on_are_not_done_again(backend: Backend) -> None:
    """A step fails after its first micro-batch: what the carry had is put back, or the step goes on from there."""
    config = settings(ACT, eps=1e-4)
    hrm = begin(backend, config)
    train(hrm, range(3))
    wanted = left(hrm)
    hrm = begin(backend, config, micro_batch=3)
    train(hrm, range(1))
    with Failing(backend, "run", {1}):
        train(hrm, range(1, 3))
    assert hrm.micro_batch == 2
    found = left(hrm)
    assert_same(wanted, found, 1e-5)


def test_an_update_that_finds_no_memory_is_done_once(backend: Backend) -> None:
    """On a device. On the CPU a part of it may be done: that is an error."""
    config = settings(DROPOUT, eps=1e-4)
    hrm = begin(backend, config)
    train(hrm)
    wanted, counts = hrm.training_state()
    hrm = begin(backend, config)
    train(hrm, range(1))
    with Failing(backend, "run", {1}):
        if isinstance(backend, CpuBackend):
            with pytest.raises(DeviceMemoryError, match="injected"):
                train(hrm, range(1, STEPS))
            return
        train(hrm, range(1, STEPS))
    found, recounted = hrm.training_state()
    assert counts == recounted and hrm.micro_batch == 3
    np.testing.assert_allclose(wanted.pop("state.sums")[:2], found.pop("state.sums")[:2], rtol=1e-6)
    assert_same(wanted, found, 1e-5)


def test_a_kernel_that_runs_out_of_memory_in_the_middle(monkeypatch: pytest.MonkeyPatch) -> None:
    """In NumPy every operation may; what it did of the batch is forgotten."""
    from nyx import ops

    monkeypatch.setenv("NYX_CPU_KERNELS", "0")
    config = settings(DROPOUT, eps=1e-4)
    hrm = begin(CpuBackend(), config)
    train(hrm)
    wanted = left(hrm)
    hrm = begin(CpuBackend(), config)
    train(hrm, range(1))
    backward = ops.get("gelu_backward")
    right, calls = backward.run, []

    def run(*arguments: Any, **options: Any) -> Any:
        calls.append(len(arguments[0]))
        if len(calls) == 2:
            raise MemoryError
        return right(*arguments, **options)

    monkeypatch.setattr(backward, "run", run)
    train(hrm, range(1, STEPS))
    assert hrm.micro_batch == 3 and calls[1] == 6 and calls[-1] == 3
    found = left(hrm)
    np.testing.assert_allclose(wanted.pop("state.sums")[:2], found.pop("state.sums")[:2], rtol=1e-6)
    assert_same(wanted, found, 1e-5)


def test_memory_that_runs_out_while_it_is_allocated(backend: Backend) -> None:
    """At once the plan is halved until it fits; at one window it says so."""
    said: list[str] = []
    hrm = ResourceAwareHRM(HRM, SYMBOLS, backend)
    with Failing(backend, "reserve", {0, 1}):
        hrm.initialize_training(settings(HRM), STEPS, say=said.append)
    assert hrm.micro_batch == 2 and len(said) == 2
    hrm.initialize(3)
    train(hrm)
    with (
        Failing(backend, "reserve", set(range(9))),
        pytest.raises(DeviceMemoryError, match=r"set train\.seq_len to 6 or"),
    ):
        hrm.initialize_training(settings(HRM), STEPS)


def test_an_evaluation_goes_on_in_smaller_parts(backend: Backend) -> None:
    hrm = begin(backend, settings(HRM))
    ids = np.random.default_rng(1).integers(0, 30, 200).astype(np.int32)
    wanted = hrm.evaluate(ids, seq_len=12, batch_size=6)
    hrm.initialize_training(settings(HRM), STEPS)
    with Failing(backend, "run", {1}):
        found = hrm.evaluate(ids, seq_len=12, batch_size=6)
    assert found.loss == pytest.approx(wanted.loss, rel=1e-6)
    assert (found.characters, found.accuracy) == (wanted.characters, wanted.accuracy)


# An optimizer on the host


@MODELS
def test_hybrid_execution_gives_the_same_result(backend: Backend, model: ModelConfig) -> None:
    found = []
    for execution in ("device", "hybrid"):
        hrm = begin(backend, settings(model, execution=execution, eps=1e-4, ema_decay=0.9), micro_batch=4)
        assert hrm.execution == execution
        train(hrm)
        sums = hrm.read_sums(reset=False)
        ids = np.arange(25, dtype=np.int32)
        weights = hrm.weights()
        with hrm.averaged():
            averaged = hrm.evaluate(ids, seq_len=12, batch_size=4)
        assert all(np.array_equal(weights[n], a) for n, a in hrm.weights().items())
        found.append((left(hrm), sums, hrm.evaluate(ids, seq_len=12, batch_size=4), averaged, hrm.training_state()[1]))
    (device, sums_a, plain_a, averaged_a, counts_a), (hybrid, sums_b, plain_b, averaged_b, counts_b) = found
    assert_same(device, hybrid, 1e-6 if isinstance(backend, CpuBackend) else 1e-4)
    assert counts_a == counts_b
    assert sums_a.grad_norm == pytest.approx(sums_b.grad_norm, rel=1e-5)
    assert plain_a.loss == pytest.approx(plain_b.loss, rel=1e-5)
    assert averaged_a.loss == pytest.approx(averaged_b.loss, rel=1e-5)
    assert averaged_a.loss != pytest.approx(plain_a.loss, rel=1e-5)


@pytest.mark.parametrize("first", ["device", "hybrid"])
def test_a_training_goes_on_in_the_other_execution(backend: Backend, first: str) -> None:
    """From its tensors, as from a checkpoint, and from one stage to the next."""
    other = {"device": "hybrid", "hybrid": "device"}[first]
    hrm = begin(backend, settings(HRM, execution=first, ema_decay=0.9))
    train(hrm, range(2))
    state, counts = hrm.training_state()
    hrm.initialize_training(settings(HRM, execution=other, ema_decay=0.9), STEPS, counts)
    moved = hrm.training_state()[0]
    assert all(np.array_equal(state[name], moved[name]) for name in state if name != "state.sums")
    train(hrm, range(2, STEPS))

    resumed = ResourceAwareHRM(HRM, SYMBOLS, CpuBackend())
    resumed.initialize_training(settings(HRM, execution=other, ema_decay=0.9), STEPS, counts)
    resumed.load_training_state(state)
    train(resumed, range(2, STEPS))
    a, b = left(hrm), left(resumed)
    del a["state.sums"], b["state.sums"]
    assert_same(a, b, 1e-6 if isinstance(backend, CpuBackend) else 1e-3)


def test_hybrid_execution_stops_at_a_value_that_is_not_finite(backend: Backend) -> None:
    hrm = begin(backend, settings(HRM, execution="hybrid"))
    train(hrm, range(1))
    bad = hrm.weights()
    bad["L.0.mlp.down.weight"][0, 0] = np.inf
    hrm.load_weights(bad)
    train(hrm, range(1, 3))
    after = hrm.weights()
    assert all(np.array_equal(bad[name], after[name]) for name in bad)
    with pytest.raises(DivergenceError, match=r"diverged at step 1: .* of .* values of .* are not finite"):
        hrm.read_sums()


def test_auto_takes_hybrid_execution_where_only_the_optimizer_does_not_fit(
    backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(type(backend), "on_host", False, raising=False)
    if "on_host" in vars(backend):
        monkeypatch.setattr(backend, "on_host", False)
    sizes = {execution: begin(backend, settings(HRM, execution=execution), micro_batch=1).memory_plan.total
             for execution in ("device", "hybrid")}  # fmt: skip
    assert sizes["hybrid"] < sizes["device"]
    said: list[str] = []
    for size, execution in ((sizes["device"], "device"), (sizes["hybrid"], "hybrid")):
        hrm = begin(backend, settings(HRM, execution="auto", budget=f"{size}B"), say=said.append)
        assert (hrm.execution, hrm.micro_batch) == (execution, 1)
    assert any("do not hold the optimizer's state" in line and "stays on the host" in line for line in said)
    with pytest.raises(DeviceMemoryError, match=r"set train\.seq_len to"):
        begin(backend, settings(HRM, execution="auto", budget=f"{sizes['hybrid'] - 1}B"))


def test_programs_of_one_micro_batch_add_nothing(backend: Backend) -> None:
    """Only where a batch is cut are there Programs that accumulate."""

    def names(hrm: ResourceAwareHRM) -> set[str]:
        found: list[Program] = hrm.training_programs()
        return {program.name for program in found if program.name.endswith(".more")}

    assert not names(begin(backend, settings(DROPOUT)))
    assert names(begin(backend, settings(DROPOUT), micro_batch=2))


# A session


def corpus_of(config: Config, seed: int = 0) -> Corpus:
    text = text_from_string(make_text(lines=30, seed=seed))
    vocabulary = make_vocabulary("corpus", text, None)
    return prepare(text, vocabulary, config.data, seq_len=config.train.seq_len, seed=config.seed)


def session_config(**train: Any) -> Config:
    return make_config(
        DROPOUT, **{"max_steps": None, "epochs": 3, "eval_every": 5, "log_every": 1, "batch_size": 5, **train}
    )


def test_a_session_trains_epoch_by_epoch_saves_and_goes_on(device: str, tmp_path: Path) -> None:
    """The same bits as one training from start to end, on one device."""
    config = session_config()
    corpus = corpus_of(config)
    hrm = ResourceAwareHRM(config.model, corpus.vocabulary, device)
    with pytest.raises(ProgramError, match="call start_training_session"):
        hrm.train_epoch()
    trainer = hrm.start_training_session(corpus, config)
    first = hrm.train_epoch()
    assert trainer.state.epoch == 1 and trainer.state.step == trainer.course.windows.steps_per_epoch
    assert first["train/loss"] > 0 and 0 <= first["val/acc"] <= 1
    path = tmp_path / "session.ckpt"
    assert len(hrm.save_training_checkpoint(path)) == 64
    losses = [hrm.train_epoch()["val/loss"] for _ in range(2)]
    assert losses[1] < first["val/loss"] and trainer.state.finished
    wanted = hrm.training_state()[0]

    other = ResourceAwareHRM(config.model, corpus.vocabulary, device)
    other.start_training_session(corpus, config)
    other.load_training_checkpoint(path)
    assert [other.train_epoch()["val/loss"] for _ in range(2)] == losses
    found = other.training_state()[0]
    assert all(np.array_equal(wanted[name], found[name]) for name in wanted)
    hrm.close()
    other.close()


def test_a_checkpoint_keeps_the_micro_batch(device: str, tmp_path: Path) -> None:
    config = session_config()
    corpus = corpus_of(config)
    hrm = ResourceAwareHRM(config.model, corpus.vocabulary, device)
    hrm.start_training_session(corpus, config)
    budget = f"{hrm.memory_plan.total - 1}B"
    hrm.start_training_session(corpus, config.model_copy(update={"memory_budget": budget}))
    assert hrm.micro_batch == 3
    hrm.train_epoch()
    hrm.save_training_checkpoint(tmp_path / "session.ckpt")
    hrm.start_training_session(corpus, config)
    assert hrm.micro_batch == 5
    hrm.load_training_checkpoint(tmp_path / "session.ckpt")
    assert hrm.micro_batch == 3
    hrm.close()


def test_what_no_session_goes_on_from(tmp_path: Path) -> None:
    config = session_config()
    corpus = corpus_of(config)
    hrm = ResourceAwareHRM(config.model, corpus.vocabulary, CpuBackend())
    with pytest.raises(ProgramError, match="call start_training_session"):
        hrm.load_training_checkpoint(tmp_path / "none.ckpt")
    hrm.start_training_session(corpus, config)
    with pytest.raises(MissingInputError):
        hrm.load_training_checkpoint(tmp_path / "none.ckpt")
    hrm.save_training_checkpoint(tmp_path / "right.ckpt")
    before = hrm.weights()

    other = corpus_of(config, seed=1)
    again = ResourceAwareHRM(config.model, corpus.vocabulary, CpuBackend())
    again.start_training_session(other, config)
    with pytest.raises(CheckpointError, match="trained on another text"):
        again.load_training_checkpoint(tmp_path / "right.ckpt")
    text = text_from_string(make_text(lines=30) + "?")
    more = prepare(text, make_vocabulary("corpus", text, None), config.data, seq_len=config.train.seq_len, seed=1)
    symbols = ResourceAwareHRM(config.model, more.vocabulary, CpuBackend())
    symbols.start_training_session(more, config)
    with pytest.raises(CheckpointError, match="another vocabulary"):
        symbols.load_training_checkpoint(tmp_path / "right.ckpt")
    wider = session_config().model_copy(update={"model": DROPOUT.model_copy(update={"n_embd": 32})})
    wide = ResourceAwareHRM(wider.model, corpus.vocabulary, CpuBackend())
    wide.start_training_session(corpus, wider)
    with pytest.raises(CheckpointError, match="the model needs"):
        wide.load_training_checkpoint(tmp_path / "right.ckpt")
    assert all(np.array_equal(before[name], a) for name, a in hrm.weights().items())


def test_two_models_on_one_backend_leave_each_other_alone(backend: Backend) -> None:
    one, other = (ResourceAwareHRM(model, Vocabulary("abcdefgh"), backend) for model in (HRM, GPT))
    config = make_config()
    one.initialize_training(config, 4)
    one.initialize(1)
    before = one.weights()
    other.initialize_training(make_config(GPT), 4)
    other.initialize(2)
    assert all(np.array_equal(values, before[name]) for name, values in one.weights().items())
    assert np.abs(before["head.weight"]).max() > 0
