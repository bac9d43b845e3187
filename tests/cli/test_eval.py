"""`nyx eval` measures as the training did, whatever way the text was cut and encoded, and says the unit of each
measure."""

from __future__ import annotations

import json
import math
import os
import re
import unicodedata
from pathlib import Path

import pytest

from nyx.text import hlx
from nyx.training.metrics_log import read_metrics
from tests.cli.conftest import SMOKE, Program, book, sets

ACCENTS = "café naïve Ωmega 🜊\n"


def validation(run: str) -> dict[str, float]:
    """The last measures of the validation part, by their names in metrics.jsonl."""
    return [record for record in read_metrics(Path(run)) if "val/loss" in record][-1]


def records() -> str:
    return hlx.generate(9000)


WAYS = {
    "stream": (lambda: book(6000), []),
    "longer windows than batches": (lambda: book(6000), ["train.seq_len=7", "train.batch_size=3"]),
    "skip": (lambda: book(6000) + ACCENTS * 30, ["data.max_characters=20", "data.unknown=skip"]),
    "bytes": (lambda: book(6000) + ACCENTS * 60, ["data.max_characters=20", "data.unknown=bytes"]),
    "line": (lambda: book(6000), ["data.cut=line"]),
    "line, packed": (lambda: book(6000), ["data.cut=line", "data.pack=true", "data.max_chars=40"]),
    "line, bytes": (
        lambda: (book(300) + ACCENTS) * 20,
        ["data.cut=line", "data.max_characters=20", "data.unknown=bytes", "data.min_chars=5"],
    ),
    "line, skip": (
        lambda: (book(300) + ACCENTS) * 20,
        ["data.cut=line", "data.max_characters=20", "data.unknown=skip", "data.match=a"],
    ),
    "block": (lambda: book(6000).replace("rain", "rain\n"), ["data.cut=block"]),
    "nfd": (lambda: (book(200) + ACCENTS) * 30, ["data.normalization=nfd"]),
    "notation": (records, ["data.cut=notation", "data.pack=true"]),
    "notation, lines": (records, ["data.cut=notation", "data.arrange=line", "data.fields=[English, LC-R]"]),
    "stablemax": (lambda: book(6000), ["train.loss=stablemax"]),
    "average": (lambda: book(6000), ["train.ema_decay=0.9"]),
}


@pytest.mark.parametrize("way", WAYS)
def test_the_held_out_text_in_a_file_has_the_loss_of_the_training(program: Program, way: str) -> None:
    text, settings = WAYS[way][0](), WAYS[way][1]
    Path("all.txt").write_text(text, encoding="utf-8")
    more = ["train.max_steps=12", "train.eval_chars=null", "data.val_fraction=0.2", *settings]
    code, _, err = program("train", "all.txt", *SMOKE, *sets(*more), "--run-dir", "r", "--out", "m.ckpt")
    assert code == 0, err
    Path("held.txt").write_text(held_out(text, settings), encoding="utf-8")
    wanted = validation("r")
    for arguments in (["held.txt"], ["all.txt", "--validation"], ["--validation"]):
        code, out, err = program("eval", "m.ckpt", *arguments, "--device", "cpu")
        assert code == 0, err
        found = json.loads(out)
        assert found["loss"] == pytest.approx(wanted["val/loss"], abs=1e-6)
        assert found["bits_per_character"] == pytest.approx(wanted["val/bpc"], abs=1e-6)
        assert found["bits_per_byte"] == pytest.approx(wanted["val/bpb"], abs=1e-6)
        assert found["accuracy"] == pytest.approx(wanted["val/acc"], abs=1e-6)
        assert ("left out" in err) == (found["left_out"] > 0) == ("data.unknown=skip" in settings)
    Path("w.safetensors").unlink(missing_ok=True)
    assert program("export", "m.ckpt", "w.safetensors")[0] == 0
    out = program("eval", "w.safetensors", "held.txt", "--device", "cpu")[1]
    assert json.loads(out)["loss"] == pytest.approx(wanted["val/loss"], abs=1e-6)


def held_out(text: str, settings: list[str]) -> str:
    """The last fifth of a text's symbols, lines, blocks or records, taken apart without Nyx's own cutting."""
    if "data.cut=line" in settings:
        parts = [line + "\n" for line in text.splitlines() if line]
    elif "data.cut=block" in settings:
        parts = re.findall(r".+?(?:\n\n+|\Z)", text.lstrip("\n"), re.DOTALL)
    elif "data.cut=notation" in settings:
        parts = [block + "\n\n" for block in text.strip("\n").split("\n\n")]
    elif "data.unknown=bytes" in settings or "data.unknown=skip" in settings:
        common = sorted(set(text), key=lambda c: (-text.count(c), c))[:20]
        skip = "data.unknown=skip" in settings
        symbols = [0 if c not in common and skip else 1 if c in common else len(c.encode()) for c in text]
        cut, before = int(sum(symbols) * 0.8), 0
        for at, size in enumerate(symbols):
            if before == cut and size:
                return text[at:]
            before += size
        raise AssertionError("the cut lies inside a character: choose another text")
    elif "data.normalization=nfd" in settings:
        parts = list(unicodedata.normalize("NFD", text))
    else:
        parts = list(text)
    return "".join(parts[int(len(parts) * 0.8) :])


