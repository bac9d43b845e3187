"""Directories of runs in which something else lies at a name that Nyx reads or writes: refused or passed over in one
line, within a second, and nothing elsewhere is touched."""

from __future__ import annotations

import contextlib
import io
import os
import shutil
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from nyx.cli import cli
from nyx.errors import NyxError, StorageError
from nyx.files import append_line, lock, open_own, read_own
from nyx.training.published import read_run
from nyx.training.rundir import read_status
from tests.training.small import working_in
from tests.training.test_crafted import SMALL

NAMES = ("config.yaml", "run.json", "metrics.jsonl", "train.log", "samples.txt", "status.json", ".lock",
         "checkpoints/latest", "checkpoints/best", "checkpoints", "gates", "checkpoints/superseded")  # fmt: skip
PRECIOUS = b"export PATH\nalias ll='ls -l'\n"


def put_link(path: Path) -> None:
    path.symlink_to("../precious" if path.parent.name != "checkpoints" else "../../precious")


def put_link_to_folder(path: Path) -> None:
    path.symlink_to("../elsewhere" if path.parent.name != "checkpoints" else "../../elsewhere")


def put_socket(path: Path) -> None:
    here = os.getcwd()
    os.chdir(path.parent)  # the name of a socket has few characters
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(path.name)
    os.chdir(here)


def put_device(path: Path) -> None:
    try:
        os.mknod(path, 0o20666, os.makedev(1, 5))
    except PermissionError:  # a link does: it is only not followed
        path.symlink_to("/dev/zero")


def put_huge(path: Path) -> None:
    with open(path, "wb") as file:
        file.truncate(1 << 38)


def put_nonsense(path: Path) -> None:
    path.write_bytes(b"\xff{[\0\n" * 3)


KINDS: dict[str, Callable[[Path], None]] = {
    "pipe": os.mkfifo, "socket": put_socket, "link": put_link, "link to a folder": put_link_to_folder,
    "dangling link": lambda path: path.symlink_to("nothing here"), "folder": Path.mkdir, "device": put_device,
    "huge": put_huge, "file of no use": put_nonsense,
}  # fmt: skip
FOLDERS = ("checkpoints", "gates", "checkpoints/superseded")
CASES = [(name, kind) for name in NAMES for kind in KINDS if not (name in FOLDERS and kind == "folder")]


def run(*arguments: str) -> tuple[int, str, float]:
    """Exit code, all that was said, and seconds, of a command in this process."""
    said, start, code = io.StringIO(), time.monotonic(), 0
    with contextlib.redirect_stdout(io.TextIOWrapper(io.BytesIO())), contextlib.redirect_stderr(said):
        try:
            cli.main(list(arguments), standalone_mode=False)
        except NyxError as error:
            code = error.exit_code
            said.write(str(error))
            assert "\n" not in str(error) and str(error).isprintable()
    return code, said.getvalue(), time.monotonic() - start


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The working directory: a text, and a run of four steps in good/."""
    folder = tmp_path_factory.mktemp("hostile")
    with working_in(folder):
        options = [word for value in SMALL for word in ("--set", value)]
        code, said, _ = run("train", "text.txt", "--config", "c.yaml", "--device", "cpu", "--run-dir", "good", *options)
        assert code == 0, said
        yield folder


def hostile(name: str, kind: str) -> Path:
    """The run again, with that at the name, and what must not be touched beside it."""
    for old in ("run", "elsewhere"):
        shutil.rmtree(old, ignore_errors=True)
    shutil.copytree("good", "run")
    Path("precious").write_bytes(PRECIOUS)
    Path("elsewhere").mkdir()
    path = Path("run", name)
    if path.is_dir():
        shutil.rmtree(path)
    path.unlink(missing_ok=True)
    KINDS[kind](path)
    return path


@pytest.mark.parametrize(("name", "kind"), CASES)
def test_each_command_answers_at_once(project: Path, name: str, kind: str) -> None:
    commands = {
        "resume": ("resume", "run", "--device", "cpu", "--set", "train.max_steps=5"),
        "finished": ("resume", "run", "--device", "cpu"),
        "generate": ("generate", "run", "--device", "cpu", "--prompt", "t", "-n", "1"),
        "eval": ("eval", "run", "little.txt", "--device", "cpu"),
    }
    for command, arguments in commands.items():
        path = hostile(name, kind)
        code, said, seconds = run(*arguments)
        assert code in (0, 65, 66, 73, 74), (command, code, said)
        assert seconds < 5, (command, seconds, said)  # a training of one step, on a machine with much else to do
        assert Path("precious").read_bytes() == PRECIOUS and os.listdir("elsewhere") == [], command
        replaced = kind == "link" and name in ("checkpoints/latest", "checkpoints/best")  # and not followed
        special = kind in ("pipe", "socket", "link", "device") and name != "run.json" and not replaced
        if command == "resume" and special:
            assert code in (66, 73, 74) and path.name in said, (code, said)
    start = time.monotonic()
    read_status(Path("run"))
    read_run(Path("run"))
    assert time.monotonic() - start < 1
    shutil.rmtree("runs", ignore_errors=True)


def test_there_are_enough_of_them() -> None:
    assert len(CASES) > 100


def test_one_opener_for_all_of_them(tmp_path: Path) -> None:
    for kind, put in KINDS.items():
        if kind in ("huge", "file of no use"):
            continue
        path = tmp_path / kind / "it"
        path.parent.mkdir()
        put(path)
        if kind == "link":
            (tmp_path / "precious").write_bytes(PRECIOUS)
        for use in (lambda p: append_line(p, "x"), lock, lambda p: read_own(p, 100)):
            start = time.monotonic()
            with pytest.raises(StorageError) as caught:
                use(path)
            assert time.monotonic() - start < 1 and str(path) in str(caught.value)
        with pytest.raises(OSError):
            open_own(path, os.O_RDWR)
    assert (tmp_path / "precious").read_bytes() == PRECIOUS
    assert read_own(tmp_path / "nothing", 5) is None
    (tmp_path / "file").write_bytes(b"12345")
    assert read_own(tmp_path / "file", 5) == b"12345"
    with pytest.raises(StorageError, match="EFBIG"):
        read_own(tmp_path / "file", 4)
