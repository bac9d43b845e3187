"""The command line. Each verb calls one function; what it imports, it imports when it runs, so that --help is quick."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from nyx import __version__, console
from nyx.errors import NyxError, UsageError
from nyx.words import VERBS, Verbs

if TYPE_CHECKING:
    from nyx.trained import Trained

CONFIG = click.option(
    "--config", "-c", "configs", multiple=True, metavar="FILE",
    help="A YAML file, or the name of a packaged configuration; given again, the later one stands above.",
)  # fmt: skip
SET = click.option("--set", "sets", multiple=True, metavar="KEY=VALUE", help="Change one key, such as train.lr=3e-4.")
DEVICE = click.option("--device", metavar="D", help="auto, cpu, vulkan, vulkan:N, or a part of a device's name.")
EXISTING = click.Path(path_type=Path, readable=False)  # one that cannot be read is 66, as its reader says, not 64


@click.group(cls=Verbs, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="nyx")
def cli() -> None:
    """Trains small character-level language models on any GPU with a Vulkan driver, or on the CPU."""


@cli.command("help")
@click.argument("names", nargs=-1, metavar="[COMMAND]...")
@click.pass_context
def help_of(context: click.Context, names: tuple[str, ...]) -> None:
    """Show what a command does and which options it has."""
    place, command = context.parent or context, cli
    for name in names:
        found = command.get_command(place, VERBS.get(name, name)) if isinstance(command, click.Group) else None
        if found is None:
            raise UsageError(f"there is no command {' '.join(names)}: nyx --help lists them")
        place, command = click.Context(found, place, found.name), found
    console.answer(command.get_help(place) + "\n")


@cli.command()
@click.argument("text", nargs=-1)
@CONFIG
@SET
@DEVICE
@click.option("--out", metavar="CKPT", help="Where the newest state is kept (checkpoint.path).")
@click.option("--run-dir", type=EXISTING, metavar="DIR", help="The run's own directory; by default a new one in runs/.")
@click.option("--init-from", type=EXISTING, metavar="CKPT",
              help="Start with the weights, and by default the model, of this checkpoint or export.")
@click.option("--phase", type=click.IntRange(1), metavar="N", help="This phase of the plan alone.")
@click.option("--memory-budget", metavar="SIZE", help="The most memory to take, such as 8GB (memory_budget).")
def train(text: tuple[str, ...], configs: tuple[str, ...], sets: tuple[str, ...], device: str | None, out: str | None,
          run_dir: Path | None, init_from: Path | None, phase: int | None,
          memory_budget: str | None) -> None:  # fmt: skip
    """Train a model, on the files TEXT (- for standard input) or on what the configuration names."""
    from nyx.trained import open_trained
    from nyx.training import session

    _refuse_names(text)
    parent = None if init_from is None else open_trained(init_from, _say)
    loaded = _load(configs, sets, parent, device=device, text=text, out=out, memory_budget=memory_budget)
    session.train(loaded, run_path=run_dir, parent=parent, phase=phase)


@cli.command()
@click.argument("checkpoint", type=EXISTING)
@SET
@DEVICE
@click.option("--any-corpus", is_flag=True, help="Go on although the text is not the one it was trained on.")
def resume(checkpoint: Path, sets: tuple[str, ...], device: str | None, any_corpus: bool) -> None:
    """Go on with a training from a checkpoint or a run's directory, exactly where it stopped."""
    from nyx.training import session

    session.resume(checkpoint, sets, device, any_corpus=any_corpus)


@cli.command()
@click.argument("checkpoint", type=EXISTING)
@click.option("--prompt", "-p", required=True,
              help="The text to continue; -: standard input, @FILE: that file's text; @@ begins one with @.")
@click.option("-n", "--length", type=click.IntRange(0), default=200, show_default=True, help="Characters to write.")
@click.option("-t", "--temperature", default=0.8, show_default=True, help="0 takes the likeliest character.")
@click.option("-k", "--top-k", default=0, show_default=True, help="Choose among so many of the likeliest; 0: all.")
@click.option("--top-p", default=1.0, show_default=True, help="Choose among the likeliest with this probability.")
@click.option("--seed", default=1337, show_default=True)
@click.option("--stop", multiple=True, metavar="TEXT",
              help="End before this text, which is not written; given again, before whichever comes first.")
