"""The directory of a run: saving, keeping, going on, publishing, one writer; errors and kills at every call."""

from __future__ import annotations

import errno
import importlib.util
import json
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nyx.errors import CheckpointError, ConfigError, MissingInputError, NyxError, RunDirectoryError, StorageError
from nyx.training import checkpoint
from nyx.training.checkpoint import Checkpoint, CheckpointInfo, TrainingState
from nyx.training.metrics_log import read_metrics
from nyx.training.rundir import Keeping, RunDirectory, open_checkpoint, read_status

_spec = importlib.util.spec_from_file_location("watched_files", Path(__file__).with_name("test_files.py"))
assert _spec is not None and _spec.loader is not None
faults: Any = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(faults)


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)  # a kill needs none: test_power_cut.py is about them
    return tmp_path


class Heard(list[str]):
    """What a run said, one line at a time."""

    def __call__(self, line: str) -> None:
        assert line.isprintable(), ascii(line)
        self.append(line)


def tensors(step: int) -> dict[str, np.ndarray]:
    return {"model.w": np.full(300, step, np.float32), "optim.m.w": np.full(300, -step, np.float32)}


def info(step: int, best_step: int | None = None, **more: Any) -> CheckpointInfo:
    return CheckpointInfo({"model": {}}, '["a"]', TrainingState(step=step, best_step=best_step, **more))


def create(name: str = "hrm", say: Callable[[str], None] | None = None, **keeping: Any) -> RunDirectory:
    path = keeping.pop("path", None)
    return RunDirectory.create(name, "seed: 1\n", {"device": "CPU"}, Keeping(**keeping), path=path, say=say)


def resume(
    source: Path | Checkpoint, config: str = "seed: 1\n", say: Callable[[str], None] | None = None, **keeping: Any
):
    state = source if isinstance(source, Checkpoint) else checkpoint.load(source)
    return RunDirectory.resume(state, "hrm", config, {"device": "CPU"}, Keeping(**keeping), say=say)


def save(run: RunDirectory, step: int, best: bool = False, best_step: int | None = None, **more: Any) -> Path:
    return run.save(tensors(step), info(step, step if best else best_step, **more), best=best)


def steps(run: Path, sub: str = "") -> list[int]:
    folder = run / "checkpoints" / sub
    names = sorted(os.listdir(folder)) if folder.is_dir() else []
    return [int(name[5:13]) for name in names if name.startswith("step-")]


def step_of(path: Path | str) -> int:
    state = checkpoint.load(Path(path))
    step = state.info().training.step
    assert state.tensors["model.w"][0] == step, "a state is of one moment"
    return step


def latest(run: Path) -> int:
    said = Heard()
    step = open_checkpoint(run, said).info().training.step
    assert said == []
    return step


# ---- what lies in it


def test_a_new_run(here: Path) -> None:
    with create("my run") as run:
        assert run.path.parent == Path("runs") and run.path.name.endswith("-my run")
        run.log("first line")
        run.log("two\nlines")
        run.status({"step": 1, "loss": np.float32(1.5), "bad": float("nan")})
        run.sample(5, "text")
        run.gate("loss", {"pass": True})
        run.metrics({"step": 1, "train/loss": np.float64(2.5), "worse": float("inf")})
    assert (run.path / "config.yaml").read_text() == "seed: 1\n"
    assert (run.path / "train.log").read_text() == "first line\ntwo\nlines\n"
    assert (run.path / "samples.txt").read_text() == "--- step 5\ntext\n\n"
    assert json.loads((run.path / "gates/loss.json").read_text()) == {"pass": True}
    assert read_status(run.path) == {"step": 1, "loss": 1.5, "bad": None} and read_status(here) is None
    assert read_metrics(run.path) == [{"step": 1, "train/loss": 2.5, "worse": None}]
    about = json.loads((run.path / "run.json").read_text())
    assert about["device"] == "CPU" and about["name"] == "my run" and about["parent"] is None
    assert about["id"] == run.id and [entry["attempt"] for entry in about["attempts"]] == [0]


def test_runs_of_one_second_have_names_of_their_own() -> None:
    runs = [create() for _ in range(5)]
    assert len({run.path for run in runs}) == len({run.id for run in runs}) == 5


