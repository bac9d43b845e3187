"""Atomic writing: every error at every call, a kill at every call, names of all kinds, what may not be replaced."""

from __future__ import annotations

import errno
import os
import socket
import stat
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from nyx import files
from nyx.errors import CheckpointError, DataError, MissingInputError, NyxError, StorageError

CALLS = ("open", "write", "fsync", "close", "replace", "link", "unlink", "mkdir")
ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS, errno.EACCES)
NAMES = ["a b.ckpt", "наш прогон 🌙", "line\nbreak", "-rf", "שלום", "x" * 255, os.fsdecode(b"\xff\xfe")]


@contextmanager
def watched(hook: Callable[[str, int], None]) -> Iterator[None]:
    """Call hook(name, index) before every system call of CALLS; a close happens first, as it does when it fails."""
    count = 0
    real = {name: getattr(os, name) for name in CALLS}

    def wrap(name: str) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            nonlocal count
            index, count = count, count + 1
            if name == "close":
                real[name](*args, **kwargs)
                return hook(name, index)
            hook(name, index)
            return real[name](*args, **kwargs)

        return call

    with pytest.MonkeyPatch.context() as patch:
        for name in CALLS:
            patch.setattr(os, name, wrap(name))
        yield


def fail_at(k: int, code: int) -> Callable[[str, int], None]:
    def hook(name: str, index: int) -> None:
        if index == k:
            raise OSError(code, os.strerror(code))

    return hook


def count_calls(action: Callable[[], object]) -> int:
    seen: list[str] = []
    with watched(lambda name, index: seen.append(name)):
        action()
    return len(seen)


def in_child(action: Callable[[], object]) -> int:
    """Run in a forked process; its exit status (0 when the action returns)."""
    pid = os.fork()
    if pid == 0:
        try:
            action()
        except BaseException:
            traceback.print_exc()
            os._exit(99)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def temporaries(folder: Path) -> list[str]:
    return [name for name in os.listdir(folder) if name.startswith(".nyx-tmp-")]


def one_line(error: BaseException) -> str:
    text = str(error)
    assert text.isprintable(), ascii(text)
    assert ";" in text, "an error says what to do next"
    return text


def test_writes_what_it_was_given(tmp_path: Path) -> None:
    path = tmp_path / "file"
    files.write_atomic(path, b"one")
    files.write_atomic(path, iter([b"t", bytearray(b"w"), memoryview(b"o"), b""]))
    assert path.read_bytes() == b"two"
    files.write_text(path, "é\udcff")
    assert path.read_text("utf-8") == "é\\udcff"
    assert os.listdir(tmp_path) == ["file"]


def test_short_writes_are_continued(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, data: real(descriptor, data[:7]))
    files.write_atomic(tmp_path / "file", bytes(range(256)))
    assert (tmp_path / "file").read_bytes() == bytes(range(256))
    monkeypatch.setattr(os, "write", lambda descriptor, data: 0)
    with pytest.raises(StorageError):
        files.write_atomic(tmp_path / "file", b"never")
    assert (tmp_path / "file").read_bytes() == bytes(range(256))


@pytest.mark.parametrize("code", ERRORS)
def test_every_error_at_every_call(tmp_path: Path, code: int) -> None:
    path = tmp_path / "file"
    old, new = b"old", b"new content"
    files.write_atomic(path, old)
    calls = count_calls(lambda: files.write_atomic(path, [new[:4], new[4:]]))
    assert calls >= 8  # open, two writes, fsync, close, replace, and the folder's open, fsync, close
    for k in range(calls):
        files.write_atomic(path, old)
        with watched(fail_at(k, code)), pytest.raises(StorageError) as caught:
            files.write_atomic(path, [new[:4], new[4:]])
        assert path.read_bytes() in (old, new)
        assert temporaries(tmp_path) == []
        text = one_line(caught.value)
        assert str(path) in text and errno.errorcode[code] in text and caught.value.exit_code == 74


def test_a_kill_at_every_call(tmp_path: Path) -> None:
    path = tmp_path / "file"
    old, new = b"old", b"new content"
    files.write_atomic(path, old)
    calls = count_calls(lambda: files.write_atomic(path, new))
    results = []
    for k in range(calls + 1):
        files.write_atomic(path, old)

        def killed(k: int = k) -> None:
            with watched(lambda name, index: os._exit(9) if index == k else None):
                files.write_atomic(path, new)

        assert in_child(killed) == (9 if k < calls else 0)
        assert path.read_bytes() in (old, new)
        results.append(path.read_bytes())
        files.remove_stale(tmp_path)
        assert temporaries(tmp_path) == []
    assert results[0] == old and results[-1] == new


def test_temporaries_of_living_processes_stay(tmp_path: Path) -> None:
    mine = Path(files._temporary_name(str(tmp_path / "file")))
    mine.touch()
    files.remove_stale(tmp_path)
    assert mine.exists()


