"""Words that people know from elsewhere, understood where one meaning is plain, else answered with the line to type.

Any key of the configuration is an option by its last part where that names one key (`--weight-decay 0.1`), by its whole
name (`--train.lr 3e-4`), and an argument (`train.lr=3e-4`). The tables have the words of other programs.
"""

from __future__ import annotations

import difflib
import os
import shlex
from collections.abc import Iterator, Sequence
from typing import Any

import click

from nyx.errors import UsageError

CHECKPOINT = "models/hrm.ckpt"
VERBS = {
    "sample": "generate", "gen": "generate", "complete": "generate", "evaluate": "eval", "test": "eval",
    "continue": "resume", "fit": "train", "device": "devices", "benchmark": "bench", "estimate": "plan",
}  # fmt: skip
"""Other names of commands."""

KEYS = {
    "train.max_steps": "steps num_steps n_steps total_steps max_iters iters iterations num_iterations",
    "train.epochs": "num_epochs n_epochs max_epochs num_train_epochs",
    "train.lr": "learning_rate rate max_lr base_lr",
    "train.min_lr": "min_learning_rate final_lr",
    "train.batch_size": "batch bs train_batch_size mini_batch_size per_device_train_batch_size",
    "train.grad_accum_steps": "grad_accum accumulate accumulation_steps gradient_accumulation_steps",
    "train.warmup_steps": "warmup warmup_iters num_warmup_steps",
    "train.weight_decay": "wd decay_rate",
    "train.grad_clip": "clip clip_grad max_grad_norm gradient_clip gradient_clip_val",
    "train.label_smoothing": "smoothing",
    "train.schedule": "scheduler lr_schedule lr_scheduler lr_scheduler_type",
    "train.optimizer": "optim",
    "train.ema_decay": "ema",
    "train.early_stop_patience": "patience early_stopping early_stopping_patience",
    "train.eval_every": "eval_interval eval_steps evaluate_every val_interval",
    "train.log_every": "log_interval logging_steps print_every",
    "train.sample_every": "sample_interval",
    "checkpoint.every_steps": "save_every save_interval save_steps checkpoint_every",
    "checkpoint.keep_last": "keep save_total_limit",
    "model.n_embd": "dim d_model hidden_size hidden_dim embedding_dim embedding_size embed_dim n_embed rnn_size",
    "model.n_head": "heads n_heads num_heads nhead num_attention_heads",
    "model.n_layer": "layers n_layers num_layers num_hidden_layers",
    "model.kind": "model_type arch architecture",
    "data.val_fraction": "val_split validation_split val_ratio val_frac",
    "seed": "random_seed manual_seed",
    "name": "run_name exp_name experiment experiment_name",
}
WINDOW = ("seq_length", "sequence_length", "max_seq_len", "max_seq_length", "context", "context_length", "n_ctx")
"""The window, and with it the positions of a model that is made."""
OPTIONS = {
    "--out": "output output_path save save_path checkpoint_path o",
    "--run-dir": "output_dir out_dir outdir log_dir logdir work_dir",
    "--init-from": "init finetune_from pretrained pretrained_model init_checkpoint load from_pretrained",
    "--config": "conf cfg preset config_file",
    "--length": "max_tokens max_new_tokens num_tokens tokens max_length n_tokens characters chars",
    "--temperature": "temp",
    "--prompt": "start prime primetext prefix input text seed_text",
    "--num-samples": "samples n_samples num_return_sequences",
    "--seq-len": " ".join(WINDOW),
    "--seed": "random_seed manual_seed",
}
"""Options of some commands by their other names."""
ARGUMENTS = {
    "text": "corpus data dataset data_path dataset_path train_file train_data input input_file file text",
    "checkpoint": "checkpoint ckpt model model_path checkpoint_path weights load resume_from",
}
SWITCHES = {
    "cpu": ["--device", "cpu"], "no_cuda": ["--device", "cpu"], "no_gpu": ["--device", "cpu"],
    "gpu": ["--device", "vulkan"], "use_gpu": ["--device", "vulkan"], "train": [],
}  # fmt: skip
HALF = ("use_fp16", "fp16", "half", "use_half", "bf16", "use_bf16", "amp", "use_amp", "mixed_precision")
CUDA = ("cuda", "use_cuda")
THREADS = ("threads", "num_threads", "workers", "num_workers")
EXAMPLES = {
    "resume": "nyx resume {}", "generate": "nyx generate {} --prompt 'The '", "eval": "nyx eval {} TEXT",
    "export": "nyx export {} weights.safetensors", "check": "nyx corpus check TEXT",
}  # fmt: skip


def _by_word(table: dict[str, str]) -> dict[str, str]:
    return {word: meaning for meaning, words in table.items() for word in words.split()}


