"""The configuration: its layers, what it refuses and in which words, and the files it is read from and written to."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from nyx import config as cfg
from nyx import configfile
from nyx.config import Config, HrmConfig, TransformerConfig
from nyx.configload import amend, dump_yaml, load
from nyx.errors import ConfigError, MissingInputError, UsageError

STEPS = "train: {max_steps: 10}\n"


def read(text: str | bytes, tmp_path: Path, **layers: Any) -> Any:
    path = tmp_path / "my.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return load(str(path), **{"env": {}, **layers})


def faults(text: str | bytes, tmp_path: Path, **layers: Any) -> list[str]:
    """The lines of the refusal, in which the file is called FILE."""
    with pytest.raises(ConfigError) as caught:
        read(text, tmp_path, **layers)
    assert caught.value.exit_code == 78
    return str(caught.value).replace(str(tmp_path / "my.yaml"), "FILE").split("\n")


# Layers


def test_layers_stand_above_each_other(tmp_path):
    text = "seed: 1\ndata:\n  val_fraction: 0.2\ntrain: {lr: 1e-3, max_steps: 5, batch_size: 3, betas: [0.8, 0.9]}\n"
    loaded = read(
        text,
        tmp_path,
        env={"NYX_TRAIN__LR": "2e-3", "NYX_TRAIN__BATCH_SIZE": "4", "NYX_SEED": "2", "NYX_CHECK": "1", "HOME": "x"},
        sets=["train.batch_size=5", "train.betas=[0.5, 0.6]", "seed=3"],
        overrides={"seed": 4, "data.path": ["a", "b"]},
    )
    config, origins = loaded.config, loaded.origins
    assert (config.train.lr, config.train.batch_size, config.seed) == (2e-3, 5, 4)
    assert config.train.betas == (0.5, 0.6) and config.data.path == ("a", "b")
    file = tmp_path / "my.yaml"
    assert origins["data.val_fraction"] == f"{file}:3"
    assert origins["train.lr"] == "NYX_TRAIN__LR"
    assert origins["train.batch_size"] == origins["train.betas"] == "--set"
    assert origins["seed"] == origins["data.path"] == "command line"
    assert origins["train.eps"] == "default"
    assert set(origins) == set(cfg.flat(config)) and loaded.source == str(file)


def test_the_environment_is_the_process_s_own_by_default(tmp_path, monkeypatch):
    monkeypatch.setenv("NYX_MODEL__H_CYCLES", "3")
    assert load("default").config.model.H_cycles == 3  # type: ignore[union-attr]
    monkeypatch.setenv("NYX_TRIAN__LR", "1")
    with pytest.raises(ConfigError, match=r"^NYX_TRIAN__LR: it names no key; did you mean NYX_TRAIN__LR\?$"):
        load("default")


@pytest.mark.parametrize(
    ("text", "key", "value"),
    [
        ("train.lr=3e-4", "train.lr", 3e-4),
        ("train.lr=1", "train.lr", 1.0),
        ("train.epochs=null", "train.epochs", None),
        ("train.early_stop_patience= 7 ", "train.early_stop_patience", 7),
        ("name=123", "name", "123"),
        ("device=Radeon: RX #7", "device", "Radeon: RX #7"),
        ("sample.prompt=English: ", "sample.prompt", "English: "),
        ("sample.prompt=null", "sample.prompt", None),
        ('sample.prompt="null"', "sample.prompt", "null"),
        ('sample.prompt="a\\nb=c"', "sample.prompt", "a\nb=c"),
        ("data.path=a b, c.txt", "data.path", ["a b, c.txt"]),
        ("data.path=[a.txt, 'b c']", "data.path", ["a.txt", "b c"]),
    ],
)
def test_set_reads_a_value_as_its_key_needs_it(text, key, value):
    assert cfg.flat(load("default", [text], env={}).config)[key] == value


def test_set_needs_an_equals_sign():
    with pytest.raises(UsageError, match=r"^--set train.lr: write --set section.key=value$"):
        load("default", ["train.lr"], env={})


def test_derived_values_follow_what_they_derive_from():
    config = load("default", ["model.block_size=32", "train.lr=5e-5"], env={}).config
    assert config.train.seq_len == 32 and config.train.final_lr == pytest.approx(5e-6)
    assert load("default", ["train.seq_len=8"], env={}).config.train.seq_len == 8
    assert load("gpt-mini", ["model.n_embd=64"], env={}).config.model.ff_width == 256  # type: ignore[union-attr]


def test_several_files_stand_above_each_other(tmp_path):
    above = tmp_path / "above.yaml"
    above.write_text("name: above\ntrain: {epochs: null}\ncurriculum:\n  - {share: 0.5}\n  - {name: all}\n")
    loaded = load(["hlxl-brain", str(above)], env={})
    assert loaded.config.model == load("hlxl-brain", env={}).config.model and loaded.config.name == "above"
    assert [stage.name for stage in loaded.config.curriculum] == ["stage", "all"] and loaded.config.train.epochs is None
    assert loaded.origins["train.lr"].startswith("hlxl-brain") and loaded.origins["curriculum"].endswith(":3")
    copy = tmp_path / "copy.yaml"
    copy.write_text(dump_yaml(loaded.config, loaded.origins))
    assert load(str(copy), env={}).config == loaded.config


# What is refused


def test_every_fault_is_told_at_once_in_the_order_of_the_file(tmp_path):
    text = """\
