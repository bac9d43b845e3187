"""The typed configuration: every key with its meaning, default and range. `nyx.configload` puts one together."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

TRAINING_ONLY = frozenset(
    {"model.dropout", "model.bp_min_steps", "model.bp_max_steps", "model.bp_warmup_ratio"}
    | {"model.halt_exploration_prob", "model.halt_accuracy"}
)
"""Keys of the section `model` that say how it is trained, not what it is."""

Conflict = tuple[tuple[str, ...], str]  # the keys that do not go together, and why

Width = Annotated[int, Field(ge=1, le=1 << 16)]
Depth = Annotated[int, Field(ge=1, le=1024)]
Count = Annotated[int, Field(ge=0, le=2**31 - 1)]
Positive = Annotated[int, Field(ge=1, le=2**31 - 1)]
Share = Annotated[float, Field(ge=0, lt=1)]
Name = Annotated[
    str, Field(min_length=1, max_length=4096, pattern=r"^[^\x00]*$", title="1 to 4096 characters, none of them NUL")
]
Names = Annotated[
    tuple[Name, ...],
    Field(min_length=1),
    BeforeValidator(
        lambda value: (value,) if isinstance(value, str) else tuple(value) if isinstance(value, list) else value,
        json_schema_input_type=Name | Annotated[list[Name], Field(min_length=1)],
    ),
]


def at_home(path: str) -> str:
    """The path with a leading ~ or ~user as that home folder. A file of such a name is written ./~name."""
    return os.path.expanduser(path)


def _no_home(path: str) -> Iterator[str]:
    """Why a path that is written to cannot begin as it does, where at_home knows no such user."""
    if path.startswith("~"):
        yield f"there is no user {path.split('/')[0][1:]!r}; a name that begins with ~ is written ./{path}"


FilePath = Annotated[Name, AfterValidator(at_home)]
FilePaths = Annotated[Names, AfterValidator(lambda paths: tuple(map(at_home, paths)))]


class Section(BaseModel):
    """Keys with no others beside them, of exactly their types, that do not change once made."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, allow_inf_nan=False, use_attribute_docstrings=True
    )

    def conflicts(self) -> Iterator[Conflict]:
        """Keys that are right alone and wrong together."""
        yield from ()

    @model_validator(mode="after")
    def _check(self) -> Self:
        if found := list(self.conflicts()):
            text = "; ".join(f"{', '.join(keys)}: {why}" for keys, why in found)
            raise PydanticCustomError("conflict", "{text}", {"text": text, "faults": found})
        return self


class _Model(Section):
    kind: str
    """The architecture."""
    n_head: Positive = 4
    """Attention heads (H)."""
    n_embd: Width = 128
    """Width (C): a multiple of n_head."""
    block_size: Annotated[int, Field(ge=1, le=1 << 20)] = 64
    """Positions the model has: the longest window it can read, in characters."""
    vocabulary: Literal["corpus", "hlx-115", "hlx-117"] = "corpus"
    """The corpus's own characters, or a fixed set of symbols for the small language."""
    vocab_size: Annotated[int, Field(ge=1, le=1 << 21)] | None = None
    """Symbols (V), filled up with reserved ones; by default as many as the vocabulary has."""

    def conflicts(self) -> Iterator[Conflict]:
        if self.n_embd % self.n_head:
            yield ("n_embd", "n_head"), f"n_embd {self.n_embd} is not a multiple of n_head {self.n_head}"


