"""The directory of a run: who may write into it, what lies in it, and how a state is saved.

    config.yaml  run.json  metrics.jsonl  train.log  status.json  samples.txt  gates/NAME.json  .lock
    checkpoints/  step-00000100.ckpt ...  best  latest  superseded/

One process at a time holds `.lock`; reading needs no lock. What is replaced is replaced atomically, the rest is only
appended to.
"""

from __future__ import annotations

import errno
import json
import os
import secrets
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from nyx import files
from nyx.console import visible
from nyx.errors import MissingInputError, RunDirectoryError, StorageError
from nyx.files import show_path
from nyx.training.checkpoint import Checkpoint, CheckpointInfo, load
from nyx.training.checkpoint_folder import BEST, LATEST, SUPERSEDED, TEMPLATE, CheckpointFolder
from nyx.training.metrics_log import FILE as METRICS
from nyx.training.metrics_log import mark_resume, to_line
from nyx.training.published import CHECKPOINTS, RUN_FILE, find_run, is_behind, make_way, read_run
from nyx.training.sidefile import SideFile

CONFIG, STATUS, LOG, SAMPLES, GATES, LOCK = "config.yaml", "status.json", "train.log", "samples.txt", "gates", ".lock"
CONFIG_BYTES, STATUS_BYTES, LOCK_BYTES = 64 << 20, 1 << 20, 10  # that are read, at most
NAME_BYTES = 150  # of the 255 a file system allows: the date and a number come on top


@dataclass(frozen=True)
class Keeping:
    """What a run keeps: `template` of its checkpoints' names, how many of the newest (0: all), and `published`, the
    name that always holds the newest state (None: no such name). `runs` is the folder of all runs."""

    template: str = TEMPLATE
    keep_last: int = 3
    published: Path | None = Path("models/hrm.ckpt")
    runs: Path = Path("runs")


