"""A checkpoint from somebody else, or after a crash: where a resume writes, what it replaces and what it publishes."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from nyx.config import Config
from nyx.errors import ConfigError, DataError
from nyx.text.vocabulary import Vocabulary
from nyx.training import checkpoint, container
from nyx.training.checkpoint_folder import CheckpointFolder
from nyx.training.fit import require_header
from tests.training.small import make_config, make_text
from tests.training.test_crafted import SMALL
from tests.training.test_hostile_runs import run

OPTIONS = [word for value in [*SMALL, "checkpoint.every_steps=1"] for word in ("--set", value)]
MORE = ("--device", "cpu", "--set", "train.max_steps=5")
TEXT = b"export PATH\n"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with a text, and a run in runs/RUN; the working directory."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)
    Path("text.txt").write_text(make_text(60), encoding="utf-8")
    Path("c.yaml").write_text("{}")
    code, said, _ = train()
    assert code == 0, said
    yield tmp_path


def train(*more: str) -> tuple[int, str, float]:
    return run("train", "text.txt", "--config", "c.yaml", "--device", "cpu", *OPTIONS, *more)


def craft(source: Path, target: Path, **stored: Any) -> None:
    """A copy of a checkpoint with other paths in it: of checkpoint.path, run_dir and the run's directory."""
    contents = container.read(source)
    config, training = (json.loads(contents.metadata[key]) for key in ("config", "training"))
    config["checkpoint"]["path"] = stored.get("path", config["checkpoint"]["path"])
    config["run_dir"] = stored.get("runs", config["run_dir"])
    training |= {key: stored[key] for key in ("run_dir", "run_id") if key in stored}
    changed = {"config": json.dumps(config), "training": json.dumps(training)}
    target.parent.mkdir(parents=True, exist_ok=True)
    target.unlink(missing_ok=True)
    container.write(target, contents.tensors, contents.metadata | changed)