class HrmConfig(_Model):
    """The Hierarchical Reasoning Model."""

    kind: Literal["hrm"] = "hrm"
    variant: Literal["text", "act"] = "text"
    """text: HRM-Text (2026), pre-norm and one pass. act: the original HRM (2025), post-norm, a carry that is kept over
    segments, and a head that learns when to halt."""
    H_cycles: Depth = 2
    """Calls of the slow stack H."""
    L_cycles: Depth = 2
    """Calls of the fast stack L before each call of H."""
    H_layers: Depth = 1
    """Blocks in H."""
    L_layers: Depth = 1
    """Blocks in L."""
    expansion: Annotated[float, Field(gt=0, le=64)] = 4.0
    """The SwiGLU is 2/3 of expansion times n_embd wide, rounded up to a multiple of ff_multiple."""
    ff_multiple: Width = 256
    norm_eps: Annotated[float, Field(ge=1e-12, le=0.1)] | None = None
    """What norms add to the mean square; by default 1e-6, with act 1e-5, as in the authors' programs."""
    rope_theta: Annotated[float, Field(ge=1, le=1e9)] = 10000.0
    """Base of the rotary positions' wavelengths."""
    bp_min_steps: Annotated[int, Field(ge=2, le=1 << 20)] = 2
    """Calls of H and L that the gradient flows through at the start of training."""
    bp_max_steps: Annotated[int, Field(ge=2, le=1 << 20)] = 5
    """The same after the first bp_warmup_ratio of training."""
    bp_warmup_ratio: Annotated[float, Field(ge=0, le=1)] = 0.2
    halt_max_steps: Annotated[int, Field(ge=1, le=64)] = 4
    """Segments at most (act): each is one call of the whole model, with a loss and an update of its own."""
    halt_exploration_prob: Annotated[float, Field(ge=0, le=1)] = 0.1
    """How often a row must go on for a drawn number of segments before it may halt (act)."""
    halt_accuracy: Annotated[float, Field(gt=0, le=1)] = 1.0
    """The share of right characters from which on a row counts as solved (act): what the halting head learns."""

    @property
    def eps(self) -> float:
        """What norms add to the mean square."""
        default = 1e-5 if self.variant == "act" else 1e-6
        return default if self.norm_eps is None else self.norm_eps

    def conflicts(self) -> Iterator[Conflict]:
        yield from super().conflicts()
        if self.n_embd % (2 * self.n_head) == self.n_head:
            width = self.n_embd // self.n_head
            yield ("n_embd", "n_head"), f"n_embd / n_head is {width}; rotary positions need heads of an even width"
        if self.variant == "act":
            return  # it always trains the last call of either stack
        calls = self.H_cycles * (self.L_cycles + 1)
        if self.bp_max_steps > calls:
            why = f"bp_max_steps {self.bp_max_steps} is more than H_cycles * (L_cycles + 1) = {calls} calls"
            yield ("bp_max_steps", "H_cycles", "L_cycles"), why
        if self.bp_min_steps > self.bp_max_steps:
            why = f"bp_min_steps {self.bp_min_steps} is more than bp_max_steps {self.bp_max_steps}"
            yield ("bp_min_steps", "bp_max_steps"), why


class TransformerConfig(_Model):
    """A decoder-only transformer: pre-norm blocks with layer norms, learned positions."""

    kind: Literal["transformer"] = "transformer"
    n_layer: Depth = 4
    """Blocks."""
    n_ff: Annotated[int, Field(ge=1, le=1 << 18)] | None = None
    """Width of the feed-forward layer (F); by default 4 n_embd."""
    activation: Literal["gelu", "gelu_tanh", "relu"] = "gelu"
    bias: bool = False
    """Biases in linear layers and layer norms (an untied head too)."""
    dropout: Share = 0.0
    tied_head: bool = True
    """The head is the embedding."""
    final_norm: bool = True
    """A layer norm before the head."""
    init: Literal["normal_0.02", "xavier_uniform"] = "normal_0.02"
    """GPT-2's start values, smaller where a block adds to the residual stream; or Xavier-uniform ones."""

    @property
    def ff_width(self) -> int:
        """Width of the feed-forward layer (F)."""
        return self.n_ff or 4 * self.n_embd


ModelConfig = HrmConfig | TransformerConfig


