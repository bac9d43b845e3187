"""Words that people know from elsewhere: understood where one meaning is plain, else the line to type, exit 64."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from nyx.configload import load
from tests.cli.conftest import SMOKE, Program, book, sets

TRAIN = ["train", "x.txt", "--config", "smoke", "--device", "cpu", *sets("train.sample_every=0", "data.check=off")]


def settings(program: Program, *words: str) -> dict[str, object]:
    """The keys that a training of these words has, from the configuration in its run's directory."""
    Path("x.txt").write_text(book(1500), encoding="utf-8")
    code, _, err = program(*words, "--run-dir", "r")
    assert code == 0, err
    config = load("r/config.yaml", env={}).config
    values: dict[str, object] = {}
    for section, part in config.to_dict().items():
        values |= {f"{section}.{key}": v for key, v in part.items()} if isinstance(part, dict) else {section: part}
    return values


@pytest.mark.parametrize(
    ("words", "key", "value"),
    [
        (["--lr", "3e-4"], "train.lr", 3e-4),
        (["--lr=3e-4"], "train.lr", 3e-4),
        (["-lr", "3e-4"], "train.lr", 3e-4),
        (["--learning-rate", "3e-4"], "train.lr", 3e-4),
        (["--steps", "4"], "train.max_steps", 4),
        (["--max_steps", "4"], "train.max_steps", 4),
        (["--max-iters=4"], "train.max_steps", 4),
        (["train.lr=3e-4"], "train.lr", 3e-4),
        (["lr=3e-4"], "train.lr", 3e-4),
        (["--train.lr", "3e-4"], "train.lr", 3e-4),
        (["--train.lr=3e-4"], "train.lr", 3e-4),
        (["--weight-decay", "0.3"], "train.weight_decay", 0.3),
        (["--batch-size", "2"], "train.batch_size", 2),
        (["--seed", "7"], "seed", 7),
        (["--norm-eps", "1e-5"], "model.norm_eps", 1e-5),
        (["--seq-length", "16"], "train.seq_len", 16),
        (["--seq-length", "48"], "model.block_size", 48),
        (["--no-cache"], "data.cache", False),
        (["--pack", "--cut", "line"], "data.pack", True),
        (["--cpu"], "device", "cpu"),
        (["--train"], "train.batch_size", 4),
        (["--every-minutes", "0"], "checkpoint.every_minutes", 0),
        (["--output", "o.ckpt"], "checkpoint.path", "o.ckpt"),
    ],
)  # fmt: skip
def test_a_word_with_one_meaning_is_understood(program: Program, words: list[str], key: str, value: object) -> None:
    short = [] if "max_steps" in key or any("steps" in word or "iters" in word for word in words) else ["--steps", "2"]
    assert settings(program, *TRAIN, *short, *words)[key] == value


@pytest.mark.parametrize("words", [["--corpus", "x.txt"], ["--train", "x.txt"], ["--data=x.txt"], ["--train=x.txt"]])
def test_a_text_by_another_word(program: Program, words: list[str]) -> None:
    options = [word for word in TRAIN[1:] if word != "x.txt"]
    found = settings(program, "train", *options, "--epochs", "1", *words)
    assert found["data.path"] == ["x.txt"] and found["train.epochs"] == 1 and found["train.max_steps"] is None


def test_words_without_a_command(program: Program) -> None:
    found = settings(program, "--train", "x.txt", "--epochs", "1", *TRAIN[2:])
    assert found["train.epochs"] == 1
    code, _, err = program("--corpus", "x.txt", "--epochs", "2")
    assert (code, err) == (64, "nyx: name a command first: nyx train --corpus x.txt --epochs 2\n")


@pytest.mark.parametrize("name", ["gpt_mini", "gpt-mini", "gpt_mini.yaml", "gpt-mini.yaml", "GPT-mini", "gpt-mini.yml"])
def test_a_configuration_by_another_spelling(program: Program, name: str) -> None:
    code, out, err = program("config", "show", name)
    assert code == 0, err
    assert "kind: transformer" in out


