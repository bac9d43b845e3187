"""What a power cut can leave: every state of the disk while a run saves or goes back, by a model of a file system.

The model: a change to a folder (create, rename, link, unlink) is on the disk for sure once the folder was synced, until
then any subset of such changes may be; of a file's bytes those before its last sync are, of later ones any may be
missing. Stricter than any file system in use (ALICE, Pillai et al., OSDI 2014, has the idea).
"""

from __future__ import annotations

import errno
import itertools
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

from nyx.errors import NyxError
from nyx.training import checkpoint
from nyx.training.checkpoint import CheckpointInfo, TrainingState
from nyx.training.metrics_log import read_metrics
from nyx.training.rundir import Keeping, RunDirectory, open_checkpoint


class Op(NamedTuple):
    """kind: create write sync rename link unlink folder; a and b are paths, or a is the file's number."""

    kind: str
    a: Any
    b: Any = None


class Recorder:
    """Which files there were, and what was done to them, in order."""

    def __init__(self, root: Path) -> None:
        paths = [Path(top, name) for top, _, names in os.walk(root) for name in names]
        self.before = {self.key(path): path.read_bytes() for path in paths}
        self.files = {name: number for number, name in enumerate(self.before)}
        self.numbers = itertools.count(len(self.files))
        self.ops: list[Op] = []
        self.open: dict[int, Any] = {}

    @staticmethod
    def key(path: Any) -> str:
        return os.path.relpath(os.path.join(os.path.realpath(os.path.dirname(path) or "."), os.path.basename(path)))

    def opened(self, descriptor: int, path: Any) -> None:
        name = self.key(path)
        if os.path.isdir(path):
            self.open[descriptor] = name
            return
        if name not in self.files:
            self.files[name] = next(self.numbers)
            self.ops.append(Op("create", name, self.files[name]))
        self.open[descriptor] = self.files[name]

    def synced(self, descriptor: int) -> None:
        what = self.open[descriptor]
        self.ops.append(Op("sync" if isinstance(what, int) else "folder", what))

    def changed(self, kind: str, a: Any, b: Any = None) -> None:
        a, b = self.key(a), self.key(b) if b is not None else None
        self.ops.append(Op(kind, a, b))
        if b is not None:
            self.files[b] = self.files[a]
        if kind != "link":
            del self.files[a]

    @contextmanager
    def recording(self) -> Iterator[None]:
        real = {name: getattr(os, name) for name in ("open", "write", "replace", "link", "unlink")}

        def open_(path: Any, flags: int, *args: Any, **kwargs: Any) -> int:
            descriptor = real["open"](path, flags, *args, **kwargs)
            self.opened(descriptor, path)
            return descriptor

        def write(descriptor: int, data: Any) -> int:
            count = real["write"](descriptor, data)
            self.ops.append(Op("write", self.open[descriptor], bytes(data[:count])))
            return count

        def change(kind: str, name: str) -> Callable[..., None]:
            def call(*paths: Any) -> None:
                real[name](*paths)
                self.changed(kind, *paths)

            return call

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(os, "open", open_)
            patch.setattr(os, "write", write)
            patch.setattr(os, "fsync", self.synced)
            patch.setattr(os, "replace", change("rename", "replace"))
            patch.setattr(os, "link", change("link", "link"))
            patch.setattr(os, "unlink", change("unlink", "unlink"))
            yield


def pending(ops: list[Op]) -> list[int]:
    """Which changes of folders no later sync of the folder has made sure."""
    found = []
    for i, op in enumerate(ops):
        if op.kind in ("create", "rename", "link", "unlink"):
            folder = os.path.dirname(op.b if op.kind in ("rename", "link") else op.a) or "."
            if Op("folder", folder) not in ops[i:]:
                found.append(i)
    return found


def contents(before: dict[str, bytes], ops: list[Op], loss: str) -> dict[int, bytes]:
    """Every file's bytes when what was written since its last sync is there, is not, by half, as zeros, or holed."""
    sure = dict(enumerate(before.values()))
    full = dict(sure)
    for op in ops:
        if op.kind == "create":
            full[op.b], sure[op.b] = b"", b""
        elif op.kind == "write":
            full[op.a] += op.b
        elif op.kind == "sync":
            sure[op.a] = full[op.a]
    return {number: sure[number] + LOSSES[loss](full[number][len(sure[number]) :]) for number in full}


