import pytest

from polytask.data.cleaning import Cleaning
from polytask.data.columns import TEXT
from polytask.data.part_views import OPENING, MarkedView, TowersView
from polytask.data.views import (
    Pairing,
    TextView,
    text_view,
    word_spans,
    word_texts,
)
from polytask.errors import ConfigError

RECORD = {"a": "one  two", "b": "three", "w": ["one", "two"]}


@pytest.mark.parametrize(
    ("view", "rows", "name"),
    [
        (text_view("a", None), [("one  two",)], "a"),
        (text_view(["a", "b"], None), [("one  two", "three")], "a+b"),
        (text_view(["a", "b"], None, "towers"), [("one  two",), ("three",)], "a|b"),
        (text_view(["a", "b"], None, "cosine"), [("one  two",), ("three",)], "a|b"),
        (text_view(None, "w"), [(["one", "two"],)], "w"),
    ],
)
def test_a_record_becomes_the_rows_that_its_view_describes(
    view: TextView, rows: list[object], name: str
) -> None:
    assert view.rows(RECORD, None) == rows
    assert view.name == name
    assert list(view.needs) == name.replace("|", "+").split("+")


def test_towers_and_cosine_are_the_same_view() -> None:
    assert text_view(["a", "b"], None, "towers") == text_view(["a", "b"], None, "cosine")
    assert text_view(["a", "b"], None) != text_view(["a", "b"], None, "towers")


@pytest.mark.parametrize(
    ("text", "words", "pair", "fault"),
    [
        (None, None, "cross", "name the column to read: either `text:` or `words:`"),
        ("a", "w", "cross", "name the column to read: either `text:` or `words:`"),
        ([], None, "cross", "`text:` takes one column or two"),
        (["a", "b", "c"], None, "cross", "`text:` takes one column or two"),
        (["a", "a"], None, "cross", "`text:` takes one column or two"),
        (None, ["w", "w"], "cross", "`words:` takes one column or two"),
        ("a", None, "towers", "`pair: towers` needs two columns"),
        (["a"], None, "cosine", "`pair: cosine` needs two columns"),
    ],
)
def test_keys_that_describe_no_view_are_refused(
    text: str | list[str] | None, words: str | list[str] | None, pair: Pairing, fault: str
) -> None:
    with pytest.raises(ConfigError) as found:
        text_view(text, words, pair)

    assert str(found.value) == fault


def test_cleaning_reaches_texts_and_words_but_never_leaves_nothing() -> None:
    record = {"a": "<b>bold</b>", "b": "<br>", "w": ["<i>x</i>", "<br>"]}
    options = Cleaning(html=True)

    assert text_view(["a", "b"], None).rows(record, options) == [("bold", "<br>")]
    assert text_view(None, "w").rows(record, options) == [(["x", "<br>"],)]


def test_words_are_split_from_raw_text_at_prediction() -> None:
    assert text_view(None, "w").rows({"w": "it's 我们"}, None) == [(["it", "'s", "我", "们"],)]
    assert word_texts(["a b", "c"]) == ["a b", "c"]


def test_words_are_found_in_raw_text_and_in_joined_words() -> None:
    assert word_spans("a  bc") == ("a  bc", [(0, 1), (3, 5)])
    assert word_spans(["a", "bc"]) == ("a bc", [(0, 1), (2, 4)])


def test_a_text_may_be_split_here_and_says_so_in_its_name() -> None:
    view = text_view("a", None, split=True)

    assert view.rows({"a": "one two，三"}, None) == [(["one", "two", "，", "三"],)]
    assert (view.name, view.has_words) == ("a/words", True)
    assert view.needs["a"].type is TEXT
    assert text_view(None, "w", split=True) == text_view(None, "w")


def marked(first: tuple[int, int], second: tuple[int, int], kind: str | None = None) -> list[str]:
    ends = [
        {"start": start, "end": end, "label": kind, "text": None} for start, end in (first, second)
    ]
    view = MarkedView("text", ("e1", "e2"))
    record = {"text": "Ann &amp; Bob met", "e1": ends[0], "e2": ends[1]}
    ((pieces,),) = view.rows(record, Cleaning(html=True))
    return list(pieces)


def test_spans_are_marked_with_their_types_and_only_the_text_is_cleaned() -> None:
    apart = marked((0, 3), (10, 13))
    assert apart == ["", "@", "Ann", "@", " & ", "#", "Bob", "", "", "#", " met"]
    assert marked((10, 13), (0, 3), "man") == [
        *("", "# ^ man ^", "Ann", "#", " & "),
        *("@ * man *", "Bob", "", "", "@", " met"),
    ]


def test_spans_may_lie_in_one_another_or_overlap() -> None:
    within = marked((0, 13), (10, 13))
    assert within == ["", "@", "Ann & ", "", "", "#", "Bob", "#", "", "@", " met"]
    assert marked((0, 13), (0, 3)) == ["", "@", "", "", "", "#", "Ann", "#", " & Bob", "@", " met"]
    crossing = marked((10, 17), (0, 13))
    assert crossing == ["", "#", "Ann & ", "", "", "@", "Bob", "#", " met", "@", ""]
    assert marked((0, 3), (0, 3)) == ["", "@", "", "", "", "#", "Ann", "#", "", "@", " & Bob met"]


@pytest.mark.parametrize(
    ("first", "second"),
    [((0, 3), (10, 13)), ((4, 9), (0, 3)), ((0, 13), (10, 13)), ((10, 17), (0, 13))],
)
def test_the_marks_that_open_are_where_they_are_said_to_be(
    first: tuple[int, int], second: tuple[int, int]
) -> None:
    pieces = marked(first, second)

    assert {pieces[place] for place in OPENING} == {"@", "#"}
    assert "".join(piece for piece in pieces if piece not in "@#") == "Ann & Bob met"


def test_texts_apart_have_a_row_each_and_negatives_more() -> None:
    view = TowersView(("a", "b"), "others")

    assert view.rows({"a": "x", "b": "y", "others": ["u", "v"]}, None) == [
        *((text,) for text in "xyuv"),
    ]
    assert view.rows({"a": "x", "b": "y", "others": None}, None) == [("x",), ("y",)]
    assert [need.required for need in view.needs.values()] == [True, True, False]
