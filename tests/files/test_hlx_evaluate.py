"""Numbers on held-out examples, with models whose answers are known."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest

from nyx.config import Config
from nyx.errors import DataError, UsageError
from nyx.generation import Sampling, generate
from nyx.resource_aware_hrm import ResourceAwareHRM
from nyx.text import hlx
from nyx.text.corpus import text_from_string
from nyx.text.hlx import evaluate
from nyx.text.hlx.evaluate import evaluate_hlx, held_out, lines_of_files, measure, training_lines
from nyx.text.vocabulary import Vocabulary

GROUPS = ("english_to_notation", "notation_to_english", "notation_to_notation")
EXAMPLES = held_out(44, 9)


def every_share(result: dict[str, Any]) -> Iterator[tuple[str, dict[str, float]]]:
    for name in GROUPS:
        for part in (result[name], *result[name]["directions"].values()):
            yield name, part["all"]
            yield from ((name, shares) for shares in part["kinds"].values())


def test_no_right_answer_is_cut() -> None:
    def cut(prompt: str, longest: int) -> str:
        right = perfect(prompt, longest)
        assert len(right) < longest < 3000
        return right[:longest]

    assert measure(cut, EXAMPLES)["notation_to_english"]["all"]["exact"] == 1.0


def translate(prompt: str) -> tuple[hlx.Value, str]:
    """The value of a prompt, and the name of the line that it asks for."""
    match = re.fullmatch(r"([A-Za-z-]+): (.*)\n([A-Za-z-]+): ", prompt)
    assert match
    source, text, target = match.groups()
    if source == "English":
        return next(example.value for example in EXAMPLES if example.english == text), target
    return hlx.NOTATIONS[source].read(text), target


def perfect(prompt: str, _: int) -> str:
    value, target = translate(prompt)
    return hlx.phrasings(value).say(Random(1)) if target == "English" else hlx.NOTATIONS[target].write(value)


def test_a_perfect_model() -> None:
    result = measure(perfect, EXAMPLES)
    assert json.loads(json.dumps(result)) == result
    for name, shares in every_share(result):
        marks = {"read", "fits", "exact"} | ({"balanced", "valid"} if name != "notation_to_english" else set())
        assert all(shares[mark] == 1.0 for mark in marks)
        assert set(shares) == marks | {"count", "identical"}
        assert name == "notation_to_english" or shares["identical"] == 1.0
    assert result["notation_to_english"]["all"]["identical"] < 0.5  # other words, the same meaning
    counts = {name: result[name]["all"]["count"] for name in GROUPS}
    assert counts == {"english_to_notation": 4 * 44, "notation_to_english": 4 * 44, "notation_to_notation": 12 * 44}
    assert list(result["notation_to_notation"]["kinds"]) == list(hlx.KINDS)
    for kind in hlx.KINDS:
        assert result["notation_to_notation"]["directions"]["LC-B to HLXL"]["kinds"][kind]["count"] == 4


@pytest.mark.parametrize("given", ["}🜂{\"", None, ""])
def test_garbage_and_no_answer(given: str | None) -> None:
    for _, shares in every_share(measure(lambda *_: given, EXAMPLES)):
        assert shares["read"] == (given is not None)
        assert not any(shares.get(mark, 0) for mark in ("balanced", "valid", "exact", "identical"))


def test_an_answer_that_lacks_its_last_character() -> None:
    for name, shares in every_share(measure(lambda *a: perfect(*a)[:-1], EXAMPLES)):
        assert not any(shares.get(mark, 0) for mark in ("balanced", "valid", "exact", "identical")), name


def test_other_ways_to_write_the_same_and_other_values() -> None:
    spaced = measure(lambda *a: perfect(*a).replace(",", ", "), EXAMPLES, ["HLXL", "LC-T"])["notation_to_notation"]
    assert spaced["directions"]["HLXL to LC-T"]["all"]["valid"] == 1.0
    assert spaced["directions"]["HLXL to LC-T"]["all"]["identical"] == 0.0
    assert spaced["directions"]["HLXL to LC-T"]["all"]["exact"] > 0.8  # the strings with a comma differ
    other = measure(lambda *_: "[0]", EXAMPLES, ["HLXL"])["english_to_notation"]["all"]
    assert (other["balanced"], other["valid"], other["exact"]) == (1.0, 1.0, 0.0)
    strange = measure(lambda *_: "[,]", EXAMPLES, ["HLXL"])["english_to_notation"]["all"]
    assert (strange["balanced"], strange["valid"]) == (1.0, 0.0)
    other_english = measure(lambda *_: "Head for the north quay", EXAMPLES, ["LC-R"])["notation_to_english"]["all"]
    assert other_english["exact"] == 0.0


def test_only_the_notations_asked_for() -> None:
    asked: list[str] = []
    result = measure(lambda prompt, _: asked.append(prompt), EXAMPLES[:3], ["LC-R"])
    assert result["notations"] == ["LC-R"]
    assert result["notation_to_notation"] == {"all": {"count": 0}, "kinds": {}, "directions": {}}
    assert Counter(re.sub(r": .*\n", " to ", prompt) for prompt in asked) == {
        "English to LC-R: ": 3, "LC-R to English: ": 3,
    }  # fmt: skip
    for names in ((), ("LC-X",)):
        with pytest.raises(UsageError, match="use one or more of HLXL"):
            measure(perfect, EXAMPLES, names)


def test_prompts_longer_than_the_window_are_counted() -> None:
    fits = measure(perfect, EXAMPLES, ["LC-R"], window=150)["english_to_notation"]
    assert 0 < fits["all"]["fits"] < 1
    assert fits["kinds"]["pipeline"]["fits"] == 0.0


def test_it_says_how_far_it_is() -> None:
    said: list[str] = []
    measure(perfect, EXAMPLES, ["LC-R"], say=said.append)
    assert said[-1] == "44 of 44 held-out examples"
    assert 5 < len(said) <= 12


def test_held_out_examples_are_not_in_the_training_text(monkeypatch: pytest.MonkeyPatch) -> None:
    first = held_out(22, 9)
    assert Counter(example.kind for example in first) == dict.fromkeys(hlx.KINDS, 2)
    assert held_out(22, 9) == first
    text = first[0].block() + f"LC-R: {hlx.NOTATIONS['LC-R'].write(first[1].value)}\nNote: {first[2].english}"
    monkeypatch.setattr(evaluate, "BLOCK", 7)
    lines = training_lines(text_from_string(text + f"\nEnglish: {first[3].english}"))
    assert {f"English: {first[0].english}", f"English: {first[3].english}"} < lines
    assert not any(line.startswith(("HLXL", "Note")) for line in lines)
    others = [example.english for example in held_out(22, 9, lines)]
    assert not {first[i].english for i in (0, 1, 3)} & set(others)
    assert first[2].english in others

    class Everything:
        def __contains__(self, _: object) -> bool:
            return True

    with pytest.raises(DataError, match="use another seed"):
        held_out(2, 9, Everything())
    with pytest.raises(UsageError, match="at least 1"):
        held_out(0, 9)


def test_lines_of_the_files_that_are_there(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("English: A\nLC-R: 1\nLC-T: 1\n")
    said: list[str] = []
    lines = lines_of_files([str(tmp_path / "gone.txt"), "-", str(tmp_path / "*.txt")], said.append)
    assert lines == {"English: A", "LC-R: 1", ""}
    assert len(said) == 2
    assert "gone.txt" in said[0]
    assert "standard input" in said[1]


def test_a_model_on_a_device() -> None:
    config = Config.from_dict({
        "model": {"kind": "transformer", "n_layer": 1, "n_head": 2, "n_embd": 16, "block_size": 64},
        "train": {"max_steps": 1},
    })  # fmt: skip
    hrm = ResourceAwareHRM(config.model, Vocabulary.fixed("hlx-115"), "cpu")
    hrm.initialize(1)
    text = "".join(generate(hrm, "a", 40, Sampling(1.0)))
    assert "".join(generate(hrm, "a", 40, Sampling(1.0), stop=text[20] + text[30])) == re.split(
        f"[{re.escape(text[20] + text[30])}]", text
    )[0]
    result = evaluate_hlx(hrm, examples=2, notations=["LC-R"])
    assert result["examples"] == 2
    assert result["english_to_notation"]["all"]["count"] == 2
    assert result["english_to_notation"]["all"]["read"] == 1.0
    assert result["english_to_notation"]["all"]["exact"] == 0.0
    assert evaluate_hlx(hrm, examples=2, notations=["LC-R"]) == result
    ascii_only = ResourceAwareHRM(config.model, Vocabulary("".join(map(chr, range(32, 127))) + "\n"), "cpu")
    ascii_only.initialize(1)
    assert evaluate_hlx(ascii_only, examples=1, notations=["LC-R"])["notation_to_english"]["all"]["read"] == 0.0
    assert evaluate_hlx(ascii_only, examples=1, notations=["LC-R"])["english_to_notation"]["all"]["read"] == 1.0
