"""What tests/validation_gate.py takes for a message, in the words of both layers; its self-test sees only hazards."""

from __future__ import annotations

import pytest

from tests.validation_gate import ALIVE, _messages

# The first lines of layer 1.3.239 (Debian 12) and of 1.4.309 (Debian 13).
FORMATS = (
    "{name}({short} / SPEC): msgNum: -455515022 - {kind}: [ {name} ] Object 0: handle = 0x3, type = VK_OBJECT_TYPE_"
    "BUFFER; | MessageID = 0xe4d96472 | vkCmdDispatch: Hazard",
    "{kind}: [ {name} ] | MessageID = 0xe4d96472",
)
KINDS = (
    ("ERROR", "Validation Error", True),
    ("WARN", "Validation Warning", True),
    ("PERF", "Validation Performance Warning", True),
    ("INFO", "Validation Information", False),
)


@pytest.mark.parametrize("form", FORMATS, ids=["1.3.239", "1.4.309"])
@pytest.mark.parametrize(("short", "kind", "counts"), KINDS)
def test_a_message_belongs_to_the_test_that_ran(form: str, short: str, kind: str, counts: bool) -> None:
    line = form.format(name="VUID-vkCmdDispatch-None-02706", short=short, kind=kind)
    lines = ["NYX_GATE_TEST one", "NYX_GATE_TEST two", line, "    Objects: 1", "", "NYX_GATE_TEST three"]
    assert list(_messages(lines)) == ([("two", line)] if counts else [])


@pytest.mark.parametrize(
    ("enables", "alive"),
    [
        ("VK_VALIDATION_FEATURE_ENABLE_SYNCHRONIZATION_VALIDATION, VALIDATION_CHECK_ENABLE_SYNC.", True),  # 1.3.239
        ("VK_VALIDATION_FEATURE_ENABLE_SYNCHRONIZATION_VALIDATION_EXT.", True),  # 1.4.309
        ("None.", False),
    ],
)
def test_the_layer_is_alive_with_synchronization_validation_alone(enables: str, alive: bool) -> None:
    assert bool(ALIVE.search(f"    Current Enables: {enables}")) == alive