class DataConfig(Section):
    """The corpus."""

    path: FilePaths = ("data/hlx.txt",)
    """Text files, folders or patterns; the default corpus is made when it is missing."""
    val_fraction: Share = 0.1
    """The share kept for validation; 0: none."""
    split_by: Literal["position", "example"] = "position"
    """position: the last part of the text is for validation. example: examples drawn by the seed, and those that say
    the same stay on one side."""
    normalization: Literal["nfc", "nfd", "nfkc", "nfkd", "none"] = "nfc"
    """The Unicode form the text is brought to."""
    cut: Literal["stream", "line", "block", "notation"] = "stream"
    """stream: windows over the whole text. line, block: an example is a line, or lines up to an empty one. notation:
    an example is a record of labelled lines (English:, HLXL:, LC-R:, LC-T:, LC-B:)."""
    pack: bool = False
    """Several examples in one row where they fit; otherwise one a row, padded."""
    fields: Names | None = None
    """Labels that are trained on (cut: notation); by default all."""
    arrange: Literal["record", "line", "pair"] = "record"
    """What an example is made of (cut: notation): its labelled lines as they stand, each alone, or two at a time,
    one the translation of the other."""
    match: Name | None = None
    """A regular expression that a kept example has somewhere."""
    min_chars: Count = 0
    """Examples with fewer characters are left out."""
    max_chars: Positive | None = None
    """Examples with more characters are left out."""
    max_characters: Positive | None = None
    """Distinct characters at most: the most frequent ones; by default all."""
    unknown: Literal["error", "skip", "bytes"] = "error"
    """What becomes of characters that the vocabulary has not: an error, left out, or their UTF-8 bytes as symbols."""
    check: Literal["warn", "stop", "off"] = "warn"
    """What a training does about what `nyx corpus check` would find."""
    cache: bool = True
    """Keep large texts as numbers in the user's cache folder, read from there by every later training."""
    stdin_bytes: Positive = 1 << 26
    """The most that is read from standard input (the path `-`)."""

    def conflicts(self) -> Iterator[Conflict]:
        if self.cut == "stream":
            keys = {"pack": self.pack, "fields": self.fields, "match": self.match, "min_chars": self.min_chars}
            keys |= {"max_chars": self.max_chars, "split_by": self.split_by == "example"}
            keys |= {"arrange": self.arrange != "record"}
            for key in (key for key, value in keys.items() if value):
                yield (key, "cut"), "a stream has no examples; set cut to line, block or notation"
        elif self.cut != "notation" and (self.fields or self.arrange != "record"):
            yield (
                ("fields" if self.fields else "arrange", "cut"),
                f"labelled lines are read with cut notation, not {self.cut}",
            )
        if self.max_chars is not None and self.min_chars > self.max_chars:
            yield ("min_chars", "max_chars"), f"min_chars {self.min_chars} is more than max_chars {self.max_chars}"
        if self.match is not None:
            try:
                re.compile(self.match)
            except re.error as error:
                yield ("match",), f"no regular expression: {error}"


