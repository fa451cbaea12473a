"""A feed: the records of one split of a data set, tokenised once for all tasks of the same view."""

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pyarrow as pa

from polytask.data.batching import Ragged
from polytask.data.cleaning import Cleaning
from polytask.data.records import Indices, Record, Records
from polytask.data.stored_rows import SCHEMA, Chunk, to_batch
from polytask.data.tables import cached_table
from polytask.data.tokeniser import Tokeniser, TokenRow
from polytask.data.views import View

_ROWS_PER_CHUNK = 1 << 14
_RECORDS_AT_ONCE = 1 << 10


@dataclass(frozen=True, slots=True)
class TokenCounts:
    """Sizes in tokens of one feed: what was cut, what is unknown.

    lengths: (records,), tokens of the longest row before anything was cut.
    """

    lengths: np.ndarray
    num_truncated: int
    num_unknown: int
    num_tokens: int


class RowSource(ABC):
    """Records with their token rows: what batches are made from.

    lengths: (records,), tokens of the longest row of each; num_rows: (records,), encoder rows.
    """

    name: str
    lengths: np.ndarray
    num_rows: np.ndarray

    @abstractmethod
    def rows(self, indices: Indices) -> Ragged:
        """The encoder rows of some records, owned by their place in `indices`."""

    @abstractmethod
    def take(self, indices: Indices) -> tuple[Record, ...]:
        """The records themselves."""


class LiveRows(RowSource):
    """Records given at prediction, tokenised in memory."""

    def __init__(
        self,
        name: str,
        records: Sequence[Record],
        view: View,
        *,
        tokeniser: Tokeniser,
        cleaning: Cleaning | None,
    ) -> None:
        self.name = name
        self._records = records
        self._is_whole = view.has_whole_texts
        self._rows = list(token_rows(records, view, tokeniser, cleaning))
        self.lengths = np.array([max(len(r.token_ids) for r in rows) for rows in self._rows])
        self.num_rows = np.array([len(rows) for rows in self._rows])

    def rows(self, indices: Indices) -> Ragged:
        """Token rows as they were made."""
        return ragged([self._rows[int(i)] for i in indices])

    def take(self, indices: Indices) -> tuple[Record, ...]:
        """The records as they were given."""
        return tuple(self._records[int(i)] for i in indices)

    def covers(self, other: "LiveRows") -> bool:
        """Whether these rows can stand for the other's: the same tokens, and all of its words."""
        pairs = zip(self._rows, other._rows, strict=True)
        return (
            self._is_whole == other._is_whole
            and all(
                (one.token_ids, one.num_first) == (two.token_ids, two.num_first)
                and two.word_starts in ([], one.word_starts)
                for mine, others in pairs
                for one, two in zip(mine, others, strict=False)
            )
            and np.array_equal(self.num_rows, other.num_rows)
        )


class Feed(RowSource):
    """Token rows of the records of one split, memory-mapped and cached by content."""

    def __init__(
        self,
        name: str,
        records: Records,
        view: View,
        *,
        tokeniser: Tokeniser,
        cleaning: Cleaning | None,
        cache: Path,
    ) -> None:
        self.name = name
        self.records = records
        self.view = view
        self._max_tokens = tokeniser.max_tokens
        parts = (
            version("polytask"),
            records.fingerprint,
            repr(view),
            repr(cleaning),
            tokeniser.fingerprint,
        )
        key = hashlib.sha256("\x00".join(parts).encode()).hexdigest()
        self._table = cached_table(
            cache,
            f"tokens-{key}",
            SCHEMA,
            lambda: _token_batches(records, view, tokeniser, cleaning),
        )
        self._chunks = [Chunk.of(batch) for batch in self._table.to_batches()]
        owners = self._column("record")
        self._first_row = np.searchsorted(owners, np.arange(len(records) + 1))
        row_lengths = np.concatenate([chunk.lengths for chunk in self._chunks])
        self.lengths = np.maximum.reduceat(row_lengths, self._first_row[:-1])
        self.num_rows = np.diff(self._first_row)

    def __len__(self) -> int:
        return len(self.records)

    def rows(self, indices: Indices) -> Ragged:
        """The encoder rows of some records, owned by their place in `indices`."""
        places = [
            (owner, row)
            for owner, index in enumerate(indices)
            for row in range(self._first_row[index], self._first_row[index + 1])
        ]
        found = [
            self._chunks[row // _ROWS_PER_CHUNK].row(row % _ROWS_PER_CHUNK) for _, row in places
        ]
        return Ragged(
            token_ids=[row.tokens for row in found],
            num_first=[row.num_first for row in found],
            word_starts=[row.word_starts for row in found],
            owners=[owner for owner, _ in places],
            own=[row.own for row in found],
            continues=[row.continues for row in found],
            first_words=[row.first_word for row in found],
        )

    def take(self, indices: Indices) -> tuple[Record, ...]:
        """The records themselves."""
        return tuple(self.records.take(indices))

    def counts(self) -> TokenCounts:
        """How long the texts are, how many were cut, how much of them is unknown."""
        full = self._column("full_length")
        lengths = np.maximum.reduceat(full, self._first_row[:-1])
        return TokenCounts(
            lengths=lengths,
            num_truncated=int((lengths > self._max_tokens).sum()),
            num_unknown=int(self._column("num_unknown").sum()),
            num_tokens=int(full.sum()),
        )

    def _column(self, name: str) -> np.ndarray:
        return np.concatenate([c.to_numpy() for c in self._table.column(name).chunks])


def token_rows(
    records: Sequence[Record], view: View, tokeniser: Tokeniser, cleaning: Cleaning | None
) -> Iterator[list[TokenRow]]:
    """The token rows of each record: what a feed stores, and what prediction makes on the fly."""
    rows = [view.rows(record, cleaning) for record in records]
    flat = [row for of_record in rows for row in of_record]
    encoded = tokeniser.encode(flat, view.long, view.stride)
    for of_record in rows:
        yield [row for _ in of_record for row in next(encoded)]


def ragged(rows: Iterable[Sequence[TokenRow]]) -> Ragged:
    """Token rows of records made on the fly, ready to be padded."""
    flat = [(owner, row) for owner, of_record in enumerate(rows) for row in of_record]
    return Ragged(
        token_ids=[np.asarray(row.token_ids, np.int32) for _, row in flat],
        num_first=[row.num_first for _, row in flat],
        word_starts=[np.asarray(row.word_starts, np.int32) for _, row in flat],
        owners=[owner for owner, _ in flat],
        own=[row.own for _, row in flat],
        continues=[row.continues for _, row in flat],
        first_words=[row.first_word for _, row in flat],
    )


def _token_batches(
    records: Records, view: View, tokeniser: Tokeniser, cleaning: Cleaning | None
) -> Iterator[pa.RecordBatch]:
    waiting: list[tuple[int, TokenRow]] = []
    index = 0
    for some in records.batches(list(view.needs), size=_RECORDS_AT_ONCE):
        for rows in token_rows(some, view, tokeniser, cleaning):
            waiting += [(index, row) for row in rows]
            index += 1
            while len(waiting) >= _ROWS_PER_CHUNK:
                yield to_batch(waiting[:_ROWS_PER_CHUNK])
                del waiting[:_ROWS_PER_CHUNK]
    if waiting:
        yield to_batch(waiting)
