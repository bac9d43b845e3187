"""Placement and barriers, proved without a device: nothing that lives overlaps, and no hazard is left open."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nyx import ops
from nyx.backends.memory import Placement, place
from nyx.backends.null import NullBackend
from nyx.backends.vulkan.recorder import Dispatch, barriers
from nyx.config import HrmConfig, TransformerConfig
from nyx.configload import load
from nyx.errors import DeviceMemoryError
from nyx.nn import build
from nyx.ops import Traits
from nyx.planning import describe
from nyx.program import Program
from nyx.tensor import Tensor
from nyx.training.programs import Inputs, micro_step

MODELS = [
    TransformerConfig(n_layer=2, n_head=2, n_embd=32, block_size=16, bias=True, dropout=0.1),
    HrmConfig(n_head=2, n_embd=32, block_size=16, ff_multiple=16),
]


def check(program: Program, placement: Placement, scratch: list[dict[str, int]]) -> None:
    """No two ranges of one buffer that live at the same Step overlap, and all lie within their buffer."""
    spans = [(*span, placement.tensors[t], t.size) for t, span in program.lifetimes().items()]
    spans += [(i, i, placement.scratch[i, n], size) for i, s in enumerate(scratch) for n, size in s.items()]
    by_buffer: dict[tuple[int, int], list] = {}
    for first, last, where, size in spans:
        assert where.offset % 64 == 0
        assert where.offset + size <= placement.sizes[where.buffer]
        by_buffer.setdefault(where.buffer, []).append((first, last, where.offset, where.offset + size))
    for ranges in by_buffer.values():
        for a, b in itertools.combinations(ranges, 2):
            together = a[0] <= b[1] and b[0] <= a[1]
            assert not (together and a[2] < b[3] and b[2] < a[3]), (a, b)


@pytest.mark.parametrize("config", MODELS, ids=["transformer", "hrm"])
@pytest.mark.parametrize("traits", [Traits(), Traits(software=True, subgroup=8)], ids=["gpu", "software"])
@pytest.mark.parametrize("lanes", [1, 3])
def test_nothing_overlaps(config: TransformerConfig | HrmConfig, traits: Traits, lanes: int) -> None:
    bp = 4 if isinstance(config, HrmConfig) else None
    program = micro_step(
        build(config, 30), Inputs(3, 16), bp_steps=bp, accumulate=True, label_smoothing=0.0, dropout=bp is None
    ).program
    launches = [step.op.launch(step, traits) for step in program.steps]
    limit = 3 * max(t.size for t in program.lifetimes())
    placement = place(program, launches, lanes=lanes, limit=-(-limit // 64) * 64)
    check(program, placement, [launch.scratch for launch in launches])
    assert max(placement.sizes.values()) <= -(-limit // 64) * 64
    assert placement.elements < 0.8 * sum(t.size for t in program.lifetimes())


def test_what_fits_no_buffer_is_refused_with_its_size() -> None:
    program = Program("p")
    with program:
        ops.scale(Tensor("x", (1000,), role="param"), factor=1.0)
    launches = [step.op.launch(step, Traits()) for step in program.steps]
    with pytest.raises(DeviceMemoryError, match="4000 bytes and one buffer holds 2048"):
        place(program, launches, limit=512)


def dispatch(reads: set[int], writes: set[int]) -> Dispatch:
    return Dispatch("s", (), (1, 1, 1), b"", frozenset(reads), frozenset(writes))


def hazard(a: Dispatch, b: Dispatch) -> bool:
    return bool(a.writes & (b.reads | b.writes) or a.reads & b.writes)


def all_dispatches(buffers: int) -> list[Dispatch]:
    """Every way to read and write: each buffer untouched, read, written, or both."""
    return [
        dispatch({i for i, m in enumerate(marks) if m & 1}, {i for i, m in enumerate(marks) if m & 2})
        for marks in itertools.product(range(4), repeat=buffers)
    ]


def test_every_hazard_has_a_barrier_and_every_barrier_a_hazard() -> None:
    """All programs of three dispatches over two buffers, and of two over three."""
    for one, count in ((all_dispatches(2), 3), (all_dispatches(3), 2)):
        for program in itertools.product(one, repeat=count):
            _check_barriers(list(program))


@given(st.lists(st.sampled_from(all_dispatches(3)), min_size=1, max_size=12))
def test_long_programs(program: list[Dispatch]) -> None:
    _check_barriers(program)


def _check_barriers(program: list[Dispatch]) -> None:
    found = barriers(program)
    assert found[0] == 0
    for a, b in itertools.combinations(range(len(program)), 2):
        if hazard(program[a], program[b]):
            assert any(a < at <= b for at in found), (program, found)
    for at, before in zip(found[1:], found, strict=False):
        assert any(hazard(program[i], program[at]) for i in range(before, at)), (program, found)


def test_the_null_backend_plans_without_a_device() -> None:
    backend = NullBackend()
    micro = micro_step(
        build(MODELS[1], 30), Inputs(3, 16), bp_steps=5, accumulate=False, label_smoothing=0.0, dropout=False
    )
    backend.run(micro.program)
    use = backend.memory()
    assert use.persistent["param"] == use.persistent["grad"]
    assert use.temporary > 0


def test_a_plan_of_several_parts_is_listed_and_its_longest_windows_are_planned() -> None:
    config = load(["hlxl-brain", "seven-stages"], env={}).config
    text = describe(config, 96, steps=False)
    assert text.count("\npart ") == 7
    assert "part 1: Foundation: windows of 32, 2%, at most 6,400 sequences, 1 epochs, learning rate 0.001" in text
    alone = load("hlxl-brain", ["train.seq_len=128"], env={}).config
    memory = [line for line in text.splitlines() if line.startswith(("GPU", "CPU"))]
    assert memory == [line for line in describe(alone, 96, steps=False).splitlines() if line.startswith(("GPU", "CPU"))]
