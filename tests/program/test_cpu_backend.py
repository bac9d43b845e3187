"""The CPU backend with kernels: threads, forks, storage, what is refused, and what the environment says."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nyx import ops
from nyx.backends import kernels
from nyx.backends.cpu import CpuBackend
from nyx.errors import DeviceError, DivergenceError, ProgramError
from nyx.nn import build
from nyx.program import Program
from nyx.tensor import Tensor
from nyx.training.programs import Inputs, micro_step
from tests.training.small import GPT, HRM

_core = pytest.importorskip("nyx._core", reason="nyx._core is not built: run `make setup`")
ISAS = _core.cpu_isas()

if not ISAS:
    pytest.skip("nyx._core was built without CPU kernels", allow_module_level=True)


pytestmark = pytest.mark.usefixtures("cpu_threads")


def gradients(config: Any) -> list[bytes]:
    """Sums and every gradient of a micro-batch, as bits."""
    backend, model = CpuBackend(), build(config, 23)
    model.initialize(backend, 5)
    inputs = Inputs(3, 11)
    micro = micro_step(model, inputs, bp_steps=None, accumulate=False, label_smoothing=0.1, dropout=True)
    x = np.random.default_rng(1).integers(0, 23, (3, 11)).astype(np.int32)
    inputs.write(backend, x, x, 1 / x.size, (7, 1, 0))
    backend.run(micro.program)
    found = [inputs.sums, *(model.parameters.grad_of(t) for t in micro.reached)]
    return [backend.read(tensor).tobytes() for tensor in found]


@pytest.mark.parametrize("config", [HRM, GPT.model_copy(update={"dropout": 0.2})], ids=["hrm", "transformer"])
def test_a_model_gives_the_same_bits_on_any_number_of_threads(config: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    found = []
    for count in ("1", "2", "5"):
        monkeypatch.setenv("NYX_NUM_THREADS", count)
        found.append(gradients(config))
    assert found[0] == found[1] == found[2]


def add_calls(n: int) -> tuple[Any, np.ndarray, np.ndarray]:
    """A call of add that keeps several threads busy, its output, and what that should be."""
    a, y = np.arange(n, dtype=np.float32), np.zeros(n, np.float32)
    calls = _core.CpuSequence(ISAS[0])
    assert calls.add("add", [a, a, y], {})
    return calls, y, a + a


def test_callers_on_several_python_threads() -> None:
    _core.set_cpu_threads(3)
    made = [add_calls(200_000 + i) for i in range(4)]

    def work(calls: Any) -> None:
        for _ in range(50):
            calls.run()

    callers = [threading.Thread(target=work, args=(calls,)) for calls, _, _ in made]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join(60)
        assert not caller.is_alive()
    assert all(np.array_equal(y, want) for _, y, want in made)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_forked_child_starts_threads_of_its_own() -> None:
    """Also where the parent was in the middle of a kernel."""
    _core.set_cpu_threads(3)
    (busy, *_), (calls, y, want) = add_calls(3_000_000), add_calls(300_000)
    stop = threading.Event()

    def work() -> None:
        while not stop.is_set():
            busy.run()

    caller = threading.Thread(target=work)
    caller.start()
    try:
        for _ in range(5):
            child = os.fork()
            if not child:
                calls.run()
                os._exit(0 if np.array_equal(y, want) else 1)
            assert os.waitstatus_to_exitcode(_wait(child)) == 0
    finally:
        stop.set()
        caller.join(60)


def _wait(child: int) -> int:
    """The child's status; kills it after 30 seconds."""
    timer = threading.Timer(30, os.kill, (child, 9))
    timer.start()
    try:
        return os.waitpid(child, 0)[1]
    finally:
        timer.cancel()


def scaled(shape: tuple[int, ...], factor: float) -> tuple[Program, Tensor, Tensor]:
    x, kept, program = Tensor("x", shape, role="input"), Tensor("kept", shape, role="state"), Program("p")
    with program:
        ops.copy(ops.scale(ops.scale(x, factor=factor), factor=factor)).place(kept)
    return program, x, kept


