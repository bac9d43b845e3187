"""A training that starts from old weights takes the model from them; what `nyx export` wrote is as good for it."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np

from nyx.training.checkpoint import load
from tests.cli.conftest import SMOKE, Program, book, sets

MORE = [*sets("train.sample_every=0", "data.check=off", "train.max_steps=3", "train.log_every=1"), "--device", "cpu"]


def first(program: Program, *settings: str) -> None:
    Path("x.txt").write_text(book(3000), encoding="utf-8")
    code, _, err = program("train", "x.txt", *SMOKE, *sets("train.max_steps=40", *settings), "--out", "m.ckpt")
    assert code == 0, err
    assert program("export", "m.ckpt", "w.safetensors")[0] == 0


def loss(err: str) -> float:
    return float(re.findall(r"step 1/3  loss ([\d.]+)", err)[0])


def test_the_model_comes_from_the_weights(program: Program) -> None:
    first(program, "model.H_layers=2", "model.rope_theta=5000", "model.bp_max_steps=3")
    Path("new.txt").write_text(book(3000, seed=2) + "Ωmega\n" * 20, encoding="utf-8")
    model = load("m.ckpt").info().config["model"]
    for source in ("m.ckpt", "w.safetensors"):
        code, _, err = program("train", "new.txt", *MORE, "--init-from", source, "--out", "n.ckpt")
        assert code == 0, err
        assert f"the model is that of {source}" in err
        assert "1 characters are new" in err
        assert load("n.ckpt").info().config["model"] == model
        assert loss(err) < loss(program("train", "new.txt", *MORE, *SMOKE, "--out", "f.ckpt")[2]) - 0.3
    assert json.loads(next(Path("runs").glob("*/run.json")).read_text())["id"]


def test_what_is_given_stands_above_it(program: Program) -> None:
    first(program)
    from_there = ["train", "x.txt", *MORE, "--init-from", "w.safetensors", "--out", "n.ckpt"]
    code, _, err = program(*from_there, "--set", "model.n_embd=64")
    assert code == 65 and "model.n_embd is 32 there and 64 here" in err
    assert program(*from_there, "--config", "gpt-mini")[0] == 65
    code, _, err = program(*from_there, "--set", "model.rope_theta=9000")
    assert code == 0 and "changed: model.rope_theta from 10000.0 to 9000.0" in err
    Path("mine.yaml").write_text("train: {lr: 1e-9, max_steps: 3, log_every: 1}")
    code, _, err = program("train", "x.txt", "--init-from", "m.ckpt", "--config", "mine.yaml", "--out", "n.ckpt")
    assert code == 0 and "the model is that of m.ckpt" in err
    assert load("n.ckpt").info().config["train"]["batch_size"] == 16


def test_old_weights_of_other_vocabularies(program: Program) -> None:
    Path("hlx.txt").write_text("English: a and b\nHLXL: (and a b)\n\n" * 60, encoding="utf-8")
    for name, more in (
        ("fixed", ["model.vocabulary=hlx-115", "data.unknown=bytes"]),
        ("padded", ["model.vocab_size=64"]),
        ("nfd", ["data.normalization=nfd"]),
    ):
        code, _, err = program("train", "hlx.txt", *SMOKE, *sets("train.max_steps=3", *more), "--out", f"{name}.ckpt")
        assert code == 0, err
        code, _, err = program("train", "hlx.txt", *MORE, "--init-from", f"{name}.ckpt", "--out", "n.ckpt")
        assert code == 0, err
        old, new = load(f"{name}.ckpt"), load("n.ckpt")
        assert old.metadata["vocabulary"] == new.metadata["vocabulary"]


def test_an_export_is_as_good_as_its_checkpoint(program: Program) -> None:
    first(program, "train.seq_len=20", "train.loss=stablemax", "train.ema_decay=0.9")
    words = ["-p", "a ", "-n", "60", "--seed", "3", "--device", "cpu"]
    assert program("generate", "w.safetensors", *words) == program("generate", "m.ckpt", *words)
    measured = [program("eval", path, "x.txt", "--device", "cpu")[1] for path in ("m.ckpt", "w.safetensors")]
    assert measured[0] == measured[1] and json.loads(measured[0])["seq_len"] == 20
    kept = load("w.safetensors")
    text = json.dumps(kept.metadata) + str(sorted(kept.tensors))
    assert not re.search(r"x\.txt|runs|checkpoint|device|optim|run_id|m\.ckpt", text)
    code, _, err = program("export", "w.safetensors", "again.safetensors")
    assert code == 64 and "is an export already" in err


def test_an_export_of_before_is_usable(program: Program) -> None:
    """One that says nothing but its model and its vocabulary."""
    first(program)
    from nyx.training import checkpoint

    old = load("w.safetensors")
    bare = old.metadata | {"config": json.dumps({"model": json.loads(old.metadata["config"])["model"]})}
    del bare["format_version"]
    checkpoint.save("bare.safetensors", old.tensors, bare)
    assert program("generate", "bare.safetensors", "-p", "a ", "-n", "5")[0] == 0
    assert json.loads(program("eval", "bare.safetensors", "x.txt")[1])["seq_len"] == 32
    broken = old.metadata | {"config": "[]"}
    del broken["format_version"]
    checkpoint.save("broken.safetensors", old.tensors, broken)
    code, _, err = program("generate", "broken.safetensors", "-p", "a ", "-n", "5")
    assert code == 65 and "does not say which model" in err
    weights = {name: np.zeros_like(array) for name, array in old.tensors.items() if "embedding" not in name}
    checkpoint.save("some.safetensors", weights, {k: v for k, v in old.metadata.items() if k != "format_version"})
    code, _, err = program("generate", "some.safetensors", "-p", "a ", "-n", "5")
    assert code == 65 and err.count("\n") == 1
