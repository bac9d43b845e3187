"""No GPU needed: every operation has its shader, row and bound; shaders agree with specs; `run` keeps its contract."""

from __future__ import annotations

import re
from collections import Counter
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from cases import ROWS
from harness import LAUNCHES, Proof, all_proofs, build, cast, draw, proofs, reference

from nyx import ops
from nyx.ops import Launch, Traits

SHADERS = Path(__file__).parents[2] / "shaders"
CASES = 1500  # at least so many proofs on every driver
MAX_PUSH_WORDS = 32
TYPES = {"uint": "u", "int": "i", "float": "f"}
BLOCK = re.compile(r"layout\s*\(\s*std430\s*,\s*binding\s*=\s*(\w+)\s*\)([\w\s]*?)buffer\s+\w+\s*\{([^}]*)\}")
PUSH = re.compile(r"layout\s*\(\s*push_constant\s*\)\s*uniform\s+\w+\s*\{([^}]*)\}")
VARIANT = re.compile(r"^// variant *(\w*) *:", re.MULTILINE)


@cache
def source(name: str) -> str:
    return (SHADERS / f"{name}.comp").read_text()


@cache
def code(name: str) -> str:
    """The source without comments."""
    return re.sub(r"//[^\n]*|/\*.*?\*/", "", source(name), flags=re.DOTALL)


def blocks(name: str) -> dict[int, list[tuple[str, set[str]]]]:
    """For each binding of a shader its blocks: the member's name, the qualifiers."""
    found: dict[int, list[tuple[str, set[str]]]] = {}
    for binding, qualifiers, members in BLOCK.findall(code(name)):
        (member,) = re.findall(r"(\w+)\s*\[\s*\]\s*;", members)
        found.setdefault(int(binding), []).append((member, set(qualifiers.split())))
    return found


def push_fields(name: str) -> tuple[tuple[str, str], ...]:
    """The members of a shader's push block in order, as Spec.push_fields has them."""
    (body,) = PUSH.findall(code(name))
    fields = []
    for line in filter(str.strip, body.split(";")):
        kind, names = line.split(maxsplit=1)
        fields += [(n.strip(), TYPES[kind]) for n in names.split(",")]
    return tuple(fields)


def test_same_stems() -> None:
    shaders = {path.stem for path in SHADERS.glob("*.comp")}
    assert shaders == set(ops.names()), "shaders/*.comp and nyx/ops/*.py"
    assert set(ROWS) == set(ops.names()), "the rows of tests/ops/cases.py and nyx/ops/*.py"


def test_there_are_enough_cases() -> None:
    assert len(all_proofs()) >= CASES
    plain = Counter(str(proof) for proof in all_proofs() if not proof.case.data)
    twice = [name for name, count in plain.items() if count > 1]
    assert not twice, "the same case stands in the table twice"