def test_programs_share_the_room_of_their_temporaries() -> None:
    backend, size = CpuBackend(), 64
    small, large = scaled((size,), 2.0), scaled((100 * size,), 3.0)
    for program, x, kept in (small, large, small):
        backend.write(x, np.ones(x.shape))
        backend.run(program)
        np.testing.assert_array_equal(backend.read(kept), np.full(x.shape, 4.0 if program is small[0] else 9.0))
    assert 4 * 2 * 100 * size <= backend.memory().temporary < 4 * 3 * 100 * size


def test_check_finite_names_the_step() -> None:
    backend, (program, x, _) = CpuBackend(), scaled((40,), 1e30)
    backend.write(x, np.ones(40))
    backend.run(program)
    with pytest.raises(DivergenceError, match=r"40 of 40 values of scale.y.\d+ are not finite after scale"):
        backend.run(program, check_finite=True)


@pytest.mark.parametrize(
    ("variable", "value", "says"),
    [
        ("NYX_CPU_KERNELS", "AVX9", "NYX_CPU_KERNELS is 'AVX9'; here are: "),
        ("NYX_NUM_THREADS", "0", "NYX_NUM_THREADS must be a number from 1 to 256, not '0'"),
        ("NYX_NUM_THREADS", "two", "not 'two'"),
    ],
)
def test_environment_variables_that_are_wrong(
    variable: str, value: str, says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(DeviceError, match=says):
        CpuBackend()


def test_kernels_can_be_chosen_and_turned_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NYX_NUM_THREADS", "2")
    assert CpuBackend().description == f"CPU ({ISAS[0]}, 2 threads)"
    assert CpuBackend(np.float64).description == "CPU (NumPy)"
    for value, expected in ((ISAS[-1], f"CPU ({ISAS[-1]}, 2 threads)"), ("0", "CPU (NumPy)")):
        monkeypatch.setenv("NYX_CPU_KERNELS", value)
        assert CpuBackend().description == expected


def test_without_the_native_core_there_is_numpy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "nyx._core", None)
    monkeypatch.delattr("nyx._core")
    assert kernels.choose() == (None, "CPU (NumPy)")


@pytest.mark.parametrize(
    ("text", "count"), [("max 100000\n", None), ("150000 100000\n", 2), ("50000 100000", 1), ("?", None)]
)
def test_the_quota_of_a_container(text: str, count: int | None, tmp_path: Path) -> None:
    (tmp_path / "cpu.max").write_text(text)
    assert kernels.quota(tmp_path / "cpu.max") == count
    assert kernels.quota(tmp_path / "missing") is None


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda a: a.astype(np.float64), "elements of 4 bytes"),
        (lambda a: a[:, ::2], "rows without gaps"),
        (lambda a: a.reshape(4, 2, 4)[::2], "rows at equal distances"),
        (lambda a: a.reshape(2, 2, 2, 2, 2), "1 to 4 dimensions"),
    ],
)
def test_arrays_that_a_kernel_cannot_take(spoil: Callable[[np.ndarray], np.ndarray], says: str) -> None:
    good = np.zeros((4, 8), np.float32)
    with pytest.raises(ProgramError, match=says):
        _core.CpuSequence(ISAS[0]).add("copy", [spoil(good), good], {})


def test_a_sequence_runs_only_what_it_has() -> None:
    calls, y, want = add_calls(10)
    assert len(calls) == 1
    calls.run(1)
    assert not y.any()
    with pytest.raises(ProgramError, match="has only 1 calls"):
        calls.run(0, 2)
    calls.run(0, 1)
    np.testing.assert_array_equal(y, want)
    with pytest.raises(ProgramError, match="no instruction set MMX"):
        _core.CpuSequence("MMX").add("add", [], {})
    calls.add("scale", [y, y], {})
    with pytest.raises(ProgramError, match="wants the constant factor"):
        calls.run()