def tree(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def the_run() -> Path:
    return next(Path("runs").iterdir())


@pytest.mark.parametrize("run_id", ["0123456789abcdef", ""])
@pytest.mark.parametrize("place", ["absolute", "upwards", "link", "home"])
def test_a_file_writes_nowhere_that_it_says(
    home: Path, monkeypatch: pytest.MonkeyPatch, place: str, run_id: str
) -> None:
    """Neither a new name nor over a file that is there, whatever its run is called."""
    other = home / "other"
    other.mkdir()
    (other / ".bashrc").write_bytes(TEXT)
    (home / "mine").mkdir()
    monkeypatch.chdir(home / "mine")
    shutil.copy(home / "text.txt", "text.txt")
    monkeypatch.setenv("HOME", str(other))
    Path("link").symlink_to(other)
    base = {"absolute": str(other), "upwards": "../other", "link": "link", "home": "~"}[place]
    for number, name in enumerate((".bashrc", "new.ckpt", "deep/new.ckpt")):
        friend = Path(f"friend{number}.ckpt")
        craft(home / "models/hrm.ckpt", friend, path=f"{base}/{name}", runs=f"{base}/runs", run_dir=f"{base}/runs/x",
              run_id=run_id)  # fmt: skip
        before = tree(other)
        code, said, _ = run("resume", str(friend), *MORE)
        assert code == 0 and "not here" in said and "runs" in said, said
        assert tree(other) == before == {str(other / ".bashrc"): TEXT} and not Path("~").exists()
        newest = max(Path("runs").iterdir(), key=lambda path: path.stat().st_mtime_ns)
        assert checkpoint.load(newest / "checkpoints/step-00000005.ckpt").info().training.step == 5
        assert checkpoint.load(friend).info().training.step == 5, "what the user named is renewed"
        stored = checkpoint.load(friend).info()
        assert stored.config["run_dir"] == "runs" and base not in stored.config["checkpoint"]["path"]


def test_what_the_user_says_counts(home: Path) -> None:
    craft(Path("models/hrm.ckpt"), Path("friend.ckpt"), path="/nowhere/x.ckpt", run_dir="/nowhere/x", run_id="ff")
    code, said, _ = run("resume", "friend.ckpt", *MORE, "--set", "checkpoint.path=out/x.ckpt", "--set", "run_dir=mine")
    assert code == 0, said
    assert checkpoint.load("out/x.ckpt").info().training.step == 5 and len(list(Path("mine").iterdir())) == 1
    assert checkpoint.load("friend.ckpt").info().training.step == 4


@pytest.mark.parametrize("what", ["file", "hidden", "upwards", "absolute", "through a link", "empty", "pipe"])
def test_a_directory_from_somebody_else(home: Path, what: str) -> None:
    """The run is there, as it came with the file; what its checkpoints name elsewhere is not written to."""
    other = home / "other"
    other.mkdir()
    (other / "file").write_bytes(TEXT)
    (other / "empty").touch()
    os.mkfifo(other / "pipe")
    inner = home / "inner"
    inner.mkdir()
    shutil.copy("text.txt", inner)
    shutil.copytree(the_run(), inner / "gift")
    os.chdir(inner)
    Path("way").symlink_to(other)
    names = {"file": other / "file", "hidden": ".ssh/keys", "upwards": "../other/new", "absolute": other / "new",
             "through a link": "way/new", "empty": other / "empty", "pipe": other / "pipe"}  # fmt: skip
    for file in Path("gift/checkpoints").glob("step-*"):
        craft(file, file, path=str(names[what]), run_dir="gift")
    before = tree(home / "other")
    code, said, _ = run("resume", "gift", *MORE)
    assert code == 0 and "the newest state goes to models/hrm.ckpt" in said and "--set checkpoint.path=" in said, said
    assert tree(home / "other") == before and not Path(".ssh").exists() and len(list(other.iterdir())) == 3
    assert checkpoint.load("models/hrm.ckpt").info().training.step == 5


def test_a_resume_replaces_nothing_but_checkpoints(home: Path) -> None:
    run_path = the_run()
    for content in (TEXT, b"", bytes(5000)):
        Path("models/hrm.ckpt").unlink()
        Path("models/hrm.ckpt").write_bytes(content)
        before = tree(run_path)
        for more in ((), ("--set", "checkpoint.path=models/hrm.ckpt")):
            code, said, _ = run("resume", str(run_path), *MORE, *more)
            assert code == 74 and "models/hrm.ckpt" in said and "is no checkpoint" in said, said
            assert Path("models/hrm.ckpt").read_bytes() == content and os.listdir("models") == ["hrm.ckpt"]
            assert {name: data for name, data in tree(run_path).items() if not name.endswith(".lock")} == {
                name: data for name, data in before.items() if not name.endswith(".lock")
            }
    torn = (run_path / "checkpoints/step-00000004.ckpt").read_bytes()[:-7]
    Path("models/hrm.ckpt").write_bytes(torn)  # one of ours that is damaged is set aside, as before
    code, said, _ = run("resume", str(run_path), *MORE)
    assert code == 0 and "hrm.aside.ckpt" in said, said


def test_a_name_of_its_own_is_kept_while_the_run_is_there(home: Path) -> None:
    shutil.rmtree("runs")
    code, said, _ = train("--out", "models/mine.ckpt", "--set", "seed=2")
    assert code == 0, said
    Path("models/mine.ckpt").unlink()  # or never written: the run ended before that
    code, said, _ = run("resume", str(the_run()), *MORE)
    assert code == 0 and "goes to" not in said, said
    assert checkpoint.load("models/mine.ckpt").info().training.step == 5


# ---- after a crash between a save and its publishing


def unpublished(home: Path) -> Path:
    """The run as it is when the process ends after the last state was saved and before it was published."""
    folder = the_run() / "checkpoints"
    Path("models/hrm.ckpt").unlink()
    os.link(folder / "step-00000003.ckpt", "models/hrm.ckpt")
    (folder / "latest").write_text("step-00000003.ckpt\n")
    return the_run()


def test_a_finished_run_is_published_by_a_resume(home: Path) -> None:
    path = unpublished(home)
    code, said, _ = run("resume", str(path), "--device", "cpu")
    assert code == 0 and "finished at step 4" in said and "models/hrm.ckpt" in said, said
    assert checkpoint.load("models/hrm.ckpt").info().training.step == 4
    assert (path / "checkpoints/latest").read_text() == "step-00000004.ckpt\n"
    before = tree(path) | tree(Path("models"))
    code, said, _ = run("resume", str(path), "--device", "cpu")
    assert code == 0 and "now" not in said and tree(path) | tree(Path("models")) == before
    Path("models/hrm.ckpt").unlink()
    run("resume", str(path), "--device", "cpu")
    assert checkpoint.load("models/hrm.ckpt").info().training.step == 4


def test_what_is_newer_is_left_alone(home: Path) -> None:
    path = the_run()
    assert train("--set", "seed=3")[0] == 0
    newer = checkpoint.load("models/hrm.ckpt").sha256
    assert run("resume", str(path), "--device", "cpu")[0] == 0
    assert checkpoint.load("models/hrm.ckpt").sha256 == newer, "another run's newer state"
    old = path / "checkpoints/step-00000003.ckpt"
    assert run("resume", str(old), "--device", "cpu", "--set", "train.max_steps=3")[0] == 0
    assert checkpoint.load("models/hrm.ckpt").sha256 == newer
    folder = next(p for p in Path("runs").iterdir() if p != path)
    script = "import sys, time\nfrom nyx.files import lock\nassert lock(sys.argv[1])\nprint(flush=True)\ntime.sleep(60)"
    command = [sys.executable, "-c", script, str(folder / ".lock")]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as held:
        assert held.stdout is not None
        held.stdout.readline()
        Path("models/hrm.ckpt").unlink()
        code, said, _ = run("resume", str(folder), "--device", "cpu")
        held.kill()
    assert code == 0 and "finished" in said and not Path("models/hrm.ckpt").exists(), "who has the run publishes"


# ---- what cannot be read, held or removed


def test_what_cannot_be_read_is_missing_input(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """66 for a file, a run's directory and what is in it; in a process without the rights of root."""
    closed = Path("closed.ckpt")
    shutil.copy("models/hrm.ckpt", closed)
    closed.chmod(0)
    shutil.copytree(the_run(), "closed")
    for folder, mode in (("closed", 0), ("closed", 0o400), ("closed", 0o755), ("closed/checkpoints", 0)):
        os.chmod(folder, mode)
        inside = [closed] if mode == 0o755 else [closed, Path("closed"), Path("closed/checkpoints/step-00000004.ckpt")]
        if mode == 0o755:
            os.chmod("closed/run.json", 0)
            inside.append(Path("closed"))
        script = (
            "import importlib, os, pkgutil, sys, nyx\nfrom nyx.cli import main\n"
            "for found in pkgutil.walk_packages(nyx.__path__, 'nyx.'): importlib.import_module(found.name)\n"
            "if os.getuid() == 0: os.setgid(65534); os.setuid(65534)\n"
            "sys.argv = ['nyx', *sys.argv[1:]]\nmain()"
        )
        os.chmod(home, 0o777)
        for above in home.parents:
            if above != Path("/") and above != Path("/tmp"):
                os.chmod(above, os.stat(above).st_mode | 0o055)
        for path in inside:
            for command in (["resume", str(path)], ["generate", str(path), "--prompt", "t", "--device", "cpu"]):
                done = subprocess.run([sys.executable, "-c", script, *command], capture_output=True, text=True)
                assert done.returncode == 66 and done.stderr.count("\n") == 1, (mode, path, done.stderr)
        if mode == 0o755:
            os.chmod("closed/run.json", 0o644)
    os.chmod("closed/checkpoints", 0o755)


def test_a_vocabulary_that_no_header_can_hold() -> None:
    code_points = [*range(32, 0xD800), *range(0xE000, 0x110000)]
    config = make_config()
    require_header(config, Vocabulary("".join(map(chr, code_points[:20_000]))))
    with pytest.raises(DataError, match=r"data\.max_characters to ") as caught:
        require_header(config, Vocabulary("".join(map(chr, code_points))))
    most = int(str(caught.value).partition("data.max_characters to ")[2].split()[0])
    require_header(config, Vocabulary("".join(map(chr, code_points[-most:]))))
    many = config.model_dump() | {"data": {"path": tuple(f"texts/{number:06}.txt" for number in range(300_000))}}
    with pytest.raises(ConfigError, match=r"data\.path has 300,000 names"):
        require_header(Config.model_validate(many), Vocabulary("ab"))


def test_it_is_refused_before_training(home: Path) -> None:
    code_points = [*range(0x10000, 0x10000 + 330_000)]
    Path("text.txt").write_text("".join(map(chr, code_points)) * 2, encoding="utf-8")
    code, said, _ = train("--set", "data.normalization=none")
    assert code == 65 and "data.max_characters" in said and len(list(Path("runs").iterdir())) == 1, said


def test_what_cannot_be_removed_is_one_warning(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = Path.unlink

    def unlink(path: Path, missing_ok: bool = False) -> None:
        if path.name.startswith("step-") or path.name == "best":
            raise PermissionError(13, "Permission denied")
        real(path, missing_ok)

    monkeypatch.setattr(Path, "unlink", unlink)
    code, said, _ = run("resume", str(the_run()), "--device", "cpu", "--set", "train.max_steps=9")
    assert code == 0 and said.count("cannot remove") == 1 and "warning: " in said, said
    found, errors = CheckpointFolder(the_run() / "checkpoints").entries()
    assert not errors and found[0].step == 9 and len(found) >= 7
    assert checkpoint.load("models/hrm.ckpt").info().training.step == 9