def test_a_named_directory_must_be_new_or_empty(here: Path) -> None:
    Path("empty").mkdir()
    create(path=Path("empty")).close()
    create(path=Path("deep/er/new")).close()
    for name in ("empty", "deep"):
        with pytest.raises(RunDirectoryError) as caught:
            create(path=Path(name))
        assert faults.one_line(caught.value) and caught.value.exit_code == 73
    Path("file").touch()
    with pytest.raises(RunDirectoryError):
        create(path=Path("file"))
    with pytest.raises(RunDirectoryError):
        create(runs=Path("file/runs"))


@pytest.mark.parametrize("name", [*faults.NAMES, "a/b\0c", ".."])
def test_unusual_names(name: str) -> None:
    clean = name if "\0" not in name else "x"
    folder = Path(clean if clean != ".." else "dots", "runs")
    published = Path(clean[:40] + " models", clean[:40] + ".ckpt")
    with create(name, runs=folder, published=published) as run:
        assert run.path.parent == folder
        save(run, 3, best=True)
    said = Heard()
    with resume(published, say=said, runs=folder, published=published) as again:
        assert again.path == run.path and again.attempt == 1
        save(again, 5)
    assert step_of(published) == latest(run.path) == 5
    with create(name, say=said, runs=folder, published=published) as other:
        save(other, 1)
    assert len(said) == 1 and "stays at" in said[0]
    assert step_of(published) == 1


# ---- saving and keeping


def test_save_keeps_publishes_and_points() -> None:
    with create(keep_last=2) as run:
        for step in range(1, 7):
            path = save(run, step, best=step == 2, best_step=2 if step > 2 else None)
            assert path == run.path / "checkpoints" / f"step-{step:08d}.ckpt"
            assert step_of("models/hrm.ckpt") == step == latest(run.path)
    folder = run.path / "checkpoints"
    assert steps(run.path) == [2, 5, 6]
    assert (folder / "best").read_text() == "step-00000002.ckpt\n"
    assert (folder / "latest").read_text() == "step-00000006.ckpt\n"
    assert open_checkpoint(folder / "best", Heard()).info().training.step == 2
    assert open_checkpoint(folder / "latest", Heard()).info().training.step == 6
    saved = checkpoint.load("models/hrm.ckpt").info().training
    assert (saved.run_id, saved.run_dir, saved.attempt) == (run.id, str(run.path), 0)
    assert os.path.samefile(folder / "step-00000006.ckpt", "models/hrm.ckpt")
    assert sorted(os.listdir("models")) == ["hrm.ckpt"]


def test_saving_one_step_twice() -> None:
    with create() as run:
        save(run, 1)
        save(run, 1, chars_seen=9)
    assert steps(run.path) == [1] and checkpoint.load("models/hrm.ckpt").info().training.chars_seen == 9


def test_keep_all_and_publish_nothing() -> None:
    with create(keep_last=0, published=None) as run:
        for step in range(1, 8):
            save(run, step)
    assert steps(run.path) == list(range(1, 8)) and not Path("models").exists()


def test_templates() -> None:
    with create(template="phase{phase}_epoch{epoch:02}.ckpt", keep_last=1) as run:
        for epoch in (1, 2, 3):
            extra = ["phase{phase}_BEST_.ckpt"] if epoch == 2 else []
            run.save(tensors(epoch), info(epoch, epoch=epoch, phase=4), extra_names=extra)
    names = sorted(os.listdir(run.path / "checkpoints"))
    assert names == ["latest", "phase4_BEST_.ckpt", "phase4_epoch03.ckpt"]
    assert step_of(run.path / "checkpoints/phase4_BEST_.ckpt") == 2 and latest(run.path) == 3