LINES = [
    (["train", "x.txt", "--use-fp16"], "does not exist yet; leave it out: nyx train x.txt"),
    (["train", "x.txt", "--resume-from", "m.ckpt"], "nyx resume m.ckpt"),
    (["train", "x.txt", "--wieght-decay", "0.1"], "did you mean: nyx train x.txt --weight-decay 0.1"),
    (["train", "x.txt", "--path", "y"], "--set data.path=VALUE or --set checkpoint.path=VALUE"),
    (["train", "x.txt", "--cuda"], "nyx train x.txt --device vulkan"),
    (["train", "x.txt", "--lr"], "--lr needs a value"),
    (["train", "smoke"], "nyx train TEXT --config smoke"),
    (["run", "x.txt", "--lr", "1"], "did you mean: nyx train x.txt --lr 1"),
    (["trian", "x.txt"], "did you mean: nyx train x.txt"),
    (["finetune", "m.ckpt", "x.txt"], "nyx train x.txt --init-from m.ckpt"),
    (["resume"], "nyx resume models/hrm.ckpt"),
    (["generate"], "nyx generate models/hrm.ckpt --prompt"),
    (["generate", "m.ckpt", "The man"], "nyx generate m.ckpt --prompt 'The man'"),
    (["generate", "m.ckpt", "-p", "a", "--tempratur", "1"], "nyx generate m.ckpt -p a --temperature 1"),
    (["export", "m.ckpt"], "nyx export m.ckpt weights.safetensors"),
    (["x.txt"], "nyx train x.txt"),
    (["corpus", "chek", "x.txt"], "did you mean: nyx corpus check x.txt"),
    (["frobnicate"], "commands are "),
    (["help", "frobnicate"], "nyx --help"),
    (["train", "x.txt", "--bogus"], "no such option --bogus"),
    (["eval", "m.ckpt", "--frob=3"], "no such option --frob"),
]


@pytest.mark.parametrize(("words", "line"), LINES, ids=[" ".join(words) for words, _ in LINES])
def test_a_wrong_word_gets_the_line_to_type(program: Program, words: list[str], line: str) -> None:
    Path("x.txt").write_text(book(200), encoding="utf-8")
    code, out, err = program(*words)
    assert (code, out) == (64, "")
    assert line in err and err.count("\n") == 1 and err.startswith("nyx: ")
    assert [path.name for path in Path().iterdir()] == ["x.txt"]


def test_resume_names_the_checkpoint_that_is_there(program: Program) -> None:
    Path("models").mkdir()
    Path("models/hrm.ckpt").write_bytes(b"")
    assert program("resume")[2].endswith("nyx resume models/hrm.ckpt\n")


def test_other_names_of_commands_and_their_options(program: Program) -> None:
    Path("x.txt").write_text(book(1500), encoding="utf-8")
    assert program("fit", "x.txt", *SMOKE, "--steps", "4", "--out", "m.ckpt")[0] == 0
    code, out, _ = program("sample", "--checkpoint", "m.ckpt", "--start", "a ", "--max-tokens", "6", "--temp", "0")
    assert code == 0 and out == program("generate", "m.ckpt", "-p", "a ", "-n", "6", "-t", "0")[1]
    code, out, _ = program("evaluate", "x.txt", "--model", "m.ckpt", "--seq-length", "8")
    assert code == 0 and json.loads(out)["seq_len"] == 8
    code, _, err = program("continue", "m.ckpt", "--steps", "6", "--lr", "1e-3")
    assert code == 0 and "train.max_steps from 4 to 6" in err and "train.lr from" in err


def test_what_looks_like_a_setting_and_is_a_file(program: Program) -> None:
    Path("a=b.txt").write_text(book(1500), encoding="utf-8")
    assert program("train", "a=b.txt", *SMOKE, "--steps", "2")[0] == 0
    Path("lr=1").write_text(book(1500), encoding="utf-8")
    assert "lr=1" in program("train", "lr=1", *SMOKE, "--steps", "2")[2]


def test_help(program: Program) -> None:
    assert program("help")[1] == program("--help")[1]
    code, out, _ = program("help", "train")
    assert code == 0 and "--init-from" in out and out.startswith("Usage: nyx train")
    assert re.match(r"Usage: nyx corpus check", program("help", "corpus", "check")[1])
