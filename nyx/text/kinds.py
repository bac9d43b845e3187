"""What a file is that is no text, and the command that makes text of it: told by its content, never by its name.

A row of SIGNATURES is a place, the bytes there, a name and a command. In a command {file} stands for the file and
{out} for a name that the text could have, both as a shell reads them. Places and bytes are those of the formats' own
descriptions (RFC 1952, RFC 8878, PKWARE's APPNOTE, ISO 32000, the ELF and Matroska specifications, ...).
"""

from __future__ import annotations

import bz2
import codecs
import lzma
import os
import shlex
import struct
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

HEAD_BYTES = 1 << 12  # of a file, looked at
_MEMBERS = 1 << 16  # entries of an archive that are looked at, and bytes of its head
_PDF_WITHIN = 1024  # readers of PDF look for its mark so far
_BLANKS = frozenset(b"\t\n\v\f\r")
_CONTROL = frozenset(range(32)) - _BLANKS - {0x1B}

CHECKPOINT = 8, b'{"__metadata__":{"SHA256":"'
"""Where a checkpoint or exported weights have which bytes."""
_ZIP = b"PK\x03\x04"
_OFFICE = "libreoffice --headless --convert-to pdf {file}, then pdftotext on what it wrote"
_TAR = "tar -xOf {file} > {out}"
_NONE = "name a text file"
_NUMBERS = "numbers, not a text: name a text file"
_PROGRAM = "a program: name a text file"
_IMAGE = "tesseract {file} - > {out} reads the words of a scan"
_SOUND = "write down what it says, or name a text file"
_TABLE = "python3 -c 'import pandas, sys; print(*pandas.{reader}(sys.argv[1])[\"text\"], sep=\"\\n\")' {file} > {out}"

SIGNATURES: tuple[tuple[int, bytes, str, str], ...] = (
    (0, b"\x1f\x8b", "gzip data", "gzip -dc {file} > {out}"),
    (0, b"\x1f\x9d", "compress (.Z) data", "gzip -dc {file} > {out}"),
    (4, b"1AY&SY", "bzip2 data", "bzip2 -dc {file} > {out}"),
    (0, b"\xfd7zXZ\0", "xz data", "xz -dc {file} > {out}"),
    (0, b"]\0\0", "lzma data", "xz -dc --format=lzma {file} > {out}"),
    (0, b"LZIP\1", "lzip data", "lzip -dc {file} > {out}"),
    (0, b"\x28\xb5\x2f\xfd", "zstd data", "zstd -dc {file} > {out}"),
    (0, b"\x04\x22\x4d\x18", "lz4 data", "lz4 -dc {file} > {out}"),
    (0, b"7z\xbc\xaf\x27\x1c", "a 7z archive", "7z x -so {file} > {out}"),
    (0, b"Rar!\x1a\x07", "a RAR archive", "unrar p -inul {file} > {out}"),
    (0, _ZIP, "a zip archive", "unzip -p {file} > {out}"),
    (0, b"PK\x05\x06", "an empty zip archive", _NONE),
    (0, b"PK\x07\x08", "a zip archive in parts", "unzip -p {file} > {out}"),
    (257, b"ustar", "a tar archive", _TAR),
    (0, b"!<arch>\n", "an ar archive or Debian package", _NONE),
    (0, b"\xed\xab\xee\xdb", "an RPM package", _NONE),
    (0, b"PACK\0\0\0", "a Git pack", _NONE),
    (0, b"version https://git-lfs.github.com/spec/", "a Git LFS pointer", "git lfs pull fetches the file itself"),
    (0, b"{\\rtf", "an RTF document", "pandoc -f rtf -t plain {file} -o {out}"),
    (0, b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an old Office file (doc, xls, ppt or msg)",
     "antiword {file} > {out}, or " + _OFFICE),
    (0, b"%!PS-", "a PostScript document", "ps2ascii {file} > {out}"),
    (0, b"AT&TFORM", "a DjVu document", "djvutxt {file} {out}"),
    (60, b"BOOKMOBI", "a Mobipocket or Kindle book", "ebook-convert {file} {out}"),
    (0, b"ITSF", "a CHM help file", "ebook-convert {file} {out}"),
    (0, b"!BDN", "an Outlook mailbox", "readpst -r {file}"),
    (0, b"\x7fELF", "an ELF program or library", _PROGRAM),
    (0, b"MZ", "a Windows program", _PROGRAM),
    (0, b"\xcf\xfa\xed\xfe", "a Mach-O program", _PROGRAM),
    (0, b"\xce\xfa\xed\xfe", "a Mach-O program", _PROGRAM),
    (0, b"\xca\xfe\xba\xbe", "a Java class or Mach-O program", _PROGRAM),
    (0, b"\0asm", "a WebAssembly program", _PROGRAM),
    (0, b"\x89PNG\r\n\x1a\n", "a PNG image", _IMAGE),
    (0, b"\xff\xd8\xff", "a JPEG image", _IMAGE),
    (0, b"GIF87a", "a GIF image", _IMAGE),
    (0, b"GIF89a", "a GIF image", _IMAGE),
    (0, b"BM", "a BMP image", _IMAGE),
    (0, b"II*\0", "a TIFF image", _IMAGE),
    (0, b"MM\0*", "a TIFF image", _IMAGE),
    (8, b"WEBP", "a WebP image", _IMAGE),
    (0, b"\0\0\1\0", "an icon", _NONE),
    (0, b"8BPS", "a Photoshop image", _NONE),
    (4, b"ftyp", "an MP4, M4A or HEIC file", _SOUND),
    (8, b"WAVE", "a WAV recording", _SOUND),
    (8, b"AVI ", "an AVI film", _SOUND),
    (0, b"\x1aE\xdf\xa3", "a Matroska or WebM film", _SOUND),
    (0, b"ID3", "an MP3 recording", _SOUND),
    (0, b"\xff\xfb", "an MP3 recording", _SOUND),
    (0, b"fLaC", "a FLAC recording", _SOUND),
    (0, b"OggS", "an Ogg recording", _SOUND),
    (0, b"MThd", "a MIDI file", _NONE),
    (0, b"FLV\1", "a Flash film", _SOUND),
    (0, b"SQLite format 3\0", "an SQLite database", "sqlite3 {file} 'SELECT text FROM table_name' > {out}"),
    (0, b"PAR1", "a Parquet table", _TABLE.replace("{reader}", "read_parquet")),
    (0, b"ARROW1\0\0", "an Arrow table", _TABLE.replace("{reader}", "read_feather")),
    (0, b"FEA1", "a Feather table", _TABLE.replace("{reader}", "read_feather")),
    (0, b"ORC", "an ORC table", _TABLE.replace("{reader}", "read_orc")),
    (0, b"Obj\1", "an Avro table", _NONE),
    (0, b"\x89HDF\r\n\x1a\n", "an HDF5 file", _NUMBERS),
    (0, b"CDF", "a NetCDF file", _NUMBERS),
    (0, b"\x93NUMPY", "a NumPy array", _NUMBERS),
    (0, b"GGUF", "a GGUF model", _NUMBERS),
    (*CHECKPOINT, "a Nyx checkpoint", "nyx generate {file} --prompt ... writes text with it"),
    (8, b'{"', "a safetensors file", _NUMBERS),
    (0, b"\x80\2", "a Python pickle", _NUMBERS),
    (0, b"\x80\3", "a Python pickle", _NUMBERS),
    (0, b"\x80\4", "a Python pickle", _NUMBERS),
    (0, b"\x80\5", "a Python pickle", _NUMBERS),
    (0, b"\0\1\0\0", "a TrueType font", _NONE),
    (0, b"OTTO", "an OpenType font", _NONE),
    (0, b"wOF", "a web font", _NONE),
)  # fmt: skip
_WRITTEN = frozenset((b"{\\rtf", b"%!PS-", b"version https://git-lfs.github.com/spec/"))
"""Signatures of formats that are text themselves; any other counts only where the head has bytes that no text has, and
a short one of letters only where it begins with many: a text in another encoding may begin with BM or MZ."""
_LETTERS = 6
_BEGINNING = 64