def test_a_further_name_is_kept_once_a_phase_and_a_state_between_epochs_has_its_step() -> None:
    best = "phase{phase}_BEST_epoch{epoch}.ckpt"
    with create(template="phase{phase}_epoch{epoch}.ckpt", keep_last=1) as run:
        for step, phase, epoch, rest in ((1, 1, 1, 0), (2, 1, 1, 1), (3, 1, 2, 0), (4, 2, 1, 0), (5, 2, 1, 2)):
            run.save(tensors(step), info(step, epoch=epoch, phase=phase, epoch_steps=rest), extra_names=[best])
    assert sorted(os.listdir(run.path / "checkpoints")) == [
        "latest", "phase1_BEST_epoch2.ckpt",
        "phase2_BEST_epoch1_step-00000005.ckpt", "phase2_epoch1_step-00000005.ckpt",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "template",
    ["", "a/{step}", "{", "{nothing}", "{step.real}", "{step:99999999d}", "{step!r}", "best", ".x", "a\0", "{}"],
)
def test_templates_that_are_none(template: str) -> None:
    with pytest.raises(ConfigError) as caught:
        create(template=template)
    assert faults.one_line(caught.value)


def test_pruning_leaves_what_it_did_not_make() -> None:
    with create(keep_last=1) as run:
        folder = run.path / "checkpoints"
        (folder / "notes.txt").write_text("mine")
        save(run, 1)
        os.link(folder / "step-00000001.ckpt", folder / "kept.ckpt")
        for step in range(2, 5):
            save(run, step)
    assert sorted(os.listdir(folder)) == ["kept.ckpt", "latest", "notes.txt", "step-00000004.ckpt"]
    assert latest(run.path) == 4


def test_steps_decide_not_names_or_dates() -> None:
    with create(keep_last=0) as run:
        paths = [save(run, step) for step in (9, 10, 100)]
    os.utime(paths[0], (4e9, 4e9))
    os.utime(paths[2], (0, 0))
    paths[0].rename(paths[0].with_name("zzz"))
    assert latest(run.path) == 100


def damage(path: Path, at: int = -5) -> None:
    path.chmod(0o644)
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.unlink()  # other names of the file stay whole
    path.write_bytes(data)


@pytest.mark.parametrize("at", [-5, 0, 300])
def test_falls_back_with_one_warning_that_names_both(at: int) -> None:
    with create() as run:
        paths = [save(run, step) for step in (1, 2, 3)]
    damage(paths[2], at)
    said = Heard()
    assert open_checkpoint(run.path, said).info().training.step == 2
    assert len(said) == 1 and str(paths[2]) in said[0] and str(paths[1]) in said[0]
    for path in paths[:2]:
        damage(path, at)
    with pytest.raises(CheckpointError):
        open_checkpoint(run.path, said)
    assert len(said) == 1


def test_no_checkpoint_yet() -> None:
    with create() as run, pytest.raises(MissingInputError) as caught:
        open_checkpoint(run.path, Heard())
    assert faults.one_line(caught.value)
    with pytest.raises(CheckpointError):
        open_checkpoint(Path("models"), Heard())


# ---- going on


def test_goes_on_in_its_own_directory() -> None:
    with create() as run:
        for step in (1, 2, 3):
            run.metrics({"step": step, "a": 0})
            save(run, step)
    with resume(Path("models/hrm.ckpt"), config="seed: 2\n") as again:
        assert (again.path, again.id, again.attempt) == (run.path, run.id, 1)
        again.metrics({"step": 4, "a": 1})
        assert checkpoint.load(save(again, 4)).info().training.attempt == 1
    assert (run.path / "config.yaml").read_text() == "seed: 2\n"
    assert (run.path / "config.before-attempt-1.yaml").read_text() == "seed: 1\n"
    with resume(Path("models/hrm.ckpt"), config="seed: 2\n"):
        assert sorted(run.path.glob("config.*.yaml")) == [run.path / "config.before-attempt-1.yaml"]
    attempts = json.loads((run.path / "run.json").read_text())["attempts"]
    assert [(entry["attempt"], entry["from_step"]) for entry in attempts] == [(0, 0), (1, 3), (2, 4)]
    assert [line["step"] for line in read_metrics(run.path)] == [1, 2, 3, 4]
    assert steps(run.path) == [2, 3, 4] and latest(run.path) == 4