@click.option("--num-samples", type=click.IntRange(1), default=1, show_default=True, metavar="N",
              help="So many texts; each has the next seed.")
@DEVICE
def generate(checkpoint: Path, prompt: str, length: int, temperature: float, top_k: int, top_p: float, seed: int,
             stop: tuple[str, ...], num_samples: int, device: str | None) -> None:  # fmt: skip
    """Continue a prompt with a trained model, on stdout. CHECKPOINT may be what `nyx export` wrote."""
    from nyx.generation import Sampling, encode_prompt, read_prompt
    from nyx.generation import generate as characters
    from nyx.trained import open_trained

    if "" in stop:
        raise UsageError("--stop: an empty text stands everywhere; name a text")
    samplings = [Sampling(temperature, top_k, top_p, seed + number) for number in range(num_samples)]
    prompt = read_prompt(prompt, _say)
    hrm = open_trained(checkpoint, _say).model(device or "auto")
    context = encode_prompt(hrm.vocabulary, prompt)  # what the model never saw is refused before anything is written
    if len(context) > hrm.window:
        _say(f"the prompt has {len(context)} symbols; the model reads the last {hrm.window}, its window")
    for number, sampling in enumerate(samplings, 1):
        if num_samples > 1:
            _say(f"sample {number} of {num_samples}, seed {sampling.seed}")
        console.answer(prompt, raw=True)
        for text in characters(hrm, prompt, length, sampling, stop):
            console.answer(text, raw=True)
        console.answer("\n")


@cli.command("eval")
@click.argument("checkpoint", type=EXISTING)
@click.argument("text", nargs=-1)
@click.option("--hlx", is_flag=True, help="Also ask for translations of the small language; TEXT may be left out.")
@click.option("--examples", type=click.IntRange(1), default=22, show_default=True, help="How many, with --hlx.")
@click.option("--validation", is_flag=True,
              help="Only the part that its training held out; without TEXT, of the text it was trained on.")
@click.option("--seq-len", type=int, help="Window in symbols; by default the one it was trained on.")
@click.option("--batch-size", type=click.IntRange(1), help="Windows at a time; by default as in the training.")
@SET
@DEVICE
def evaluate(checkpoint: Path, text: tuple[str, ...], hlx: bool, examples: int, validation: bool, seq_len: int | None,
             batch_size: int | None, sets: tuple[str, ...], device: str | None) -> None:  # fmt: skip
    """Measure a model on the files TEXT: JSON on stdout, with the unit of each measure.

    It measures as the training did: how the text is cut and what becomes of unknown characters comes from the
    checkpoint, unless --set says otherwise, such as data.unknown=skip. With --hlx, examples whose lines stand in TEXT
    or in the files it was trained on are left out.
    """
    from nyx.measure import measure
    from nyx.trained import open_trained

    if not (text or hlx or validation):
        raise UsageError("nothing to measure on: name TEXT, or say --validation or --hlx")
    trained = open_trained(checkpoint, _say)
    if seq_len is not None and not 0 < seq_len <= trained.config.model.block_size:
        raise UsageError(f"--seq-len must lie in 1..{trained.config.model.block_size}")
    hrm, read, result = trained.model(device or "auto"), None, {}
    if text or validation:
        given = {"train.seq_len": seq_len, "train.batch_size": batch_size}
        overrides = {key: value for key, value in given.items() if value is not None}
        paths = text or trained.texts()
        result, read = measure(trained, hrm, paths, _say, sets=sets, overrides=overrides, validation=validation)
    if hlx:
        from nyx.text.hlx.evaluate import evaluate_hlx, lines_of_files, training_lines

        if trained.info is None:
            _say(f"{checkpoint} does not say which text it was trained on; examples that stand there are not left out")
        lines = lines_of_files(trained.texts() if trained.info else (), _say)
        lines |= training_lines(read) if read else frozenset()
        result["hlx"] = evaluate_hlx(hrm, examples=examples, training=lines, say=_say)
    _print_json(result)


