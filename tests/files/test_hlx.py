"""The default corpus of the small language: balanced, new, one meaning a sentence, and the same bytes everywhere."""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import sys
from collections import Counter
from itertools import islice
from pathlib import Path
from random import Random

import pytest

from nyx.errors import DataError, StorageError, UsageError
from nyx.text import hlx
from nyx.text.corpus import text_from_string
from nyx.text.hlx import generator, words
from nyx.text.hlx.domains import DOMAINS
from nyx.text.hlx.forms import PLAIN
from nyx.text.hlx.nested import EDGE, NESTED
from nyx.text.hlx.patterns import Scene, draw, find, slots
from nyx.text.hlx.phrases import FRAMES
from nyx.text.hlx.pipelines import workflows
from nyx.text.hlx.values import ERROR, TAG, same
from nyx.text.vocabulary import Vocabulary

BLOCK = re.compile(r"English: ([A-Z].*[^ ])\nHLXL: (.+)\nLC-R: (.+)\nLC-T: (.+)\nLC-B: (.+)")
FIRST_20000 = "8b1ea41d7336864852664f33691855d6801b7fc74fb6b326ee19ed5356b4a402"  # changes when the words or forms do
FORMS = (*PLAIN, *NESTED, *EDGE)


@pytest.fixture(scope="module")
def default() -> str:
    return hlx.generate()


@pytest.mark.parametrize("name", ["hlx-115", "hlx-117"])
def test_the_vocabularies_have_every_character(default: str, name: str) -> None:
    vocabulary = Vocabulary.fixed(name)
    everything = default + words.MARKS + "".join(
        map(hlx.NOTATIONS["LC-R"].write, (None, True, False, b"\0", [{}], hlx.error("a", hlx.Handle("b"))))
    )  # fmt: skip
    assert vocabulary.decode(vocabulary.encode_text(text_from_string(everything))) == everything


def test_every_example_is_well_formed_and_new(default: str) -> None:
    assert 560_000 <= len(default) <= 570_000
    matches = [BLOCK.fullmatch(block) for block in default.removesuffix("\n\n").split("\n\n")]
    assert all(matches)
    blocks = [match.groups() for match in matches if match]
    assert len({english for english, *_ in blocks}) == len(blocks) > 1000  # nothing of the last part is in the first
    for _, *texts in blocks:
        read = [notation.read(text) for notation, text in zip(hlx.NOTATIONS.values(), texts, strict=True)]
        assert all(same(read[0], value) for value in read)
        assert [notation.write(read[0]) for notation in hlx.NOTATIONS.values()] == texts


def test_kinds_have_equal_shares() -> None:
    counts = Counter(example.kind for example in islice(hlx.examples(3), 5500))
    assert counts == dict.fromkeys(hlx.KINDS, 500)
    assert len(hlx.KINDS) == 11


def test_what_the_corpus_has_besides_plain_requests() -> None:
    sample = list(islice(hlx.examples(4), 4400))
    errors = sum(example.value.number == ERROR for example in sample)
    assert 0.02 < errors / len(sample) < 0.1
    texts = [hlx.NOTATIONS["LC-T"].write(example.value) for example in sample]
    assert 0.1 < sum(text.count("{C:1000") > 1 for text in texts) / len(sample) < 0.4
    steps = Counter(len(e.value.fields[1].fields) for e in sample if e.kind == "pipeline")  # type: ignore[union-attr]
    assert set(steps) == set(range(2, 9))
    named = [e for e in sample if e.kind == "pipeline" and isinstance(e.value.fields.get(2), hlx.Handle)]
    assert 0.15 < len(named) / 400 < 0.35
    for part in ('=""', "NULL", "=0", "=[]", "={}", ":-", "append:TRUE", "1001", "[{"):
        assert any(part in text for text in texts), part


def test_a_sentence_has_one_meaning_and_is_recognised() -> None:
    """Translation from English is a function; what the generator says of a value is among its phrasings."""
    rng, meaning, others = Random(5), dict[str, str](), list[str]()
    for number in range(2200):
        value = generator._draw(rng, hlx.KINDS[number % 11])
        text, sentences = hlx.NOTATIONS["LC-R"].write(value), hlx.phrasings(value)
        sentence, other = sentences.say(rng), sentences.say(rng)
        assert meaning.setdefault(sentence, text) == meaning.setdefault(other, text) == text
        assert sentence in sentences
        assert max(len(sentence), len(other)) <= sentences.longest() < 8 * len(text)
        assert len(sentences) > len(FRAMES)
        assert not any(other in sentences for other in others[-5:] if meaning[other] != text)
        for changed in (sentence[:-1], sentence + "s", sentence.lower(), sentence.replace(" the ", " a ", 1) + "?"):
            assert changed not in sentences
        others.append(sentence)


def test_every_form_is_found_in_its_values() -> None:
    for form in FORMS:
        rng = Random(7)
        for domain in DOMAINS:
            bound: dict[str, hlx.Value] = {}
            value = draw(form.pattern, rng, Scene(domain, f"early_{domain.things[0]}"), bound)
            found: dict[str, hlx.Value] = {}
            assert find(form.pattern, value, found), form
            assert found == bound
            sentences = hlx.phrasings(value)
            for template in (*form.orders, *form.questions):
                assert set(re.findall(r"{(\w+)}", template)) == {slot.name for slot in slots(form.pattern)}, template
            for template in form.orders:
                assert re.match(r"[a-z][^A-Z]*[^ .?]$", template)
            for template in form.questions:
                assert re.match(r"[A-Z].*\?$", template)
            assert len(sentences) >= len(form.orders) * (1 + len(FRAMES)) + len(form.questions)


