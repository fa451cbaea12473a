import time
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polytask.data.words import joined_spans, split_words

ALPHABET = "aZé9 \t\n.,:;'’_-@/#*%字日あア한हिไ\u0301\u200b\u200d\ufe0f\u20e3👍🏽👩🇩🇪\x1f\x85"
TEXTS = st.text(st.sampled_from(ALPHABET)) | st.text()


def words_of(text: str) -> list[str]:
    return [text[start:end] for start, end in split_words(text)]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("It doesn't bite.", "It|doesn't|bite|."),
        ("Mary’s dog's, it's", "Mary|’s|dog|'s|,|it|'s"),
        ("the boys' 'quoted' end", "the|boys|'|'|quoted|'|end"),
        ("3.5 km, 1,000.5 at 10:30", "3.5|km|,|1,000.5|at|10:30"),
        ("one,two: 50% -5", "one|,|two|:|50|%|-|5"),
        ("e-mail, a_b, 0x80-07", "e-mail|,|a_b|,|0x80-07"),
        ("我爱北京iPhone手机。", "我|爱|北|京|iPhone|手|机|。"),
        ("2024年3月", "2024|年|3|月"),
        ("あア𠀀", "あ|ア|𠀀"),
        ("한국어 हिन्दी", "한국어|हिन्दी"),
        ("e\u0301te\u0301 naïve", "e\u0301te\u0301|naïve"),
    ],
)
def test_words_are_runs_of_letters_single_marks_and_single_han(text: str, words: str) -> None:
    assert words_of(text) == words.split("|")


@pytest.mark.parametrize("emoji", ["👍🏽", "👩‍👩‍👧", "❤️", "🇩🇪", "1️⃣"])
def test_an_emoji_with_its_modifiers_is_one_word(emoji: str) -> None:
    assert words_of(f"so {emoji}{emoji}!") == ["so", emoji, emoji, "!"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("see https://a.b/c?d=1, (http://x.y).", "see|https://a.b/c?d=1|,|(|http://x.y|)|."),
        ("to me.you+1@mail.example.com.", "to|me.you+1@mail.example.com|."),
        ("请看https://a.b/c。谢谢", "请|看|https://a.b/c|。|谢|谢"),
        ("发到x@y.com谢", "发|到|x@y.com|谢"),
    ],
)
def test_an_address_is_one_word_without_the_marks_after_it(text: str, words: str) -> None:
    assert words_of(text) == words.split("|")


@given(TEXTS)
def test_words_stand_in_order_and_hold_every_character_but_spaces(text: str) -> None:
    spans = split_words(text)

    assert all(start < end for start, end in spans)
    assert all(one[1] <= two[0] for one, two in pairwise(spans))
    inside = {place for start, end in spans for place in range(start, end)}
    assert inside == {place for place, character in enumerate(text) if not character.isspace()}


@given(TEXTS)
def test_a_word_holds_no_space(text: str) -> None:
    assert not any(character.isspace() for word in words_of(text) for character in word)


@pytest.mark.parametrize("unit", ["字", "a", "a.", "a@", "-", "http://!", "a@b.", "👩\u200d", "'"])
def test_the_time_grows_with_the_text_alone(unit: str) -> None:
    start = time.perf_counter()

    split_words(unit * (200_000 // len(unit)))

    assert time.perf_counter() - start < 2  # a pattern that looks back would take minutes


@given(st.lists(st.text(), min_size=1))
def test_joined_words_are_found_at_their_spans(words: list[str]) -> None:
    text = " ".join(words)

    assert [text[start:end] for start, end in joined_spans(words)] == words