class Words(click.Command):
    """A command that understands them."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        given = list(args)
        try:
            return super().parse_args(ctx, _Reader(self, ctx, given).read())
        except click.NoSuchOption as error:
            raise UsageError(f"no such option {error.option_name}") from None
        except click.MissingParameter as error:
            raise UsageError(_missing(self, ctx, given, error)) from None


class Verbs(click.Group):
    """A group of commands that understand them."""

    command_class = Words
    group_class = type

    def main(self, *args: Any, **extra: Any) -> Any:
        return super().main(*args, **{"prog_name": "nyx"} | extra)  # however it was started: lines are there to type

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if ctx.parent is None and args and args[0] == "--train":
            args = ["train", *args[1:]]
        elif ctx.parent is None and args and args[0].startswith("--") and args[0] not in ("--help", "--version"):
            verb = {"--generate": "generate", "--sample": "generate", "--resume": "resume", "--eval": "eval"}
            rest = args[1:] if args[0] in verb else args
            raise UsageError(f"name a command first: {shlex.join(['nyx', verb.get(args[0], 'train'), *rest])}")
        return super().parse_args(ctx, args)

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        name = VERBS.get(args[0], args[0]) if ctx.parent is None else args[0]
        if self.get_command(ctx, name) is None:
            raise UsageError(self._unknown(ctx, name, args[1:]))
        return super().resolve_command(ctx, [name, *args[1:]])

    def _unknown(self, ctx: click.Context, name: str, rest: list[str]) -> str:
        path, head = ctx.command_path.split(), f"there is no command {shlex.quote(name)}"
        if ctx.parent is None:
            if name in ("finetune", "fine-tune", "tune"):
                weights = [word for word in rest if word.endswith((".ckpt", ".safetensors"))]
                others = [word for word in rest if word not in weights] or ["TEXT"]
                return f"{head}: nyx train {shlex.join(others)} --init-from {shlex.join(weights[:1] or [CHECKPOINT])}"
            if os.path.exists(name):
                kind = "resume" if name.endswith(".ckpt") or os.path.exists(os.path.join(name, "run.json")) else "train"
                kind = "generate" if name.endswith(".safetensors") else kind
                prompt = ["--prompt", "TEXT"] * (kind == "generate")
                return f"say what to do with {name}: {shlex.join(['nyx', kind, name, *rest, *prompt])}"
        names = [*self.commands, *(VERBS if ctx.parent is None else ())]
        close = ["train"] if name == "run" else difflib.get_close_matches(name, names, n=1)
        if close:
            return f"{head}; did you mean: {shlex.join([*path, VERBS.get(close[0], close[0]), *rest])}"
        return f"{head}; commands are {', '.join(sorted(self.commands))}: {shlex.join(path)} --help"


class _Reader:
    """Turns the words of one command line into those that its command has."""

    def __init__(self, command: click.Command, ctx: click.Context, args: list[str]) -> None:
        self.command, self.args, self.path = command, args, ctx.command_path.split()
        self.takes_value: dict[str, bool] = {}
        for param in [*command.params, command.get_help_option(ctx)]:
            for option in [*param.opts, *param.secondary_opts] if isinstance(param, click.Option) else ():
                self.takes_value[option] = not (param.is_flag or param.count)
        self.arguments = [str(param.name) for param in command.params if isinstance(param, click.Argument)]
        self.front: list[str] = []  # a checkpoint, which is the first argument wherever it is named

    def read(self) -> list[str]:
        read, rest = [], list(self.args)
        while rest:
            word = rest.pop(0)
            if word == "--":
                return [*self.front, *read, word, *rest]
            if word.startswith("-") and len(word) > 1:
                read += self._option(word, rest)
            elif "=" in word and "--set" in self.takes_value and not os.path.exists(word):
                read += self._setting(word)
            else:
                read.append(word)
        return [*self.front, *read]

    def _option(self, word: str, rest: list[str]) -> Sequence[str]:
        name, equals, value = word.partition("=")
        if name in self.takes_value:
            return [word, rest.pop(0)] if self.takes_value[name] and not equals and rest else [word]
        if not word.startswith("--") and word[:2] in self.takes_value:
            return [word, rest.pop(0)] if self.takes_value[word[:2]] and len(word) == 2 and rest else [word]

        def taken() -> str:
            if equals:
                return value
            if not rest:
                raise UsageError(f"{name} needs a value")
            return rest.pop(0)

        plain = name.lstrip("-").replace("-", "_")
        if plain.lower() in SWITCHES and all(part in self.takes_value for part in SWITCHES[plain.lower()][:1]):
            return [*SWITCHES[plain.lower()], *([value] if equals else [])]
        self._refuse(name, plain.lower(), word, rest)
        option = _by_word(OPTIONS).get(plain.lower())
        if option in self.takes_value:
            return self._note(name, [option, taken()])
        for argument, words in ARGUMENTS.items():
            if argument in self.arguments and plain.lower() in words.split():
                if argument == "checkpoint":
                    self.front.append(taken())
                    return []
                return [taken()]
        alone = not equals and (not rest or rest[0].startswith("--"))
        if "--set" in self.takes_value and (settings := self._keys(name, plain, taken, no_value=alone)):
            return settings
        raise UsageError(self._nearest(name, word))

    def _keys(self, name: str, plain: str, taken: Any, *, no_value: bool) -> Sequence[str]:
        """The settings that an option of a key's name means."""
        key, word = _key_of(plain), plain.lower()
        if key is None and (found := _by_word(KEYS).get(word)):
            return self._note(name, ["--set", f"{found}={taken()}"])
        if key is None and word in WINDOW:
            value = taken()
            new = "train" in self.path and "--init-from" not in self.args
            positions = ["--set", f"model.block_size={value}"] if new else []
            return self._note(name, [*positions, "--set", f"train.seq_len={value}"])
        if key is None and word.startswith("no_") and _is_switch(off := _key_of(plain[3:])):
            return ["--set", f"{off}=false"]
        if key is None:
            return []
        return ["--set", f"{key}=true" if no_value and _is_switch(key) else f"{key}={taken()}"]

    def _setting(self, word: str) -> Sequence[str]:
        """KEY=VALUE as an argument."""
        key, _, value = word.partition("=")
        found = _key_of(key.strip()) if "." not in key else key.strip()
        if found is None or ("." in found and found.partition(".")[0] not in _sections()):
            return [word]
        return ["--set", f"{found}={value}"]

    def _refuse(self, name: str, plain: str, word: str, rest: list[str]) -> None:
        """Raises UsageError for words with a meaning that no option has."""
        others = shlex.join([*self.path, *(arg for arg in self.args if arg != word)])
        if plain in HALF:
            raise UsageError(f"{name}: a precision other than fp32 does not exist yet; leave it out: {others}")
        if plain in CUDA:
            raise UsageError(f"{name}: there is no CUDA here; any GPU with a Vulkan driver: {others} --device vulkan")
        if plain in THREADS:
            raise UsageError(f"{name}: the environment says how many threads: NYX_NUM_THREADS=N nyx ...")
        if plain in ("resume", "resume_from", "resume_from_checkpoint") and "checkpoint" not in self.arguments:
            value = word.partition("=")[2] or next((one for one in rest if not one.startswith("-")), CHECKPOINT)
            raise UsageError(f"{name}: a training goes on with: {shlex.join(['nyx', 'resume', value])}")

    def _note(self, name: str, meaning: Sequence[str]) -> Sequence[str]:
        from nyx.cli import _say

        _say(f"{name} is read as {shlex.join(meaning)}")
        return meaning

    def _nearest(self, name: str, word: str) -> str:
        """The line about an unknown option, with the whole command where one is close."""
        options = [option for option in self.takes_value if option.startswith("--")]
        if "--set" in self.takes_value:
            options += [f"--{key.rpartition('.')[2].replace('_', '-')}" for key in _known()]
        close = difflib.get_close_matches(name.replace("_", "-"), options, n=1, cutoff=0.7)
        if not close:
            return f"no such option {name}: {shlex.join(self.path)} --help lists them"
        line = [close[0] + word[len(name) :] if arg == word else arg for arg in self.args]
        return f"no such option {name}; did you mean: {shlex.join([*self.path, *line])}"