def test_goes_on_from_an_earlier_state() -> None:
    with create(keep_last=0) as run:
        for step in range(1, 6):
            run.metrics({"step": step, "attempt": 0})
            save(run, step, best=step in (2, 4), best_step=2 if step == 3 else None)
    folder = run.path / "checkpoints"
    with resume(folder / "step-00000003.ckpt", keep_last=0) as again:
        assert steps(run.path) == [1, 2, 3] and steps(run.path, "superseded") == [4, 5]
        assert latest(run.path) == 3
        assert (folder / "best").read_text() == "step-00000002.ckpt\n"
        assert (folder / "latest").read_text() == "step-00000003.ckpt\n"
        again.metrics({"step": 4, "attempt": 1})
        save(again, 4)
    assert [(line["step"], line["attempt"]) for line in read_metrics(run.path)] == [(1, 0), (2, 0), (3, 0), (4, 1)]
    assert len(read_metrics(run.path, superseded=True)) == 6
    # and back to the line that was left: its metrics count again, the others do not
    with resume(folder / "superseded/step-00000005.ckpt", keep_last=0) as back:
        assert back.path == run.path and steps(run.path) == [1, 2, 3, 4, 5] and latest(run.path) == 5
        back.metrics({"step": 6, "attempt": 2})
    found = [(line["step"], line["attempt"]) for line in read_metrics(run.path)]
    assert found == [(1, 0), (2, 0), (3, 0), (4, 0), (5, 0), (6, 2)]


def test_the_state_gone_on_from_is_in_the_directory() -> None:
    with create(keep_last=1) as run:
        first = save(run, 1)
        os.link(first, "backup.ckpt")
        save(run, 2)
        save(run, 3)
    damage(run.path / "checkpoints/step-00000003.ckpt")
    with resume(Path("models/hrm.ckpt")):
        assert latest(run.path) == 3, "a damaged copy is replaced"
    # found by where the run was, when the file lies elsewhere
    with resume(Path("backup.ckpt")) as again:
        assert again.path == run.path and latest(run.path) == 1 and steps(run.path) == [1]


def test_another_state_of_the_same_step_is_superseded() -> None:
    with create(keep_last=0) as run:
        path = save(run, 1)
        save(run, 1, chars_seen=9).rename(path.with_name("zzz.ckpt"))
        save(run, 1, chars_seen=3)
    with resume(path, keep_last=0):
        assert os.listdir(run.path / "checkpoints/superseded") == ["zzz.ckpt"]
        assert open_checkpoint(run.path, Heard()).info().training.chars_seen == 3


def test_best_is_repaired_after_a_kill_before_it_was_written() -> None:
    with create() as run:
        save(run, 1, best=True)
        save(run, 2, best_step=2)  # as if the process had ended before `best` was written
    with resume(Path("models/hrm.ckpt")):
        assert (run.path / "checkpoints/best").read_text() == "step-00000002.ckpt\n"
    with create() as other:
        save(other, 1, best=True)
        save(other, 2, best_step=None)
    with resume(Path("models/hrm.ckpt")):
        assert not (other.path / "checkpoints/best").exists()


def test_superseded_files_are_pruned_too() -> None:
    with create(keep_last=2) as run:
        for step in range(1, 4):
            save(run, step)
    for _ in range(3):
        with resume(run.path / "checkpoints/step-00000002.ckpt", keep_last=2) as again:
            for step in range(3, 8):
                save(again, step)
            os.link(run.path / "checkpoints/step-00000007.ckpt", run.path / "checkpoints/step-00000002.ckpt.keep")
            os.unlink(run.path / "checkpoints/step-00000002.ckpt.keep")
            assert len(steps(run.path, "superseded")) <= 2 and len(steps(run.path)) == 2
        with resume(run.path / "checkpoints/step-00000006.ckpt", keep_last=2) as again:
            save(again, 2)


def test_a_new_directory_when_the_old_one_is_gone() -> None:
    with create() as run:
        save(run, 4)
    run.path.rename(run.path.with_name("moved"))  # found under runs only by the name it had
    said = Heard()
    with resume(Path("models/hrm.ckpt"), say=said) as again:
        assert again.id != run.id and again.parent_id == run.id
        parent = json.loads((again.path / "run.json").read_text())["parent"]
        assert (parent["run_id"], parent["run_dir"], parent["step"]) == (run.id, str(run.path), 4)
        assert step_of("models/hrm.ckpt") == 4
        save(again, 5)
    assert said == [] and step_of("models/hrm.ckpt") == 5
    assert checkpoint.load("models/hrm.ckpt").info().training.parent_id == run.id