model:
  n_emd: 64
  n_head: 3
trian: {lr: 1}
lr: 3
train:
  lr: fast
  min_lr: .nan
  betas: [0.9, 2]
  max_steps: 10
  max_steps: 20
  seq_len: 4.0
data: {split_by: value}
precision: fp16
"""
    assert faults(text, tmp_path, env={"NYX_SED": "1"}, sets=["data.pth=1", "train.eps=[1"]) == [
        "FILE:2: model.n_emd: unknown key; did you mean n_embd?",
        "FILE:3: model.n_head: n_embd 128 is not a multiple of n_head 3",
        "FILE:4: trian: unknown key; did you mean train?",
        "FILE:5: lr: unknown key; did you mean train.lr?",
        "FILE:7: train.lr: 'fast' is not a number above 0 and at most 10",
        "FILE:8: train.min_lr: .nan is not a finite number",
        "FILE:9: train.betas[1]: 2 is not a number at least 0 and below 1",
        "FILE:11: train.max_steps: written twice, first at FILE:10; keep one",
        "FILE:12: train.seq_len: 4.0 is not a whole number at least 0 and at most 1048576",
        "FILE:13: data.split_by: 'value' is not one of position, example",
        "FILE:14: precision: 'fp16' is not fp32",
        "--set: data.pth: unknown key; did you mean path?",
        "--set: train.eps: not YAML: expected ',' or ']', but got '<stream end>'",
        "NYX_SED: it names no key; did you mean NYX_SEED?",
    ]


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("model: {n_embd: 130}", "FILE:1: model.n_embd: n_embd 130 is not a multiple of n_head 4"),
        ("model: {n_embd: 12}", "model.n_embd: n_embd / n_head is 3; rotary positions need heads of an even width"),
        ("model: {H_cycles: 1, bp_max_steps: 5}", "bp_max_steps 5 is more than H_cycles * (L_cycles + 1) = 3 calls"),
        ("model: {bp_min_steps: 6}", "model.bp_min_steps: bp_min_steps 6 is more than bp_max_steps 5"),
        ("train: {seq_len: 65, max_steps: 1}", "train.seq_len: train.seq_len 65 is more than model.block_size 64"),
        ("train: {min_lr: 0.1, max_steps: 1}", "train.min_lr: min_lr 0.1 is more than lr 0.001"),
        ("train: {warmup_steps: 2, max_steps: 1}", "train.warmup_steps: warmup_steps 2 is more than max_steps 1"),
        ("train: {early_stop_patience: 1, eval_every: 0, max_steps: 1}", "early stopping needs evaluations"),
        ("data: {val_fraction: 0}\ntrain: {early_stop_patience: 1, epochs: 1}", "needs data.val_fraction above 0"),
        ("seed: 1", "FILE: train.max_steps: no end of training is set; give train.max_steps or train.epochs"),
        ("curriculum: [{shar: 1}]", "FILE:1: curriculum[0].shar: unknown key; did you mean share?"),
        ("curriculum: [{share: 1.5}]", "curriculum[0].share: 1.5 is not a number above 0 and at most 1"),
        ("curriculum: 3", "FILE:1: curriculum: 3 is not a list of one or more, each a section of keys"),
        ("curriculum: [{seq_len: 65}]", "curriculum: stage: seq_len 65 is more than model.block_size 64"),
        ("curriculum: [{}]\ntrain: {epochs: 2}", "FILE:2: train.epochs: the stages or phases say how long each is"),
        ("curriculum: [{}]\nphases: [{}]", "FILE:1: curriculum: give one of them; a phase can have stages of its own"),
        ("curriculum: [{patience: 1}]\ntrain: {eval_every: 0}", "train.eval_every: stage: patience needs evaluations"),
        ("curriculum: [{patience: 1}]\ndata: {val_fraction: 0}", "val_fraction: stage: patience needs evaluations"),
        ("phases: [{stages: [{epochs: 0}]}]", "phases[0].stages[0].epochs: 0 is not a whole number at least 1"),
        ("phases: [{stages: [{}], epochs: 1}]", "phases[0].stages: a phase with stages ends with the last of them"),
        ("phases: [{fields: English}]", "FILE:1: phases: phase: a stream has no examples; set cut to line, block or"),
        ("data: {cut: line}\nphases: [{name: a, fields: English}]", "phases: a: labelled lines are read with cut"),
        ("data: {cut: line}\nphases: [{match: (}]", "FILE:2: phases: phase: no regular expression: missing )"),
        ("data: {cut: line, max_chars: 9}\nphases: [{min_chars: 10}]", "phase: min_chars 10 is more than max_chars 9"),
        ("data: {arrange: pair}", "data.arrange: a stream has no examples; set cut to line, block or notation"),
        ("data: {cut: line, arrange: pair}", "data.arrange: labelled lines are read with cut notation, not line"),
        ("data: {split_by: example}", "data.split_by: a stream has no examples; set cut to line, block or notation"),
        ("data: {cut: line, match: '('}", "FILE:1: data.match: no regular expression"),
        ("data: {cut: line, min_chars: 3, max_chars: 2}", "data.min_chars: min_chars 3 is more than max_chars 2"),
        ("train: {loss: stablemax, label_smoothing: 0.1, max_steps: 1}", "smoothing goes with the softmax loss alone"),
        ("memory_budget: much", "FILE:1: memory_budget: 'much' is not Unicode text of a size such as 8GB"),
        ("model: {kind: mlp}", "FILE:1: model.kind: 'mlp' is not one of hrm, transformer"),
        ("model: {kind: [hrm]}", "FILE:1: model.kind: ['hrm'] is not one of hrm, transformer"),
        ("model: {bias: true}", "FILE:1: model.bias: a model of kind hrm has no such key"),
        ("model: {kind: transformer, H_cycles: 2}", "model.H_cycles: a model of kind transformer has no such key"),
        ("model: 3", "FILE:1: model: 3 is not a section of keys"),
        ("train: [1]", "FILE:1: train: [1] is not a section of keys"),
        ("train: {lr: 0}", "train.lr: 0 is not a number above 0"),
        ("train: {lr: -1e-3}", "train.lr: -0.001 is not a number above 0"),
        ("train: {lr: '1e-3'}", "train.lr: '1e-3' is not a number"),
        ("train: {lr: .inf}", "train.lr: .inf is not a finite number"),
        ("train: {lr: 1e999}", "train.lr: 1e999 is not a finite number"),
        ("train: {max_steps: 1:30}", "train.max_steps: '1:30' is not a whole number"),
        ("train: {max_steps: 1_000}", "train.max_steps: '1_000' is not a whole number"),
        ("train: {max_steps: 1e3}", "train.max_steps: 1000.0 is not a whole number"),
        ("train: {max_steps: true}", "train.max_steps: true is not a whole number"),
        ("train: {max_steps: 0}", "train.max_steps: 0 is not a whole number at least 1 and at most 2147483647 or null"),
        ("train: {grad_clip: null}", "train.grad_clip: null is not a number at least 0"),
        ("train: {betas: 0.9}", "train.betas: 0.9 is not a list of 2, each a number at least 0 and below 1"),
        ("train: {betas: [0.9]}", "train.betas"),
        ("train: {schedule: none}", "train.schedule: 'none' is not one of constant, linear, cosine"),
        ("model: {kind: transformer, bias: on}", "model.bias: 'on' is not true or false"),
        ("model: {kind: transformer, dropout: 1.0}", "model.dropout: 1.0 is not a number at least 0 and below 1"),
        ("seed: 99999999999999999999999", "seed: 99999999999999999999999 is not a whole number"),
        ("seed: 9223372036854775808", "seed: 9223372036854775808 is not a whole number"),
        ("seed: " + "9" * 5000, "is too long a number"),
        ("seed: null", "seed: null is not a whole number"),
        ("data: {path: []}", "data.path: [] is not"),
        ("data: {path: [a, 3]}", "data.path[1]: 3 is not Unicode text"),
        ('checkpoint: {path: "a\\0b"}', "checkpoint.path: 'a\\x00b' is not Unicode text of 1 to 4096 characters"),
        ("name: ../up", "name: '../up' is not Unicode text of 1 to 64 letters"),
        ("name: ''", "name: '' is not Unicode text"),
        ('"a\\nb": 1', "FILE:1: a\\nb: unknown key"),
        ("<<: {a: 1}", "FILE:1: <<: unknown key"),
        ("1: 2", "FILE:1: 1: unknown key"),
        ("train: {max_steps: 1}\ntrain: {lr: .nan}", "FILE:2: train: written twice, first at FILE:1; keep one"),
        ("model: {n_layer: {a: 1}}", "model.n_layer: a model of kind hrm has no such key"),
    ],
)
def test_a_wrong_value_is_one_line_with_its_place(tmp_path, text, fault):
    lines = [line for line in faults(text, tmp_path) if "no end of training" not in line or "no end" in fault]
    assert len(lines) == 1 and fault in lines[0] and "\n" not in lines[0]


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", "FILE:1: it is empty"),
        ("# nothing", "it is empty"),
        ("- a", "a configuration is sections of keys"),
        ("text", "a configuration is sections of keys"),
        ("a: &x 1\nb: *x", "FILE:1: anchors (&) and aliases (*) are not allowed"),
        ("a: [&x [1], *x]", "anchors"),
        ("b: *x", "aliases"),
        ("a: !!python/object:os.system x", "tags (!) are not allowed"),
        ("a: ! x", "tags"),
        ("a: !!int 1", "tags"),
        ("seed: 1\n---\nseed: 2", "FILE:2: a second document begins here"),
        ("%YAML 1.1\n---\nseed: 1", "directives (%) are not allowed"),
        ("? [a]\n: b", "a key is a word"),
        ("a: 1\nb\n", "FILE:3: not YAML: could not find expected ':'"),
        ("\ta: 1", "FILE:1: not YAML"),
        ("a: 'b", "not YAML"),
        ("a: b: c", "not YAML"),
        ("a\0b", "not YAML"),
        ('a: "\\UFFFFFFFF"', "not YAML"),
        ("a: [" * 900, "more than 8 levels"),
        ("{a: " * 900, "more than 8 levels"),
        ("[" * 60_000, "more than 1000 brackets"),
        ("a: {b: " * 9_000, "more than 1000 brackets"),
        ("\n".join(f"k{i}: 1" for i in range(5500)), "more than 8 levels or 2000 values"),
        ("a: [" + "1," * 30_000 + "]", "more than 8 levels or 2000 values"),
        ("a:\n" + "- " * 30_000, "more than 8 levels"),
        ("? " * 30_000, "a key is a word"),
        ("a" * 65_537, "larger than 64 KiB"),
        (b"a: \xff", "byte 3 is not UTF-8"),
        ("seed: 1".encode("utf-16"), "byte 0 is not UTF-8"),
    ],
)
def test_a_file_that_is_no_configuration_costs_little_time(tmp_path, text, fault):
    started = time.process_time()
    (line,) = faults(text, tmp_path)
    assert fault in line
    assert time.process_time() - started < 1


def test_many_faults_are_counted(tmp_path):
    started = time.process_time()
    lines = faults("train: {max_steps: 1, " + ", ".join(f"k{i}: 1" for i in range(1900)) + "}", tmp_path)
    assert len(lines) == 21 and lines[-1] == "FILE: and 1880 more faults"
    assert time.process_time() - started < 1


def test_text_that_is_not_unicode_is_refused(tmp_path):
    (line,) = faults(STEPS, tmp_path, env={"NYX_CHECKPOINT__PATH": os.fsdecode(b"\xff.ckpt")})
    assert line.startswith("NYX_CHECKPOINT__PATH: checkpoint.path: '\\udcff.ckpt' is not Unicode text")
    assert line.isascii()


# Where a file is looked for


def test_a_file_here_comes_before_a_packaged_one(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert load("default.yaml", env={}).config == load("default", env={}).config == load(env={}).config
    assert load("default", env={}).source == "default.yaml"
    Path("smoke").mkdir()  # a folder is no configuration
    assert load("smoke", env={}).config.name == "smoke"
    Path("smoke.yaml").write_text(STEPS + "name: mine")
    assert load("smoke.yaml", env={}).config.name == "mine"
    assert load("smoke", env={}).config.name == "mine"
    Path("default.yaml").write_text("bad")
    assert load(env={}).config.name == "default"  # without a name it is the packaged one


@pytest.mark.parametrize("name", ["nothing", "nothing.yaml", "no/default", "", "a\0b", "x" * 5000, "\ud800"])
def test_a_missing_file_names_the_packaged_ones(name):
    with pytest.raises(MissingInputError, match="packaged ones are baby-gpt, default, gpt-mini") as caught:
        load(name, env={})
    assert caught.value.exit_code == 66 and str(caught.value).isprintable()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes on this system")
def test_what_is_no_regular_file_is_refused_at_once(tmp_path):
    os.mkfifo(tmp_path / "pipe.yaml")
    for path in (tmp_path / "pipe.yaml", tmp_path / "pipe", tmp_path, Path("/dev/zero"), Path("/dev/null")):
        with pytest.raises(ConfigError, match=r"not a regular file|is a folder"):
            load(str(path), env={})


def test_a_section_may_be_empty(tmp_path):
    loaded = read("model:\ndata:\ntrain:\n", tmp_path, sets=["train.max_steps=3"], env={"NYX_MODEL__N_EMBD": "64"})
    assert (loaded.config.train.max_steps, loaded.config.model.n_embd, loaded.config.model.kind) == (3, 64, "hrm")


def test_a_byte_order_mark_is_no_part_of_the_first_key(tmp_path):
    assert read(b"\xef\xbb\xbf" + STEPS.encode() + b"seed: 5", tmp_path).config.seed == 5


# Packaged configurations


@pytest.mark.parametrize("name", configfile.packaged())
def test_packaged_configurations_load_quickly_and_survive_a_round_trip(name, tmp_path):
    started = time.process_time()
    loaded = load(name, env={})
    assert time.process_time() - started < 0.3
    assert loaded.config.name == name and loaded.config.checkpoint.path == "models/hrm.ckpt"
    assert read(dump_yaml(loaded.config), tmp_path).config == loaded.config
    assert read(dump_yaml(loaded.config, loaded.origins), tmp_path).config == loaded.config
    assert f"name: {name}  # {name}.yaml:2\n" in dump_yaml(loaded.config, loaded.origins)
    stored = json.loads(json.dumps(loaded.config.to_dict()))
    assert Config.from_dict(stored) == loaded.config


def test_the_presets_that_must_be_there():
    assert set(configfile.packaged()) >= {"default", "smoke", "gpt-mini", "baby-gpt", "hlxl-brain", "hlx-100m"}


def parameters(model: TransformerConfig, symbols: int) -> int:
    c, f, b = model.n_embd, model.ff_width, int(model.bias)
    norm = c + b * c
    block = 2 * norm + 3 * c * c + b * 3 * c + c * c + b * c + 2 * c * f + b * (f + c)
    head = 0 if model.tied_head else symbols * c + b * symbols
    return symbols * c + model.block_size * c + model.n_layer * block + model.final_norm * norm + head


@pytest.mark.parametrize(
    ("name", "symbols", "count"),
    [("hlxl-brain", 115, 491_635), ("hlx-100m", 117, 101_533_813), ("gpt-mini", 65, 804_096)],
)
def test_published_parameter_counts_follow_from_the_options(name, symbols, count):
    model = load(name, env={}).config.model
    assert isinstance(model, TransformerConfig)
    assert parameters(model, symbols) == count


# As objects


def test_a_configuration_cannot_be_changed_and_takes_no_other_keys():
    config = load("default", env={}).config
    with pytest.raises(ValidationError):
        config.seed = 3  # type: ignore[misc]
    with pytest.raises(ValidationError):
        config.train.lr = 3.0  # type: ignore[misc]
    with pytest.raises(ValidationError, match="n_embd 130 is not a multiple of n_head 4"):
        HrmConfig(n_embd=130)
    with pytest.raises(ValidationError):
        Config(sead=3)  # type: ignore[call-arg]


@pytest.mark.parametrize(
    "stored", [{"train": {"max_steps": 1, "gone": 2}}, {"model": {"kind": "x"}}, {1: 2}, [], None, 3]
)
def test_a_stored_configuration_is_checked_like_a_file(stored):
    with pytest.raises(ConfigError, match=r"^configuration: "):
        Config.from_dict(stored)


def test_a_stored_configuration_can_be_amended():
    stored = load("gpt-mini", env={}).config
    before = stored.to_dict()
    loaded = amend(before, "models/hrm.ckpt", ["train.lr=5e-5", "train.batch_size=4"], {}, {"device": "cpu"})
    assert before == stored.to_dict()
    assert cfg.differences(stored, loaded.config) == [
        ("device", "auto", "cpu"),
        ("train.batch_size", 12, 4),
        ("train.lr", 1e-3, 5e-5),
    ]
    assert loaded.origins["train.lr"] == "--set" and loaded.origins["seed"] == "models/hrm.ckpt"
    with pytest.raises(ConfigError, match=r"^--set: train.seq_len: train.seq_len 99 is more than model.block_size 64$"):
        amend(before, "models/hrm.ckpt", ["train.seq_len=99"], {})
    with pytest.raises(ConfigError, match=r"^models/hrm.ckpt: train.gone: unknown key"):
        amend({"train": {"max_steps": 1, "gone": 1}}, "models/hrm.ckpt", [], {})


def test_differences_span_the_kinds_of_model():
    rows = {
        key: (a, b) for key, a, b in cfg.differences(load("default", env={}).config, load("gpt-mini", env={}).config)
    }
    assert rows["model.kind"] == ("hrm", "transformer")
    assert rows["model.H_cycles"] == (2, None) and rows["model.n_layer"] == (None, 4)
    assert "model.n_embd" not in rows


def test_what_a_resume_may_change():
    keys = cfg.flat(load("default", env={}).config) | cfg.flat(load("gpt-mini", env={}).config)
    assert {key for key in keys if key.startswith("model.") and not cfg.is_architecture(key)} == cfg.TRAINING_ONLY
    assert {key for key in keys if cfg.is_corpus(key)} == {f"data.{key}" for key in cfg.DataConfig.model_fields}
    assert not any(cfg.is_architecture(key) for key in ("train.lr", "device", "seed", "checkpoint.path"))


def test_the_schema_describes_sections_and_is_json():
    schema = cfg.schema()
    json.dumps(schema)
    assert schema["additionalProperties"] is False
    assert schema["$defs"]["TrainConfig"]["properties"]["warmup_steps"]["description"]
    assert {"$ref": "#/$defs/HrmConfig"} in schema["properties"]["model"]["oneOf"]


def test_fixed_vocabularies_are_those_that_exist():
    from nyx.text.vocabulary import FIXED

    known = cfg.schema()["$defs"]["HrmConfig"]["properties"]["vocabulary"]["enum"]
    assert set(known) == {"corpus", *FIXED}


def test_importing_the_configuration_does_not_import_numpy_or_the_yaml_parser():
    code = "import sys, nyx.config, nyx.configload; print({'numpy', 'ruamel.yaml'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "set()\n"


# Anything at all

SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**17), 10**17),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(st.characters(exclude_categories=["Cs"])),
    st.from_regex(r"[-+.0-9eExo_:~#'\"&*!%@\[\]{}, \n]{0,8}", fullmatch=True),
    st.sampled_from(["null", "true", "on", "0o7", ".5e3", "1e3", "- a", "a: b", "\x85", "\u2028", "\ufeff", ".inf"]),
)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
)
LEAVES = sorted(cfg.flat(load("default", env={}).config) | cfg.flat(load("gpt-mini", env={}).config))
ANY = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])


def one_line_each(error: ConfigError) -> None:
    lines = str(error).split("\n")
    assert 1 <= len(lines) <= 21
    assert all(line and line.isprintable() and len(line) < 1000 for line in lines)


@settings(ANY, max_examples=200)
@given(
    st.dictionaries(
        st.text(st.characters(exclude_categories=["Cs"]), max_size=4), SCALARS | st.lists(SCALARS), max_size=4
    )
)
def test_whatever_is_written_is_read_back(tree):
    parsed = configfile.parse("---\n" + configfile.dump(tree) if tree else "{}", "FILE")
    assert parsed.faults == [] and parsed.tree == tree
    assert [type(v) for v in parsed.tree.values()] == [type(v) for v in tree.values()]


@settings(ANY, max_examples=250)
@given(st.one_of(st.binary(max_size=200), st.text(max_size=80).map(lambda t: t.encode("utf-8", "replace")),
                 st.from_regex(rb"([a-z]{1,3}: |[-?:,\[\]{}#&*!|>'\"%@` \n]|\n  ?){0,30}")))  # fmt: skip
def test_any_bytes_give_a_configuration_or_a_refusal(tmp_path, data):
    try:
        read(data, tmp_path)
    except ConfigError as error:
        one_line_each(error)


@settings(ANY, max_examples=200)
@given(st.dictionaries(st.sampled_from(LEAVES), VALUES, max_size=6), st.booleans())
def test_any_values_of_the_keys_give_a_configuration_or_a_refusal(values, transformer):
    tree: dict[str, Any] = {"model": {"kind": "transformer"}} if transformer else {}
    for key, value in values.items():
        section, _, name = key.rpartition(".")
        (tree.setdefault(section, {}) if section else tree)[name] = value
    try:
        config = Config.from_dict(tree)
    except ConfigError as error:
        one_line_each(error)
    else:
        assert Config.from_dict(config.to_dict()) == config


@settings(ANY, max_examples=200)
@given(st.sampled_from(LEAVES) | st.text(max_size=12), st.text(max_size=12) | SCALARS.map(str))
def test_any_set_gives_a_configuration_or_a_refusal(key, value):
    key = key.replace("=", "")
    try:
        config = load("smoke", [f"{key}={value}"], env={}).config
    except ConfigError as error:
        one_line_each(error)
    else:
        assert all(math.isfinite(v) for v in cfg.flat(config).values() if isinstance(v, float))


@settings(ANY, max_examples=30)
@given(
    st.fixed_dictionaries(
        {},
        optional={
            "train.lr": st.floats(1e-9, 10),
            "train.eps": st.floats(1e-20, 0.1), "train.epochs": st.integers(1, 2**31 - 1),
            "sample.prompt": st.none() | st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20),
            "checkpoint.path": st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1),
            "data.val_fraction": st.floats(0, 1, exclude_max=True), "seed": st.integers(0, 2**63 - 1),
        },
    )
)  # fmt: skip
def test_every_configuration_survives_a_round_trip_through_yaml(tmp_path, values):
    config = load("smoke", env={}, overrides=values).config
    assert read(dump_yaml(config), tmp_path).config == config
