"""The command line as a user meets it: what each verb leaves, and one clear line and the right exit code for a
mistake."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from nyx import cli
from tests.cli.conftest import Program as Run

TRAIN = ["train", "--config", "smoke", "--device", "cpu", "--set", "train.max_steps=8", "--set", "train.warmup_steps=2",
         "--set", "train.sample_every=0", "--set", "train.eval_chars=500"]  # fmt: skip
TEXT = "the cat sat on the mat. " * 40 + "a dog ran over the ä road. " * 20



@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a text, a trained model and its run."""
    folder = tmp_path_factory.mktemp("trained")
    (folder / "text.txt").write_text(TEXT, encoding="utf-8")
    subprocess.run(
        [sys.executable, "-m", "nyx.cli", *TRAIN, "text.txt", "--run-dir", "first"], cwd=folder, check=True,
        capture_output=True,
    )  # fmt: skip
    return folder


@pytest.fixture
def nyx(trained: Path, program: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs the command line in a copy of that folder; gives the exit code, stdout and stderr."""
    shutil.copytree(trained, tmp_path / "here")
    monkeypatch.chdir(tmp_path / "here")
    return program


def snapshot() -> dict[str, bytes]:
    """Every file that is there, so that a refused command can be shown to have written nothing."""
    return {str(p): p.read_bytes() for p in sorted(Path().rglob("*")) if p.is_file() and p.name != ".lock"}


def flip(path: str, at: int) -> None:
    data = bytearray(Path(path).read_bytes())
    data[at] ^= 4
    Path("damaged.ckpt").write_bytes(data)


def prepare_bad_input() -> None:
    Path("empty.txt").touch()
    Path("short.txt").write_text("hi")
    Path("latin.txt").write_bytes(b"abc\xff\xfedef")
    Path("unknown.yaml").write_text("train: {max_steps: 3, max_stepz: 4}")
    Path("type.yaml").write_text("train: {max_steps: 3, lr: fast}")
    Path("half.ckpt").write_bytes(Path("models/hrm.ckpt").read_bytes()[:5000])
    flip("models/hrm.ckpt", 30000)
    os.mkfifo("pipe")


BAD = [
    (["train", "nothing.txt"], 66, "nothing.txt: no such file"),
    (["train", "empty.txt"], 65, "empty.txt"),
    (["train", "short.txt"], 65, "needs 33"),
    (["train", "latin.txt"], 65, "byte offset 3"),
    (["train", "pipe"], 65, "named pipe"),
    (["train", "text.txt", "--device", "vulkan:99"], 69, "no device vulkan:99"),
    (["train", "text.txt", "--device", "no such card"], 69, "no such card"),
    (["train", "text.txt", "--set", "trian.lr=1"], 78, "did you mean train"),
    (["train", "text.txt", "--set", "precision=fp16"], 78, "precision"),
    (["train", "text.txt", "--config", "unknown.yaml"], 78, "did you mean max_steps"),
    (["train", "text.txt", "--config", "type.yaml"], 78, "'fast' is not a number"),
    (["train", "text.txt", "--config", "nothing.yaml"], 66, "packaged ones are"),
    (["train", "text.txt", "--bogus"], 64, "--bogus"),
    (["train", "text.txt", "--run-dir", "first"], 73, "not empty"),
    (["train", "text.txt", "--init-from", "half.ckpt"], 65, "half.ckpt"),
    (["resume", "nothing.ckpt"], 66, "nothing.ckpt"),
    (["resume", "half.ckpt"], 65, "half.ckpt"),
    (["resume", "damaged.ckpt"], 65, "damaged.ckpt is damaged"),
    (["resume", "text.txt"], 65, "not a Nyx checkpoint"),
    (["resume", "models/hrm.ckpt", "--set", "model.n_embd=64"], 78, "keeps the architecture"),
    (["generate", "models/hrm.ckpt", "--prompt", "☃"], 65, "U+2603"),
    (["generate", "models/hrm.ckpt", "--prompt", ""], 65, "empty"),
    (["generate", "models/hrm.ckpt", "--prompt", "a", "-t", "-1"], 64, "temperature"),
    (["generate", "models/hrm.ckpt", "--prompt", "a", "--top-p", "0"], 64, "top-p"),
    (["generate", "models/hrm.ckpt"], 64, "--prompt"),
    (["eval", "models/hrm.ckpt", "nothing.txt"], 66, "nothing.txt"),
    (["eval", "models/hrm.ckpt", "text.txt", "--seq-len", "999"], 64, "--seq-len"),
    (["eval", "damaged.ckpt", "text.txt"], 65, "damaged"),
    (["frobnicate"], 64, "frobnicate"),
]  # fmt: skip


@pytest.mark.parametrize(("arguments", "code", "words"), BAD, ids=[" ".join(b[0])[:60] for b in BAD])
def test_a_mistake_is_one_clear_line(nyx: Run, arguments: list[str], code: int, words: str) -> None:
    prepare_bad_input()
    before = snapshot()
    if arguments[0] == "train" and "--config" not in arguments:
        arguments = [*arguments, "--config", "smoke"]
    if arguments[0] == "train" and "--device" not in arguments:
        arguments = [*arguments, "--device", "cpu"]
    start = time.monotonic()
    found, out, err = nyx(*arguments)
    assert (found, out) == (code, ""), err
    assert words in err
    *before_it, last = err.splitlines()
    assert last.startswith("nyx: ")
    assert not before_it or code == 73  # what a run says of itself before it finds its directory taken
    assert time.monotonic() - start < 5
    assert snapshot() == before


def test_all_faults_of_a_configuration_are_told_at_once(nyx: Run) -> None:
    Path("bad.yaml").write_text("train:\n  max_steps: 3\n  lr: fast\nmodle: {}\n")
    code, _, err = nyx("train", "text.txt", "--config", "bad.yaml")
    assert code == 78
    assert "bad.yaml:3" in err
    assert "bad.yaml:4" in err


def test_what_a_training_leaves(nyx: Run) -> None:
    run = Path("first")
    assert {p.name for p in run.iterdir()} >= {"config.yaml", "run.json", "metrics.jsonl", "train.log", "status.json"}
    assert json.loads((run / "run.json").read_text())["seed"] == 1337
    records = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert {"train/loss", "val/loss", "val/bpb", "train/grad_norm"} <= {key for r in records for key in r}
    assert "device: " in (run / "train.log").read_text()
    code, out, _ = nyx("config", "show", "first/config.yaml")
    assert code == 0
    assert re.search(r"max_steps: 8", out)


def test_generate_is_the_same_for_one_seed(nyx: Run) -> None:
    texts = [nyx("generate", "models/hrm.ckpt", "-p", "the ", "-n", "80", "--seed", s)[1] for s in ("1", "1", "2")]
    assert texts[0] == texts[1] != texts[2]
    assert texts[0].startswith("the ")
    assert len(texts[0]) == 4 + 80 + 1
    greedy = [nyx("generate", "models/hrm.ckpt", "-p", "the ", "-t", "0", "--seed", s)[1] for s in ("1", "2")]
    assert greedy[0] == greedy[1]


def test_eval_prints_json_that_agrees_with_itself(nyx: Run) -> None:
    code, out, err = nyx("eval", "models/hrm.ckpt", "text.txt", "--device", "cpu")
    found = json.loads(out)
    assert (code, err) == (0, "")
    assert found["characters"] == len(TEXT) - 1
    assert found["bytes"] == len(TEXT[1:].encode())
    assert found["perplexity"] == pytest.approx(np.exp(found["loss"]))
    assert found["bits_per_character"] == pytest.approx(found["loss"] / np.log(2))
    assert found["bits_per_byte"] * found["bytes"] == pytest.approx(found["bits_per_character"] * found["characters"])
    other = json.loads(nyx("eval", "models/hrm.ckpt", "text.txt", "--batch-size", "3")[1])
    assert other["loss"] == pytest.approx(found["loss"], rel=1e-5)


def test_export_is_plain_safetensors(nyx: Run) -> None:
    from safetensors.numpy import load_file

    assert nyx("export", "models/hrm.ckpt", "weights.safetensors")[0] == 0
    weights = load_file("weights.safetensors")
    assert any(name.endswith("embedding.weight") for name in weights)
    assert all(a.dtype == np.float32 for a in weights.values())


def test_init_from_starts_with_the_weights_of_another(nyx: Run) -> None:
    Path("more.txt").write_text("the mat sat on the cat. " * 60)
    code, _, err = nyx(
        *TRAIN, "more.txt", "--init-from", "models/hrm.ckpt", "--out", "more.ckpt", "--set", "train.log_every=1"
    )
    assert code == 0, err
    first = float(re.search(r"step 1/8  loss ([\d.]+)", err)[1])  # type: ignore[index]
    fresh = nyx(*TRAIN, "more.txt", "--out", "fresh.ckpt", "--set", "train.log_every=1")[2]
    assert first < float(re.search(r"step 1/8  loss ([\d.]+)", fresh)[1]) - 0.2  # type: ignore[index]


def test_a_finished_training_goes_on_when_more_is_asked(nyx: Run) -> None:
    code, _, err = nyx("resume", "models/hrm.ckpt", "--set", "train.max_steps=12", "--set", "train.log_every=1")
    assert code == 0
    assert "changed: train.max_steps from 8 to 12" in err
    assert "step 12/12  loss" in err
    assert json.loads((Path("first") / "status.json").read_text())["step"] == 12
    assert "finished" in nyx("resume", "models/hrm.ckpt")[2]


def test_resume_refuses_another_text_unless_told(nyx: Run) -> None:
    Path("text.txt").write_text("the cat. " * 200)
    code, _, err = nyx("resume", "models/hrm.ckpt", "--set", "train.max_steps=10")
    assert code == 65
    assert "--any-corpus" in err
    assert nyx("resume", "models/hrm.ckpt", "--set", "train.max_steps=10", "--any-corpus")[0] == 0


def test_plan_devices_and_doctor(nyx: Run) -> None:
    code, out, _ = nyx("plan", "--config", "smoke", "--steps")
    assert code == 0
    assert "= linear(" in out
    assert "MiB" in out
    assert "auto takes" in nyx("devices")[1]
    assert json.loads(nyx("devices", "--json")[1])["cpu"]
    code, out, _ = nyx("doctor")
    assert "ok    CPU" in out


def test_help_is_quick_and_imports_no_numpy() -> None:
    code = "import sys; from nyx import cli; sys.exit('numpy' in sys.modules or 'pydantic' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_corpus_hlx(nyx: Run) -> None:
    code, out, err = nyx("corpus", "hlx", "--size", "20000", "--out", "data/small.txt")
    assert (code, out) == (0, ""), err
    text = Path("data/small.txt").read_text(encoding="utf-8")
    assert len(text) >= 20000
    assert text.count("\nHLXL: ") == text.count("\nLC-R: ") == text.count("\nLC-T: ") == text.count("\nLC-B: ") > 20
    code, _, err = nyx("corpus", "hlx", "--size", "500", "--out", "two.txt", "--notations", "LC-B, HLXL")
    assert code == 0, err
    lines = Path("two.txt").read_text(encoding="utf-8").split("\n")
    assert {line.partition(": ")[0] for line in lines} == {"English", "LC-B", "HLXL", ""}
    assert nyx("corpus", "hlx", "--out", "no.txt", "--notations", "LC-X")[0] == 64


def test_eval_hlx(nyx: Run) -> None:
    code, out, err = nyx("eval", "models/hrm.ckpt", "--device", "cpu", "--hlx", "--examples", "1")
    assert code == 0, err
    found = json.loads(out)
    assert list(found) == ["hlx"]
    assert found["hlx"]["notation_to_notation"]["all"]["count"] == 12
    assert "1 of 1 held-out examples" in err
    Path("text.txt").rename("moved.txt")
    code, out, err = nyx("eval", "models/hrm.ckpt", "moved.txt", "--device", "cpu", "--hlx", "--examples", "1")
    assert json.loads(out).keys() > {"loss", "hlx"}
    assert "text.txt" in err
    assert nyx("eval", "models/hrm.ckpt")[0] == 64


def test_a_resume_with_another_batch_keeps_its_place_in_the_text(nyx: Run) -> None:
    by_epochs = ["train", "text.txt", "--config", "smoke", "--device", "cpu", "--run-dir", "epochs", "--out", "e.ckpt"]
    settings = ["train.max_steps=null", "train.epochs=4", "train.warmup_steps=0", "train.sample_every=0",
                "train.eval_every=0", "checkpoint.every_steps=1", "checkpoint.keep_last=0"]  # fmt: skip
    assert nyx(*by_epochs, *(part for value in settings for part in ("--set", value)))[0] == 0
    whole = json.loads((Path("epochs") / "status.json").read_text())["step"]
    half = f"epochs/checkpoints/step-{whole // 2:08d}.ckpt"
    code, _, err = nyx("resume", half, "--set", "train.batch_size=2", "--set", "train.log_every=1")
    assert code == 0, err
    ended = json.loads((Path("epochs") / "status.json").read_text())["step"]
    assert ended == whole // 2 + whole  # twice as many steps for the other two epochs


def test_bench_times_every_device(nyx: Run) -> None:
    code, out, err = nyx("bench", "--config", "smoke", "--steps", "2")
    assert code == 0, err
    assert json.loads(out)["cpu"]["ms"] > 0


def test_evaluation_keeps_to_the_window_it_was_trained_on(nyx: Run) -> None:
    assert nyx(*TRAIN, "text.txt", "--set", "train.seq_len=8", "--out", "short.ckpt")[0] == 0
    assert json.loads(nyx("eval", "short.ckpt", "text.txt")[1])["seq_len"] == 8


def test_a_prompt_for_samples_is_checked_before_training(nyx: Run) -> None:
    code, _, err = nyx(*TRAIN, "text.txt", "--set", "sample.prompt=☃", "--run-dir", "never")
    assert code == 65
    assert "sample.prompt" in err
    assert not Path("never").exists()


def test_export_and_train_replace_nothing_unasked(nyx: Run) -> None:
    Path("mine.txt").write_text("mine")
    assert nyx("export", "models/hrm.ckpt", "mine.txt")[0] == 64
    assert nyx("export", "models/hrm.ckpt", "models/hrm.ckpt", "--force")[0] == 64
    assert Path("mine.txt").read_text() == "mine"
    code, _, err = nyx(*TRAIN, "text.txt", "--out", "text.txt")
    assert code == 78
    assert "is the text to train on" in err


def test_ctrl_c_before_there_is_anything_to_save(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(**_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(cli.cli, "main", interrupted)
    with pytest.raises(SystemExit) as end:
        cli.main()
    assert end.value.code == 130 and capsys.readouterr() == ("", "nyx: stopped\n")