LOSSES: dict[str, Callable[[bytes], bytes]] = {
    "nothing": lambda new: new,
    "all": lambda new: b"",
    "second half": lambda new: new[: len(new) // 2],
    "second half zeros": lambda new: new[: len(new) // 2] + bytes(len(new) - len(new) // 2),
    "first half zeros": lambda new: bytes(len(new) // 2) + new[len(new) // 2 :],
    "last byte": lambda new: new[:-1],
}


def states(before: dict[str, bytes], ops: list[Op]) -> Iterator[dict[str, bytes]]:
    """Every folder tree that may be there after a power cut right after these ops."""
    unsure = pending(ops)
    for count in range(len(unsure) + 1):
        for lost in itertools.combinations(unsure, count):
            names = {name: number for number, name in enumerate(before)}
            for i, op in enumerate(ops):
                if i in lost or op.kind not in ("create", "rename", "link", "unlink"):
                    continue
                if op.kind == "create":
                    names[op.a] = op.b
                elif op.kind == "unlink":
                    names.pop(op.a, None)
                elif op.a in names:
                    names[op.b] = names[op.a] if op.kind == "link" else names.pop(op.a)
            for loss in LOSSES:
                data = contents(before, ops, loss)
                yield {name: data[number] for name, number in names.items()}


def write_tree(root: Path, tree: dict[str, bytes]) -> None:
    shutil.rmtree(root, ignore_errors=True)
    for name, data in tree.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


def violations(recorder: Recorder, ops: list[Op], where: Path, allowed: set[int], last: int) -> tuple[int, int]:
    """How many states there are, and in how many of them something that was promised is not so."""
    seen: set[int] = set()
    wrong = 0
    here = os.getcwd()
    for end in range(len(ops) + 1):
        want = allowed if end < len(ops) else {last}
        for tree in states(recorder.before, ops[:end]):
            mark = hash((frozenset(tree.items()), frozenset(want)))
            if mark in seen:
                continue
            seen.add(mark)
            write_tree(where, tree)
            os.chdir(where)
            wrong += not keeps_the_promise(want)
            os.chdir(here)
    return len(seen), wrong


def keeps_the_promise(want: set[int]) -> bool:
    """The run, what is published and `best` load, without a warning, each a state it may be; metrics reach as far."""
    said: list[str] = []
    run = next(Path("runs").iterdir())
    try:
        newest = open_checkpoint(run, said.append)
        published = open_checkpoint(Path("models/hrm.ckpt"), said.append)
        best = run / "checkpoints/best"
        if best.exists():
            open_checkpoint(best, said.append)
        logged = {line["step"] for line in read_metrics(run)}
    except NyxError:
        return False
    found = {newest.info().training.step, published.info().training.step}
    return (
        found <= want
        and found <= logged
        and not said
        and all((s.tensors["model.w"] == s.info().training.step).all() for s in (newest, published))
    )


def info(step: int, best: int) -> CheckpointInfo:
    return CheckpointInfo({}, "[]", TrainingState(step=step, best_step=best))


def save(run: RunDirectory, step: int, best: bool = False) -> None:
    run.metrics({"step": step})
    run.save({"model.w": np.full(50, step, np.float32)}, info(step, step if best else 1), best=best)


def no_link(*paths: Any) -> None:
    raise OSError(errno.EPERM, "no links here")


def recorded(action: str) -> tuple[Recorder, set[int], int]:
    """A run that has saved steps 1 to 3, and what one more action does."""
    run = RunDirectory.create("hrm", "seed: 1\n", {}, Keeping(keep_last=2))
    for step in (1, 2, 3):
        save(run, step, best=step == 1)
    run.close()
    state = checkpoint.load(run.path / "checkpoints/step-00000002.ckpt" if action == "back" else "models/hrm.ckpt")
    if action == "back":
        recorder = Recorder(Path())
        with recorder.recording():
            RunDirectory.resume(state, "hrm", "seed: 2\n", {}, Keeping(keep_last=2)).close()
        return recorder, {2, 3}, 2
    with RunDirectory.resume(state, "hrm", "seed: 1\n", {}, Keeping(keep_last=2)) as again:
        recorder = Recorder(Path())
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(os, "link", no_link if action == "copy" else os.link)
            with recorder.recording():
                save(again, 4, best=action == "best")
    return recorder, {3, 4}, 4


@pytest.fixture
def where(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    return tmp_path / "cut"


@pytest.mark.parametrize(("action", "least"), [("save", 25), ("best", 35), ("back", 80), ("copy", 30)])
def test_every_state_of_the_disk(where: Path, action: str, least: int) -> None:
    recorder, allowed, last = recorded(action)
    count, wrong = violations(recorder, recorder.ops, where, allowed, last)
    assert wrong == 0 and count >= least, (wrong, count)


def no_file_sync(ops: list[Op]) -> list[Op]:
    return [op for op in ops if op.kind != "sync"]


def no_folder_sync(ops: list[Op]) -> list[Op]:
    return [op for op in ops if op.kind != "folder"]


def folder_sync_first(ops: list[Op]) -> list[Op]:
    swapped = list(ops)
    for i in range(len(ops) - 1):
        if ops[i].kind == "rename" and ops[i + 1].kind == "folder":
            swapped[i], swapped[i + 1] = ops[i + 1], ops[i]
    return swapped


def unlink_before_rename(ops: list[Op]) -> list[Op]:
    return [new for op in ops for new in ((Op("unlink", op.b), op) if op.kind == "rename" else (op,))]


def in_place(ops: list[Op]) -> list[Op]:
    final = {op.a: op.b for op in ops if op.kind == "rename"}
    kept = [op for op in ops if op.kind != "rename"]
    return [op._replace(a=final.get(op.a, op.a)) if op.kind == "create" else op for op in kept]


@pytest.mark.parametrize("broken", [no_file_sync, no_folder_sync, folder_sync_first, unlink_before_rename, in_place])
def test_broken_protocols_are_found(where: Path, broken: Callable[[list[Op]], list[Op]]) -> None:
    """The model sees what is wrong with each of five less careful ways to save."""
    recorder, allowed, last = recorded("save")
    mutant = broken(recorder.ops)
    assert mutant != recorder.ops
    assert violations(recorder, mutant, where, allowed, last)[1] > 0