@cli.command()
@click.argument("checkpoint", type=EXISTING)
@click.argument("file", type=EXISTING)
@click.option("--force", is_flag=True, help="Replace another file that is there.")
def export(checkpoint: Path, file: Path, force: bool) -> None:
    """Write the weights alone to FILE, as safetensors: enough for generate, eval and train --init-from."""
    from nyx.trained import export as write
    from nyx.trained import open_trained

    if file.exists() and (not force or (checkpoint.exists() and file.samefile(checkpoint))):
        raise UsageError(f"{file} is there already: name another file" + ("" if force else ", or say --force"))
    _say(f"{write(open_trained(checkpoint, _say), file)} tensors written to {file}")


@cli.command()
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
def devices(as_json: bool) -> None:
    """List what computes here, and what auto takes."""
    from nyx import devices as here

    if as_json:
        _print_json({"vulkan": here.vulkan_devices(), "cpu": here.cpu_name(), "auto": str(here.choose("auto"))})
    else:
        console.answer("".join(line + "\n" for line in here.describe()))


@cli.command()
def doctor() -> None:
    """Check the installation: the native core, the shaders, and every device with a round trip."""
    from nyx import doctor as checks

    if not checks.examine(lambda line: console.answer(line + "\n")):
        raise SystemExit(1)


@cli.command()
@click.argument("text", nargs=-1)
@CONFIG
@SET
@DEVICE
@click.option("--steps/--no-steps", default=False, help="Also print every Step of its Programs.")
@click.option("--vocab", type=click.IntRange(1, 0x110000), default=96, show_default=True,
              help="Symbols of the corpus, where no TEXT is named.")  # fmt: skip
def plan(text: tuple[str, ...], configs: tuple[str, ...], sets: tuple[str, ...], device: str | None, steps: bool,
         vocab: int) -> None:  # fmt: skip
    """Say how much memory and time a training takes and whether it fits here, and list its Programs.

    With TEXT, its characters and the steps of an epoch are those of the text. Nothing is trained or written.
    """
    from nyx.planning import answer, describe
    from nyx.text.prepare import load_corpus

    _refuse_names(text)
    loaded = _load(configs, sets, device=device, text=text)
    for note in loaded.notes:
        _say(note)
    corpus = load_corpus(loaded.config, _say) if text else None
    said = answer(loaded.config, vocab, corpus, loaded.config.device)
    said.append(describe(loaded.config, corpus.vocabulary if corpus else vocab, steps=steps))
    console.answer("\n".join(said) + "\n")


@cli.command()
@CONFIG
@SET
@click.option("--steps", type=click.IntRange(1), default=10, show_default=True, help="Training steps to time.")
def bench(configs: tuple[str, ...], sets: tuple[str, ...], steps: int) -> None:
    """Time training steps of a configuration on every device here, side by side: JSON on stdout."""
    from nyx.planning import measure

    _print_json(measure(_load(configs, sets).config, steps, _say))


@cli.group()
def corpus() -> None:
    """Make and look at corpora."""


@corpus.command("hlx")
@click.option("--out", default="data/hlx.txt", show_default=True, type=EXISTING)
@click.option("--size", type=int, help="Characters, at least.")
@click.option("--seed", type=int)
@click.option("--notations", metavar="NAMES", help="Some of HLXL,LC-R,LC-T,LC-B; by default all.")
@click.option("--force", is_flag=True, help="Replace another file that is there.")
def corpus_hlx(out: Path, size: int | None, seed: int | None, notations: str | None, force: bool) -> None:
    """Write the default corpus: requests in English with their notations in a small language."""
    from nyx.text import hlx

    size, seed = hlx.DEFAULT_CHARS if size is None else size, hlx.DEFAULT_SEED if seed is None else seed
    names = tuple(hlx.NOTATIONS) if notations is None else tuple(name.strip() for name in notations.split(","))
    written = hlx.write(out, size, seed, names, force=force)
    _say(f"{written.characters} characters ({written.utf8_bytes} bytes) written to {out}")


@corpus.command("check")
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@click.option("--val-fraction", type=click.FloatRange(0, 1, max_open=True), default=0.1, show_default=True,
              help="The share at the end that is kept for validation.")  # fmt: skip