class TrainConfig(Section):
    """Steps are optimizer steps, losses are in nats per character."""

    max_steps: Positive | None = None
    """Steps in all; with epochs too, whichever ends first."""
    epochs: Positive | None = None
    """Times that every training character is a target (act: that one is offered to a free row)."""
    batch_size: Positive = 16
    """Windows in a micro-batch (B)."""
    grad_accum_steps: Positive = 1
    """Micro-batches in a step."""
    seq_len: Annotated[int, Field(ge=0, le=1 << 20)] = 0
    """Characters in a window (T); 0: as many as model.block_size."""
    lr: Annotated[float, Field(gt=0, le=10)] = 1e-3
    """The highest learning rate."""
    min_lr: Annotated[float, Field(ge=0, le=10)] | None = None
    """The learning rate at the end of the schedule; by default a tenth of lr."""
    schedule: Literal["constant", "linear", "cosine", "wsd", "cosine_restarts"] = "cosine"
    """How the rate falls after the warm-up. wsd stays, then falls linearly; cosine_restarts begins again and again."""
    warmup_steps: Count = 0
    """Steps in which the rate rises to lr."""
    decay_fraction: Annotated[float, Field(gt=0, le=1)] = 0.2
    """The last share of the steps, in which wsd falls."""
    restart_steps: Positive = 1000
    """Steps up to the first restart (PyTorch's T_0)."""
    restart_mult: Annotated[int, Field(ge=1, le=64)] = 1
    """How many times longer each period is than the one before (PyTorch's T_mult)."""
    optimizer: Literal["adamw", "adam_atan2"] = "adamw"
    ema_decay: Share = 0.0
    """Keep an average of the weights, new = decay * old + (1 - decay) * weights, and evaluate, sample and choose the
    best by it; 0: no average."""
    loss: Literal["softmax", "stablemax"] = "softmax"
    """How logits become probabilities in the cross-entropy."""
    weight_decay: Annotated[float, Field(ge=0, le=100)] = 0.1
    decay: Literal["matrices", "all"] = "matrices"
    """Which parameters decay: those of two dimensions, or all."""
    no_decay: Names | None = None
    """Patterns of the names of parameters that do not, such as embedding.*."""
    betas: tuple[Share, Share] = Field(default=(0.9, 0.95), strict=False)
    """Adam's decay rates of the first and second moment."""
    eps: Annotated[float, Field(ge=1e-20, le=0.1)] = 1e-8
    grad_clip: Annotated[float, Field(ge=0, le=1e9)] = 1.0
    """The largest norm of the whole gradient; 0: no clipping."""
    label_smoothing: Share = 0.0
    eval_every: Count = 200
    """Steps between evaluations on the validation part; 0: at the end alone."""
    eval_chars: Positive | None = None
    """Characters of the validation part that are evaluated; by default all."""
    log_every: Count = 10
    """Steps between lines of progress; 0: none."""
    sample_every: Count = 200
    """Steps between texts written as `sample` says; 0: none."""
    early_stop_patience: Count = 0
    """Stop after so many evaluations without a better loss; 0: never."""
    early_stop_min_delta: Annotated[float, Field(ge=0, le=100)] = 0.0
    """A loss is better when it is lower by more than this."""

    @property
    def final_lr(self) -> float:
        """The learning rate at the end of the schedule."""
        return self.lr / 10 if self.min_lr is None else self.min_lr

    def conflicts(self) -> Iterator[Conflict]:
        if self.final_lr > self.lr:
            yield ("min_lr", "lr"), f"min_lr {self.min_lr} is more than lr {self.lr}"
        if self.loss == "stablemax" and self.label_smoothing:
            yield ("label_smoothing", "loss"), "label smoothing goes with the softmax loss alone"
        if self.max_steps is not None and self.warmup_steps > self.max_steps:
            why = f"warmup_steps {self.warmup_steps} is more than max_steps {self.max_steps}"
            yield ("warmup_steps", "max_steps"), why
        if self.early_stop_patience and not self.eval_every:
            yield ("early_stop_patience", "eval_every"), "early stopping needs evaluations; set eval_every"


class CheckpointConfig(Section):
    """When the state is saved, and where. It always is at the end, and when a signal stops the training."""

    path: FilePath = "models/hrm.ckpt"
    """The file that always holds the newest state of the newest run."""
    template: Name = "step-{step:08d}.ckpt"
    """Names in the run's own directory, from {step}, {epoch} and {phase}."""
    keep_last: Count = 3
    """Files kept there beside the best one; 0: all."""
    every_steps: Count = 0
    every_epochs: Count = 0
    every_minutes: Annotated[float, Field(ge=0, le=1e6)] = 5.0
    """0 turns each of the three off."""

    def conflicts(self) -> Iterator[Conflict]:
        yield from ((("path",), why) for why in _no_home(self.path))