class RunDirectory:
    """The directory of a run, held by this process until `close` (or its end, however it ends).

    `create` and `resume` make one. `say` gets the lines a person should see; without it they go to train.log.
    """

    def __init__(self, path: Path, keeping: Keeping, say: Callable[[str], None] | None = None) -> None:
        """Take the lock. Raises RunDirectoryError when another process has it, or it cannot be had."""
        self.path, self.keeping, self.say = path, keeping, self.log if say is None else say
        self.checkpoints = CheckpointFolder(
            path / CHECKPOINTS, keeping.template, keeping.keep_last, lambda line: self.say(line)
        )
        self.id, self.parent_id, self.attempt = "", "", 0
        self.recorded = str(path)
        """How checkpoints name the directory."""
        self._own_ids: set[str] = set()
        self._noted: str | None = None
        self._log, self._metrics, self._status, self._samples = (
            SideFile(path / name, lambda text: self.say(text)) for name in (LOG, METRICS, STATUS, SAMPLES)
        )
        _require_folders(path)
        self._lock = _take(path / LOCK)
        folders = [path, path / CHECKPOINTS, path / GATES, *([keeping.published.parent] if keeping.published else [])]
        for folder in folders:
            files.remove_stale(folder)

    @classmethod
    def create(
        cls,
        name: str,
        config_text: str,
        about: Mapping[str, Any],
        keeping: Keeping,
        *,
        path: Path | None = None,
        parent: Checkpoint | None = None,
        goes_on: bool = False,
        say: Callable[[str], None] | None = None,
    ) -> RunDirectory:
        """A new run in `<keeping.runs>/<date>-<name>/`, or in `path`, which must be new or empty.

        `about` goes into run.json (versions, device, driver, seed, corpus hash); `parent` is the checkpoint that this
        run starts with; goes_on says that it is that training and not a new one with its weights. Raises
        RunDirectoryError, StorageError, ConfigError (the template).
        """
        try:
            folder = _new_folder(keeping.runs, name) if path is None else path
            files.make_folder(folder)
        except StorageError as error:
            raise RunDirectoryError(str(error)) from error
        run = cls(folder, keeping, say)
        try:
            require_empty(folder)
            run._begin(name, config_text, about, parent.info() if parent else None, goes_on)
        except BaseException:
            run.close()
            raise
        return run

    @classmethod
    def resume(
        cls,
        checkpoint: Checkpoint,
        name: str,
        config_text: str,
        about: Mapping[str, Any],
        keeping: Keeping,
        *,
        home: Path | None = None,
        recorded: str = "",
        say: Callable[[str], None] | None = None,
    ) -> RunDirectory:
        """Go on from a wholly loaded checkpoint: in its run's own directory when that is there, else in a new one.

        home: that directory, where it is known; recorded: how checkpoints name it, its path if "".
        What the directory has beyond the checkpoint is superseded: metrics by a marker, states moved to superseded/.
        """
        info = checkpoint.info()
        home = home or find_run(info, Path(checkpoint.path), keeping.runs)
        if home is None:
            return cls.create(name, config_text, about, keeping, parent=checkpoint, goes_on=True, say=say)
        run = cls(home, keeping, say)
        run.recorded = recorded or run.recorded
        try:
            run._go_on(checkpoint, info, config_text, about)
        except BaseException:
            run.close()
            raise
        return run

    @classmethod
    def settle(
        cls,
        checkpoint: Checkpoint,
        keeping: Keeping,
        *,
        home: Path | None = None,
        say: Callable[[str], None] | None = None,
    ) -> None:
        """Publish the newest state of a run that ended, for good or by a crash, before it could; `best` and `latest`
        follow. Nothing is done about a state that is not its run's newest, nor while another process has the run.

        checkpoint: wholly loaded. home: the directory of its run, where it is known. Raises StorageError,
        RunDirectoryError.
        """
        info, target = checkpoint.info(), keeping.published
        home = home or find_run(info, Path(checkpoint.path), keeping.runs)
        if home is None or target is None:
            return
        newest = next(iter(CheckpointFolder(home / CHECKPOINTS, keeping.template).entries()[0]), None)
        if (
            newest is None
            or newest.sha256 != checkpoint.sha256
            or not is_behind(target, newest.path, info.training.run_id)
        ):
            return
        with cls(home, keeping, say) as run:
            run.id = info.training.run_id
            run._own_ids = {run.id}
            run._make_way(only_checkpoints=True)
            run._publish(run.checkpoints.rewind(checkpoint))
            run.say(f"step {newest.step}, the newest of its run, is in {show_path(target)} now")

    def _begin(
        self, name: str, config_text: str, about: Mapping[str, Any], parent: CheckpointInfo | None, goes_on: bool
    ) -> None:
        self.id = secrets.token_hex(8)
        self.parent_id = parent.training.run_id if parent else ""
        self._own_ids = {self.id, self.parent_id} - {""} if goes_on else {self.id}
        origin = vars(parent.training) if parent else None
        files.make_folder(self.path / CHECKPOINTS)
        files.write_text(self.path / CONFIG, config_text)
        step = parent.training.step if parent and goes_on else 0
        run = {**about, "id": self.id, "name": name, "created": _now(), "parent": origin}
        self._write_run({**run, "attempts": [{"attempt": 0, "started": _now(), "from_step": step}]})
        self._make_way(only_checkpoints=goes_on)

    def _go_on(self, checkpoint: Checkpoint, info: CheckpointInfo, config_text: str, about: Mapping[str, Any]) -> None:
        run = read_run(self.path)
        if run is None or run["id"] != info.training.run_id:
            raise RunDirectoryError(f"{show_path(self.path)} has just become another run's; resume again")
        for name in (CONFIG, METRICS, LOG, STATUS, SAMPLES):
            files.require_own(self.path / name)
        attempts = run["attempts"] if isinstance(run.get("attempts"), list) else []
        self.id, self.parent_id, self.attempt = info.training.run_id, info.training.parent_id, len(attempts)
        self._own_ids = {self.id}
        self._make_way(only_checkpoints=True)
        changed = {key: value for key, value in _as_json(about).items() if run.get(key) != value}
        attempt = {"attempt": self.attempt, "started": _now(), "from_step": info.training.step, **changed}
        self._write_run({**run, "attempts": [*attempts, attempt]})
        self._publish(self.checkpoints.rewind(checkpoint))
        mark_resume(self.path / METRICS, self.attempt, info.training.attempt, info.training.step)
        self._change_config(config_text)
        self.checkpoints.prune()

    def _change_config(self, text: str) -> None:
        """The configuration of this attempt; another one that was there stays under another name."""
        before = files.read_own(self.path / CONFIG, CONFIG_BYTES) or b""
        if before != text.encode("utf-8", "backslashreplace"):
            files.write_atomic(self.path / f"config.before-attempt-{self.attempt}.yaml", before)
            files.write_text(self.path / CONFIG, text)

    def _write_run(self, run: Mapping[str, Any]) -> None:
        files.write_text(self.path / RUN_FILE, json.dumps(_as_json(run), indent=2) + "\n")

    def _make_way(self, *, only_checkpoints: bool = False) -> None:
        target = self.keeping.published
        if target is not None:
            files.make_folder(target.parent)
            note = make_way(target, self._own_ids, self.keeping.runs, only_checkpoints=only_checkpoints)
            if note and note != self._noted:
                self.say(note)
            self._noted = note

    def _publish(self, path: Path) -> None:
        if self.keeping.published is not None:
            self._make_way()
            files.publish(path, self.keeping.published)

    def save(
        self,
        tensors: Mapping[str, np.ndarray],
        info: CheckpointInfo,
        *,
        best: bool = False,
        extra_names: Iterable[str] = (),
    ) -> Path:
        """Save a state durably, publish it, remove what is no longer to be kept; returns the file in checkpoints/.

        Fills in which run, parent and attempt it is. The order: the metrics so far, the state, `best`, `latest`, the
        published name, then the pruning; a stop anywhere leaves the state before or this one. `extra_names` are
        templates of more names for the file, never pruned. Raises StorageError; the training may go on or try again.
        """
        training = replace(
            info.training, run_id=self.id, run_dir=self.recorded, parent_id=self.parent_id, attempt=self.attempt
        )
        self._metrics.sync()
        info = replace(info, training=training)
        path = self.checkpoints.save(tensors, info, best=best, extra_names=extra_names)
        self._publish(path)
        self.checkpoints.prune()
        return path

    def log(self, text: str) -> None:
        """Append to train.log what the terminal said."""
        self._log.append(visible(text))

    def metrics(self, record: Mapping[str, Any]) -> None:
        """Append a record, with its `step`, to metrics.jsonl; what is not finite becomes null."""
        self._metrics.append(to_line(record))

    def status(self, values: Mapping[str, Any]) -> None:
        """Replace status.json; atomic for readers, not synced (it is written often and tells only of the moment)."""
        self._status.replace(to_line(values) + "\n")

    def sample(self, step: int, text: str) -> None:
        """Append a text the model wrote to samples.txt."""
        self._samples.append(f"--- step {step}\n{visible(text)}\n")

    def gate(self, name: str, result: Mapping[str, Any]) -> None:
        """Write the result of a quality gate to gates/NAME.json."""
        files.make_folder(self.path / GATES)
        files.write_text(self.path / GATES / f"{name}.json", to_line(result) + "\n")

    def close(self) -> None:
        """Give the directory back."""
        if self._lock is not None:
            for file in (self._metrics, self._log, self._samples):
                file.catch_up()
            os.close(self._lock)
            self._lock = None

    def __enter__(self) -> RunDirectory:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