@click.option("--normalization", default="nfc", show_default=True, help="nfc, nfd, nfkc, nfkd or none.")
def corpus_check(files: tuple[str, ...], as_json: bool, val_fraction: float, normalization: str) -> None:
    """Look a text through before a training: lines, characters, copies, leaks into validation, encoding faults.

    Exit code 65 when it could not be trained on.
    """
    from nyx.text.check import examine

    report = examine(files, normalization=normalization, val_fraction=val_fraction, say=_say)
    if as_json:
        _print_json(report.to_json())
    else:
        console.answer("\n".join(report.lines()) + "\n")
    report.refuse_faults()


@cli.group("config")
def config_group() -> None:
    """Look at configurations."""


@config_group.command("show")
@click.argument("names", nargs=-1)
@SET
def config_show(names: tuple[str, ...], sets: tuple[str, ...]) -> None:
    """Print a configuration with every key and where its value comes from."""
    from nyx.configload import dump_yaml

    loaded = _load(names, sets)
    console.answer(dump_yaml(loaded.config, loaded.origins), raw=True)


@config_group.command("schema")
def config_schema() -> None:
    """Print the JSON schema of configurations, for editors."""
    from nyx.config import schema

    _print_json(schema())


def _load(names: tuple[str, ...], sets: tuple[str, ...], parent: Trained | None = None, *, device: str | None = None,
          text: tuple[str, ...] = (), out: str | None = None, memory_budget: str | None = None) -> Any:  # fmt: skip
    """The configuration; the model of `parent` where nothing says otherwise."""
    from nyx.configload import load
    from nyx.files import show_path

    given: dict[str, Any] = {"device": device, "data.path": list(text) or None, "checkpoint.path": out}
    given["memory_budget"] = memory_budget
    overrides = {key: value for key, value in given.items() if value is not None}
    if parent is None:
        return load(names, sets, overrides=overrides)
    return load(names, sets, overrides=overrides, beneath=parent.beneath(), beneath_source=show_path(parent.path))


def _refuse_names(text: tuple[str, ...]) -> None:
    """Raises UsageError for the name of a packaged configuration where a text is wanted."""
    from nyx.configfile import packaged

    for name in text:
        if name.replace("_", "-").removesuffix(".yaml") in packaged() and not os.path.exists(name):
            raise UsageError(f"{name} is a configuration and no text: nyx train TEXT --config {name}")


def _print_json(value: Any) -> None:
    console.answer(console.json_text(value) + "\n")


_say = console.say


def main() -> None:
    """Runs a command, turns errors into one line and the exit code of their kind, and exits with it."""
    from nyx import signals

    with signals.listening(lambda signum: signals.end_now(signum, "nyx: stopped"), ("SIGINT",)):
        code = _run()
    refused = console.close_streams()
    if refused is not None and code == 0:
        code = _failed(refused)
    sys.exit(code)


def _run() -> int:
    try:
        code = cli.main(prog_name="nyx", standalone_mode=False)
    except NyxError as error:
        _say(f"nyx: {error}")
        return error.exit_code
    except click.ClickException as error:
        _say(f"nyx: {error.format_message()}")
        return UsageError.exit_code
    except (click.Abort, KeyboardInterrupt):
        _say("nyx: stopped")
        return 130
    except SystemExit as ended:
        code = ended.code
    except BrokenPipeError:
        return 0  # the reader of the output has seen enough
    except (OSError, MemoryError) as error:
        return _failed(error)
    except Exception as error:
        return _fault(error)
    return code if isinstance(code, int) else 0


def _failed(error: OSError | MemoryError) -> int:
    if isinstance(error, MemoryError):
        _say("nyx: out of memory: lower train.batch_size, train.seq_len or the model's size")
        return 71
    _say(f"nyx: {error.strerror or error}: {error.filename or 'the output'}")
    return 74


def _fault(error: Exception) -> int:
    """A fault of Nyx itself: one line, and what its authors need in a file."""
    import tempfile
    import traceback

    text = "".join(traceback.format_exception(error))
    with tempfile.NamedTemporaryFile("w", prefix="nyx-fault-", suffix=".txt", delete=False, encoding="utf-8",
                                     errors="backslashreplace") as file:  # fmt: skip
        file.write(f"nyx {__version__}, Python {sys.version}\n{sys.argv[1:]}\n{text}")
    _say(f"nyx: a fault in nyx itself ({type(error).__name__}: {error}); please report it with {file.name}")
    return 1


if __name__ == "__main__":
    from nyx.__main__ import main as program

    program()
