"""The records of one split of a data set, read from a memory-mapped table."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Literal, cast

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

Record = Mapping[str, object]
"""One row of data: values by column, null where a value is missing."""

Indices = np.ndarray[tuple[int], np.dtype[np.int64]]

Unit = Literal["line", "row"]
"""What a data file is counted in: lines of text, or rows where lines mean nothing."""

LINE = "__line__"
"""The column of a stored table that says where in the data file a row stands, counted from 1."""


class Records:
    """One split of one data set: a memory-mapped table, or a selection of its rows.

    `path` is the data file as the user wrote it; `key` changes whenever the content does.
    """

    def __init__(
        self,
        table: pa.Table,
        *,
        path: str,
        key: str,
        unit: Unit = "line",
        selection: Indices | None = None,
    ) -> None:
        self.path = path
        self._table = table
        self._key = key
        self._unit = unit
        self._selection = selection
        self._batches: list[pa.RecordBatch] = table.to_batches()
        self._ends = np.cumsum([batch.num_rows for batch in self._batches], dtype=np.int64)

    @property
    def columns(self) -> list[str]:
        """The names of the columns."""
        return [name for name in self._table.column_names if name != LINE]

    @property
    def fingerprint(self) -> str:
        """Changes whenever any record, or which of them are selected, does."""
        if self._selection is None:
            return self._key
        return f"{self._key}-{hashlib.sha256(self._selection.astype('<i8').tobytes()).hexdigest()}"

    def __len__(self) -> int:
        return self._table.num_rows if self._selection is None else len(self._selection)

    def __getitem__(self, index: int) -> dict[str, object]:
        return self.take([index])[0]

    def take(self, indices: Sequence[int] | Indices) -> list[dict[str, object]]:
        """Some records, in the order asked for. Raises IndexError."""
        return self._rows(self._places(indices), self.columns)

    def batches(
        self, columns: Sequence[str] | None = None, size: int = 10_000
    ) -> Iterator[list[dict[str, object]]]:
        """All records in order, `size` at a time; of each the named columns, or all."""
        names = self.columns if columns is None else list(columns)
        for start in range(0, len(self), size):
            indices = np.arange(start, min(start + size, len(self)))
            yield self._rows(self._places(indices), names)

    def column_lengths(self, name: str) -> Indices:
        """Characters of each text or items of each list, 0 where missing: (records,)."""
        measure = pc.list_value_length if pa.types.is_list(self._type(name)) else pc.utf8_length
        lengths = pc.fill_null(measure(self._table.column(name)), 0).to_numpy().astype(np.int64)
        return cast(Indices, lengths if self._selection is None else lengths[self._selection])

    def select(self, indices: Sequence[int] | Indices) -> "Records":
        """A selection of these records, in the order asked for, without copying any."""
        return Records(
            self._table,
            path=self.path,
            key=self._key,
            unit=self._unit,
            selection=self._places(indices),
        )

    def where(self, index: int) -> str:
        """Where a record stands: `reviews/train.jsonl:17`, or `train.parquet, row 17`."""
        line = self._rows(self._places([index]), [LINE])[0][LINE]
        return place(self.path, cast(int, line), self._unit)

    def _type(self, name: str) -> pa.DataType:
        return self._table.schema.field(name).type

    def _places(self, indices: Sequence[int] | Indices) -> Indices:
        wanted = np.asarray(indices, np.int64)
        if wanted.size and (wanted.min() < 0 or wanted.max() >= len(self)):
            raise IndexError(f"no such record among {len(self)}: {wanted.min()} to {wanted.max()}")
        return wanted if self._selection is None else self._selection[wanted]

    def _rows(self, places: Indices, columns: Sequence[str]) -> list[dict[str, object]]:
        # Batch by batch: a take over the whole table may copy all of its text into memory.
        owners = np.searchsorted(self._ends, places, side="right")
        rows: list[dict[str, object]] = [{}] * len(places)
        for owner in np.unique(owners):
            batch = self._batches[owner]
            here = np.flatnonzero(owners == owner)
            local = places[here] - (self._ends[owner] - batch.num_rows)
            taken = batch.select(list(columns)).take(pa.array(local)).to_pylist()
            for i, row in zip(here, taken, strict=True):
                rows[i] = row
        return rows


def place(path: str, line: int, unit: Unit) -> str:
    """A place in a data file, as faults name it."""
    return f"{path}:{line}" if unit == "line" else f"{path}, row {line}"