def test_the_whole_project_was_moved(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("project").mkdir()
    monkeypatch.chdir("project")
    with create(runs=here / "project/runs") as run:
        save(run, 4)
    (here / "project").rename(here / "moved")
    monkeypatch.chdir(here / "moved")
    with resume(Path("models/hrm.ckpt")) as again:
        assert again.id == run.id and again.path == Path("runs") / run.path.name


def test_from_another_folder(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with create() as run:
        path = save(run, 4).absolute()
    for folder, name in ((run.path, Path("checkpoints") / path.name), (path.parent, Path(path.name)), ("/", path)):
        monkeypatch.chdir(here)
        monkeypatch.chdir(folder)
        with resume(name, published=None) as again:
            assert again.id == run.id and again.path.samefile(here / run.path)
    assert sorted(os.listdir(here)) == ["models", "runs"]


def test_part_of_a_state_is_nothing_to_go_on_from() -> None:
    with create() as run:
        save(run, 1)
    with pytest.raises(ValueError):
        resume(checkpoint.load("models/hrm.ckpt", ["model."]))
    assert latest(run.path) == 1


def test_torn_metrics() -> None:
    with create() as run:
        run.metrics({"step": 1})
        save(run, 1)
    with open(run.path / "metrics.jsonl", "ab") as file:
        file.write(b'{"step": 2, "lo')
    assert read_metrics(run.path) == [{"step": 1}]
    with resume(Path("models/hrm.ckpt")) as again:
        again.metrics({"step": 2})
    with open(run.path / "metrics.jsonl", "ab") as file:
        file.write(
            b'[1]\n\xff\xfe\n{"event":"resume","attempt":"x"}\n{"event":"resume","attempt":2,"parent":2,"from_step":9}\n'
        )
    assert read_metrics(run.path) == []  # of a circle nothing is known
    with pytest.raises(MissingInputError):
        read_metrics(Path("runs"))


# ---- the published name


def test_another_run_that_has_its_state() -> None:
    with create("one") as one:
        path = save(one, 4)
    said = Heard()
    with create("two", say=said) as two:
        assert len(said) == 1 and str(path) in said[0] and "step 4" in said[0]
        assert step_of("models/hrm.ckpt") == 4, "until there is something newer"
        save(two, 1)
        save(two, 2)
    assert len(said) == 1 and step_of("models/hrm.ckpt") == 2 and os.listdir("models") == ["hrm.ckpt"]
    with resume(path, say=said) as again:
        save(again, 5)
    assert step_of("models/hrm.ckpt") == 5 and os.listdir("models") == ["hrm.ckpt"]


def test_another_run_that_has_its_state_no_more() -> None:
    with create("one") as one:
        path = save(one, 4)
    os.unlink(path)
    said = Heard()
    for _ in range(2):  # the second training finds what the first one set aside and adds nothing
        with create("two", say=said):
            pass
    with create("three", say=said) as three:
        save(three, 1)
    aside = f"hrm.{one.path.name}.step-00000004.ckpt"
    assert sorted(os.listdir("models")) == [aside, "hrm.ckpt"] and all(aside in line for line in said)
    assert step_of(Path("models", aside)) == 4 and step_of("models/hrm.ckpt") == 1
    with resume(Path("models", aside)) as again:
        assert again.path == one.path and latest(one.path) == 4


def test_a_new_training_with_old_weights_keeps_the_old_state() -> None:
    with create("one") as one:
        path = save(one, 4)
    os.unlink(path)
    said = Heard()
    start = checkpoint.load("models/hrm.ckpt")
    with RunDirectory.create("two", "", {}, Keeping(), parent=start, say=said) as two:
        save(two, 1)
    assert json.loads((two.path / "run.json").read_text())["parent"]["run_id"] == one.id
    assert len(said) == 1 and step_of(f"models/hrm.{one.path.name}.step-00000004.ckpt") == 4
    assert step_of("models/hrm.ckpt") == 1


def test_a_copy_in_the_directory_that_is_damaged_does_not_count() -> None:
    with create("one") as one:
        damage(save(one, 4))
    with create("two") as two:
        save(two, 1)
    assert len(os.listdir("models")) == 2


def test_files_that_are_no_states_are_set_aside(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("models").mkdir()
    said = Heard()
    for number, content in enumerate((b"", b"text", bytes(5000)), 1):
        Path("models/hrm.ckpt").unlink(missing_ok=True)
        Path("models/hrm.ckpt").write_bytes(content)
        with create(say=said) as run:
            assert len(said) == number
            save(run, 1)
        kept = Path("models/hrm.aside.ckpt" if number == 1 else f"models/hrm.aside-{number}.ckpt")
        assert kept.read_bytes() == content and step_of("models/hrm.ckpt") == 1


def test_no_links_here(monkeypatch: pytest.MonkeyPatch) -> None:
    def link(*args: object) -> None:
        raise OSError(errno.EPERM, "no links")

    monkeypatch.setattr(os, "link", link)
    with create("one") as one:
        path = save(one, 4)
        assert not os.path.samefile(path, "models/hrm.ckpt")
    said = Heard()
    with create("two", say=said):
        assert str(path) in said[0]
    os.unlink(path)
    for _ in range(2):
        with create("three", say=said):
            pass
    assert len(os.listdir("models")) == 2


@pytest.mark.parametrize("kind", ["folder", "pipe"])
def test_a_published_name_that_is_no_file(kind: str) -> None:
    Path("models").mkdir()
    os.mkfifo("models/hrm.ckpt") if kind == "pipe" else Path("models/hrm.ckpt").mkdir()
    with pytest.raises(StorageError) as caught:
        create()
    assert faults.one_line(caught.value)


def test_links_are_replaced_not_followed() -> None:
    with create("one", published=Path("real.ckpt")) as one:
        save(one, 4)
    Path("models").mkdir()
    Path("models/hrm.ckpt").symlink_to("../real.ckpt")
    Path("models/gone.ckpt").symlink_to("nothing")
    for name in ("hrm", "gone"):
        with create("two", published=Path(f"models/{name}.ckpt")) as two:
            save(two, 1)
        assert step_of(f"models/{name}.ckpt") == 1
    assert step_of("real.ckpt") == 4


# ---- one writer


def contend(path: Path, gate: int) -> int:
    os.read(gate, 1)
    try:
        run = RunDirectory(path, Keeping())
    except RunDirectoryError as error:
        return error.exit_code
    time.sleep(1)
    run.close()
    return 0


def test_one_of_many_wins_and_the_others_write_nothing() -> None:
    with create() as run:
        save(run, 1)

    def tree() -> dict[str, tuple[int, int]]:
        found = [Path(top, name) for top, _, names in os.walk(".") for name in names if name != ".lock"]
        return {str(path): (path.stat().st_mtime_ns, path.stat().st_size) for path in found}

    before = tree()
    gate, start = os.pipe()
    children = []
    for _ in range(8):
        pid = os.fork()
        if pid == 0:
            os._exit(contend(run.path, gate))
        children.append(pid)
    os.write(start, b"x" * 8)
    codes = sorted(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in children)
    assert codes == [0] + [73] * 7
    assert tree() == before


def test_a_killed_holder_frees_it_and_readers_need_no_lock() -> None:
    with create() as run:
        save(run, 1)
    ready, tell = os.pipe()
    pid = os.fork()
    if pid == 0:
        held = RunDirectory(run.path, Keeping())
        os.write(tell, b"x")
        time.sleep(60)
        os._exit(held.attempt)
    os.read(ready, 1)
    start = time.monotonic()
    with pytest.raises(RunDirectoryError, match=f"in use by process {pid};") as caught:
        resume(Path("models/hrm.ckpt"))
    assert faults.one_line(caught.value) and caught.value.exit_code == 73
    assert time.monotonic() - start < 1
    assert latest(run.path) == 1 and read_status(run.path) is None
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    resume(Path("models/hrm.ckpt")).close()


# ---- errors and kills at every call of a save


def saved_run() -> RunDirectory:
    run = create(keep_last=2)
    for step in (1, 2, 3):
        run.metrics({"step": step})
        save(run, step, best=step == 1, best_step=1)
    return run


def intact(run: Path, new: int) -> int:
    """Which step is the newest; it, what is published and `best` all load."""
    found = latest(run)
    assert found in (3, new) and step_of("models/hrm.ckpt") in (3, found)
    assert open_checkpoint(run / "checkpoints/best", Heard()).info().training.step in (1, new)
    return found


@pytest.mark.parametrize("code", faults.ERRORS)
def test_every_error_at_every_call_of_a_save(code: int) -> None:
    run = saved_run()
    folder, results = run.path / "checkpoints", []
    os.link(folder / "step-00000001.ckpt", "one.ckpt")
    while True:
        k, calls = len(results), 0

        def hook(name: str, index: int, k: int = k) -> None:
            nonlocal calls
            calls = index
            if index == k:
                raise OSError(code, os.strerror(code))

        error = None
        try:
            with faults.watched(hook):
                save(run, 4, best=True)
        except StorageError as caught:
            error = caught
            assert errno.errorcode[code] in faults.one_line(error) or "check the disk" in str(error)
        if calls < k:
            break  # no call was left to fail
        results.append((error is not None, intact(run.path, 4)))
        for place in (run.path, folder, Path("models")):
            assert faults.temporaries(place) == []
        # as it was
        if not (folder / "step-00000001.ckpt").exists():
            os.link("one.ckpt", folder / "step-00000001.ckpt")
        run.checkpoints.rewind(checkpoint.load(folder / "step-00000003.ckpt"))
        Path("models/hrm.ckpt").unlink()
        os.link(folder / "step-00000003.ckpt", "models/hrm.ckpt")
    run.close()
    assert results[0] == (False, 4), "the metrics could not be synced, which is told and no more"
    assert len(results) > 30
    assert sum(failed for failed, _ in results) > 25
    assert all(newest == 4 for failed, newest in results if not failed), "what could not be done was said"


def test_a_kill_at_every_call_of_a_save() -> None:
    run = saved_run()
    path = run.path
    run.close()
    step, k, results = 3, 0, []
    while True:

        def killed(k: int = k, step: int = step) -> None:
            again = resume(open_checkpoint(path, Heard()), keep_last=2)
            with faults.watched(lambda name, index: os._exit(9) if index == k else None):
                save(again, step + 1, best_step=1)
            os._exit(8)

        status = faults.in_child(killed)
        assert status in (8, 9)
        now = latest(path)
        assert now in (step, step + 1) and step_of("models/hrm.ckpt") in (step, step + 1)
        assert open_checkpoint(path / "checkpoints/best", Heard()).info().training.step == 1
        results.append(now - step)
        step, k = now, k + 1
        if status == 8:
            break
    resume(open_checkpoint(path, Heard())).close()
    for folder in (path, path / "checkpoints", Path("models")):
        assert faults.temporaries(folder) == []
    assert k > 30 and results[0] == 0 and results[-1] == 1


def test_a_kill_at_every_call_of_a_resume_from_an_earlier_state() -> None:
    run = saved_run()
    run.close()
    for step in (2, 3):
        os.link(run.path / f"checkpoints/step-0000000{step}.ckpt", f"{step}.ckpt")
    k = 0
    while True:

        def killed(k: int = k) -> None:
            with faults.watched(lambda name, index: os._exit(9) if index == k else None):
                resume(Path("2.ckpt"))
            os._exit(8)

        status = faults.in_child(killed)
        assert status in (8, 9)
        assert latest(run.path) in (2, 3) and step_of("models/hrm.ckpt") in (2, 3)
        assert 3 in steps(run.path) + steps(run.path, "superseded")
        if status == 8:
            break
        resume(Path("3.ckpt")).close()
        assert latest(run.path) == step_of("models/hrm.ckpt") == 3
        k += 1
    assert k > 30 and latest(run.path) == 2


def test_nothing_is_left_open() -> None:
    run = saved_run()
    before = len(os.listdir("/proc/self/fd")) if Path("/proc/self/fd").is_dir() else 0
    for step in range(4, 40):
        save(run, step)
        run.log("x")
        run.status({})
        run.metrics({})
    for _ in range(20):
        with pytest.raises(NyxError):
            RunDirectory(run.path, Keeping())
    assert (len(os.listdir("/proc/self/fd")) if before else 0) == before
    run.close()
