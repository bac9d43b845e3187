"""What a training starts from: old weights with new symbols, their average, a text that is looked through; a
notebook."""

from __future__ import annotations

import io
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from nyx.backends.cpu import CpuBackend
from nyx.errors import ConfigError
from nyx.generation import Sampling
from nyx.resource_aware_hrm import ResourceAwareHRM
from nyx.text.corpus import text_from_string
from nyx.text.prepare import prepare
from nyx.text.vocabulary import Vocabulary
from nyx.training.checkpoint import load
from nyx.training.monitor import Monitor
from nyx.training.trainer import CharacterLanguageTrainer
from tests.training import small
from tests.training.small import make_text
from tests.training.test_resume import GPT, HRM, same, sets

RUN = Callable[..., subprocess.CompletedProcess[str]]
COMMON = ["train.max_steps=6", "train.batch_size=3", "train.eval_every=0", "train.sample_every=0", "train.lr=1e-2"]


def test_symbols_that_old_weights_never_saw_get_new_rows(nyx: RUN, tmp_path: Path) -> None:
    for kind, model in (("hrm", HRM), ("transformer", [*GPT[1:], "model.bias=true", "model.tied_head=false"])):
        (tmp_path / "c.yaml").write_text("{}" if kind == "hrm" else "model: {kind: transformer}")
        (tmp_path / "old.txt").write_text(make_text(60), encoding="utf-8")
        (tmp_path / "new.txt").write_text(make_text(60).replace("gull", "gült: Ω?"), encoding="utf-8")
        options = ["--config", "c.yaml", "--device", "cpu", *sets([*COMMON, *model])]
        nyx("train", "old.txt", *options, "--out", "old.ckpt")
        done = nyx(
            "train", "new.txt", *options, "--init-from", "old.ckpt", "--out", "new.ckpt", *sets(["train.lr=1e-9"])
        )
        assert "4 characters are new to the old weights and start from nothing: ':', '?', 'ü', 'Ω'" in done.stderr
        old, new = load(tmp_path / "old.ckpt"), load(tmp_path / "new.ckpt")
        before, after = (Vocabulary.from_json(c.info().vocabulary) for c in (old, new))
        assert after.characters == before.characters + ":?üΩ"
        size = len(before)
        for name, values in old.tensors.items():
            if name.startswith("model."):  # the learning rate is as good as nothing
                kept = new.tensors[name][:size] if "embedding" in name or "head" in name else new.tensors[name]
                np.testing.assert_allclose(kept, values, atol=1e-6)
        fresh = new.tensors["model.embedding.weight"][size:]
        assert fresh.shape[0] == 4 and fresh.std() > 0.01
        text = nyx("generate", "new.ckpt", "--prompt", "gült: ", "-n", "5", "--device", "cpu").stdout
        assert text.startswith("gült: ")


def test_with_skip_the_old_vocabulary_stays(nyx: RUN, tmp_path: Path) -> None:
    (tmp_path / "old.txt").write_text(make_text(60), encoding="utf-8")
    (tmp_path / "new.txt").write_text(make_text(60).replace("gull", "gült: Ω?"), encoding="utf-8")
    (tmp_path / "c.yaml").write_text("{}")
    options = ["--config", "c.yaml", "--device", "cpu", *sets([*COMMON, *HRM])]
    nyx("train", "old.txt", *options, "--out", "old.ckpt")
    done = nyx("train", "new.txt", *options, *sets(["data.unknown=skip"]), "--init-from", "old.ckpt", "--out", "n.ckpt")
    assert load(tmp_path / "old.ckpt").metadata["vocabulary"] == load(tmp_path / "n.ckpt").metadata["vocabulary"]
    assert "left out" in done.stderr


def test_the_average_is_what_a_checkpoint_is_used_with(nyx: RUN, tmp_path: Path) -> None:
    (tmp_path / "text.txt").write_text(make_text(60), encoding="utf-8")
    (tmp_path / "c.yaml").write_text("{}")
    nyx("train", "text.txt", "--config", "c.yaml", "--device", "cpu", *sets([*COMMON, *HRM, "train.ema_decay=0.9"]))
    made = load(tmp_path / "models/hrm.ckpt")
    used = made.weights()
    name = "embedding.weight"
    assert np.array_equal(used["head.weight"], made.tensors["ema.head.weight"])
    assert not np.array_equal(used["head.weight"], made.tensors["model.head.weight"])
    assert name in used and "z_L" in used
    nyx("export", "models/hrm.ckpt", "weights.safetensors")
    assert np.array_equal(load(tmp_path / "weights.safetensors").tensors["head.weight"], used["head.weight"])
    assert nyx("eval", "models/hrm.ckpt", "text.txt", "--device", "cpu").stdout


