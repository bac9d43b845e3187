"""A guess at the encoding of a text that is not UTF-8: the one under which its bytes are likeliest.

Each candidate has alphabets: letters from frequent to rare, and the share of a text's letters they make up. The
logarithm of a text's likelihood is the sum over its characters, with a price for what words hardly have: a capital
after a small letter, letters of two scripts side by side, signs between letters. As all candidates explain the same
bytes, the sums compare, also between encodings of one and of two bytes a character.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from functools import cache
from typing import NamedTuple

from nyx.text.kinds import looks_binary

AROUND = 1 << 15  # bytes before and behind a fault that are looked at
SAMPLE_BYTES = 1 << 12  # of words with bytes outside of ASCII
_ASCII, _OTHER, _SIGN, _BROKEN = -3.0, -12.0, -8.0, -20.0  # natural logarithms of probabilities
_CASE, _MIXED, _INSIDE = -10.0, -6.0, -4.0
_RARER = -0.1  # what each candidate is less usual than the one before
_DOUBTFUL = -9.5  # a mean for each byte outside of ASCII below which no candidate fits

_LATIN = "éäöüèàçßáíóúñêâôîåøæãëïùìòœÉÄÖÜÀÇÁÍÓÚÑØÅÆÈÊÂÔÎŒûõ"
_HUNGARIAN = "áéöőóüíúűÁÉÖŐÓÜÍÚŰ"
_CENTRAL = "áéíóúůýěščřžťďňąęłśćńóżźőűöüäăâîșțşţšžđćčÁÉÍÓÚŠČŘŽŁŚŻŹÖÜĐ"
_TURKISH = "ıişğüöçİŞĞÜÖÇâî"
_RUSSIAN = "оеаинтсрвлкмдпуяыьгзбчйхжшюцщэфъёіїєґО ПСВНКИТМДАРЕБГЗЯЛУЭЧХФШЖЮЦЩ".replace(" ", "")
_GREEK = "αοιετσνηρπκμλςυθγωόίδάέχήφβύώξζψΑΟΙΕΤΣΝΗΡΠΚΜΛ"
_HEBREW = "יוהלאתרבשםמנעדחקכפגטצסזןךץףמ"
_ARABIC = "اليمنوترةبعدسفهكقحجشصطخغضذزثظىئءؤأإآ،"
_THAI = "านรอกเงมยลวดทสตะปบคหแจพชขใไโผถซศธณษฟภญฐุูิีึืั็่้์ำ"
_KANA = "のにをはがでとしいるたなてれもかすらこりっんあまくさきけよそうおつわめせえどちだみインスルト"
_KANA += "ーアリラックドシタロテサマ、。"
_JAPANESE = "日本人大年一国会中出上生時行分前見事者学地方間場部合物手自話今気子的社長高私言思"
_SIMPLIFIED = "的一是不了在人有我他这个们中来上大为和国地到以说时要就出会可也你对生能而子那得于着下自之年过发后作里"
_TRADITIONAL = "的一是不了在人有我他這個們中來上大為和國地到以說時要就出會可也你對生能而子那得於著下自之年過發後作裡"
_WIDE = "，。、“”「」：？！；"
_HANGUL = "이다는을의에가고하지은를로한도기서사리어자대나해그시인정일라과있수아게니들보여부전상제장만우스주마성구조안"
_QUOTES = "’“”‘–—…«»„¿¡°·•€£§ "


class Candidate(NamedTuple):
    """codec: Python's name. iconv: the same for iconv. name: for people. alphabets: (letters, their share)."""

    codec: str
    iconv: str
    name: str
    alphabets: tuple[tuple[str, float], ...]
    rest: tuple[str, str, float] = ("", "", 0.0)
    """The first and the last of many more characters, and their share."""


_HANZI = ("一", "鿿")
CANDIDATES = (
    Candidate("cp1252", "WINDOWS-1252", "Windows-1252 or Latin-1", ((_LATIN, 0.75), (_QUOTES, 0.2))),
    Candidate("cp1251", "WINDOWS-1251", "Windows-1251 (Cyrillic)", ((_RUSSIAN, 0.95), (_QUOTES, 0.04))),
    Candidate("koi8-r", "KOI8-R", "KOI8-R (Cyrillic)", ((_RUSSIAN, 0.95),)),
    Candidate("koi8-u", "KOI8-U", "KOI8-U (Cyrillic)", ((_RUSSIAN, 0.94),)),
    Candidate("cp866", "CP866", "CP866 (Cyrillic of DOS)", ((_RUSSIAN, 0.95),)),
    Candidate("iso8859-5", "ISO-8859-5", "ISO-8859-5 (Cyrillic)", ((_RUSSIAN, 0.94),)),
    Candidate("mac-cyrillic", "MACCYRILLIC", "Mac Cyrillic", ((_RUSSIAN, 0.93), (_QUOTES, 0.04))),
    Candidate("cp932", "CP932", "Shift-JIS (Japanese)", ((_KANA, 0.6), (_JAPANESE, 0.15)), (*_HANZI, 0.2)),
    Candidate("euc_jp", "EUC-JP", "EUC-JP (Japanese)", ((_KANA, 0.6), (_JAPANESE, 0.15)), (*_HANZI, 0.2)),
    Candidate("gb18030", "GB18030", "GB18030 or GBK (Chinese)", ((_SIMPLIFIED, 0.25), (_WIDE, 0.12)), (*_HANZI, 0.6)),
    Candidate("big5", "BIG5", "Big5 (Chinese)", ((_TRADITIONAL, 0.25), (_WIDE, 0.12)), (*_HANZI, 0.6)),
    Candidate("cp949", "CP949", "EUC-KR (Korean)", ((_HANGUL, 0.5),), ("가", "힣", 0.45)),
    Candidate("mac-roman", "MACINTOSH", "Mac Roman", ((_LATIN, 0.74), (_QUOTES, 0.2))),
    Candidate("cp1250", "WINDOWS-1250", "Windows-1250 (Central Europe)", ((_CENTRAL, 0.75), (_QUOTES, 0.1))),
    Candidate("cp1250", "WINDOWS-1250", "Windows-1250 (Central Europe)", ((_HUNGARIAN, 0.85), (_QUOTES, 0.1))),
    Candidate("iso8859-2", "ISO-8859-2", "ISO-8859-2 (Central Europe)", ((_CENTRAL, 0.74),)),
    Candidate("cp1254", "WINDOWS-1254", "Windows-1254 (Turkish)", ((_TURKISH, 0.8), (_QUOTES, 0.1))),
    Candidate("cp1253", "WINDOWS-1253", "Windows-1253 (Greek)", ((_GREEK, 0.95),)),
    Candidate("cp1255", "WINDOWS-1255", "Windows-1255 (Hebrew)", ((_HEBREW, 0.95),)),
    Candidate("cp1256", "WINDOWS-1256", "Windows-1256 (Arabic)", ((_ARABIC, 0.95),)),
    Candidate("cp874", "CP874", "CP874 (Thai)", ((_THAI, 0.95),)),
    Candidate("cp437", "CP437", "CP437 (DOS)", ((_LATIN, 0.70),)),
    Candidate("cp850", "CP850", "CP850 (DOS)", ((_LATIN, 0.69),)),
)


