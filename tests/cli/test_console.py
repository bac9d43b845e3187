"""What is written to people: escaped, whatever it is, and nowhere when nobody reads it."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nyx import console

OVERRIDES = "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"


def test_every_character_that_steers_is_escaped_and_no_other() -> None:
    for code in range(0x110000):
        character = chr(code)
        steers = unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp") or character in OVERRIDES
        shown = console.visible(character)
        if steers and character not in "\n\t":
            assert shown.isascii() and shown.isprintable() and shown.startswith("\\"), hex(code)
        else:
            assert shown == character, hex(code)


@given(st.recursive(st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=5))
def test_json_stays_the_same_value(value: object) -> None:
    text = console.json_text(value)
    assert json.loads(text) == value and console.visible(text) == text


class Failing(io.StringIO):
    def write(self, text: str) -> int:
        raise OSError(5, "gone")


def test_a_stream_that_fails_raises_nothing() -> None:
    console.write(Failing(), "text")
    console.write(None, "text")
    closed = io.StringIO()
    closed.close()
    console.write(closed, "text")


def run(command: str, folder: Path, **environment: str) -> subprocess.CompletedProcess[bytes]:
    program = f"{sys.executable} -m nyx"
    return subprocess.run(["bash", "-c", command.replace("nyx", program)], cwd=folder, capture_output=True, timeout=60,
                          env=os.environ | environment, check=False)  # fmt: skip


@pytest.mark.parametrize("streams", ["1>&-", "0<&- 1>&-", "0<&- 1>&- 2>&-", "1>&- 2>/dev/full"])
def test_closed_streams(streams: str, tmp_path: Path) -> None:
    for command in ("config show smoke", "devices", "config schema", "--help", "--version"):
        done = run(f"nyx {command} {streams}", tmp_path)
        assert done.returncode == 0 and b"Traceback" not in done.stderr and done.stdout == b"", command


def test_an_output_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    for command in ("config show smoke", "devices", "config schema", "--help"):
        done = run(f"nyx {command} >/dev/full", tmp_path)
        assert done.returncode == 74, command
        assert done.stderr == b"nyx: No space left on device: the output\n"
    assert run("nyx config schema | head -1", tmp_path).stderr == b""


def test_an_encoding_that_lacks_characters(tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text("name: \u03a9-h\u00e9\ntrain: {max_steps: 5}\n", encoding="utf-8")
    done = run("nyx config show c.yaml", tmp_path, PYTHONIOENCODING="latin-1")
    assert done.returncode == 0 and b"\\u03a9-h\xe9" in done.stdout
    done = run("nyx config show '\u03a9.yaml'", tmp_path, PYTHONIOENCODING="ascii:strict")
    assert done.returncode in (66, 78) and b"Traceback" not in done.stderr


def test_words_of_the_user_come_back_escaped(tmp_path: Path) -> None:
    for command in ("nyx $'tr\\x1b[2Jain'", "nyx train $'--\\x1b]0;x\\x07'", "nyx train $'a\\u202eb.txt'",
                    "nyx config show $'\\x9b2J.yaml'", "nyx train --set $'train.\\x1blr=1'",
                    "nyx eval $'\\x1b' x"):  # fmt: skip
        done = run(command, tmp_path)
        text = (done.stderr + done.stdout).decode("utf-8")
        assert done.returncode not in (0, 1), command
        assert "\\" in text and console.visible(text) == text, (command, text)


def test_a_fault_of_nyx_is_one_line_and_a_file(tmp_path: Path) -> None:
    code = "import nyx.planning; nyx.planning.describe = lambda *a, **k: 1 / 0; from nyx import cli; cli.main()"
    done = subprocess.run([sys.executable, "-c", code, "plan"], cwd=tmp_path, capture_output=True, text=True,
                          check=False, env=os.environ | {"TMPDIR": str(tmp_path)})  # fmt: skip
    assert done.returncode == 1 and done.stderr.count("\n") == 1 and "ZeroDivisionError" in done.stderr
    (report,) = tmp_path.glob("nyx-fault-*.txt")
    assert str(report) in done.stderr and "Traceback" in report.read_text("utf-8")
