"""Which files a corpus is read from: files, folders, patterns and standard input, checked before a byte is read."""

from __future__ import annotations

import glob
import os
import stat
import sys
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from nyx.errors import DataError, MissingInputError, StorageError
from nyx.files import open_input, show_path, show_paths
from nyx.text.cache import Say, on_stderr
from nyx.text.kinds import fill, kind_of
from nyx.text.own import in_run, is_ours, is_run

TEXT_SUFFIXES = (".txt", ".text", ".md")
STDIN = "-"
STDIN_BYTES = 1 << 26
BLOCK_BYTES = 1 << 20  # what is read at a time
_LOOKED_AT = 100  # files of a folder without a text, whether Nyx wrote them
WHOLE_BYTES = 1 << 22  # a file from this size on must not have a hole: no program leaves one in a text on purpose
PathLike = str | os.PathLike[str]


@dataclass(frozen=True)
class Source:
    """One file of a corpus, or what standard input gave (then `copy` has it, and the path is "-").

    size: bytes when it was looked at; it is read as long as it is when it is opened.
    """

    path: Path
    size: int
    copy: BinaryIO | None = None

    def __str__(self) -> str:
        return show_path(self.path) if self.copy is None else "standard input"

    def blocks(self) -> Iterator[bytes]:
        """The bytes, BLOCK_BYTES at a time: as many as there are at this moment, so that one that grows has an end.

        Raises MissingInputError (66) when it is gone, DataError (65) when it is no regular file any more or becomes
        shorter on the way, StorageError (74) when the disk fails.
        """
        offset = 0
        try:
            with os.fdopen(open_input(self.path) if self.copy is None else os.dup(self.copy.fileno()), "rb", 0) as file:
                size = os.fstat(file.fileno()).st_size
                while offset < size:
                    file.seek(offset)  # the copy's place in the file is one for all who read it
                    block = file.read(min(BLOCK_BYTES, size - offset))
                    if not block:
                        raise DataError(f"{self}: it ends at byte offset {offset} and had {size} bytes when it was "
                                        "opened: start again when no program writes to it")  # fmt: skip
                    offset += len(block)
                    yield block
        except OSError as error:
            raise StorageError(f"cannot read {self} at byte {offset}: {error.strerror}; check the disk") from None

    def look(self) -> None:
        """Raises DataError (65) for what is no text by its first bytes, and for a large file with a hole, which reads
        as NULs: a copy that was not finished. MissingInputError, StorageError as `blocks`."""
        descriptor = open_input(self.path) if self.copy is None else os.dup(self.copy.fileno())
        with os.fdopen(descriptor, "rb", 0) as file:
            try:
                kind = kind_of(file)
            except OSError as error:
                raise StorageError(f"cannot read {self}: {error.strerror}; check the disk") from None
            if kind is not None:
                raise DataError(f"{self}: {kind.name}, not a UTF-8 text: {self.fill(kind.command)}")
            if self.size < WHOLE_BYTES or self.copy is not None or not hasattr(os, "SEEK_HOLE"):
                return
            with suppress(OSError):  # not every file system knows
                hole = file.seek(0, os.SEEK_HOLE)
                if hole < self.size:
                    raise DataError(f"{self}: at byte offset {hole} of {self.size} is a hole that was never written: "
                                    "the file is not complete; make it again")  # fmt: skip

    def fill(self, command: str) -> str:
        """A command of kinds.py for this file."""
        return fill(command, self.path if self.copy is None else None)


@contextmanager
def open_sources(paths: PathLike | Iterable[PathLike], stdin_bytes: int = STDIN_BYTES,
                 say: Say = on_stderr) -> Iterator[list[Source]]:  # fmt: skip
    """What `paths` names, to be read as often as needed inside the block; "-" is standard input, read to its end.

    Raises as find_files and Source.look do, and DataError (65) when standard input has more than stdin_bytes.
    """
    with ExitStack() as copies:
        sources = []
        for path in find_files(paths, say):
            if is_stdin(path):
                copy = copies.enter_context(_standard_input(stdin_bytes))
                sources.append(Source(path, os.fstat(copy.fileno()).st_size, copy))
            else:
                sources.append(Source(path, _status(path).st_size))
            sources[-1].look()
        yield sources


def is_stdin(path: PathLike) -> bool:
    """Whether this stands for standard input; a file of that name is `./-`."""
    return os.fspath(path) == STDIN


@contextmanager
def _standard_input(limit: int) -> Iterator[BinaryIO]:
    """A temporary file without a name that holds what came in."""
    try:
        file = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115 (closed below)
    except OSError as error:
        raise StorageError(f"cannot keep what standard input gives: {error}; set TMPDIR to another folder") from None
    with file as copy:
        if sys.stdin is None:
            raise StorageError("cannot read standard input: there is none; give a file")
        try:
            count = 0
            while block := os.read(sys.stdin.fileno(), BLOCK_BYTES):
                count += len(block)
                if count > limit:
                    raise DataError(f"standard input has more than {limit} bytes: give a file, or a larger "
                                    "data.stdin_bytes")  # fmt: skip
                copy.write(block)
        except (OSError, ValueError, AttributeError) as error:  # closed, or no file; no room for the copy
            raise StorageError(f"cannot read standard input: {error}; give a file") from None
        yield copy