def remedy(data: bytes, at: int) -> str:
    """What to do about bytes that are not UTF-8 at a place, with {file} and {out} as in kinds.py. A guess is called
    one; there is none where most of what is beyond ASCII around that place is good UTF-8."""
    near = data[max(0, at - AROUND) : at + AROUND]
    text = near.decode("utf-8", "replace")
    faults = text.count("\ufffd") - near.count("\ufffd".encode())
    convert = "convert the file from its encoding"
    if looks_binary(near):
        return "many bytes around it are those of no text: name a text file"
    if sum(c > "\x7f" for c in text) > 2 * faults or not (found := guess(near)):
        return convert
    return f"{convert}; a guess is {found.name}: iconv -f {found.iconv} -t UTF-8 {{file}} > {{out}}"


def guess(data: bytes) -> Candidate | None:
    """The candidate under which the words with bytes outside of ASCII are likeliest, None where none of them fits."""
    sample = b" ".join(_words(data))
    high = sum(byte > 127 for byte in sample)
    if not high:
        return None
    scores = [(_likelihood(sample, candidate) + _RARER * i, -i) for i, candidate in enumerate(CANDIDATES)]
    best, place = max(scores)
    ascii_part = _ASCII * sum(byte < 128 for byte in sample)
    return CANDIDATES[-place] if (best - ascii_part) / high > _DOUBTFUL else None


def _words(data: bytes) -> Iterator[bytes]:
    """Words with bytes outside of ASCII, up to SAMPLE_BYTES of them: no encoding has a space inside a character."""
    size = 0
    for match in re.finditer(rb"[!-~]*[\x80-\xff][!-\xff]{0,1000}", data):
        yield match.group()
        size += len(match.group())
        if size > SAMPLE_BYTES:
            return


def _likelihood(sample: bytes, candidate: Candidate) -> float:
    table, (first, last, share) = _table(candidate.alphabets), candidate.rest
    rest = math.log(share / (ord(last) - ord(first) + 1)) if share else _OTHER
    total, before = 0.0, " "
    for c in sample.decode(candidate.codec, "replace"):
        if c < "\x80":
            total += _ASCII
        elif (known := table.get(c)) is not None:
            total += known
        elif c == "\ufffd" or "\x80" <= c < "\xa0" or "\ue000" <= c < "\uf900":
            total += _BROKEN
        elif first <= c <= last and share:
            total += rest
        else:
            total += _OTHER if c.isalpha() else _SIGN + _INSIDE
        if c.isalpha() and before.isalpha() and (c > "\x7f" or before > "\x7f"):
            total += _CASE * (c.isupper() and before.islower()) + _MIXED * (_script(c) != _script(before))
        elif (before > "\x7f" and c.isalpha() and before not in _QUOTES) or (
            c > "\x7f" and before.isalpha() and not c.isalpha() and c not in _QUOTES
        ):
            total += _INSIDE * (_script(c) < 2 and _script(before) < 2)
        before = c
    return total


@cache
def _table(alphabets: tuple[tuple[str, float], ...]) -> dict[str, float]:
    """The logarithm of each letter's probability: in an alphabet the n-th has a share like 1 / (n + 8)."""
    found: dict[str, float] = {}
    for letters, share in alphabets:
        letters = "".join(dict.fromkeys(letters))
        weights = [1 / (n + 8) for n in range(len(letters))]
        for letter, weight in zip(letters, weights, strict=True):
            found.setdefault(letter, math.log(share * weight / sum(weights)))
    return found


def _script(c: str) -> int:
    """0: Latin, 1: other alphabets, by the blocks of Unicode; 2: the scripts that mix, of East Asia."""
    return 0 if c < "\u0370" or "\u1e00" <= c < "\u1f00" else 1 if c < "\u2e80" else 2
