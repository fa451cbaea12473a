"""How a task sees a record: the text it reads and the encoder rows that become of it."""

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, Self, cast

from polytask.data.cleaning import Cleaning, clean
from polytask.data.columns import TEXT, WORDS, Need
from polytask.data.records import Record, Records
from polytask.data.words import joined_spans, split_words
from polytask.errors import ConfigError

Segment = str | list[str]
"""A stretch of one encoder row: a text, or words that are already split."""

Row = tuple[Segment, ...]
"""The one or two segments of an encoder row."""

Pairing = Literal["cross", "towers", "cosine"]

Long = Literal["truncate", "windows", "head_tail"]
"""What becomes of a row of more than `max_tokens`: cut at the end, read in windows, or its head
and its tail kept."""

STRIDE = 64
"""Tokens that neighbouring windows share, at most half of one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class View(ABC):
    """Which encoder rows a record becomes. Tasks with an equal view of a data set share a pass.

    stride: the tokens that neighbouring windows over a long first segment share. is_masked: whether
    words are hidden from the encoder, so that a task can guess them.
    """

    long: Long = "truncate"
    stride: int = STRIDE
    is_masked: bool = False

    @property
    @abstractmethod
    def needs(self) -> Mapping[str, Need]:
        """The text columns the view reads."""

    @property
    @abstractmethod
    def source(self) -> str:
        """The columns, and how they are put together."""

    @property
    def name(self) -> str:
        """What tells this view from others of the same data set."""
        how = {"truncate": "", "windows": f"/windows-{self.stride}", "head_tail": "/head_tail"}
        return self.source + how[self.long] + "/masked" * self.is_masked

    @property
    def has_whole_texts(self) -> bool:
        """Whether a head gets the windows of a text as one row of hidden states."""
        return self.long == "windows" and not self.is_masked

    def of_long_texts(self, long: Long | None, stride: int | None) -> Self:
        """The same with what a task says of long texts, if it says something.

        Raises ConfigError for a stride where there are no windows.
        """
        told = self if long is None else replace(self, long=long)
        if stride is None:
            return told
        if told.long != "windows":
            raise ConfigError("`stride:` is for windows: say `long: windows` too")
        return replace(told, stride=stride)

    @property
    @abstractmethod
    def has_words(self) -> bool:
        """Whether the first segment of a row is made of words, so that they have places in it."""

    @abstractmethod
    def rows(self, record: Record, cleaning: Cleaning | None) -> list[Row]:
        """The encoder rows of one record, in order."""


def count_changes(records: Records, view: View, cleaning: Cleaning) -> Counter[str]:
    """How often each option of `clean:` had an effect on the texts that a view reads."""
    changes: Counter[str] = Counter()
    for some in records.batches(list(view.needs)):
        for value in (value for record in some for value in record.values()):
            for text in value if isinstance(value, list) else [value]:
                if isinstance(text, str):
                    changes += clean(text, cleaning).changes
    return changes


@dataclass(frozen=True, slots=True)
class TextView(View):
    """One text or a pair of texts, raw or split into words; a pair in one row or in two towers.

    `is_split`: rows are made of words; `is_raw`: the columns hold texts, which are split here.
    """

    columns: tuple[str, ...]
    is_split: bool = False
    has_towers: bool = False
    is_raw: bool = False

    @property
    def needs(self) -> Mapping[str, Need]:
        """One text column or two."""
        kind = WORDS if self.is_split and not self.is_raw else TEXT
        return {column: Need(kind, required=True) for column in self.columns}

    @property
    def source(self) -> str:
        """The columns, whether they are encoded apart and split here."""
        return ("|" if self.has_towers else "+").join(self.columns) + "/words" * self.is_raw

    @property
    def has_words(self) -> bool:
        """Whether rows are made of words."""
        return self.is_split

    def rows(self, record: Record, cleaning: Cleaning | None) -> list[Row]:
        """One row of one or two segments, or one row for each tower."""
        segments = [self._segment(record[column], cleaning) for column in self.columns]
        return [(segment,) for segment in segments] if self.has_towers else [tuple(segments)]

    def _segment(self, value: object, cleaning: Cleaning | None) -> Segment:
        if not self.is_split:
            return cleaned(cast(str, value), cleaning)
        return [cleaned(word, cleaning) for word in word_texts(value)]


def cleaned(text: str, cleaning: Cleaning | None) -> str:
    """What cleaning leaves; a text of which it leaves nothing stays as it is."""
    left = clean(text, cleaning).text if cleaning else text
    return left if left.strip() else text


def text_view(
    text: str | list[str] | None,
    words: str | list[str] | None,
    pair: Pairing = "cross",
    *,
    split: bool = False,
) -> TextView:
    """The view that the keys `text`, `words` and `pair` of a task describe.

    `split` splits texts into words. Raises ConfigError.
    """
    given = words if text is None else text
    if given is None or (text is not None and words is not None):
        raise ConfigError("name the column to read: either `text:` or `words:`")
    columns = (given,) if isinstance(given, str) else tuple(given)
    if not 1 <= len(columns) <= 2 or len(set(columns)) != len(columns):
        raise ConfigError(f"`{'text' if words is None else 'words'}:` takes one column or two")
    if pair != "cross" and len(columns) == 1:
        raise ConfigError(f"`pair: {pair}` needs two columns")
    is_raw = split and words is None
    return TextView(
        columns, is_split=is_raw or words is not None, has_towers=pair != "cross", is_raw=is_raw
    )


def word_texts(value: object) -> list[str]:
    """The words of a value of a word column: as given, or split from raw text at prediction."""
    if isinstance(value, str):
        return [value[start:end] for start, end in split_words(value)]
    return list(cast(Sequence[str], value))


def word_spans(value: object) -> tuple[str, list[tuple[int, int]]]:
    """The user's text and the character span of each of its words in it."""
    if isinstance(value, str):
        return value, split_words(value)
    words = cast(Sequence[str], value)
    return " ".join(words), joined_spans(words)