def find_files(paths: PathLike | Iterable[PathLike], say: Say = on_stderr) -> list[Path]:
    """The regular files that `paths` names, in the order given and each once.

    A path is "-" (kept as it is; a file of that name becomes absolute), a file of any name, a folder (every
    TEXT_SUFFIXES file in it and below, sorted, hidden ones and links to folders left out), or a pattern with `*`, `?`
    or `[` (sorted). What Nyx wrote itself is taken where it is named in full; else it is left out, with a line to
    `say`. Raises MissingInputError (66) for what is not there and DataError (65) for what is no text file: a pipe, a
    device, a folder without text.
    """
    named = [paths] if isinstance(paths, str | os.PathLike) else list(paths)
    if not named:
        raise MissingInputError("no corpus is named: give at least one text file")
    files: dict[tuple[int, int], Path] = {}
    ours: list[Path] = []
    for name in named:
        if is_stdin(name):
            files.setdefault((-1, -1), Path(STDIN))
            continue
        for path in _expand(os.fspath(name), ours):
            info = _status(path)
            files.setdefault((info.st_dev, info.st_ino), path)
    if ours and not files:
        raise DataError(f"{show_paths(ours)}: only what Nyx wrote itself; name a text, or such a file in full")
    if ours:
        say(f"left out, because Nyx wrote it itself: {show_paths(list(dict.fromkeys(ours)))}")
    return list(files.values())


def _expand(name: str, ours: list[Path]) -> list[Path]:
    if any(c in name for c in "*?[") and not os.path.lexists(name):
        return _matches(name, ours)
    path = Path(name)
    path = path.absolute() if is_stdin(path) else path
    mode = _status(path).st_mode
    if stat.S_ISDIR(mode):
        known = len(ours)
        files = _text_files_in(path, ours)
        if not files and len(ours) == known:
            raise DataError(
                f"{show_path(path)}: no {', '.join(TEXT_SUFFIXES)} file in this folder: name the files themselves"
            )
        return files
    if not stat.S_ISREG(mode):
        raise DataError(f"{show_path(name)}: {_kind(mode)}, not a text file: name a regular file")
    return [path]


def _matches(pattern: str, ours: list[Path]) -> list[Path]:
    """What a pattern finds: of folders the text files, and no more than these; other files whatever their names."""
    try:
        matches = [Path(match) for match in sorted(glob.glob(pattern, recursive=True))]
    except RecursionError:
        raise DataError(f"{show_path(pattern)}: the folders are too deep for a pattern: name a folder") from None
    if not matches:
        raise MissingInputError(f"{show_path(pattern)}: no file matches this pattern")
    files: list[Path] = []
    runs: dict[Path, bool] = {}
    known = len(ours)
    for path in matches:
        folder = path if path.is_dir() else path.parent
        if folder not in runs:
            runs[folder] = in_run(folder)
        if path.is_dir():
            files += _text_files_in(path, ours)
        elif runs[folder] or is_ours(path):
            ours.append(path)
        else:
            files += _expand(os.fspath(path), ours)
    if not files and len(ours) == known:
        raise DataError(f"{show_path(pattern)}: it matches no {', '.join(TEXT_SUFFIXES)} file: name the files")
    return files


def _status(path: Path) -> os.stat_result:
    try:
        return path.stat()
    except (FileNotFoundError, NotADirectoryError):
        raise MissingInputError(f"{show_path(path)}: no such file: check the path") from None
    except ValueError:  # a NUL inside the name
        raise MissingInputError(f"{show_path(path)}: not a possible file name: check the path") from None
    except OSError as error:
        raise MissingInputError(
            f"{show_path(path)}: cannot be read ({error.strerror}): check the path and its rights"
        ) from None


def _text_files_in(folder: Path, ours: list[Path]) -> list[Path]:
    """The text files of a folder and of those below; what Nyx wrote is added to `ours`."""
    files: list[Path] = []
    others: list[Path] = []
    left = [] if in_run(folder) else [folder]
    if not left:
        ours.append(folder)
    while left:
        inside = left.pop()
        if inside is not folder and is_run(inside):
            ours.append(inside)
            continue
        try:
            with os.scandir(inside) as found:
                entries = sorted((e for e in found if not e.name.startswith(".")), key=lambda entry: entry.name)
        except OSError as error:
            raise MissingInputError(
                f"{show_path(inside)}: cannot be read ({error.strerror}): check its rights"
            ) from None
        left += [inside / e.name for e in reversed(entries) if e.is_dir(follow_symlinks=False)]
        for path in filter(Path.is_file, (inside / e.name for e in entries)):
            texts = path.suffix.lower() in TEXT_SUFFIXES
            (ours if texts and is_ours(path) else files if texts else others).append(path)
    if not files:
        ours += filter(is_ours, others[:_LOOKED_AT])
    return files


def _kind(mode: int) -> str:
    kinds = ((stat.S_ISFIFO, "a named pipe"), (stat.S_ISCHR, "a character device"),
             (stat.S_ISBLK, "a block device"), (stat.S_ISSOCK, "a socket"))  # fmt: skip
    return next((name for test, name in kinds if test(mode)), "a special file")