@pytest.mark.parametrize("name", NAMES)
def test_unusual_names(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    files.write_atomic(name, b"data")
    files.publish(name, "copy")
    assert Path(name).read_bytes() == Path("copy").read_bytes() == b"data"
    with pytest.raises(StorageError) as caught:
        files.write_atomic(os.path.join(name, "below"), b"data")
    one_line(caught.value)


def test_names_that_cannot_be(tmp_path: Path) -> None:
    for name in ("x" * 256, "nul\0", "missing/file", ""):
        with pytest.raises(StorageError) as caught:
            files.write_atomic(os.path.join(tmp_path, name) if name else "", b"data")
        one_line(caught.value)
    assert os.listdir(tmp_path) == []


def special_files(folder: Path) -> list[Path]:
    (folder / "folder").mkdir()
    os.mkfifo(folder / "pipe")
    with socket.socket(socket.AF_UNIX) as server:
        here = os.getcwd()
        os.chdir(folder)  # the name of a socket is short
        server.bind("socket")
        os.chdir(here)
    return [folder / "folder", folder / "pipe", folder / "socket", Path("/dev/null")]


def test_only_files_are_replaced(tmp_path: Path) -> None:
    (tmp_path / "source").write_bytes(b"data")
    for path in special_files(tmp_path):
        before = os.lstat(path)
        for action in (files.write_atomic, lambda path, _: files.publish(tmp_path / "source", path)):
            with pytest.raises(StorageError) as caught:
                action(path, b"data")
            one_line(caught.value)
        assert os.lstat(path).st_ino == before.st_ino


def test_a_link_is_replaced_not_followed(tmp_path: Path) -> None:
    (tmp_path / "other").write_bytes(b"other")
    (tmp_path / "link").symlink_to("other")
    files.write_atomic(tmp_path / "link", b"data")
    assert (tmp_path / "other").read_bytes() == b"other"
    assert (tmp_path / "link").read_bytes() == b"data" and not (tmp_path / "link").is_symlink()


def test_only_files_are_read(tmp_path: Path) -> None:
    (tmp_path / "circle").symlink_to("circle")
    for path in [*special_files(tmp_path), tmp_path / "circle"]:
        for kind in (DataError, CheckpointError):
            with pytest.raises(kind) as caught:
                files.open_input(path, kind)
            one_line(caught.value)
    for path in (str(tmp_path / "none"), "nul\0", "", str(tmp_path / "pipe" / "below")):
        with pytest.raises(MissingInputError) as missing:
            files.open_input(path)
        one_line(missing.value)


def test_publish_is_one_file_where_links_work(tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    files.write_atomic(source, b"data", mode=0o444)
    target.write_bytes(b"before")
    for _ in range(2):  # the second time both names are one file already
        files.publish(source, target)
        assert os.path.samefile(source, target)
        assert sorted(os.listdir(tmp_path)) == ["source", "target"]


@pytest.mark.parametrize("code", [errno.EXDEV, errno.EPERM, errno.EMLINK, errno.ENOTSUP])
def test_publish_copies_where_links_do_not_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    def link(*args: object) -> None:
        raise OSError(code, "no link")

    monkeypatch.setattr(os, "link", link)
    source, target = tmp_path / "source", tmp_path / "target"
    content = os.urandom(3_000_000)
    files.write_atomic(source, content, mode=0o444)
    files.publish(source, target)
    assert target.read_bytes() == content and not os.path.samefile(source, target)
    assert stat.S_IMODE(target.stat().st_mode) == stat.S_IMODE(source.stat().st_mode)
    assert temporaries(tmp_path) == []


def test_appended_lines_are_whole(tmp_path: Path) -> None:
    path = tmp_path / "log"
    files.append_line(path, "one")
    with open(path, "ab") as file:
        file.write(b"tor")
    files.append_line(path, "two", durable=True)
    assert path.read_bytes() == b"one\ntor\ntwo\n"


def test_folders(tmp_path: Path) -> None:
    files.make_folder(tmp_path / "a" / "b" / "c")
    files.make_folder(tmp_path / "a" / "b" / "c")
    assert (tmp_path / "a" / "b" / "c").is_dir()
    (tmp_path / "file").touch()
    for path in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(StorageError) as caught:
            files.make_folder(path)
        one_line(caught.value)


def test_no_descriptor_is_left_open(tmp_path: Path) -> None:
    if not sys.platform.startswith("linux"):
        pytest.skip("counts /proc/self/fd")
    before = len(os.listdir("/proc/self/fd"))
    for k in range(8):
        with watched(fail_at(k, errno.EIO)), pytest.raises(NyxError):
            files.write_atomic(tmp_path / "file", b"data")
        with pytest.raises(NyxError):
            files.open_input(tmp_path)
    assert len(os.listdir("/proc/self/fd")) == before


def test_one_holder_of_a_lock(tmp_path: Path) -> None:
    first = files.lock(tmp_path / "lock")
    assert first is not None
    assert files.lock(tmp_path / "lock") is None
    os.close(first)
    second = files.lock(tmp_path / "lock")
    assert second is not None
    os.close(second)
