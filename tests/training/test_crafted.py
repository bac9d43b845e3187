"""Checkpoints that somebody made by hand, with a valid checksum and impossible content: one line and exit code 65."""

from __future__ import annotations

import contextlib
import copy
import io
import json
import shutil
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nyx.cli import cli
from nyx.errors import NyxError
from nyx.training import checkpoint, container
from tests.training.small import working_in

SMALL = [
    "train.max_steps=4", "train.batch_size=2", "train.seq_len=8", "train.log_every=0", "train.eval_every=2",
    "train.sample_every=0", "train.ema_decay=0.9", "model.n_embd=8", "model.n_head=1", "model.block_size=8",
    "model.ff_multiple=8", "model.H_layers=1", "model.L_layers=1", "checkpoint.every_minutes=0",
]  # fmt: skip
COMMANDS: dict[str, list[str]] = {
    "resume": ["resume", "@", "--device", "cpu", "--set", "train.max_steps=5", "--set", "data.path=text.txt"],
    "generate": ["generate", "@", "--device", "cpu", "--prompt", "t", "-n", "1"],
    "eval": ["eval", "@", "little.txt", "--device", "cpu"],
    "export": ["export", "@", "weights", "--force"],
    "init-from": ["train", "text.txt", "--config", "c.yaml", "--device", "cpu", "--init-from", "@",
                  *[word for value in [*SMALL, "train.max_steps=1"] for word in ("--set", value)]],
}  # fmt: skip


def run(arguments: list[str]) -> tuple[int, str]:
    """Exit code and message of a command in this process; whatever is no NyxError is raised."""
    streams = contextlib.redirect_stdout(io.TextIOWrapper(io.BytesIO())), contextlib.redirect_stderr(io.StringIO())
    with streams[0], streams[1]:
        try:
            cli.main(arguments, standalone_mode=False)
        except NyxError as error:
            return error.exit_code, str(error)
    return 0, ""


def tried(file: Path) -> dict[str, tuple[int, str]]:
    """What each command says of a file."""
    answers = {}
    for name, arguments in COMMANDS.items():
        answers[name] = run([str(file) if word == "@" else word for word in arguments])
        for code, message in (answers[name],):
            assert code in (0, 65), (name, code, message)
            assert "\n" not in message and message.isprintable() and len(message) < 2000, (name, message)
    for folder in ("runs", "models"):
        shutil.rmtree(folder, ignore_errors=True)
    return answers


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Iterator[container.Contents]:
    """A checkpoint of a small training, in a folder of its own that is the working directory."""
    with working_in(tmp_path_factory.mktemp("crafted")):
        options = [word for value in SMALL for word in ("--set", value)]
        code, message = run(["train", "text.txt", "--config", "c.yaml", "--device", "cpu", *options])
        assert code == 0, message
        contents = container.read("models/hrm.ckpt")
        shutil.rmtree("runs")
        shutil.rmtree("models")
        yield contents


def write(file: Path, good: container.Contents, change: dict[str, str], tensors: Any = None) -> None:
    file.unlink(missing_ok=True)
    container.write(file, good.tensors if tensors is None else tensors, good.metadata | change)


def test_the_good_one_passes_everywhere(good: container.Contents) -> None:
    write(Path("good.ckpt"), good, {})
    assert {code for code, _ in tried(Path("good.ckpt")).values()} == {0}


HUGE = [10**18, 10**400, -1, -(10**30), 1 << 63, 1 << 53]
VALUES = st.one_of(
    st.none(), st.booleans(), st.integers(-3, 12), st.sampled_from(HUGE),
    st.sampled_from([1.5, -0.0, 1e308, 1e-320]), st.just([]), st.just({}), st.just([1, [2]]),
    st.text(max_size=4),
    st.sampled_from(["\x1b[31m", "a\nb", "\u202e", "x" * 5000, "../../..", "/dev/zero", "\0", "-"]),
    st.dictionaries(st.text(max_size=3), st.integers(-1, 1), max_size=2),
)  # fmt: skip