_PANDOC = "pandoc -t plain {file} -o {out}"
MEMBERS: tuple[tuple[str, str, str], ...] = (
    ("word/document.xml", "a Word document (docx, a zip archive)", _PANDOC),
    ("xl/workbook.xml", "an Excel workbook (xlsx, a zip archive)", "libreoffice --headless --convert-to csv {file}"),
    ("ppt/presentation.xml", "a PowerPoint presentation (pptx, a zip archive)", _OFFICE),
    ("META-INF/container.xml", "an EPUB book (a zip archive)", _PANDOC),
    ("content.xml", "an OpenDocument file (odt, ods or odp, a zip archive)", _PANDOC),
    ("AndroidManifest.xml", "an Android package (a zip archive)", _PROGRAM),
    ("META-INF/MANIFEST.MF", "a Java archive (a zip archive)", _PROGRAM),
    ("*/data.pkl", "a PyTorch checkpoint (a zip archive)", _NUMBERS),
    ("*.npy", "NumPy arrays (npz, a zip archive)", _NUMBERS),
)
"""Kinds of zip archives by the name of a file in them; a star stands for any beginning."""

UNICODE = (("UTF-32LE", codecs.BOM_UTF32_LE), ("UTF-32BE", codecs.BOM_UTF32_BE), ("UTF-16LE", codecs.BOM_UTF16_LE),
           ("UTF-16BE", codecs.BOM_UTF16_BE))  # fmt: skip
"""Encodings and their byte order marks, in the order in which they are tried."""


@dataclass(frozen=True)
class Kind:
    """name: what a file is. command: what makes text of it, or what else to do."""

    name: str
    command: str