@pytest.mark.parametrize("name", ops.names())
class TestOperation:
    def test_bindings_are_those_of_the_spec(self, name: str) -> None:
        spec, found = ops.get(name).spec, blocks(name)
        assert sorted(found) == list(range(len(spec.bindings)))
        for i, wanted in enumerate(spec.bindings):
            names = {re.sub(r"(?<=\w)[24]$", "", member) for member, _ in found[i]} | {m for m, _ in found[i]}
            assert wanted in names, f"binding {i} is {wanted} in the spec and {sorted(names)} in the shader"

    def test_what_is_read_and_written_is_declared(self, name: str) -> None:
        spec, found = ops.get(name).spec, blocks(name)
        for i, binding in enumerate(spec.bindings):
            qualifiers = [q for _, q in found[i]]
            if binding in spec.inputs:
                assert all("readonly" in q for q in qualifiers), f"the input {binding} must be readonly"
            else:
                assert any("readonly" not in q for q in qualifiers), f"{binding} is written: it must not be readonly"
            if binding in spec.inouts:
                assert any("writeonly" not in q for q in qualifiers), f"the inout {binding} is read too"

    def test_push_constants_are_those_of_the_spec(self, name: str) -> None:
        fields = ops.get(name).spec.push_fields
        assert push_fields(name) == fields
        assert len(fields) <= MAX_PUSH_WORDS

    def test_the_spec_agrees_with_itself(self, name: str) -> None:
        spec = ops.get(name).spec
        assert len(set(spec.bindings)) == len(spec.bindings)
        assert set(spec.optional) <= {*spec.inputs, *spec.outputs}
        assert set(spec.strided) <= set(spec.bindings)

    def test_it_says_what_it_is(self, name: str) -> None:
        assert (ops.get(name).__doc__ or "").strip(), "the operation's file needs a docstring: formula, shapes, source"

    def test_it_has_cases_and_a_bound(self, name: str) -> None:
        row = ROWS[name]
        assert proofs(name)
        for bound in (row.bound, *row.bounds.values()):
            assert bound.rtol <= 1e-2 and bound.atol <= 1e-2
            assert bound.why or (bound.nmse <= 1e-7 and not bound.floor), "a wider bound says why"
        assert set(row.bounds) <= {*ops.get(name).spec.outputs, *ops.get(name).spec.inouts}
        if isinstance(row.differentiable, str):
            assert row.differentiable.strip(), "say why nothing gets a gradient"
        else:
            assert set(row.differentiable) <= set(ops.get(name).spec.inputs)

    def test_its_sizes_miss_every_round_number(self, name: str) -> None:
        sizes = {n for case in ROWS[name].cases for shape in case.shapes.values() for n in shape}
        assert sizes >= {1, 31, 32, 33, 257}, "sizes that a case must have somewhere"

    def test_every_optional_tensor_is_proved_present_and_absent(self, name: str) -> None:
        for optional in ops.get(name).spec.optional:
            there = {optional in build(proof).bound() for proof in _distinct(name)}
            assert there == {True, False}, f"{optional} needs cases with and without it"

    def test_every_variant_is_launched(self, name: str) -> None:
        declared = set(VARIANT.findall(source(name))) or {""}
        used = {each.variant for proof in proofs(name) for each in _launch(proof).passes}
        assert used == declared, "the variants that the shader declares, and those that a case launches"

    def test_launches_are_whole(self, name: str) -> None:
        spec = ops.get(name).spec
        own = {field.split(":")[0] for field in spec.push}
        for proof in proofs(name):
            launch = _launch(proof)
            assert set(launch.scratch) == set(spec.scratch) and all(n > 0 for n in launch.scratch.values())
            assert launch.passes
            for each in launch.passes:
                assert set(each.push) == own
                assert len(each.groups) == 3 and all(1 <= n <= 65535 for n in each.groups), str(proof)

    def test_run_keeps_its_contract(self, name: str) -> None:
        """The promised shapes and dtypes in float32 and float64, inputs untouched, and no output is an input."""
        for proof in _distinct(name):
            for dtype in (np.float32, np.float64):
                call, arrays = build(proof), cast(draw(proof), dtype)
                before = {n: a.copy() for n, a in arrays.items()}
                with np.errstate(all="ignore"):
                    made = reference(proof, arrays)
                for given in call.step.op.spec.inputs:
                    if given in arrays:
                        np.testing.assert_array_equal(arrays[given], before[given], f"{proof}: run changed {given}")
                for made_name, array in made.items():
                    tensor = call.bound()[made_name]
                    kinds = {"f32": dtype, "i32": np.int32, "u32": np.uint32}
                    assert array.shape == tensor.shape and array.dtype == kinds[tensor.dtype], f"{proof}: {made_name}"
                    if made_name in call.step.op.spec.outputs:
                        assert not any(np.shares_memory(array, a) for a in arrays.values()), f"{proof}: {made_name}"


def _distinct(name: str) -> list[Proof]:
    return [p for p in proofs(name) if p.scale == p.row.scales[0] and p.layout == "whole" and not p.launch]


def _launch(proof: Proof) -> Launch:
    step = build(proof).step
    return step.op.launch(step, LAUNCHES[proof.launch])


def test_a_launch_folds_where_groups_run_out() -> None:
    assert ops.groups_of(64 * 10 + 1, 64, Traits(max_groups=4)) == (4, 3, 1)