class SampleConfig(Section):
    """Text written during training."""

    prompt: Annotated[str, Field(min_length=1, max_length=4096)] | None = None
    """What it continues; by default the start of a line of the validation part."""
    length: Annotated[int, Field(ge=1, le=1 << 20)] = 200
    """Characters."""
    temperature: Annotated[float, Field(ge=0, le=100)] = 0.8
    """0 takes the likeliest character."""
    top_k: Count = 0
    """Choose among so many of the likeliest; 0: among all."""
    top_p: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Choose among the likeliest that together have this probability."""


class _Length(Section):
    """How long a stage or phase is, and what it changes of the section train."""

    name: Annotated[str, Field(min_length=1, max_length=64)] = "stage"
    share: Annotated[float, Field(gt=0, le=1)] = 1.0
    """The share of the windows or examples, from the front of one shuffle: a larger one contains a smaller one."""
    max_sequences: Positive | None = None
    """At most so many windows or examples."""
    seq_len: Annotated[int, Field(ge=1, le=1 << 20)] | None = None
    """Characters in a window; by default train.seq_len."""
    context: Annotated[float, Field(gt=0, le=1)] | None = None
    """The same as a share of train.seq_len."""
    epochs: Positive | None = None
    """Times that every character of it is a target; 1 when no max_steps is given."""
    max_steps: Positive | None = None
    """Steps of it alone; with epochs too, whichever ends first."""
    lr: Annotated[float, Field(gt=0, le=10)] | None = None
    """The highest learning rate; by default train.lr."""
    patience: Count | None = None
    """Move on after so many evaluations without a better loss; 0: never; by default train.early_stop_patience."""


    def conflicts(self) -> Iterator[Conflict]:
        if self.seq_len is not None and self.context is not None:
            yield ("seq_len", "context"), "seq_len and context say the same; give one of them"


class StageConfig(_Length):
    """A stage of a curriculum. The optimizer goes on from the stage before; the schedule begins again."""


class PhaseConfig(_Length):
    """A training in a row of several: it starts with the weights of the one before and a fresh optimizer."""

    name: Annotated[str, Field(min_length=1, max_length=64)] = "phase"
    fields: Names | None = None
    """These five are as in the section data, for this phase alone."""
    arrange: Literal["record", "line", "pair"] | None = None
    match: Name | None = None
    min_chars: Count | None = None
    max_chars: Positive | None = None
    stages: tuple[StageConfig, ...] = Field(default=(), strict=False)
    """A curriculum of its own."""

    def change(self, data: DataConfig) -> DataConfig:
        """The section data as it is for this phase."""
        changes = {key: getattr(self, key) for key in ("fields", "arrange", "match", "min_chars", "max_chars")}
        return data.model_copy(update={key: value for key, value in changes.items() if value is not None})

    def conflicts(self) -> Iterator[Conflict]:
        yield from super().conflicts()
        if self.stages and (self.epochs or self.max_steps or self.patience is not None):
            yield (
                ("stages",),
                "a phase with stages ends with the last of them; give epochs, max_steps and patience there",
            )


class Config(Section):
    """A whole training. Relative paths are relative to the working directory, and ~ is the home folder."""

    name: Annotated[str, Field(max_length=64, pattern=r"^\w[\w.-]*$", title="1 to 64 letters, digits, _ . or -")] = (
        "run"
    )
    """Part of the name of the run's directory."""
    seed: Annotated[int, Field(ge=0, le=2**63 - 1)] = 1337
    device: Name = "auto"
    """auto, cpu, vulkan, vulkan:N, or a part of a device's name."""
    precision: Literal["fp32"] = "fp32"
    run_dir: FilePath = "runs"
    """The folder in which every run makes its own."""
    memory_budget: (
        Annotated[str, Field(pattern=r"^[0-9]+(\.[0-9]+)? ?([KMGT]i?B|B)$", title="a size such as 8GB")] | None
    ) = None
    """The most memory that a training may take; by default what the device has free."""
    execution: Literal["auto", "device", "hybrid"] = "auto"
    """hybrid: the optimizer's state stays on the host. auto: where the device has no room for it."""
    model: Annotated[ModelConfig, Field(discriminator="kind")] = HrmConfig()
    data: DataConfig = DataConfig()
    train: TrainConfig = TrainConfig()
    checkpoint: CheckpointConfig = CheckpointConfig()
    sample: SampleConfig = SampleConfig()
    curriculum: tuple[StageConfig, ...] = Field(default=(), strict=False)
    """Stages, one after the other."""
    phases: tuple[PhaseConfig, ...] = Field(default=(), strict=False)
    """Trainings in a row, each starting from the last."""

    def conflicts(self) -> Iterator[Conflict]:
        train, positions = self.train, self.model.block_size
        yield from ((("run_dir",), why) for why in _no_home(self.run_dir))
        parts = (*self.curriculum, *self.phases, *(stage for phase in self.phases for stage in phase.stages))
        if self.curriculum and self.phases:
            yield ("curriculum", "phases"), "give one of them; a phase can have stages of its own"
        for part in parts:
            if part.patience and not (train.eval_every and self.data.val_fraction):
                key = "train.eval_every" if self.data.val_fraction else "data.val_fraction"
                yield (key, "phases" if self.phases else "curriculum"), f"{part.name}: patience needs evaluations"
            if part.seq_len is not None and part.seq_len > positions:
                why = f"{part.name}: seq_len {part.seq_len} is more than model.block_size {positions}"
                yield ("phases" if self.phases else "curriculum",), why
        for phase in self.phases:
            for _, why in phase.change(self.data).conflicts():
                yield ("phases", "data"), f"{phase.name}: {why}"
        if parts and (train.max_steps is not None or train.epochs is not None):
            key = "train.epochs" if train.max_steps is None else "train.max_steps"
            yield (key,), "the stages or phases say how long each is; leave it out"
        if train.seq_len > positions:
            why = f"train.seq_len {train.seq_len} is more than model.block_size {positions}"
            yield ("train.seq_len", "model.block_size"), why
        if train.max_steps is None and train.epochs is None and not parts:
            yield (
                ("train.max_steps", "train.epochs", "curriculum", "phases"),
                "no end of training is set; give train.max_steps or train.epochs",
            )
        if train.early_stop_patience and not self.data.val_fraction:
            yield ("train.early_stop_patience", "data.val_fraction"), "early stopping needs data.val_fraction above 0"

    @model_validator(mode="after")
    def _resolve(self) -> Self:
        if not self.train.seq_len:
            train = self.train.model_copy(update={"seq_len": self.model.block_size})
            object.__setattr__(self, "train", train)  # the only change, before anyone sees it
        return self

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Config:
        """The configuration that `to_dict` gave. Raises ConfigError with a line for every fault."""
        from nyx.configload import amend

        return amend(values, "configuration", env={}).config

    def to_dict(self) -> dict[str, Any]:
        """Every key, in dicts, lists and scalars that JSON can hold."""
        return self.model_dump(mode="json")


def flat(config: Config) -> dict[str, Any]:
    """The values of `to_dict` by dotted key."""
    values = config.to_dict()
    return {
        f"{section}.{key}" if isinstance(part, dict) else section: value
        for section, part in values.items()
        for key, value in (part.items() if isinstance(part, dict) else [(section, part)])
    }


def differences(a: Config, b: Config) -> list[tuple[str, Any, Any]]:
    """The dotted keys whose values differ, with both values; None for a key that the other kind of model has not."""
    left, right = flat(a), flat(b)
    keys = [*left, *(key for key in right if key not in left)]
    return [(key, left.get(key), right.get(key)) for key in keys if left.get(key) != right.get(key)]


def is_architecture(key: str) -> bool:
    """Whether weights trained with one value of the dotted key are of no use with another."""
    return key.startswith("model.") and key not in TRAINING_ONLY


def is_corpus(key: str) -> bool:
    """Whether the dotted key says which characters are trained on."""
    return key.startswith("data.")


@cache
def schema() -> dict[str, Any]:
    """The JSON schema of a configuration."""
    return Config.model_json_schema()