def _require_folders(path: Path) -> None:
    """Raises RunDirectoryError for a run whose folders lead elsewhere: what is written there would be."""
    for folder in (path / CHECKPOINTS, path / CHECKPOINTS / SUPERSEDED, path / GATES):
        if os.path.lexists(folder) and (folder.is_symlink() or not folder.is_dir()):
            raise RunDirectoryError(
                f"{show_path(folder)} is not a folder of its own; put one there, or the whole run in another place"
            )


def require_empty(folder: Path) -> None:
    """Raises RunDirectoryError (73) for a path where a new run cannot be: a file, or a folder with something in it."""
    if not folder.is_dir():
        raise RunDirectoryError(f"{show_path(folder)} is no folder; name another one for the run")
    if set(os.listdir(folder)) - {LOCK}:
        raise RunDirectoryError(f"{show_path(folder)} is not empty; resume what is there or name another folder")


def open_checkpoint(path: Path, say: Callable[[str], None], prefixes: Iterable[str] = ("",)) -> Checkpoint:
    """Load what a path means: a run's directory (its newest state that verifies), its `best` or `latest`, or a file.

    `say` gets the one warning when a damaged file is passed over. Raises as `checkpoint.load` does.
    """
    if os.path.isdir(path) and _is_run(path):
        return CheckpointFolder(path / CHECKPOINTS).load_latest(say, prefixes)
    named = CheckpointFolder(path.parent).pointer(path.name) if path.name in (BEST, LATEST) else None
    return load(named or path, prefixes)