@st.composite
def mutations(draw: st.DrawFn, metadata: dict[str, str]) -> dict[str, str]:
    """One or two changes anywhere in the tree of one piece of the metadata."""
    key = draw(st.sampled_from(sorted(metadata)))
    tree: list[Any] = [json.loads(metadata[key])]
    for _ in range(draw(st.integers(1, 2))):
        node: Any = tree
        while True:
            at = draw(st.sampled_from(sorted(node) if isinstance(node, dict) else range(len(node))))
            if isinstance(node[at], dict | list) and node[at] and draw(st.integers(0, 9)):
                node = node[at]
                continue
            break
        what = draw(st.integers(0, 9))
        if what == 0 and isinstance(node, dict):
            del node[at]
        elif what == 1 and isinstance(node, dict):
            node[draw(st.text(max_size=5))] = copy.deepcopy(draw(VALUES))
        else:
            node[at] = copy.deepcopy(draw(VALUES))
    text = json.dumps(tree[0])
    try:
        text.encode()
        text.encode("ascii")
    except UnicodeEncodeError:
        text = "{}"
    return {key: text}


def test_any_change_of_the_metadata(good: container.Contents) -> None:
    """Through resume, generate, eval, export and --init-from: each answers 0 or 65, with one line."""
    refused: Counter[str] = Counter()
    count = 0

    @settings(max_examples=400, derandomize=True, deadline=None, database=None,
              suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])  # fmt: skip
    @given(mutations(good.metadata))
    def check(change: dict[str, str]) -> None:
        nonlocal count
        count += 1
        write(Path("crafted.ckpt"), good, change)
        refused.update(name for name, (code, _) in tried(Path("crafted.ckpt")).items() if code)

    check()
    assert count >= 300 and all(refused[name] > 50 for name in COMMANDS), (count, refused)


def state(good: container.Contents, **change: Any) -> dict[str, str]:
    return {"training": json.dumps(json.loads(good.metadata["training"]) | change)}


def counters(good: container.Contents, **change: Any) -> dict[str, str]:
    values = json.loads(good.metadata["training"])["counters"] | change
    return state(good, counters={key: value for key, value in values.items() if value != "gone"})


def impossible(good: container.Contents) -> dict[str, dict[str, str]]:
    """Names and changes that every command must refuse."""
    text, config = good.metadata["training"], json.loads(good.metadata["config"])
    vocabulary = json.loads(good.metadata["vocabulary"])
    found = {f"{name} {value}": state(good, **{name: value})
             for name in ("step", "epoch", "epoch_steps", "stage", "phase", "chars_seen", "attempt")
             for value in (-1, -(10**30), 10**400, 1.5, True, None, "1", [])}  # fmt: skip
    found |= {f"{name} {value}": counters(good, **{name: value})
              for name in ("part_start", "phase_start", "data_step", "steps_per_epoch", "epochs_before", "part_over",
                           "evaluations_without_gain", "only_phase", "saved_step", "updates", "window_chars")
              for value in (-1, 10**30, 1.5, "1", None, [1])}  # fmt: skip
    found |= {
        "best_step beyond": state(good, best_step=5), "best_step below": state(good, best_step=-1),
        "elapsed below": state(good, elapsed_seconds=-1), "micro_batch 0": state(good, micro_batch=0),
        "micro_batch huge": state(good, micro_batch=10**12), "stage 1": state(good, stage=1),
        "phase 1": state(good, phase=1), "id": state(good, run_id="a\x1b[0m"), "run_dir": state(good, run_dir="a\0b"),
        "NaN": {"training": text.replace('"step":4', '"step":NaN')},
        "infinity": {"training": text[:-1] + ',"elapsed_seconds":Infinity}'},
        "beyond floats": {"training": text.replace('"attempt":0', '"attempt":0,"best_val_loss":1e999')},
        "twice": {"training": text[:-1] + ',"step":4}'},
        "twice in counters": {"training": text.replace('"counters":{', '"counters":{"data_step":4,')},
        "config twice": {"config": '{"seed":1,' + good.metadata["config"][1:]},
        "digits": {"training": text.replace('"step":4', '"step":' + "4" * 5000)},
        "deep": {"training": "[" * 50_000}, "no object": {"training": "[]"}, "no training": {"training": "null"},
        "random": {"random": '{"seed":-1}'}, "random text": {"random": '{"seed":"x"}'},
        "random more": {"random": '{"x":1}'},
        "corpus": {"corpus_sha256": '"\\u001b[31m"'}, "device": {"device": '"a\\nb"'}, "version": {"nyx_version": "7"},
        "config empty": {"config": "{}"}, "config unknown": {"config": json.dumps(config | {"x": 1})},
        "wider": {"config": json.dumps(config | {"model": config["model"] | {"n_embd": 16}})},
        "deeper": {"config": json.dumps(config | {"model": config["model"] | {"H_layers": 1024}})},
        "beyond memory": {"config": json.dumps(config | {"model": config["model"] | {"n_embd": 65536}})},
        "vocabulary none": {"vocabulary": "{}"}, "vocabulary null": {"vocabulary": "null"},
        "vocabulary larger": {"vocabulary": json.dumps(vocabulary | {"size": 2_000_000})},
        "vocabulary twice": {"vocabulary": json.dumps(vocabulary | {"characters": "aa"})},
        "vocabulary smaller": {"vocabulary": json.dumps(vocabulary | {"characters": "ab", "size": 2})},
        "unknown field": {"extra": "1"},
    }  # fmt: skip
    return found