def test_workflows_say_what_they_do() -> None:
    names = [workflow.name for domain in DOMAINS for workflow in workflows(domain)]
    assert len(set(names)) == len(names) == 3 * len(DOMAINS)
    for domain in DOMAINS:
        for workflow in workflows(domain):
            value = draw(workflow.pattern, Random(1), Scene(domain, domain.things[0]), {})
            sentences = hlx.phrasings(value)
            short = f"Carry out the {workflow.name.replace('_', ' ')} on the {domain.things[0].replace('_', ' ')}"
            assert any(short + rest in sentences for rest in _ends(value))
            assert len(sentences) > 100  # with every step told, in all its ways


def _ends(value: hlx.Contract) -> list[str]:
    files = re.findall(r'1="([^"]+)"', hlx.NOTATIONS["LC-T"].write(value))
    first, last = (f", starting with {files[0]}", f", ending in {files[-1]}") if files else ("", "")
    return ["", first, last, first + last]


@pytest.mark.parametrize("value", [
    None, 7, {}, hlx.operation(), hlx.operation("dance", 1), hlx.operation("read", 5), hlx.operation(["read"]),
    hlx.operation("pipeline"), hlx.operation("pipeline", hlx.sequence()),
    hlx.error("x", hlx.operation("read", "a.txt")),
    hlx.operation("pipeline", hlx.sequence(1, 2), hlx.Handle("overdue_chase")), hlx.operation("read", "a.txt", 1),
    hlx.operation("pipeline", hlx.sequence(hlx.operation("read", 5), hlx.operation("read", "a.txt"))),
])  # fmt: skip
def test_values_the_generator_does_not_make_have_no_sentence(value: hlx.Value) -> None:
    sentences = hlx.phrasings(value)
    assert len(sentences) == 0
    assert "Fetch a.txt" not in sentences
    assert "" not in sentences


def test_words_are_names_and_none_occurs_twice_in_a_list() -> None:
    for domain in DOMAINS:
        for name, listed in vars(domain).items():
            assert len(set(listed)) == len(listed) >= 3
            assert name == "workflows" or all(TAG.fullmatch(word) for word in listed)
        assert not set(domain.states) & set(words.QUALIFIERS)
    assert not any(shape[0] in "aeiou" for shape in words.SHAPES)  # "a {shape}"


def test_a_longer_corpus_begins_with_the_shorter_and_seeds_differ(default: str) -> None:
    assert hlx.generate(len(default) + 1).startswith(default)
    assert hlx.generate(1000, 2) != hlx.generate(1000, 3)
    both = hlx.generate(1, notations=("LC-R", "HLXL"))
    assert re.fullmatch(r"English: .+\nLC-R: 🜊100.+\nHLXL: \{100.+\n\n", both)
    for arguments in ({"size_chars": 0}, {"notations": ("LC-X",)}, {"notations": ()}):
        with pytest.raises(UsageError):
            hlx.generate(**arguments)  # type: ignore[arg-type]


def test_it_says_when_there_are_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(generator, "KINDS", ("navigate",))
    monkeypatch.setattr(generator, "_draw", lambda *_: hlx.operation("navigate", hlx.Handle("quay")))
    with pytest.raises(UsageError, match=r"no more than about 3[0-9] "):
        list(hlx.examples())


def test_the_same_bytes_in_another_process() -> None:
    program = (
        "import hashlib; from nyx.text import hlx; print(hashlib.sha256(hlx.generate(20000).encode()).hexdigest())"
    )
    digest = hashlib.sha256(hlx.generate(20000).encode()).hexdigest()
    assert digest == FIRST_20000
    for hash_seed in ("1", "2"):
        environment = os.environ | {"PYTHONHASHSEED": hash_seed, "PYTHONPATH": os.pathsep.join(sys.path)}
        done = subprocess.run(
            [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True
        )
        assert done.stdout.strip() == digest


def test_writing_is_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "new" / "hlx.txt"
    written = hlx.write(path, 2000)
    text = path.read_text(encoding="utf-8")
    assert text == hlx.generate(2000)
    assert (written.characters, written.utf8_bytes) == (len(text), path.stat().st_size)
    assert written.sha256 == hashlib.sha256(text.encode()).hexdigest()
    before = path.stat().st_mtime_ns
    hlx.write(path, 2000)
    assert path.stat().st_mtime_ns == before
    with pytest.raises(UsageError, match="other content"):
        hlx.write(path, 3000)
    with pytest.raises(DataError, match="is not a file"):
        hlx.write(tmp_path, 2000)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StorageError, match="No space left"):
        hlx.write(path, 3000, force=True)
    assert path.read_text(encoding="utf-8") == text
    assert [file.name for file in path.parent.iterdir()] == ["hlx.txt"]
    monkeypatch.undo()
    hlx.write(path, 3000, force=True)
    assert path.read_text(encoding="utf-8") == hlx.generate(3000)


def test_a_size_that_cannot_be_made_is_refused_at_once() -> None:
    for size, fault in ((0, "too small"), (generator.MOST_CHARS + 1, "too large: ask for at most")):
        with pytest.raises(UsageError, match=fault):
            hlx.generate(size)
