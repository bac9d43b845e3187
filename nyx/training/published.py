"""The one name that always holds the newest complete state of the newest run (`checkpoint.path`, models/hrm.ckpt)."""

from __future__ import annotations

import json
import os
from collections.abc import Collection
from pathlib import Path
from typing import Any

from nyx.errors import CheckpointError, MissingInputError, NyxError, StorageError
from nyx.files import publish, read_own, show_path
from nyx.training import container
from nyx.training.checkpoint import Checkpoint, CheckpointInfo, load
from nyx.training.checkpoint_folder import SUPERSEDED, CheckpointFolder

RUN_FILE = "run.json"
RUN_BYTES = 16 << 20  # read at most
CHECKPOINTS = "checkpoints"


def read_run(folder: Path) -> dict[str, Any] | None:
    """run.json of a run's directory, or None when this is no run's directory."""
    try:
        run = json.loads(read_own(folder / RUN_FILE, RUN_BYTES) or b"")
    except (StorageError, ValueError, RecursionError):
        return None
    return run if isinstance(run, dict) and isinstance(run.get("id"), str) and run["id"] else None


def find_run(info: CheckpointInfo, path: Path, runs: Path) -> Path | None:
    """The directory of the run a checkpoint comes from: around the file, where the run was, or under `runs`."""
    training = info.training
    if not training.run_id or "\0" in training.run_dir:
        return None
    above = list(path.absolute().parents)[1:3]  # of checkpoints/FILE and of checkpoints/superseded/FILE
    candidates = above if path.is_absolute() else [Path(os.path.relpath(folder)) for folder in above]
    if training.run_dir:
        candidates += [Path(training.run_dir), runs / Path(training.run_dir).name]
    return next((folder for folder in candidates if (read_run(folder) or {}).get("id") == training.run_id), None)


def _same_state(checkpoint: Checkpoint, home: Path) -> Path | None:
    """A file in the run's own directory that verifies and is the same state."""
    folder = CheckpointFolder(home / CHECKPOINTS)
    for entry in folder.entries()[0] + folder.entries(folder.path / SUPERSEDED)[0]:
        if entry.sha256 != checkpoint.sha256:
            continue
        try:
            load(entry.path, ())
        except (CheckpointError, StorageError, MissingInputError):
            continue
        return entry.path
    return None


def _set_aside(target: Path, label: str, sha256: str | None) -> Path:
    """Give the file at `target` a second name that nothing else has; the first one may then be replaced."""
    for number in range(1, 10_000):
        again = "" if number == 1 else f"-{number}"
        aside = target.with_name(f"{target.stem[:80]}.{label}{again}{target.suffix[:20]}")
        if os.path.lexists(aside):
            try:
                if os.path.samefile(aside, target) or (sha256 and load(aside, ()).sha256 == sha256):
                    return aside
            except (NyxError, OSError):
                pass
            continue
        publish(target, aside)
        return aside
    raise StorageError(f"cannot set {show_path(target)} aside: too many files of that name; move some away")


def doubt(target: Path, info: CheckpointInfo, home: Path, folder: Path = Path()) -> str:
    """Why the newest state is not kept at a name that only a checkpoint says, in words; "" where the name counts.

    target: that name (checkpoint.path) from here. home: the directory of the run. folder: what the checkpoint's
    relative paths are relative to. The name counts when the run is where the checkpoint says it is, and there is a
    checkpoint at that name, or nothing yet but beneath `folder` and in no hidden folder there.
    """
    shown, run = show_path(target), info.training.run_dir
    if not run or os.path.realpath(folder / run) != os.path.realpath(home):
        return f"its run was in {show_path(run)} when it named {shown}"
    try:
        return "" if container.begins(target) else f"{shown} is another file"
    except (CheckpointError, StorageError):
        return f"{shown} is another file"
    except MissingInputError:
        if os.path.lexists(target):
            return f"{shown} cannot be read"
    real, near = Path(os.path.realpath(target.parent), target.name), Path(os.path.realpath(folder))
    if real.is_relative_to(near) and not any(part.startswith(".") for part in real.relative_to(near).parts):
        return ""
    return f"there is no {shown}"


def is_behind(target: Path, newest: Path, run_id: str) -> bool:
    """Whether a published name lacks the newest state of a run, because the run ended before it was published.

    Another run's state there counts as the newer one when its file is."""
    try:
        there = container.peek(target)
        if there.sha256 == container.peek(newest).sha256:
            return False
        owner = CheckpointInfo.from_metadata(there.metadata, target).training.run_id
        return owner == run_id or os.stat(target).st_mtime_ns < os.stat(newest).st_mtime_ns
    except (CheckpointError, MissingInputError):
        return not os.path.lexists(target) or container.begins(target)


def _begins(path: Path) -> bool:
    try:
        return container.begins(path)
    except (CheckpointError, MissingInputError):
        return False


def make_way(target: Path, own_ids: Collection[str], runs: Path, *, only_checkpoints: bool = False) -> str | None:
    """See to it that `target` can be replaced without losing a state; what was done, in one line, or None.

    Nothing is done about a state of this run or of the one it goes on from (`own_ids`). Another run's state stays in
    its own directory, where this looks for it, or else gets a second name beside `target`, as does any other file.
    `target` itself stays as it is. Raises StorageError, also when it is no file; with only_checkpoints also for one
    that is not even a damaged checkpoint.
    """
    shown = show_path(target)
    try:
        contents = container.peek(target)
        if CheckpointInfo.from_metadata(contents.metadata, target).training.run_id in own_ids:
            return None
        checkpoint = load(target, ())
        info = checkpoint.info()
    except (CheckpointError, MissingInputError):
        if not os.path.exists(target):
            return None
        if not target.is_file():
            raise StorageError(
                f"cannot write {shown}: it is not a regular file; choose another checkpoint.path"
            ) from None
        if only_checkpoints and not _begins(target):
            raise StorageError(
                f"cannot renew {shown}: it is no checkpoint, and a resume replaces nothing else; move it away, or name "
                "another file with --set checkpoint.path=FILE"
            ) from None
        aside = _set_aside(target, "aside", None)
        return f"{shown} was no checkpoint to go on from; it is now {show_path(aside)}"
    step, name = info.training.step, Path(info.training.run_dir).name or "run"
    home = find_run(info, target, runs)
    kept = _same_state(checkpoint, home) if home else None
    if kept:
        return f"{shown} held step {step} of run {name!a}; that state stays at {show_path(kept)}"
    label = "".join(c if c.isprintable() and c not in "/\\" else "_" for c in name)
    label = label.encode()[:80].decode("utf-8", "ignore")
    aside = _set_aside(target, f"{label}.step-{step:08d}", checkpoint.sha256)
    return f"{shown} held step {step} of run {name!a}, whose directory has it no more; it is now {show_path(aside)}"
