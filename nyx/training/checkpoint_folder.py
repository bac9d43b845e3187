"""The folder `checkpoints/` of a run: names from a template, `best` and `latest`, which to keep, which is newest.

Steps come from the files' own headers, never from their names or dates. Nothing is removed before what replaces it is
durable, and files whose names the template does not make are never removed.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nyx.errors import CheckpointError, ConfigError, MissingInputError, NyxError, StorageError
from nyx.files import make_folder, publish, read_own, show_path, storage_errors, sync_folder, write_text
from nyx.training import container
from nyx.training.checkpoint import Checkpoint, CheckpointInfo, load, save

TEMPLATE = "step-{step:08d}.ckpt"
BEST, LATEST, SUPERSEDED = "best", "latest", "superseded"
BETWEEN = "_step-"
POINTER_BYTES = 4096  # of `best` and `latest`, at most
_FIELD = re.compile(r"\{(step|epoch|phase)(?::(0?[0-9]{0,2})d?)?\}")


@dataclass(frozen=True)
class Entry:
    """A file whose header reads as a checkpoint's (its payload is not verified)."""

    path: Path
    info: CheckpointInfo
    sha256: str

    @property
    def step(self) -> int:
        return self.info.training.step


def _name(template: str, values: Mapping[str, int]) -> str:
    """The file name a template gives; ConfigError when it is no template for one name in this folder."""
    name = _FIELD.sub(lambda match: format(values[match[1]], (match[2] or "") + "d"), template)
    if "{" in name or "}" in name:
        known = "{step} {epoch} {phase}"
        raise ConfigError(f"checkpoint name {template!a} is no template; use {known}, such as {TEMPLATE}")
    if not name or name.startswith(".") or "/" in name or "\0" in name or name in (BEST, LATEST, SUPERSEDED):
        raise ConfigError(f"checkpoint name {template!a} cannot be a file's; use a name such as {TEMPLATE}")
    return name


def check_template(template: str) -> None:
    """Raises ConfigError (78) when it is no template for the names of checkpoints."""
    _name(template, {"step": 0, "epoch": 0, "phase": 0})


def _name_of(template: str, info: CheckpointInfo) -> str:
    """The name of a state. Between two epochs a template without {step} gets the step too, so that it names one
    state."""
    training = info.training
    if training.epoch_steps and "{step" not in template:
        stem, dot, suffix = template.rpartition(".")
        template = f"{stem or suffix}{BETWEEN}{{step:08d}}{dot if stem else ''}{suffix if stem else ''}"
    return _name(template, {"step": training.step, "epoch": training.epoch, "phase": training.phase})


def _pattern(template: str, phase: int | None = None) -> str:
    """A regular expression of all names that a template makes, of one phase if given."""
    parts = _FIELD.split(template)
    text = re.escape(parts[0])
    for field, form, after in zip(parts[1::3], parts[2::3], parts[3::3], strict=True):
        fixed = field == "phase" and phase is not None
        text += (format(phase, (form or "") + "d") if fixed else "[0-9]+") + re.escape(after)
    stem, dot, suffix = text.rpartition(r"\.")
    between = f"({re.escape(BETWEEN)}[0-9]+)?"
    return f"{stem}{between}{dot}{suffix}" if stem else text + between