def test_a_text_that_leaks_is_told_or_refused(nyx: RUN, tmp_path: Path) -> None:
    (tmp_path / "text.txt").write_text("the same line stands here again and again\n" * 80, encoding="utf-8")
    (tmp_path / "c.yaml").write_text("{}")
    options = ["train", "text.txt", "--config", "c.yaml", "--device", "cpu", *sets([*COMMON, *HRM])]
    told = [line for line in nyx(*options).stderr.splitlines() if line.startswith("warning: ")]
    assert any("stand in lines that the training part has too" in line for line in told)
    done = nyx(*options, "--set", "data.check=stop", "--out", "other.ckpt", expect=65)
    assert "data.check is stop" in done.stderr and not (tmp_path / "other.ckpt").exists()
    assert not any(line.startswith("warning") for line in nyx(*options, "--set", "data.check=off").stderr.splitlines())


def test_standard_input(tmp_path: Path) -> None:
    import sys

    (tmp_path / "c.yaml").write_text("{}")
    command = [
        sys.executable,
        "-m",
        "nyx.cli",
        "train",
        "-",
        "--config",
        "c.yaml",
        "--device",
        "cpu",
        *sets([*COMMON, *HRM]),
    ]
    done = subprocess.run(command, cwd=tmp_path, input=make_text(60), capture_output=True, text=True, check=True)
    assert "finished at step 6" in done.stderr
    done = subprocess.run([*command, "--set", "data.stdin_bytes=100"], cwd=tmp_path, input=make_text(60),
                          capture_output=True, text=True, check=False)  # fmt: skip
    assert done.returncode == 65 and done.stderr.splitlines()[-1].startswith("nyx: ")


def test_old_weights_of_another_architecture_are_refused_by_key(nyx: RUN, tmp_path: Path) -> None:
    (tmp_path / "text.txt").write_text(make_text(60), encoding="utf-8")
    (tmp_path / "c.yaml").write_text("{}")
    options = ["--config", "c.yaml", "--device", "cpu", *sets([*COMMON, *HRM])]
    nyx("train", "text.txt", *options, "--out", "old.ckpt")
    again = ["train", "text.txt", *options, "--init-from", "old.ckpt", "--out", "new.ckpt"]
    done = nyx(*again, *sets(["model.n_embd=32"]), expect=65)
    assert done.stderr.startswith("nyx: old.ckpt has another architecture: model.n_embd is 16 there and 32 here; ")
    assert done.stderr.count("\n") == 1 and not (tmp_path / "new.ckpt").exists()
    done = nyx("train", "text.txt", "--config", "gpt-mini", "--init-from", "old.ckpt", expect=65)
    assert "another architecture: model.kind is hrm there and transformer here; give" in done.stderr
    assert "changed: model.n_head from 2 to 4\n" in nyx(*again, *sets(["model.n_head=4"])).stderr


def test_what_a_finished_training_needs_to_go_on(nyx: RUN, tmp_path: Path) -> None:
    (tmp_path / "text.txt").write_text(make_text(60), encoding="utf-8")
    (tmp_path / "c.yaml").write_text("{}")
    model = ["train", "text.txt", "--config", "c.yaml", "--device", "cpu", *sets(HRM)]
    nyx(*model, *sets(COMMON))
    done = nyx("resume", "models/hrm.ckpt", *sets(["train.early_stop_patience=3", "train.eval_every=2"]))
    assert "is finished at step 6; to train on, give more: --set train.max_steps=N\n" in done.stderr
    assert load(tmp_path / "models/hrm.ckpt").info().training.step == 6  # no step was added
    assert "finished at step 8" in nyx("resume", "models/hrm.ckpt", *sets(["train.max_steps=8"])).stderr
    nyx(*model, *sets([*COMMON[1:], "train.epochs=1"]))
    assert "give more: --set train.epochs=N\n" in nyx("resume", "models/hrm.ckpt").stderr
    nyx(*model, *sets([*COMMON[1:], "curriculum=[{max_steps: 3}]"]))
    assert "start from it: nyx train TEXT --init-from models/hrm.ckpt\n" in nyx("resume", "models/hrm.ckpt").stderr
    longer = nyx("resume", "models/hrm.ckpt", *sets(["curriculum=[{max_steps: 5}]"])).stderr
    assert "changed: curriculum\n" in longer and "finished at step 5" in longer


