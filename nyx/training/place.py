"""Where a training that goes on has its files: what its checkpoint calls models/hrm.ckpt, runs/NAME and my.txt is
relative to the folder in which it was started, which need not be the one it is resumed in."""

from __future__ import annotations

import os
from collections.abc import Callable, Container
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nyx.config import Config
from nyx.text.sources import STDIN
from nyx.training.checkpoint import CheckpointInfo
from nyx.training.published import CHECKPOINTS, read_run


@dataclass(frozen=True)
class Place:
    """folder: what the checkpoint's relative paths are relative to. home: the directory of its run, None when that is
    not there: then no path of the checkpoint is written to."""

    folder: Path
    home: Path | None

    def path(self, stored: str) -> str:
        """Where a path of the checkpoint is."""
        return stored if self.folder == Path() else str(self.folder / stored)

    def local(self, config: Config) -> Config:
        """A configuration of the checkpoint with its paths as they are from the working directory."""
        return _with_paths(config, self.path)

    def stored(self, config: Config, given: Container[str]) -> Config:
        """The configuration with the paths of the keys in `given`, which a person gave, as `local` expects them."""
        if self.folder == Path():
            return config
        return _with_paths(config, lambda name: os.path.relpath(name, self.folder), given)

    @property
    def recorded(self) -> str:
        """How a checkpoint names the run's directory."""
        if self.home is None:
            return ""
        inside = os.path.relpath(self.home, self.folder)
        return str(self.home) if self.home.is_absolute() and inside.startswith(os.pardir) else inside


HERE = Place(Path(), None)
PATHS = ("data.path", "checkpoint.path", "run_dir")


def _with_paths(config: Config, change: Callable[[str], str], keys: Container[str] = PATHS) -> Config:
    """The configuration with its relative paths changed, of these keys alone."""

    def changed(name: str) -> str:
        return name if name == STDIN or os.path.isabs(name) else change(name)

    data, checkpoint = config.data, config.checkpoint
    if "data.path" in keys:
        data = data.model_copy(update={"path": tuple(map(changed, data.path))})
    if "checkpoint.path" in keys:
        checkpoint = checkpoint.model_copy(update={"path": changed(checkpoint.path)})
    run_dir = changed(config.run_dir) if "run_dir" in keys else config.run_dir
    return config.model_copy(update={"data": data, "checkpoint": checkpoint, "run_dir": run_dir})


def find_place(info: CheckpointInfo, named: Path, checkpoint: Path) -> Place:
    """The place of the run that a checkpoint is of.

    named: what the user named. checkpoint: the file it meant. A directory counts as the run's when its run.json has
    the run's id; it is looked for around the file, then where the run was, relative to the folder in which `named` is
    what the checkpoint calls its published name, and relative to the working directory.
    """
    run = info.training.run_dir
    if not info.training.run_id or "\0" in run:
        return HERE
    stored = info.config.get("checkpoint")
    published = _above(named, stored.get("path") if isinstance(stored, dict) else None)
    for home in list(checkpoint.absolute().parents)[1:3]:  # of checkpoints/FILE and of checkpoints/superseded/FILE
        if _is_run(home, info):
            home = home if checkpoint.is_absolute() else Path(os.path.relpath(home))
            return Place(_above(home, run) or published or Path(), home)
    runs = info.config.get("run_dir")  # valid, as the configuration was read before
    for folder in (published, Path()):
        below = [run, *([os.path.join(runs, os.path.basename(run))] if isinstance(runs, str) else [])]
        for home in (folder / path for path in below if folder is not None and run):
            if _is_run(home, info):
                return Place(folder or Path(), home)
    return Place(published or Path(), None)


def published_name(named: Path) -> str | None:
    """The name that a run whose directory is not here renews: the file that was named, unless it is one of a run's."""
    return str(named) if named.is_file() and CHECKPOINTS not in named.absolute().parts else None


def _is_run(folder: Path, info: CheckpointInfo) -> bool:
    return (read_run(folder) or {}).get("id") == info.training.run_id


def _above(path: Path, relative: Any) -> Path | None:
    """The folder from which `relative` leads to the path, None where there is none."""
    if not isinstance(relative, str) or "\0" in relative or os.path.isabs(relative):
        return None
    parts, end = Path(os.path.abspath(path)).parts, Path(os.path.normpath(relative)).parts
    if not end or end[0] == os.pardir or parts[-len(end) :] != end:
        return None
    folder = Path(*parts[: -len(end)])
    return folder if path.is_absolute() else Path(os.path.relpath(folder))