def _missing(command: click.Command, ctx: click.Context, args: list[str], error: click.MissingParameter) -> str:
    """The line about what a command line leaves out, with one that has it."""
    example, name = EXAMPLES.get(str(command.name)), str(command.name)
    words = [word for word in args if not word.startswith("-")]
    if name == "generate" and len(words) == 2 and words == args:
        return f"name the prompt: {shlex.join(['nyx', name, words[0], '--prompt', words[1]])}"
    if example is None:
        return f"{error.format_message().rstrip('.')}: {ctx.command_path} --help"
    there = words[0] if words else CHECKPOINT
    found = "" if words or "{}" not in example or os.path.exists(there) else " (there is none yet: nyx train TEXT)"
    return f"{error.format_message().rstrip('.')}: {example.format(shlex.quote(there))}{found}"


def _known() -> dict[str, Any]:
    from nyx.config import schema
    from nyx.configfaults import known_keys

    return known_keys(schema())


def _sections() -> set[str]:
    return {key.partition(".")[0] for key in _known() if "." in key}


def _key_of(word: str) -> str | None:
    """The key that a word names: a dotted one, or the last part of one key alone."""
    if "." in word:
        return word
    found = list(_with_last_part(word)) or list(_with_last_part(word.lower()))
    if len(found) > 1:
        lines = " or ".join(f"--set {key}=VALUE" for key in found)
        raise UsageError(f"{word} names several keys: say {lines}")
    return found[0] if found else None


def _with_last_part(word: str) -> Iterator[str]:
    return (key for key in _known() if key.rpartition(".")[2] == word)


def _is_switch(key: str | None) -> bool:
    return key is not None and _known().get(key, {}).get("type") == "boolean"