class CheckpointFolder:
    """Saves into the folder, finds in it, and keeps the newest `keep_last` files (0: all), `best` and `latest`."""

    def __init__(
        self, path: Path, template: str = TEMPLATE, keep_last: int = 3, warn: Callable[[str], None] | None = None
    ) -> None:
        """warn: gets one line, once, when a file that is no longer to be kept cannot be removed."""
        check_template(template)
        self.path, self.template, self.keep_last, self._warn = path, template, keep_last, warn
        self._ours = re.compile(_pattern(template))

    def save(
        self, tensors: Mapping[str, np.ndarray], info: CheckpointInfo, *, best: bool, extra_names: Iterable[str] = ()
    ) -> Path:
        """Write the state durably, then `best` and `latest`.

        extra_names: templates of further names for it; each keeps one file a phase, the newest.
        """
        path = self.path / _name_of(self.template, info)
        save(path, tensors, info.to_metadata())
        for extra in extra_names:
            name = _name_of(extra, info)
            publish(path, self.path / name)
            before = re.compile(_pattern(extra, info.training.phase))
            self._remove([f for f in self.path.iterdir() if before.fullmatch(f.name) and f.name != name])
        if best:
            write_text(self.path / BEST, path.name + "\n")
        write_text(self.path / LATEST, path.name + "\n")
        return path

    def entries(self, folder: Path | None = None) -> tuple[list[Entry], list[NyxError]]:
        """Checkpoints by step, newest first, and what is wrong with files of ours that do not even have a header."""
        found: list[Entry] = []
        errors: list[NyxError] = []
        folder = folder or self.path
        for path in sorted(_listed(folder), reverse=True):
            if path.name.startswith(".") or path.name in (BEST, LATEST, SUPERSEDED):
                continue
            try:
                contents = container.peek(path)
                found.append(Entry(path, CheckpointInfo.from_metadata(contents.metadata, path), contents.sha256))
            except (CheckpointError, StorageError, MissingInputError) as error:
                if isinstance(error, MissingInputError) and not os.path.lexists(path):
                    continue  # removed since the folder was listed
                errors += [error] if self._ours.fullmatch(path.name) else []
        return sorted(found, key=lambda entry: entry.step, reverse=True), errors

    def load_latest(self, warn: Callable[[str], None], prefixes: Iterable[str] = ("",)) -> Checkpoint:
        """The state of the highest step that verifies; one warning names what was passed over and what is used.

        Raises CheckpointError when files are there and none verifies, MissingInputError when there are none.
        """
        found, errors = self.entries()
        prefixes = tuple(prefixes)
        for entry in found:
            try:
                checkpoint = load(entry.path, prefixes)
            except (CheckpointError, StorageError, MissingInputError) as error:
                errors.append(error)
                continue
            if errors:
                reasons = ", and ".join(str(error).partition(";")[0] for error in errors)
                warn(f"{reasons}; using {show_path(entry.path)} (step {entry.step})")
            return checkpoint
        if errors:
            raise errors[-1]
        raise MissingInputError(f"there is no checkpoint in {show_path(self.path)}; train first")

    def pointer(self, which: str) -> Path | None:
        """The file that `best` or `latest` names, when there is one. Raises StorageError when that cannot be read."""
        try:
            name = (read_own(self.path / which, POINTER_BYTES) or b"").decode("utf-8").removesuffix("\n")
        except UnicodeDecodeError:
            return None
        return self.path / name if name and os.sep not in name and os.path.isfile(self.path / name) else None

    def prune(self) -> None:
        """Remove what the template made and neither the newest `keep_last`, `best` nor `latest` needs. What cannot be
        removed stays, with one warning."""
        if self.keep_last <= 0:
            return
        try:
            pointed = {self.pointer(BEST), self.pointer(LATEST)}
            for folder in (self.path, self.path / SUPERSEDED):
                ours = [entry.path for entry in self.entries(folder)[0] if self._ours.fullmatch(entry.path.name)]
                self._remove(path for path in ours[self.keep_last :] if path not in pointed)
        except (StorageError, MissingInputError) as error:
            self._stays(error)

    def _remove(self, paths: Iterable[Path]) -> None:
        for path in paths:
            try:
                with storage_errors("remove", path):
                    path.unlink(missing_ok=True)
            except StorageError as error:
                self._stays(error)

    def _stays(self, error: NyxError) -> None:
        warn, self._warn = self._warn, None
        if warn:
            warn(f"warning: {str(error).rpartition(';')[0]}; older checkpoints stay until they can be removed")

    def rewind(self, checkpoint: Checkpoint) -> Path:
        """Make a wholly loaded state the newest here: write it when it is not here, move later ones to `superseded/`.

        `best` and `latest` follow; returns the state's file. Whatever moment this is interrupted at, no state is lost.
        """
        if not checkpoint.complete:
            raise ValueError("only a wholly loaded checkpoint can be gone on from")
        info = checkpoint.info()
        entries, _ = self.entries()
        same = [entry.path for entry in entries if entry.sha256 == checkpoint.sha256 and _verifies(entry.path)]
        path = same[0] if same else self.path / _name_of(self.template, info)
        step, sha256 = info.training.step, checkpoint.sha256
        later = [e.path for e in entries if e.step > step or (e.step == step and e.sha256 != sha256)]
        if not same and os.path.lexists(path) and path not in later:
            later.append(path)  # of the same name, but damaged
        self._supersede(later)
        if not same:
            save(path, checkpoint.tensors, checkpoint.metadata)
        write_text(self.path / LATEST, path.name + "\n")
        best = [entry.path for entry in self.entries()[0] if entry.step == info.training.best_step]
        if best:
            write_text(self.path / BEST, best[0].name + "\n")
        else:
            self._remove([self.path / BEST])
        return path

    def _supersede(self, paths: Iterable[Path]) -> None:
        for path in paths:
            make_folder(self.path / SUPERSEDED)
            with storage_errors("move", path):
                os.replace(path, self.path / SUPERSEDED / path.name)
                sync_folder(self.path / SUPERSEDED)
                sync_folder(self.path)


def _listed(folder: Path) -> list[Path]:
    """What lies in a folder; nothing when there is none. Raises MissingInputError when it may not be read."""
    try:
        return list(folder.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise MissingInputError(f"cannot read {show_path(folder)}: {error.strerror}; change its permissions") from None


def _verifies(path: Path) -> bool:
    try:
        load(path, ())
    except (CheckpointError, StorageError, MissingInputError):
        return False
    return True
