"""What a packaged configuration says gives way to what a person chose, and is said; what a person chose is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from nyx.configload import load
from nyx.errors import ConfigError
from nyx.training.checkpoint import load as load_checkpoint
from tests.cli.conftest import SMOKE, Program, book, sets


@pytest.mark.parametrize(
    ("name", "chosen", "key", "value"),
    [
        ("default", ["train.max_steps=20"], "train.warmup_steps", 2),
        ("gpt-mini", ["train.max_steps=150"], "train.warmup_steps", 15),
        ("gpt-mini", ["train.max_steps=200"], "train.warmup_steps", 100),
        ("default", ["train.max_steps=1"], "train.warmup_steps", 0),
        ("hlxl-brain", ["model.block_size=64"], "train.seq_len", 64),
        ("hlxl-brain", ["train.max_steps=150"], "train.restart_steps", 135),
        ("hlxl-brain", ["train.lr=1e-7"], "train.min_lr", None),
        ("hlxl-brain", ["train.max_steps=9000"], "train.epochs", None),
        ("default", ["train.epochs=3"], "train.max_steps", None),
        ("default", ["model.H_cycles=1"], "model.bp_max_steps", 3),
        ("default", ["model.H_cycles=1", "model.L_cycles=1"], "model.bp_max_steps", 2),
        ("default", ["train.max_steps=60", "train.early_stop_patience=2"], "train.eval_every", 10),
        ("default", ["train.max_steps=600"], "train.eval_every", 250),
    ],
)  # fmt: skip
def test_a_packaged_value_gives_way(name: str, chosen: list[str], key: str, value: object) -> None:
    before = load(name, env={})
    loaded = load(name, chosen, env={})
    section, _, part = key.partition(".")
    found = getattr(getattr(loaded.config, section), part)
    assert found == value
    changed = found != getattr(getattr(before.config, section), part)
    assert any(note.startswith(key) and "because" in note for note in loaded.notes) == changed
    assert not before.notes


def test_a_plan_of_ones_own_needs_no_nulls(tmp_path: Path) -> None:
    (tmp_path / "plan.yaml").write_text("curriculum: [{epochs: 2}, {max_steps: 5}]")
    loaded = load(["gpt-mini", str(tmp_path / "plan.yaml")], env={})
    assert loaded.config.train.max_steps is None and loaded.notes
    with pytest.raises(ConfigError, match="leave it out"):
        load(["gpt-mini", str(tmp_path / "plan.yaml")], ["train.max_steps=10"], env={})
    (tmp_path / "own.yaml").write_text("train: {max_steps: 9}")
    with pytest.raises(ConfigError, match="leave it out"):
        load([str(tmp_path / "own.yaml"), str(tmp_path / "plan.yaml")], env={})


def test_parts_of_a_packaged_plan_have_windows_that_the_model_can_read() -> None:
    loaded = load(["hlxl-brain", "hlx-three-phases"], ["model.block_size=100"], env={})
    assert [phase.seq_len for phase in loaded.config.phases] == [None, None, 100]
    assert loaded.config.train.seq_len == 100
    assert sum("seq_len is 100 instead of" in note for note in loaded.notes) == 2


@pytest.mark.parametrize(
    "chosen",
    [
        ["train.max_steps=20", "train.warmup_steps=50"],
        ["model.block_size=32", "train.seq_len=64"],
        ["train.lr=1e-4", "train.min_lr=1e-3"],
        ["model.H_cycles=1", "model.bp_max_steps=4"],
    ],
)
def test_what_a_person_chose_is_refused_in_one_line(tmp_path: Path, chosen: list[str]) -> None:
    tree: dict[str, dict[str, str]] = {}
    for setting in chosen:
        key, _, value = setting.partition("=")
        tree.setdefault(key.partition(".")[0], {})[key.partition(".")[2]] = value
    lines = [
        f"{section}: {{{', '.join(f'{key}: {value}' for key, value in keys.items())}}}\n"
        for section, keys in tree.items()
    ]
    (tmp_path / "own.yaml").write_text("".join(lines))
    key, _, value = chosen[1].partition("=")
    variable = {f"NYX_{key.replace('.', '__').upper()}": value}
    for names, sets_, env in (
        ("default", chosen, {}),
        (["default", str(tmp_path / "own.yaml")], [], {}),
        ("default", chosen[:1], variable),
    ):
        with pytest.raises(ConfigError) as caught:
            load(names, sets_, env=env)
        assert "\n" not in str(caught.value)


def test_a_file_of_ones_own_with_a_packaged_name_is_ones_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("smoke.yaml").write_text("train: {warmup_steps: 50, max_steps: 100}")
    with pytest.raises(ConfigError, match="warmup_steps 50 is more than max_steps 20"):
        load("smoke", ["train.max_steps=20"], env={})


def test_the_training_says_it_and_keeps_it(program: Program) -> None:
    Path("x.txt").write_text(book(2000), encoding="utf-8")
    code, _, err = program("train", "x.txt", *SMOKE, *sets("train.max_steps=8"), "--run-dir", "r", "--out", "m.ckpt")
    assert code == 0, err
    line = "train.warmup_steps is 1 instead of 5 (smoke.yaml:16), because train.max_steps is 8"
    assert line in err and line in Path("r/train.log").read_text()
    assert load_checkpoint("m.ckpt").info().config["train"]["warmup_steps"] == 1
    assert line in program("plan", *SMOKE, *sets("train.max_steps=8"))[2]


def test_a_warm_up_longer_than_the_epochs(program: Program) -> None:
    Path("x.txt").write_text(book(900), encoding="utf-8")
    code, _, err = program("train", "x.txt", *SMOKE, *sets("train.epochs=1"), "--run-dir", "r", "--out", "m.ckpt")
    assert code == 0, err
    assert "train.warmup_steps is 1 instead of 5, because train.epochs 1 is 7 steps of this text" in err
    code, _, err = program("train", "x.txt", *SMOKE, *sets("train.epochs=1", "train.warmup_steps=9"), "--run-dir", "s")
    assert code == 78 and "train.warmup_steps 9: train.epochs 1 is 7 steps of this text" in err
    assert not Path("s").exists()
