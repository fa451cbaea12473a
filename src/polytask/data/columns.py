"""The types a column of a data file can have, and how a raw value becomes one."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar, cast

import pyarrow as pa

_T = TypeVar("_T")

_LABEL_KEYS = ("label", "type", "name")
_SPAN_ARROW = pa.struct(
    [("start", pa.int64()), ("end", pa.int64()), ("label", pa.string()), ("text", pa.string())]
)
_RELATION_ARROW = pa.struct([("head", pa.int64()), ("tail", pa.int64()), ("label", pa.string())])


@dataclass(frozen=True, slots=True)
class ColumnType:
    """What the values of a column must be.

    `parse` takes a raw value other than null and raises ValueError, with the fault in plain words,
    if it does not fit. `split` turns a cell of a format without types (CSV, TSV, CoNLL) into a raw
    value first.
    """

    name: str
    arrow: pa.DataType
    parse: Callable[[object], object]
    split: Callable[[str], object] = str


@dataclass(frozen=True, slots=True)
class Need:
    """A column that a task reads: every row must have a required one, others may be missing."""

    type: ColumnType
    required: bool


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError(f"expected text, got {describe(value)}")
    if not value or value.isspace():
        raise ValueError("is empty")
    return _sound(value)


def _words(value: object) -> list[str]:
    return _items(value, "words", _word)


def _word(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError(f"expected text, got {describe(value)}")
    if not value:
        raise ValueError("is empty")
    return _sound(value)


def _label(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if not isinstance(value, str):
        raise ValueError(
            f"expected a label (text, a whole number or a boolean), got {describe(value)}"
        )
    if not value or value.isspace():
        raise ValueError("is empty")
    return _sound(value)


def _labels(value: object) -> list[str]:
    return _items(value, "labels", _label)


def _texts(value: object) -> list[str]:
    texts = _items(value, "texts", _text)
    if not texts:
        raise ValueError("is empty")
    return texts


def _numbers(value: object) -> list[float]:
    return _items(value, "numbers", _number)


def _number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"expected a number, got {describe(value)}")
    try:
        number = float(value)
    except OverflowError:
        raise ValueError("is too large a number") from None
    if not math.isfinite(number):
        raise ValueError(f"is not finite: {number}")
    return number


def _items(value: object, noun: str, parse: Callable[[object], _T]) -> list[_T]:
    if not isinstance(value, list):
        raise ValueError(f"expected a list of {noun}, got {describe(value)}")
    items = []
    for place, item in enumerate(value, start=1):
        try:
            items.append(parse(item))
        except ValueError as fault:
            raise ValueError(f"item {place}: {fault}") from None
    if not items and noun == "words":
        raise ValueError("is empty")
    return items


def _sound(text: str) -> str:
    if "\0" in text:
        raise ValueError(f"holds a NUL character at position {text.index(chr(0)) + 1}")
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError as fault:
            half = f"\\u{ord(text[fault.start]):04x}"
            raise ValueError(f"holds half a surrogate pair: {half}") from None
    return text


def _span(value: object) -> dict[str, object]:
    if not isinstance(value, dict):
        raise ValueError(f"expected an object with `start` and `end`, got {describe(value)}")
    text = value.get("text")
    begin, end = value.get("start"), value.get("end")
    if end is None and isinstance(text, str) and isinstance(begin, int):
        end = begin + len(text)
    ends = [begin, end]
    for key, place in zip(("start", "end"), ends, strict=True):
        if isinstance(place, bool) or not isinstance(place, int) or place < 0:
            found = "nothing" if place is None else describe(place)
            raise ValueError(f"`{key}`: expected a place in the text, from 0, got {found}")
    start, stop = cast(list[int], ends)
    if stop <= start:
        raise ValueError(f"ends at {stop}, before it has begun at {start}")
    label = next((value[key] for key in _LABEL_KEYS if value.get(key) is not None), None)
    return {
        "start": start,
        "end": stop,
        "label": None if label is None else _label(label),
        "text": None if text is None else _text(text),
    }


def _spans(value: object) -> list[dict[str, object]]:
    return _items(value, "spans", _span)


def _relation(value: object) -> dict[str, object]:
    if not isinstance(value, dict):
        raise ValueError(
            f"expected an object with `head`, `tail` and `label`, got {describe(value)}"
        )
    for key in ("head", "tail"):
        place = value.get(key)
        if isinstance(place, bool) or not isinstance(place, int) or place < 0:
            found = "nothing" if place is None else describe(place)
            raise ValueError(f"`{key}`: expected the number of a span, from 0, got {found}")
    if value.get("label") is None:
        raise ValueError("has no `label`")
    return {"head": value["head"], "tail": value["tail"], "label": _label(value["label"])}


def _relations(value: object) -> list[dict[str, object]]:
    return _items(value, "relations", _relation)


def _number_cell(cell: str) -> object:
    try:
        return float(cell)
    except ValueError:
        return cell


def describe(value: object) -> str:
    """The kind of a JSON value, as a fault names it: `a list`, `the number 3.5`, `the text 'x'`."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return f"the boolean {str(value).lower()}"
    if isinstance(value, int | float):
        return f"the number {value}" if -1e30 < value < 1e30 else "a number"
    if isinstance(value, str):
        return f"the text '{value}'" if len(value) <= 40 else f"the text '{value[:40]}…'"
    kinds: dict[type, str] = {list: "a list", dict: "an object", bytes: "bytes"}
    return kinds.get(type(value), f"a value of type {type(value).__name__}")


TEXT = ColumnType("text", pa.string(), _text)
"""A text that is not blank."""

WORDS = ColumnType("words", pa.list_(pa.string()), _words, str.split)
"""One text for each word, at least one word."""

TEXTS = ColumnType("texts", pa.list_(pa.string()), _texts)
"""Texts that are not blank, at least one."""

LABEL = ColumnType("label", pa.string(), _label)
"""The name of one class; whole numbers and booleans are taken as their text."""

LABELS = ColumnType("labels", pa.list_(pa.string()), _labels, str.split)
"""The names of any number of classes, also of none."""

SPAN = ColumnType("span", _SPAN_ARROW, _span)
"""A stretch of a text: characters `start` to before `end`, and perhaps its `label` and `text`.

With a `text` the `end` may be missing.
"""

SPANS = ColumnType("spans", pa.list_(_SPAN_ARROW), _spans)
"""Any number of stretches of a text, also none."""

RELATIONS = ColumnType("relations", pa.list_(_RELATION_ARROW), _relations)
"""Any number of relations: the numbers of two spans as `head` and `tail`, from 0, and a `label`."""

NUMBER = ColumnType("number", pa.float64(), _number, _number_cell)
"""A finite number."""

NUMBERS = ColumnType("numbers", pa.list_(pa.float64()), _numbers)
"""Finite numbers."""
