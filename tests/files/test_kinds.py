"""What is no text is told by its content, and the command that is said makes a text of it."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import pickle
import sqlite3
import subprocess
import sys
import tarfile
import zipfile
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from nyx import cli
from nyx.errors import DataError
from nyx.text.corpus import read_text
from nyx.text.kinds import kind_of, wide_encoding

TEXT = "A plain text, of some lines.\nIt is “quoted” and naïve.\n" * 40


def zipped(*names: str) -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in names:
            archive.writestr(name, TEXT)
    return data.getvalue()


def tarred() -> bytes:
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as archive:
        info = tarfile.TarInfo("a.txt")
        info.size = len(TEXT.encode())
        archive.addfile(info, io.BytesIO(TEXT.encode()))
    return data.getvalue()


def database() -> bytes:
    with closing(sqlite3.connect(":memory:")) as base:
        base.execute("create table t (text)")
        base.execute("insert into t values (?)", (TEXT,))
        return base.serialize()


def array() -> bytes:
    data = io.BytesIO()
    np.save(data, np.arange(1000))
    return data.getvalue()


def pdf() -> bytes:
    return b"%PDF-1.4\n%\xe2\xe3\xcf\xd3\n1 0 obj<</Length 10>>stream\n" + gzip.compress(TEXT.encode()) + b"\n%%EOF\n"


MADE: dict[str, tuple[bytes, str, str]] = {
    "gzip": (gzip.compress(TEXT.encode()), "gzip data", "gzip -dc a.txt > a.utf8.txt"),
    "bzip2": (bz2.compress(TEXT.encode()), "bzip2 data", "bzip2 -dc"),
    "xz": (lzma.compress(TEXT.encode()), "xz data", "xz -dc"),
    "zip": (zipped("a.txt"), "a zip archive", "unzip -p"),
    "docx": (zipped("[Content_Types].xml", "word/document.xml"), "a Word document", "pandoc -t plain"),
    "xlsx": (zipped("xl/workbook.xml"), "an Excel workbook", "libreoffice"),
    "odt": (zipped("mimetype", "content.xml"), "an OpenDocument file", "pandoc -t plain"),
    "epub": (zipped("mimetype", "META-INF/container.xml", "c.html"), "an EPUB book", "pandoc -t plain"),
    "jar": (zipped("META-INF/MANIFEST.MF", "A.class"), "a Java archive", "name a text file"),
    "npz": (zipped("x.npy"), "NumPy arrays", "name a text file"),
    "a zip archive cut short": (zipped("word/document.xml")[:200], "a Word document", "pandoc"),
    "tar": (tarred(), "a tar archive", "tar -xOf a.txt > a.utf8.txt"),
    "tar in gzip": (gzip.compress(tarred()), "a tar archive in gzip data", "tar -xOf a.txt > a.utf8.txt"),
    "tar in bzip2": (bz2.compress(tarred()), "a tar archive in bzip2 data", "tar -xOf a.txt > a.utf8.txt"),
    "tar in xz": (lzma.compress(tarred()), "a tar archive in xz data", "tar -xOf a.txt > a.utf8.txt"),
    "PDF": (pdf(), "a PDF document", "pdftotext a.txt a.utf8.txt"),
    "PDF behind a line": (b"\r\n\xff\n" + pdf(), "a PDF document", "pdftotext"),
    "RTF": (b"{\\rtf1\\ansi Some words.}", "an RTF document", "pandoc -f rtf"),
    "PostScript": (b"%!PS-Adobe-3.0\n/x 1 def\n", "a PostScript document", "ps2ascii"),
    "doc": (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600), "an old Office file", "antiword"),
    "SQLite": (database(), "an SQLite database", "sqlite3 a.txt"),
    "NumPy": (array(), "a NumPy array", "name a text file"),
    "pickle": (pickle.dumps({"a": list(range(300))}), "a Python pickle", "name a text file"),
    "ELF": (Path(sys.executable).resolve().read_bytes()[:5000], "an ELF program", "name a text file"),
    "PNG": (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + bytes(99), "a PNG image", "tesseract"),
    "JPEG": (b"\xff\xd8\xff\xe0\0\x10JFIF\0" + bytes(range(256)), "a JPEG image", "tesseract"),
    "zstd": (b"\x28\xb5\x2f\xfd\x04\x58" + bytes(range(256)), "zstd data", "zstd -dc"),
    "MP3": (b"ID3\x04\0\0\0\0\0\0" + bytes(range(256)), "an MP3 recording", "write down"),
    "Parquet": (b"PAR1\x15\x04\x15\0\x15\0" + bytes(60) + b"PAR1", "a Parquet table", "read_parquet"),
    "WAV": (b"RIFF\x24\0\0\0WAVEfmt " + bytes(99), "a WAV recording", "write down"),
    "a Git LFS pointer": (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "a Git LFS pointer", "git"),
    "safetensors": (b"\x40\0\0\0\0\0\0\0" + b'{"w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}', "a safetensors",
                    "name a text file"),
}  # fmt: skip
TEXTS: dict[str, bytes] = {
    "HTML": b"<!DOCTYPE html><html><body>Some words.</body></html>\n" * 9,
    "XML": b"<?xml version='1.0'?><a>Some words.</a>\n" * 9,
    "JSON": b'{"__metadata__": {"SHA256": "no checkpoint"}}\n' * 9,
    "a shell script": b"#!/bin/sh\necho some words\n" * 9,
    "letters that begin other formats": b"BM, MZ, ID3, PAR1, GGUF and OggS are words here.\n" * 9,
    "the same behind NULs": b"MZ" + b" and many more words" * 20 + b"\0 and words\n",
    "line ends alone": b"\r\n" * 400,
    "a letter a line": b"a\nb\nc\n" * 200,
    "a letter a tab": b"a\tb\tc\t" * 200,
    "a coloured log": b"\x1b[31merror\x1b[0m: no \x1b[1mfile\x1b[0m\n" * 40,
    "NULs here and there": b"some words\0" * 100,
    "NULs alone": bytes(1000),
    "every second byte twice": b"aXaYaZaX" * 100,
    "two bytes": b"a\0",
}  # fmt: skip
SCRIPTS = {
    "Latin": "Some words of a text, naïve.\n" * 9,
    "Cyrillic": "Здесь несколько слов простого текста.\n" * 9,
    "Greek": "Εδώ είναι μερικές λέξεις.\n" * 9,
    "Hebrew": "הנה כמה מילים של טקסט.\n" * 9,
    "Arabic": "هنا بعض الكلمات في نص.\n" * 9,
    "Devanagari": "यहाँ कुछ शब्द हैं।\n" * 9,
    "Thai": "นี่คือคำบางคำของข้อความ\n" * 9,
}


@pytest.mark.parametrize("name", MADE)
def test_it_is_told_by_its_content(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.chdir(tmp_path)
    data, kind, command = MADE[name]
    Path("a.txt").write_bytes(data)
    with pytest.raises(DataError) as caught:
        read_text("a.txt")
    words = str(caught.value)
    assert words.startswith(f"a.txt: {kind}")
    assert command in words
    assert "\n" not in words


@pytest.mark.parametrize("name", TEXTS)
def test_a_text_stays_one(tmp_path: Path, name: str) -> None:
    (tmp_path / "a.bin").write_bytes(TEXTS[name])
    assert read_text(tmp_path / "a.bin").string() == TEXTS[name].decode().replace("\r\n", "\n")


@pytest.mark.parametrize("mark", [False, True])
@pytest.mark.parametrize("encoding", ["UTF-16LE", "UTF-16BE", "UTF-32LE", "UTF-32BE"])
@pytest.mark.parametrize("script", SCRIPTS)
def test_wide_encodings(script: str, encoding: str, mark: bool) -> None:
    """With a mark and without, also where the first block ends inside a character."""
    data = (("\ufeff" if mark else "") + SCRIPTS[script]).encode(encoding)
    assert wide_encoding(data) == encoding
    assert wide_encoding(data[: len(data) // 2 | 1]) == encoding


@pytest.mark.parametrize("command", ["gzip", "tar", "tar in gzip", "UTF-16LE", "WINDOWS-1252"])
def test_the_command_makes_a_text_of_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str) -> None:
    """With a name that a shell must be told of, and the result is trained on as it is."""
    monkeypatch.chdir(tmp_path)
    path = Path("- it's a\nfile.txt")
    plain = TEXT if command != "WINDOWS-1252" else TEXT.replace("“", "«")
    path.write_bytes(MADE[command][0] if command in MADE else plain.encode(
        "cp1252" if command == "WINDOWS-1252" else command))  # fmt: skip
    with pytest.raises(DataError) as caught:
        read_text(path)
    said = str(caught.value)
    assert "\n" not in said
    assert command.split(" ")[0] in said
    line = said[said.index({"gzip": "gzip -", "tar": "tar -", "tar in gzip": "tar -"}.get(command, "iconv -")) :]
    subprocess.run(["bash", "-c", line], check=True)
    made = Path("- it's a\nfile.utf8.txt")
    assert read_text(made).string() == plain


def test_the_command_line_and_standard_input(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a.txt").write_bytes(MADE["gzip"][0])
    for arguments in (["train", "-"], ["train", "a.txt"], ["corpus", "check", "a.txt"]):
        with Path("a.txt").open("rb") as file:
            monkeypatch.setattr(sys, "stdin", file)
            monkeypatch.setattr(sys, "argv", ["nyx", *arguments])
            with pytest.raises(SystemExit) as ended:
                cli.main()
        out, err = capfd.readouterr()
        assert (ended.value.code, out, err.count("\n")) == (65, "", 1), err
        assert ("standard input: gzip data" if "-" in arguments else "a.txt: gzip data") in err
        assert ("gzip -dc FILE > FILE.txt" if "-" in arguments else "gzip -dc a.txt > a.utf8.txt") in err
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]


def test_a_signature_needs_bytes_that_no_text_has() -> None:
    """Each of them in front of a text, in UTF-8 and in an old encoding, is a text that begins so."""
    for letters in (b"BM", b"MZ", b"ID3", b"OTTO", b"PAR1", b"ORC", b"wOF", b"ITSF", b"GGUF"):
        assert kind_of(io.BytesIO(letters + b" are letters\n" * 99)) is None
        assert kind_of(io.BytesIO(letters + "é und ä\n".encode("cp1252") * 99)) is None
        assert kind_of(io.BytesIO(letters + bytes(range(99)))) is not None
