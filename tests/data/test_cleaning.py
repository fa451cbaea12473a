import sys
import unicodedata
from typing import Literal

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from polytask.data.cleaning import Cleaned, Cleaning, clean
from polytask.errors import ConfigError

ALL = Cleaning(
    unicode="NFKC",
    full_width=True,
    html=True,
    control=True,
    urls="[link]",
    users="[user]",
    repeats=3,
)
UNICODE = st.text(max_size=30)
PIECES = [
    "a",
    "é",
    "e\u0301",
    "你",
    "ﬁ",
    "Ａ",
    "각",
    "\u1100\u1161",
    "ﾊﾞ",
    "\u200b",
    "\u200d",
    "\r\n",
]
MARKUP = ["&amp;", "<b>", "<br/>", "&#x4f60;", "http://t.cn/a1", "@李四", "!!!!!", " "]
FAMILY = "👨\u200d👩\u200d👧"
LIVELY = st.lists(st.sampled_from([*PIECES, *MARKUP, FAMILY]), max_size=12).map("".join)


def spans(cleaned: Cleaned) -> list[tuple[int, int]]:
    return list(zip(cleaned.starts, cleaned.ends, strict=True))


@given(UNICODE)
def test_with_all_options_off_a_text_stays_as_it_is(text: str) -> None:
    cleaned = clean(text, Cleaning())

    assert cleaned.text == text
    assert spans(cleaned) == [(i, i + 1) for i in range(len(text))]
    assert not cleaned.changes


@given(UNICODE | LIVELY)
def test_the_way_back_never_falls_and_stays_inside_the_text(text: str) -> None:
    cleaned = clean(text, ALL)

    assert len(cleaned.starts) == len(cleaned.ends) == len(cleaned.text)
    assert list(cleaned.starts) == sorted(cleaned.starts)
    assert list(cleaned.ends) == sorted(cleaned.ends)
    assert all(0 <= start < end <= len(text) for start, end in spans(cleaned))


@given(UNICODE | LIVELY)
def test_a_character_that_was_not_changed_leads_back_to_itself(text: str) -> None:
    cleaned = clean(text, Cleaning(control=True))

    for i, character in enumerate(cleaned.text):
        start, end = cleaned.original_span(i, i + 1)
        assert text[start:end] == character or character == " "


@pytest.mark.parametrize("form", ["NFC", "NFKC"])
@given(text=UNICODE | LIVELY)
def test_normal_forms_are_those_of_unicode(form: Literal["NFC", "NFKC"], text: str) -> None:
    assert clean(text, Cleaning(unicode=form)).text == unicodedata.normalize(form, text)


@pytest.mark.parametrize("form", ["NFC", "NFKC"])
def test_no_pair_of_characters_that_composes_is_torn_apart(form: Literal["NFC", "NFKC"]) -> None:
    everything = map(chr, range(sys.maxunicode + 1))
    composed = [c for c in everything if unicodedata.decomposition(c)]

    for character in composed:
        for apart in (unicodedata.normalize("NFD", character), "ｶ" + character, "가" + character):
            assert clean(apart, Cleaning(unicode=form)).text == unicodedata.normalize(form, apart)


@pytest.mark.parametrize(
    "options",
    [
        Cleaning(unicode="NFC"),
        Cleaning(unicode="NFKC"),
        Cleaning(full_width=True),
        Cleaning(control=True),
        Cleaning(urls="[link]"),
        Cleaning(users="[user]"),
        Cleaning(repeats=2),
    ],
)
@given(text=UNICODE | LIVELY)
@example(text="@0@0")
def test_cleaning_twice_changes_nothing_more(options: Cleaning, text: str) -> None:
    once = clean(text, options).text

    assert clean(once, options).text == once


@pytest.mark.parametrize(
    ("options", "text", "expected"),
    [
        (Cleaning(unicode="NFC"), "cafe\u0301", "café"),
        (Cleaning(unicode="NFKC"), "ﬁne ①", "fine 1"),
        (Cleaning(full_width=True), "ＡＢＣ\u3000１２！", "ABC 12!"),
        (Cleaning(html=True), "<b>Tom</b> &amp; Jerry<br>end", "Tom & Jerry end"),
        (Cleaning(html=True), "1 < 2 and x<y & z", "1 < 2 and x<y & z"),
        (Cleaning(html=True), "&lt;b&gt;", "<b>"),
        (Cleaning(html=True), "a<!-- note -->b", "ab"),
        (Cleaning(control=True), "a\u200bb\x07c\r\nd\te", "abc d e"),
        (Cleaning(control=True), FAMILY + "a\u200db", FAMILY + "ab"),
        (Cleaning(urls="[link]"), "看http://t.cn/a1好, www.a.org.", "看[link]好, [link]."),
        (Cleaning(users="[user]"), "谢谢@李四 a@b.org", "谢谢[user] a@b.org"),
        (Cleaning(repeats=3), "sooooo good!!!!! 哈哈哈哈 10000", "sooo good!!! 哈哈哈 10000"),
    ],
)
def test_an_option_cleans_what_it_names(options: Cleaning, text: str, expected: str) -> None:
    assert clean(text, options).text == expected


def test_a_span_of_the_clean_text_points_into_the_users_text() -> None:
    original = "Tom &amp; @Ann: 你好\u200b👍 sooooo"

    cleaned = clean(original, Cleaning(html=True, control=True, users="[user]", repeats=3))

    assert cleaned.text == "Tom & [user]: 你好👍 sooo"
    for clean_part, original_part in [
        ("&", "&amp;"),
        ("[user]", "@Ann"),
        ("你好", "你好"),
        ("好👍", "好\u200b👍"),
        ("sooo", "sooooo"),
    ]:
        start = cleaned.text.index(clean_part)
        first, last = cleaned.original_span(start, start + len(clean_part))
        assert original[first:last] == original_part


def test_an_empty_span_points_between_two_characters() -> None:
    cleaned = clean("<b>ab</b>", Cleaning(html=True))

    assert cleaned.original_span(0, 0) == (3, 3)
    assert cleaned.original_span(1, 1) == (4, 4)
    assert cleaned.original_span(2, 2) == (5, 5)
    assert clean("", Cleaning()).original_span(0, 0) == (0, 0)


def test_changes_are_counted_by_option() -> None:
    cleaned = clean("&amp; &lt; @a ！", ALL)

    # NFKC turns the wide mark into `!` before full_width could
    assert cleaned.changes == {"html": 2, "users": 1, "unicode": 1}


def test_keeping_no_character_of_a_run_is_refused() -> None:
    with pytest.raises(ConfigError) as fault:
        Cleaning(repeats=0)

    assert str(fault.value) == "repeats: expected a number of at least 1, got 0."
