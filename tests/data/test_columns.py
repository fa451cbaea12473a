import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polytask.data.columns import LABEL, LABELS, NUMBER, SPAN, SPANS, TEXT, WORDS, ColumnType


@pytest.mark.parametrize(
    ("kind", "raw", "value"),
    [
        (TEXT, " as it is ", " as it is "),
        (WORDS, ["a", "\u3000"], ["a", "\u3000"]),
        (LABEL, "good", "good"),
        (LABEL, 3, "3"),
        (LABEL, True, "true"),
        (LABELS, ["a", 2, False], ["a", "2", "false"]),
        (LABELS, [], []),
        (
            SPAN,
            {"start": 0, "end": 2, "value": 7},
            {"start": 0, "end": 2, "label": None, "text": None},
        ),
        (
            SPANS,
            [{"start": 1, "end": 2, "name": "city", "text": "x"}],
            [{"start": 1, "end": 2, "label": "city", "text": "x"}],
        ),
        (SPANS, [], []),
        (NUMBER, 3, 3.0),
        (NUMBER, -0.5, -0.5),
    ],
)
def test_a_fitting_value_is_taken(kind: ColumnType, raw: object, value: object) -> None:
    assert kind.parse(raw) == value


@pytest.mark.parametrize(
    ("kind", "raw", "message"),
    [
        (TEXT, ["a"], "expected text, got a list"),
        (TEXT, 3, "expected text, got the number 3"),
        (TEXT, True, "expected text, got the boolean true"),
        (TEXT, {}, "expected text, got an object"),
        (TEXT, "", "is empty"),
        (TEXT, " \n", "is empty"),
        (TEXT, "ab\0c", "holds a NUL character at position 3"),
        (TEXT, "a\ud800b", "holds half a surrogate pair: \\ud800"),
        (WORDS, "a b", "expected a list of words, got the text 'a b'"),
        (WORDS, [], "is empty"),
        (WORDS, ["a", ""], "item 2: is empty"),
        (WORDS, ["a", None], "item 2: expected text, got null"),
        (LABEL, 1.5, "expected a label (text, a whole number or a boolean), got the number 1.5"),
        (LABEL, "", "is empty"),
        (LABELS, "a", "expected a list of labels, got the text 'a'"),
        (
            LABELS,
            [2.0],
            "item 1: expected a label (text, a whole number or a boolean), got the number 2.0",
        ),
        (SPAN, [0, 2], "expected an object with `start` and `end`, got a list"),
        (SPAN, {"start": 0}, "`end`: expected a place in the text, from 0, got nothing"),
        (
            SPAN,
            {"start": -1, "end": 2},
            "`start`: expected a place in the text, from 0, got the number -1",
        ),
        (
            SPAN,
            {"start": True, "end": 2},
            "`start`: expected a place in the text, from 0, got the boolean true",
        ),
        (SPANS, [{"start": 2, "end": 2}], "item 1: ends at 2, before it has begun at 2"),
        (NUMBER, "3", "expected a number, got the text '3'"),
        (NUMBER, False, "expected a number, got the boolean false"),
        (NUMBER, math.nan, "is not finite: nan"),
        (NUMBER, -math.inf, "is not finite: -inf"),
        (NUMBER, 10**400, "is too large a number"),
        (NUMBER, "x" * 50, f"expected a number, got the text '{'x' * 40}…'"),
    ],
)
def test_another_value_is_refused(kind: ColumnType, raw: object, message: str) -> None:
    with pytest.raises(ValueError, match=r".") as fault:
        kind.parse(raw)

    assert str(fault.value) == message


@pytest.mark.parametrize(
    ("kind", "cell", "value"),
    [
        (TEXT, "a b", "a b"),
        (WORDS, "a  b", ["a", "b"]),
        (LABEL, "1.0", "1.0"),
        (LABELS, "joy fear", ["joy", "fear"]),
        (NUMBER, " 1e-3", 0.001),
    ],
)
def test_a_cell_without_a_type_is_read_as_the_column_says(
    kind: ColumnType, cell: str, value: object
) -> None:
    assert kind.parse(kind.split(cell)) == value


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@pytest.mark.parametrize("kind", [TEXT, WORDS, LABEL, LABELS, NUMBER])
@given(raw=JSON)
def test_any_json_value_is_taken_or_refused_with_a_reason(kind: ColumnType, raw: object) -> None:
    try:
        value = kind.parse(raw)
    except ValueError as fault:
        reason = str(fault)
    else:
        reason = "taken"
        assert kind.parse(value) == value
    assert reason
