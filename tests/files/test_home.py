"""~ is the home folder in every key that is a path, wherever its value comes from; ./~ is a file of that name."""

from __future__ import annotations

import pwd
import sys
from pathlib import Path

import pytest

from nyx import cli
from nyx.config import Config
from nyx.configload import dump_yaml, load
from nyx.errors import ConfigError

LAYERS = ["file", "--set", "environment", "command line", "stored"]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (tmp_path / "home").mkdir()
    return tmp_path / "home"


def loaded(layer: str, key: str, value: str) -> Config:
    section, _, name = key.rpartition(".")
    if layer == "file":
        Path("own.yaml").write_text(f"train: {{max_steps: 1}}\n{section}: {{{name}: {value!r}}}\n" if section else
                                    f"train: {{max_steps: 1}}\n{name}: {value!r}\n")  # fmt: skip
        return load("own", env={}).config
    if layer == "--set":
        return load(None, [f"{key}={value}"], env={}).config
    if layer == "environment":
        return load(None, env={f"NYX_{key.replace('.', '__').upper()}": value}).config
    if layer == "command line":
        return load(None, env={}, overrides={key: value}).config
    tree = load(None, env={}).config.to_dict()
    (tree[section] if section else tree)[name] = value
    return Config.from_dict(tree)


@pytest.mark.parametrize("layer", LAYERS)
@pytest.mark.parametrize("key", ["data.path", "checkpoint.path", "run_dir"])
def test_every_key_in_every_layer(home: Path, layer: str, key: str) -> None:
    user = pwd.getpwuid(0)
    cases = {"~": str(home), "~/a/b": f"{home}/a/b", f"~{user.pw_name}/a": f"{user.pw_dir}/a", "./~": "./~",
             "./~/a": "./~/a", "a/~": "a/~", "a~": "a~"}  # fmt: skip
    for value, wanted in cases.items():
        config = loaded(layer, key, value)
        section, _, name = key.rpartition(".")
        found = getattr(getattr(config, section) if section else config, name)
        assert found in (wanted, (wanted,)), value
        Path("again.yaml").write_text(dump_yaml(config))
        assert load("again", env={}).config == config


def test_lists_and_what_stays(home: Path) -> None:
    config = load(None, ["data.path=[~/a, ./~, b*, ~/*.txt]", "sample.prompt=~"], env={}).config
    assert config.data.path == (f"{home}/a", "./~", "b*", f"{home}/*.txt")
    assert config.sample.prompt == "~"


def test_nothing_is_written_for_a_user_who_is_not_there(home: Path) -> None:
    for key in ("run_dir", "checkpoint.path"):
        words = rf"{key}: there is no user 'nobody-here'; .* is written ./~nobody-here/a"
        with pytest.raises(ConfigError, match=words):
            load(None, [f"{key}=~nobody-here/a"], env={})


def test_a_training_at_home(home: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    (home / "texts").mkdir()
    (home / "texts/a.txt").write_text("some words in a line\n" * 60)
    Path("own.yaml").write_text("data: {path: ~/texts}\nrun_dir: ~/runs\ncheckpoint: {path: ~/m.ckpt}\n")
    monkeypatch.setattr(sys, "argv", ["nyx", "train", "--config", "smoke", "--config", "own", "--device", "cpu",
                                      "--set", "train.max_steps=2", "--set", "train.warmup_steps=1"])  # fmt: skip
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 0, capfd.readouterr().err
    assert (home / "m.ckpt").exists()
    assert list((home / "runs").iterdir())
    assert not list(Path().glob("~*"))