def test_examples_that_are_held_out_by_the_seed(program: Program) -> None:
    for arrange in ("record", "pair"):
        Path("all.txt").write_text(records(), encoding="utf-8")
        more = ["train.max_steps=6", "data.cut=notation", "data.split_by=example", f"data.arrange={arrange}"]
        assert program("train", "all.txt", *SMOKE, *sets(*more), "--run-dir", arrange, "--out", "m.ckpt")[0] == 0
        found = json.loads(program("eval", "m.ckpt", "--validation", "--device", "cpu")[1])
        assert found["loss"] == pytest.approx(validation(arrange)["val/loss"], abs=1e-6)
        assert found["symbols"] <= 4096  # train.eval_chars of the configuration


def test_a_stage_or_phase_is_measured_as_it_was_trained(program: Program) -> None:
    Path("all.txt").write_text(records(), encoding="utf-8")
    Path("plan.yaml").write_text(
        "data: {cut: notation, split_by: example}\n"
        "phases: [{fields: [English], seq_len: 30, max_steps: 4}, {fields: [LC-R, HLXL], seq_len: 24, max_steps: 4}]\n"
    )
    code, _, err = program("train", "all.txt", *SMOKE, "--config", "plan.yaml", "--run-dir", "r", "--out", "m.ckpt")
    assert code == 0, err
    for name, number, window in (("phase1_FINAL_epoch*", 0, 30), ("phase2_FINAL_epoch*", 1, 24)):
        (path,) = Path("r/checkpoints").glob(name)
        found = json.loads(program("eval", str(path), "--validation", "--device", "cpu")[1])
        wanted = [r for r in read_metrics(Path("r")) if "val/loss" in r and r["part"] == number][-1]
        assert (found["loss"], found["seq_len"]) == (pytest.approx(wanted["val/loss"], abs=1e-6), window)


def test_units_where_a_character_is_several_symbols(program: Program) -> None:
    Path("all.txt").write_text("ab\n" * 900 + "é🜊" * 300, encoding="utf-8")
    more = ["data.max_characters=3", "data.unknown=bytes", "train.max_steps=10"]
    assert program("train", "all.txt", *SMOKE, *sets(*more), "--run-dir", "r", "--out", "m.ckpt")[0] == 0
    found = json.loads(program("eval", "m.ckpt", "all.txt", "--device", "cpu")[1])
    assert (found["characters"], found["bytes"], found["symbols"]) == (3299, 4499, 4499)
    nats = found["loss_per_symbol"] * found["symbols"]
    assert found["loss"] == pytest.approx(nats / found["characters"])
    assert found["perplexity"] == pytest.approx(math.exp(found["loss"]))
    assert found["bits_per_character"] == pytest.approx(nats / math.log(2) / 3299)
    assert found["bits_per_byte"] == pytest.approx(nats / math.log(2) / 4499)
    assert found["units"]["loss"] == "nats per character"
    assert set(found["units"]) <= set(found)


def test_settings_stand_above_those_of_the_checkpoint(program: Program) -> None:
    Path("all.txt").write_text(book(5000), encoding="utf-8")
    assert program("train", "all.txt", *SMOKE, *sets("train.max_steps=6"), "--out", "m.ckpt")[0] == 0
    Path("other.txt").write_text("a lamp\n☃ two\n", encoding="utf-8")
    code, _, err = program("eval", "m.ckpt", "other.txt")
    assert code == 65 and "data.unknown" in err
    code, out, err = program("eval", "m.ckpt", "other.txt", *sets("data.unknown=skip", "data.cut=line"))
    found = json.loads(out)
    assert (code, found["left_out"], found["cut"], found["examples"], found["characters"]) == (0, 1, "line", 2, 10)
    assert "1 of 13 characters" in err
    limited = json.loads(program("eval", "m.ckpt", "all.txt", "--set", "train.eval_chars=100")[1])
    assert limited["characters"] == 100
    assert program("eval", "m.ckpt", "all.txt", "--set", "model.n_embd=64")[0] == 78
    assert program("eval", "m.ckpt", "all.txt", "--set", "train.lr=1")[0] == 64
    assert program("eval", "m.ckpt")[0] == 64


def test_the_text_of_a_training_in_another_folder(program: Program) -> None:
    Path("a").mkdir()
    os.chdir("a")
    Path("all.txt").write_text(book(5000), encoding="utf-8")
    assert program("train", "all.txt", *SMOKE, *sets("train.max_steps=6"))[0] == 0
    wanted = json.loads(program("eval", "models/hrm.ckpt", "--validation")[1])
    os.chdir("..")
    assert json.loads(program("eval", "a/models/hrm.ckpt", "--validation")[1]) == wanted


def test_the_loss_of_the_training_is_per_character_too(program: Program) -> None:
    """An epoch that changes nothing (a rate of almost 0) has the loss that the text is measured with."""
    Path("all.txt").write_text("ab\n" * 900 + "é🜊" * 300, encoding="utf-8")
    more = ["data.max_characters=3", "data.unknown=bytes", "train.epochs=1", "train.lr=1e-9", "train.log_every=0"]
    more += ["data.val_fraction=0", "train.warmup_steps=0"]
    assert program("train", "all.txt", *SMOKE, *sets(*more), "--run-dir", "r", "--out", "m.ckpt")[0] == 0
    (record,) = (record for record in read_metrics(Path("r")) if "train/loss" in record)
    found = json.loads(program("eval", "m.ckpt", "all.txt", "--device", "cpu")[1])
    assert record["train/loss"] == pytest.approx(found["loss"], rel=0.01)
    assert found["loss"] > 1.2 * found["loss_per_symbol"]
    assert record["train/acc"] == pytest.approx(found["accuracy"], abs=0.02)
