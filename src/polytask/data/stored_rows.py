"""Token rows as columns of Arrow: how a feed keeps them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from polytask.data.tokeniser import TokenRow

SCHEMA = pa.schema(
    [
        ("record", pa.int64()),
        ("token_ids", pa.list_(pa.int32())),
        ("num_first", pa.int32()),
        ("word_starts", pa.list_(pa.int32())),
        ("full_length", pa.int32()),
        ("num_unknown", pa.int32()),
        ("own_start", pa.int32()),
        ("own_end", pa.int32()),
        ("continues", pa.bool_()),
        ("first_word", pa.int32()),
    ]
)


class StoredRow(NamedTuple):
    """A token row as it was written."""

    tokens: np.ndarray
    num_first: int
    word_starts: np.ndarray
    own: tuple[int, int]
    continues: bool
    first_word: int


@dataclass(frozen=True, slots=True)
class Chunk:
    """Zero-copy arrays over one mapped record batch."""

    tokens: np.ndarray
    token_offsets: np.ndarray
    starts: np.ndarray
    start_offsets: np.ndarray
    num_first: np.ndarray
    own_start: np.ndarray
    own_end: np.ndarray
    continues: np.ndarray
    first_word: np.ndarray

    @classmethod
    def of(cls, batch: pa.RecordBatch) -> "Chunk":
        """The arrays of a batch."""
        tokens, starts = batch.column("token_ids"), batch.column("word_starts")
        return cls(
            tokens.values.to_numpy(),
            tokens.offsets.to_numpy(),
            starts.values.to_numpy(),
            starts.offsets.to_numpy(),
            batch.column("num_first").to_numpy(),
            batch.column("own_start").to_numpy(),
            batch.column("own_end").to_numpy(),
            batch.column("continues").to_numpy(zero_copy_only=False),
            batch.column("first_word").to_numpy(),
        )

    @property
    def lengths(self) -> np.ndarray:
        """The tokens of each row, (rows,)."""
        return np.diff(self.token_offsets)

    def row(self, i: int) -> StoredRow:
        """One row."""
        tokens = self.tokens[self.token_offsets[i] : self.token_offsets[i + 1]]
        starts = self.starts[self.start_offsets[i] : self.start_offsets[i + 1]]
        own = (int(self.own_start[i]), int(self.own_end[i]))
        first_word = int(self.first_word[i])
        return StoredRow(
            tokens, int(self.num_first[i]), starts, own, bool(self.continues[i]), first_word
        )


def to_batch(rows: Sequence[tuple[int, TokenRow]]) -> pa.RecordBatch:
    """Rows beside the record each belongs to."""
    columns = [
        [record for record, _ in rows],
        [row.token_ids for _, row in rows],
        [row.num_first for _, row in rows],
        [row.word_starts for _, row in rows],
        [row.full_length for _, row in rows],
        [row.num_unknown for _, row in rows],
        [row.own[0] for _, row in rows],
        [row.own[1] for _, row in rows],
        [row.continues for _, row in rows],
        [row.first_word for _, row in rows],
    ]
    arrays = [pa.array(c, f.type) for c, f in zip(columns, SCHEMA, strict=True)]
    return pa.RecordBatch.from_arrays(arrays, schema=SCHEMA)
