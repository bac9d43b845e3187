"""Old encodings: the guess reads plain sentences of many languages as they were written, and says that it is one."""

from __future__ import annotations

import random
import zlib
from pathlib import Path

import pytest

from nyx.errors import DataError
from nyx.text.check import examine
from nyx.text.corpus import read_text
from nyx.text.encodings import guess, remedy

SENTENCES = {
    "English": "We met at the café near the bridge. It’s small — “only six chairs”, they say.",
    "German": "Das Mädchen hört früh die Vögel, und die Straße ist schön grün; große Bäume müssen nicht übrig sein.",
    "French": "L’élève a reçu une très belle règle où était écrit « fête » ; ça lui a plu, à côté du château.",
    "Spanish": "¿Dónde está el niño? Mañana la señora comerá un limón pequeño en el jardín. ¡Qué día!",
    "Swedish": "Flickan åt ägg på ön och såg en båt på ån, där älgen står.",
    "Polish": "Dziś wieczorem pójdę z córką nad rzekę, gdzie rosną żółte kwiaty i śpiewają łabędzie.",
    "Czech": "Děti šly přes řeku a viděly bílého koně, který stál u žluté stáje.",
    "Hungarian": "Az idős nő főzött egy kis levest, és a gyerekek örültek a meleg őszi estének.",
    "Turkish": "Bugün hava çok güzel, çocuklar bahçede şarkı söylüyor ve ışık yavaşça sönüyor.",
    "Russian": "Сегодня утром мы пошли на реку, и там было тихо; Ёж спал под старым деревом.",
    "Ukrainian": "Сьогодні їжак спав під деревом, а ми пішли до річки, де було тихо.",
    "Greek": "Σήμερα το πρωί πήγαμε στο ποτάμι και εκεί ήταν πολύ ήσυχα.",
    "Hebrew": "היום בבוקר הלכנו אל הנהר ושם היה שקט מאוד.",
    "Arabic": "ذهبنا هذا الصباح إلى النهر وكان المكان هادئا جدا.",
    "Thai": "เช้านี้เราไปที่แม่น้ำและที่นั่นเงียบมาก",
    "Japanese": "今日の朝、わたしたちは川へ行きました。そこはとても静かで、コーヒーを飲みました。",
    "simplified Chinese": "今天早上我们到河边去了，那里很安静。他说：这是一个好地方，我也要来。",
    "traditional Chinese": "今天早上我們到河邊去了，那裡很安靜。他說：這是一個好地方，我也要來。",
    "Korean": "오늘 아침에 우리는 강으로 갔습니다. 그곳은 아주 조용하고 나무가 많이 있었습니다.",
}
ENCODINGS = {
    "English": ["cp1252", "mac-roman"], "German": ["latin-1", "cp1252", "mac-roman", "cp850", "cp437"],
    "French": ["cp1252", "mac-roman"], "Spanish": ["latin-1", "mac-roman", "cp850"],
    "Swedish": ["latin-1", "mac-roman", "cp850"], "Polish": ["cp1250", "iso8859-2"], "Czech": ["cp1250", "iso8859-2"],
    "Hungarian": ["cp1250", "iso8859-2"], "Turkish": ["cp1254"],
    "Russian": ["cp1251", "koi8-r", "cp866", "iso8859-5", "mac-cyrillic"], "Ukrainian": ["cp1251", "koi8-u"],
    "Greek": ["cp1253"], "Hebrew": ["cp1255"], "Arabic": ["cp1256"], "Thai": ["cp874"],
    "Japanese": ["shift_jis", "euc_jp"], "simplified Chinese": ["gb2312", "gbk", "gb18030"],
    "traditional Chinese": ["big5"], "Korean": ["euc_kr", "cp949"],
}  # fmt: skip
CASES = [(language, encoding) for language, encodings in ENCODINGS.items() for encoding in encodings]


@pytest.mark.parametrize(("language", "encoding"), CASES)
def test_a_sentence_is_read_as_it_was_written(tmp_path: Path, language: str, encoding: str) -> None:
    data = SENTENCES[language].encode(encoding)
    found = guess(data)
    assert found is not None
    assert data.decode(found.codec, "replace") == SENTENCES[language]
    path = tmp_path / "a.txt"
    path.write_bytes(b"A first line.\n" + data + b"\n" + data)
    words = rf"byte offset \d+ .* a guess is .*: iconv -f {found.iconv} -t UTF-8"
    with pytest.raises(DataError, match=words) as caught:
        read_text(path)
    report = examine(path)
    assert report.faults
    with pytest.raises(DataError, match=f"iconv -f {found.iconv} -t UTF-8"):
        report.refuse_faults()
    assert "\n" not in str(caught.value)


def test_a_few_faults_in_good_utf8_are_no_other_encoding(tmp_path: Path) -> None:
    for language in ("German", "Russian", "Korean"):
        data = SENTENCES[language].encode()
        (tmp_path / "a.txt").write_bytes(data * 3 + b"\xe9\xff" + data)
        words = rf"byte offset {3 * len(data)} \(0xe9\) is not UTF-8: convert the file"
        with pytest.raises(DataError, match=words) as caught:
            read_text(tmp_path / "a.txt")
        assert "guess" not in str(caught.value)


def test_one_letter_is_of_the_usual_encoding() -> None:
    for letter in "éäöüñàç":
        found = guess(f"a few words and m{letter}re".encode("cp1252"))
        assert found is not None
        assert found.codec == "cp1252"


def test_noise_is_no_text() -> None:
    noise = random.Random(1).randbytes(5000)
    for data in (noise, zlib.compress(noise)):
        assert guess(data) is None
        assert "those of no text" in remedy(data, 0)
    assert guess(b"only ASCII") is None