def fill(command: str, path: Path | None) -> str:
    """The command for a file; None: standard input."""
    if path is None:
        return command.replace("{file}", "FILE").replace("{out}", "FILE.txt")
    out = path.with_suffix(".txt")
    out = path.with_suffix(".utf8.txt") if out == path else out
    return command.replace("{file}", _quoted(path)).replace("{out}", _quoted(out))


def _quoted(path: Path) -> str:
    """The name as a shell reads it, on one line."""
    name = str(path) if not str(path).startswith("-") else f"./{path}"
    if name.isprintable():
        return shlex.quote(name)
    plain = "".join(chr(b) if 32 <= b < 127 and b not in b"'\\" else f"\\x{b:02x}" for b in os.fsencode(name))
    return f"$'{plain}'"


def kind_of(file: BinaryIO) -> Kind | None:
    """What an open file is, from its first bytes and for a zip archive from the names in it; None: a text, it seems.

    A file of UTF-8 that only has a NUL here and there is a text. Moves the place in the file. Raises OSError.
    """
    file.seek(0)
    head = file.read(HEAD_BYTES)
    if wide := wide_encoding(head):
        return Kind(f"{wide} text", f"iconv -f {wide} -t UTF-8 {{file}} > {{out}}")
    if b"%PDF-" in head[:_PDF_WITHIN] and (head.startswith(b"%PDF-") or not _is_utf8(head)):
        return Kind("a PDF document", "pdftotext {file} {out}")
    strange = not _is_utf8(head) or any(byte in _CONTROL for byte in head)
    binary = looks_binary(head[:_BEGINNING])
    for at, magic, name, command in SIGNATURES:
        letters = len(magic) < _LETTERS and all(32 <= byte < 127 for byte in magic)
        if head.startswith(magic, at) and (magic in _WRITTEN or (binary if letters else strange)):
            inner = _archive(file, head) if magic == _ZIP else _packed(name, head)
            return inner or Kind(name, command)
    return None


def wide_encoding(head: bytes) -> str | None:
    """UTF-16 or UTF-32 and its order of bytes, from the mark or from where the zeros stand; None for other bytes.

    In UTF-16 each second byte of a text in an alphabet is the same small number, that of the alphabet's block.
    """
    for name, mark in UNICODE:
        if head.startswith(mark) and _reads(head[len(mark) :], name, whole=False):
            return name
    if len(head) < 8:
        return None
    for name, high in (("UTF-32LE", 3), ("UTF-32BE", 0)):
        if not any(head[high : len(head) // 4 * 4 : 4]) and _reads(head, name):
            return name
    for name, high in (("UTF-16LE", 1), ("UTF-16BE", 0)):
        upper, lower = head[high::2], head[1 - high :: 2]
        common = max(range(32), key=upper.count)
        if upper.count(common) < 0.4 * len(upper) or lower.count(common) > 0.05 * len(lower):
            continue
        if (0 in head or common not in _BLANKS) and _reads(head, name):  # not CR, LF, CR, LF, ...
            return name
    return None


def looks_binary(head: bytes) -> bool:
    """Whether bytes that are not UTF-8 are of no text in another encoding either: many are control characters."""
    return sum(byte in _CONTROL for byte in head) > len(head) // 20


def _reads(head: bytes, encoding: str, whole: bool = True) -> bool:
    """Whether the bytes are in this encoding, apart from a last character that is cut off; whole: and the characters
    are those of a text, hardly any of them control characters."""
    try:
        text = codecs.getincrementaldecoder(encoding)().decode(head)
    except UnicodeDecodeError:
        return False
    return not whole or sum(ord(c) in _CONTROL or c == "\x7f" for c in text) <= len(text) // 50


def _is_utf8(head: bytes) -> bool:
    try:
        codecs.getincrementaldecoder("utf-8")().decode(head)
    except UnicodeDecodeError:
        return False
    return True


def _packed(name: str, head: bytes) -> Kind | None:
    """A tar archive that was compressed."""
    begin: dict[str, Callable[[], Any]] = {
        "gzip data": lambda: zlib.decompressobj(31),
        "bzip2 data": bz2.BZ2Decompressor,
        "xz data": lzma.LZMADecompressor,
    }
    try:
        first = begin[name]().decompress(head, _BEGINNING * 8) if name in begin else b""
    except (zlib.error, lzma.LZMAError, OSError, EOFError):
        return None
    return Kind(f"a tar archive in {name}", _TAR) if first.startswith(b"ustar", 257) else None


def _archive(file: BinaryIO, head: bytes) -> Kind | None:
    """The kind of a zip archive, by the names in its table, or in its head where it has none that can be read."""
    try:
        with zipfile.ZipFile(file) as archive:
            names = archive.namelist()[:_MEMBERS]
    except (zipfile.BadZipFile, NotImplementedError, ValueError, OverflowError, EOFError, struct.error):
        names = []
    for member, name, command in MEMBERS:
        tail = member.removeprefix("*")
        if any(n.endswith(tail) if tail != member else n == member for n in names) or tail.encode() in head:
            return Kind(name, command)
    return None
