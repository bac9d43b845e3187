"""Which files a corpus is read from: files, folders and patterns, checked before a single byte is read."""

from __future__ import annotations

import glob
import os
import stat
from collections.abc import Iterable
from pathlib import Path

from nyx.errors import DataError, MissingInputError
from nyx.files import show_path

TEXT_SUFFIXES = (".txt", ".text", ".md")
PathLike = str | os.PathLike[str]


def find_files(paths: PathLike | Iterable[PathLike]) -> list[Path]:
    """The regular files that `paths` names, in the order given and each once.

    A path is a file of any name, a folder (every TEXT_SUFFIXES file in it and below, sorted, hidden ones and links to
    folders left out), or a pattern with `*`, `?` or `[` (sorted). Raises MissingInputError (66) for what is not there
    and DataError (65) for what is no text file: a pipe, a device, a folder without text. Nothing is opened.
    """
    named = [paths] if isinstance(paths, str | os.PathLike) else list(paths)
    if not named:
        raise MissingInputError("no corpus is named: give at least one text file")
    files: dict[tuple[int, int], Path] = {}
    for name in named:
        for path in _expand(os.fspath(name)):
            info = _status(path)
            files.setdefault((info.st_dev, info.st_ino), path)
    return list(files.values())


def _expand(name: str) -> list[Path]:
    if any(c in name for c in "*?[") and not os.path.lexists(name):
        matches = sorted(glob.glob(name, recursive=True))
        if not matches:
            raise MissingInputError(f"{show_path(name)}: no file matches this pattern")
        return [file for match in matches for file in _expand(match)]
    path = Path(name)
    mode = _status(path).st_mode
    if stat.S_ISDIR(mode):
        return _text_files_in(path)
    if not stat.S_ISREG(mode):
        raise DataError(f"{show_path(name)}: {_kind(mode)}, not a text file: name a regular file")
    return [path]


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


def _text_files_in(folder: Path) -> list[Path]:
    def unreadable(error: OSError) -> None:
        raise MissingInputError(
            f"{show_path(error.filename)}: cannot be read ({error.strerror}): check its rights"
        ) from None

    files: list[Path] = []
    for root, folders, names in os.walk(folder, onerror=unreadable):
        folders[:] = sorted(f for f in folders if not f.startswith("."))
        found = (Path(root, name) for name in sorted(names) if not name.startswith("."))
        files += [path for path in found if path.suffix.lower() in TEXT_SUFFIXES and path.is_file()]
    if not files:
        raise DataError(
            f"{show_path(folder)}: no {', '.join(TEXT_SUFFIXES)} file in this folder: name the files themselves"
        )
    return files


def _kind(mode: int) -> str:
    kinds = ((stat.S_ISFIFO, "a named pipe"), (stat.S_ISCHR, "a character device"),
             (stat.S_ISBLK, "a block device"), (stat.S_ISSOCK, "a socket"))  # fmt: skip
    return next((name for test, name in kinds if test(mode)), "a special file")