def test_what_is_impossible_is_refused_by_every_command(good: container.Contents) -> None:
    changes = impossible(good)
    assert len(changes) > 140
    for name, change in changes.items():
        write(Path("crafted.ckpt"), good, change)
        answers = tried(Path("crafted.ckpt"))
        assert {code for code, _ in answers.values()} == {65}, (name, answers)


def test_counters_that_a_resume_needs(good: container.Contents) -> None:
    for name in ("updates", "part_start", "phase_start", "data_step", "steps_per_epoch", "epochs_before"):
        write(Path("crafted.ckpt"), good, counters(good, **{name: "gone"}))
        code, message = tried(Path("crafted.ckpt"))["resume"]
        assert code == 65 and name in message, name
    updates = json.loads(good.metadata["training"])["counters"]["updates"]
    for change in ({}, dict(list(updates.items())[1:]), updates | {"other.weight": 4}):
        write(Path("crafted.ckpt"), good, counters(good, updates=change))
        assert tried(Path("crafted.ckpt"))["resume"][0] == 65


def test_tensors_that_do_not_fit_or_are_not_finite(good: container.Contents) -> None:
    for name, array in good.tensors.items():
        used_by_all = name.startswith(("model.", "ema."))
        for what in ("gone", "shape", "type", "nan", "inf"):
            changed = dict(good.tensors)
            if what == "gone":
                del changed[name]
            elif what == "shape":
                changed[name] = np.zeros((*array.shape, 2), array.dtype)
            elif what == "type":
                changed[name] = np.zeros(array.shape, np.int32)
            else:
                changed[name] = array.copy()
                changed[name].reshape(-1)[-1] = np.nan if what == "nan" else -np.inf
            write(Path("crafted.ckpt"), good, {}, changed)
            answers = tried(Path("crafted.ckpt")) if used_by_all else {"resume": only_resume()}
            assert {code for code, _ in answers.values()} == {65}, (name, what, answers)
            assert all(name in message for _, message in answers.values()), (name, what, answers)


def only_resume() -> tuple[int, str]:
    return run(["crafted.ckpt" if word == "@" else word for word in COMMANDS["resume"]])


def test_an_export_that_was_changed(good: container.Contents) -> None:
    write(Path("good.ckpt"), good, {})
    assert run(["export", "good.ckpt", "exported", "--force"])[0] == 0
    exported = container.read("exported")
    for change in ({"config": "{}"}, {"config": "NaN"}, {"config": '{"model":{},"model":{}}'}, {"vocabulary": "[]"}):
        Path("crafted.ckpt").unlink()
        container.write("crafted.ckpt", exported.tensors, exported.metadata | change)
        for name in ("generate", "eval"):
            code, message = run(["crafted.ckpt" if word == "@" else word for word in COMMANDS[name]])
            assert code == 65 and message.isprintable(), (change, name, code, message)


def test_saving_escapes_what_a_driver_calls_itself() -> None:
    info = checkpoint.CheckpointInfo({}, '["a"]', checkpoint.TrainingState(), device="GPU \x1b[31m\n" + "x" * 2000)
    again = checkpoint.CheckpointInfo.from_metadata(info.to_metadata(), "file")
    assert again.device.startswith(r"GPU \x1b[31m\nx") and sys.getsizeof(again.device) < 1200
