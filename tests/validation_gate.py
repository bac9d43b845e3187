"""Runs tests under the Khronos validation layer with synchronization validation, and fails on any message of it.

    python tests/validation_gate.py [--audit | --mutations] PYTEST ARGUMENTS

First it proves itself alive: planted hazards must be reported and a clean program must not. The layer writes into a
pipe of the gate's own, so neither pytest's capture nor a child process can swallow a message; each is shown with the
test that ran. --audit sets NYX_SYNC_AUDIT=1: one dispatch per submission, without waits, so that the layer also sees
what it does not inside one command buffer (write after write, in-place chains). --mutations is for tests that leave
barriers out (tests/training/barrier_mutations.py): each that is left out must be reported, with or without the audit,
and nothing else may be.
Exit codes: 0 clean, 1 messages or failed tests, 2 the gate itself does not work.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

ROOT = Path(__file__).parents[1]
ENABLES = (
    "VK_VALIDATION_FEATURE_ENABLE_SYNCHRONIZATION_VALIDATION_EXT",
    "VALIDATION_CHECK_ENABLE_SYNCHRONIZATION_VALIDATION_QUEUE_SUBMIT",
)
# The layers of Debian 12 (1.3.239) and 13 (1.4.309) both read these. The last line is for those from 1.3.290 on, which
# look at shader accesses only when told; what a layer does not know it ignores (the newer one: the second of ENABLES).
SETTINGS = """khronos_validation.debug_action = VK_DBG_LAYER_ACTION_LOG_MSG
khronos_validation.report_flags = error,warn,info
khronos_validation.log_filename = {log}
khronos_validation.enable_message_limit = false
khronos_validation.enables = {enables}
khronos_validation.disables =
khronos_validation.syncval_shader_accesses_heuristic = true
"""
# A message's first line: older layers have more before it, newer ones break the line after it. Information is none.
MESSAGE = re.compile(r"Validation (?!Information)[\w ]+: \[ ")
# What is planted, and the word that must be in its message.
PLANTS = {"clean": None, "raw": "READ-AFTER-WRITE", "war": "WRITE-AFTER-READ", "across": "WRITE-AFTER-WRITE"}
ALIVE = re.compile(r"Current Enables: .*\bVK_VALIDATION_FEATURE_ENABLE_SYNCHRONIZATION_VALIDATION")
TEST = "NYX_GATE_TEST "  # tests/conftest.py writes this and a label before what it belongs to
MUTATION = "without barrier"  # how the label of a mutation begins


@dataclass
class Result:
    """alive: the layer said that it is there with what was asked of it. labels: the tests and mutations that ran.
    messages: (label, first line)."""

    code: int
    alive: bool
    labels: set[str]
    messages: list[tuple[str, str]]


def under_layer(command: Sequence[str], *, audit: bool = False) -> Result:
    """Runs a command with the layer switched on in it and in its children."""
    with tempfile.TemporaryDirectory() as folder:
        log, settings = Path(folder, "log"), Path(folder, "vk_layer_settings.txt")
        os.mkfifo(log)
        settings.write_text(SETTINGS.format(log=log, enables=",".join(ENABLES)))
        env = {k: v for k, v in os.environ.items() if k not in ("VK_LOADER_LAYERS_DISABLE", "VK_LAYER_ENABLES")}
        env |= {"VK_INSTANCE_LAYERS": "VK_LAYER_KHRONOS_validation", "VK_LAYER_SETTINGS_PATH": str(settings)}
        env |= {"XDG_DATA_HOME": folder}  # settings in ~/.local/share/vulkan would win over ours
        env |= {"NYX_GATE_LOG": str(log), "NYX_REQUIRE_VULKAN": "1", "OPENBLAS_NUM_THREADS": "1"}
        if audit:
            env["NYX_SYNC_AUDIT"] = "1"
        lines: list[str] = []
        # Held open for writing here too, so that it does not end when the first instance closes it.
        descriptor = os.open(log, os.O_RDWR)
        reader = threading.Thread(target=_drain, args=(descriptor, lines))
        reader.start()
        code = subprocess.run(command, cwd=ROOT, env=env).returncode
        os.write(descriptor, b"\n\0")
        reader.join()
        os.close(descriptor)
    labels = {line.removeprefix(TEST) for line in lines if line.startswith(TEST)}
    return Result(code, any(map(ALIVE.search, lines)), labels, list(_messages(lines)))


def _drain(descriptor: int, lines: list[str]) -> None:
    text = b""
    while not text.endswith(b"\0"):
        text += os.read(descriptor, 1 << 16)
    lines += text.decode(errors="replace").splitlines()


def _messages(lines: list[str]) -> Iterator[tuple[str, str]]:
    label = "before any test"
    for line in lines:
        if line.startswith(TEST):
            label = line.removeprefix(TEST)
        elif MESSAGE.search(line):
            yield label, line


def plant(kind: str) -> None:
    """A small program on nyx._core with the hazard of that name, or none; `across` has it between two submissions."""
    from nyx import _core, ops, spirv  # type: ignore[attr-defined]

    device, spec = _core.Device(0), ops.get("add").spec
    a, b, c = (device.buffer(256, "host") for _ in range(3))
    for buffer in (a, b, c):
        buffer.write(0, np.ones(256, np.float32))
    push = spec.pack({"a_at": 0, "b_at": 0, "y_at": 0, "n": 256, "period": 256})
    to_b, to_c = (device.kernel(spirv.load("add"), [x, x, y], len(push) // 4) for x, y in ((a, b), (b, c)))
    first, second = {"war": (to_c, to_b), "across": (to_b, to_b)}.get(kind, (to_b, to_c))
    recording = device.recording(ordered=False)
    recording.dispatch(first, (4, 1, 1), push)
    recordings = [recording]
    if kind == "clean":
        recording.barrier()
    if kind == "across":
        recordings.append(device.recording(ordered=False))
    recordings[-1].dispatch(second, (4, 1, 1), push)
    for each in recordings:
        each.finish()
        each.submit()
    for each in recordings:
        each.wait(30.0)


def self_test() -> str | None:
    """Why the gate cannot be trusted, or None."""
    for kind, wanted in PLANTS.items():
        result = under_layer([sys.executable, __file__, "--plant", kind])
        if result.code or not result.alive:
            layer = "on" if result.alive else "not on"
            return f"the planted program {kind!r} ended with {result.code}; the layer is {layer}"
        found = [line for _, line in result.messages]
        if wanted is None and found:
            return f"a clean program is reported: {found[0]}"
        if wanted is not None and not any(wanted in line for line in found):
            return f"the hazard planted by {kind!r} is not reported"
    return None


def judge(results: list[Result]) -> int:
    """Prints what is wrong, and returns the exit code. Mutations must be reported in one of the results."""
    if not all(result.alive for result in results):
        print("validation gate: nothing in these tests opened a Vulkan device", file=sys.stderr)
        return 2
    labels = set[str]().union(*(result.labels for result in results))
    mutations = {label for label in labels if label.startswith(MUTATION)}
    messages = [message for result in results for message in result.messages]
    unwanted = [(label, line) for label, line in messages if label not in mutations]
    unseen = sorted(mutations - {label for label, _ in messages})
    for label, line in unwanted:
        print(f"{label}: {line}")
    for label in unseen:
        print(f"not reported: {label}")
    codes = [result.code for result in results]
    print(f"validation gate: {len(unwanted)} messages, pytest ended with {codes}", end="")
    print(f", {len(mutations) - len(unseen)} of {len(mutations)} barriers missed" if mutations else "")
    return 1 if unwanted or unseen or any(codes) else 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--audit", action="store_true", help="one dispatch per submission (NYX_SYNC_AUDIT=1)")
    parser.add_argument("--mutations", action="store_true", help="every barrier left out must be reported")
    parser.add_argument("--plant", choices=list(PLANTS), help=argparse.SUPPRESS)
    options, arguments = parser.parse_known_args()
    if options.plant:
        plant(options.plant)
        return 0
    problem = self_test()
    if problem:
        print(f"validation gate: {problem}", file=sys.stderr)
        return 2
    print("validation gate: planted hazards are seen, a clean program is not", flush=True)
    command = [sys.executable, "-m", "pytest", "-q", "--no-header", "-p", "no:cacheprovider", *arguments]
    audits = (False, True) if options.mutations else (options.audit,)
    results = [under_layer(command, audit=audit) for audit in audits]
    if options.mutations and not any(label.startswith(MUTATION) for label in results[0].labels):
        print("validation gate: these tests left no barrier out", file=sys.stderr)
        return 2
    return judge(results)


if __name__ == "__main__":
    sys.exit(main())