def test_where_a_run_cannot_write_is_refused_before_the_text_is_read(nyx: RUN, tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full/file").write_text("mine")
    train = ["train", "missing.txt", "--config", "smoke"]
    for more, code in (
        (["--run-dir", "full"], 73), (["--run-dir", "full/file"], 73), (["--set", "run_dir=full/file"], 74),
        (["--set", "checkpoint.template=a/b"], 78), ([], 66),
    ):  # fmt: skip
        assert nyx(*train, *more, expect=code).stderr.count("\n") == 1
    assert (tmp_path / "full/file").read_text() == "mine"


def test_a_trainer_takes_only_the_model_of_its_corpus_and_configuration() -> None:
    config = small.make_config()
    text, other = text_from_string(make_text(60)), text_from_string(make_text(60) + "?")
    corpus = prepare(text, Vocabulary.from_text(text), config.data, seq_len=12, seed=1)
    hrm = ResourceAwareHRM(config.model, Vocabulary.from_text(other), CpuBackend())
    with pytest.raises(ConfigError, match="another vocabulary"):
        CharacterLanguageTrainer(hrm, corpus, config)
    hrm = ResourceAwareHRM(small.GPT, corpus.vocabulary, CpuBackend())
    with pytest.raises(ConfigError, match=r"config\.model is not what the model was made with"):
        CharacterLanguageTrainer(hrm, corpus, config)


@pytest.mark.filterwarnings("error")
def test_every_seed_draws_its_own_text() -> None:
    text = text_from_string(make_text(60))
    hrm = ResourceAwareHRM(small.GPT, Vocabulary.from_text(text), CpuBackend())
    hrm.initialize(1)
    seeds = (0, 1, -1, -2, 2**63, 2**63 + 1)
    assert len({hrm.generate_text("gull", 40, Sampling(seed=seed)) for seed in seeds}) == len(seeds)


def test_progress_names_no_loss_before_there_is_one() -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    config = small.make_config(log_every=0, eval_every=0)
    text = text_from_string(make_text(60))
    corpus = prepare(text, Vocabulary.from_text(text), config.data, seq_len=12, seed=1)
    hrm, shown = ResourceAwareHRM(config.model, corpus.vocabulary, CpuBackend()), Terminal()
    CharacterLanguageTrainer(hrm, corpus, config, monitor=Monitor(stream=shown)).train_character_language_model()
    assert "step 1/8  " in shown.getvalue() and "nan" not in shown.getvalue()


def test_what_rows_take_is_logged(nyx: RUN, tmp_path: Path) -> None:
    from nyx.training.metrics_log import read_metrics

    (tmp_path / "text.txt").write_text(make_text(60), encoding="utf-8")
    (tmp_path / "c.yaml").write_text("model: {variant: act, halt_max_steps: 3}")
    options = sets([*COMMON, *HRM[:-1], "train.log_every=1", "train.max_steps=7"])
    nyx("train", "text.txt", "--config", "c.yaml", "--device", "cpu", "--run-dir", "run", *options)
    found = [record for record in read_metrics(tmp_path / "run") if "train/loss" in record]
    assert found[0]["step"] == 3 and len(found) < 7, "at first nobody halts, and a log waits for a row that has ended"
    nyx("train", "text.txt", "--config", "c.yaml", "--device", "cpu", "--run-dir", "later", *options,
        *sets(["model.halt_max_steps=4", "train.log_every=2", "train.batch_size=1", "train.grad_accum_steps=1",
               "train.max_steps=13"]))  # fmt: skip
    later = [record["step"] for record in read_metrics(tmp_path / "later") if "train/loss" in record]
    assert later == [4, 8, 12], "its one row ends at every fourth step, and nothing is logged between"
    for record in found:
        *fewer, three = record["train/segments_hist"]
        assert fewer == [0, 0] and 0 < three <= 6 and record["train/segments"] == 3
        assert 0 <= record["train/exact_acc"] <= 1
        assert record["train/q_halt_loss"] > 0 and record["train/q_continue_loss"] > 0


def test_a_resume_between_two_segments(nyx: RUN, tmp_path: Path) -> None:
    """The same bits and the same metrics, whatever step it was saved at."""
    from nyx.training.metrics_log import read_metrics

    (tmp_path / "text.txt").write_text(make_text(60), encoding="utf-8")
    (tmp_path / "c.yaml").write_text("model: {variant: act, halt_max_steps: 3, halt_exploration_prob: 0.5}")
    more = ["train.log_every=2", "train.max_steps=8", "checkpoint.every_steps=1", "checkpoint.keep_last=0"]
    options = ["--config", "c.yaml", "--device", "cpu", *sets([*COMMON, *HRM[:-1], *more])]
    nyx("train", "text.txt", *options, "--run-dir", "whole", "--out", "whole.ckpt")
    whole = [record for record in read_metrics(tmp_path / "whole") if "train/loss" in record]
    for step in (1, 2, 4, 5):
        shutil.copytree(tmp_path / "whole", tmp_path / f"at{step}")
        nyx("resume", f"at{step}/checkpoints/step-{step:08d}.ckpt", "--device", "cpu")
        same(tmp_path / "whole.ckpt", tmp_path / f"at{step}/checkpoints/step-00000008.ckpt")
        ours = [record for record in read_metrics(tmp_path / f"at{step}") if "train/loss" in record]
        for record in (*ours, *whole):
            record.pop("train/chars_per_sec", None)
        assert ours == whole