def _is_run(path: Path) -> bool:
    """Whether a folder is a run's directory. Raises MissingInputError when it may not be looked into."""
    about = path / RUN_FILE
    closed = path if not os.access(path, os.R_OK | os.X_OK) else about
    if closed is path or (os.path.isfile(about) and not os.access(about, os.R_OK)):
        raise MissingInputError(f"cannot read {show_path(closed)}: {os.strerror(errno.EACCES)}; change its permissions")
    return read_run(path) is not None


def read_status(path: Path) -> dict[str, Any] | None:
    """status.json of a run's directory, or None when there is none yet."""
    try:
        status = json.loads(files.read_own(path / STATUS, STATUS_BYTES) or b"")
    except (StorageError, ValueError, RecursionError):
        return None
    return status if isinstance(status, dict) else None


def _as_json(values: Mapping[str, Any]) -> dict[str, Any]:
    return json.loads(to_line(values))


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _take(path: Path) -> int:
    """The lock of a run's directory; who has it stands in the file for others to name."""
    shown = show_path(path.parent)
    try:
        descriptor = files.lock(path)
    except StorageError as error:
        raise RunDirectoryError(f"cannot use run directory {shown}: {error}") from error
    if descriptor is not None:
        with suppress(OSError):  # only for the message
            os.ftruncate(descriptor, 0)
            os.write(descriptor, str(os.getpid()).encode())
        return descriptor
    try:
        owner = (files.read_own(path, LOCK_BYTES) or b"").decode("ascii")
    except (StorageError, ValueError):
        owner = ""
    process = f"process {owner}" if owner.isdecimal() else "another process"
    raise RunDirectoryError(f"run directory {shown} is in use by {process}; wait for it, stop it, or start a new run")


def _new_folder(runs: Path, name: str) -> Path:
    """Create `<runs>/<date>-<name>/`, with a number when that is taken."""
    clean = os.fsencode(name.replace(os.sep, "_").replace("\0", "_"))[:NAME_BYTES].decode("utf-8", "ignore")
    stem = f"{datetime.now():%Y%m%d-%H%M%S}-{clean or 'run'}"
    files.make_folder(runs)
    for number in range(1, 10_000):
        folder = runs / (stem if number == 1 else f"{stem}-{number}")
        with files.storage_errors("create", folder):
            try:
                os.mkdir(folder)
            except FileExistsError:
                continue
            files.sync_folder(runs)
        return folder
    raise RunDirectoryError(f"{show_path(runs)} has too many runs named {stem!a}; choose another name")
