"""Scores class by class."""

import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace

import numpy as np


@dataclass(frozen=True, slots=True)
class Row:
    """Precision, recall and F1 of one class or of an average; `support` counts its gold labels."""

    label: str
    precision: float
    recall: float
    f1: float
    support: int

    @classmethod
    def of(cls, label: str, scores: np.ndarray, support: int) -> "Row":
        """A row from precision, recall and F1: (3,)."""
        precision, recall, f1 = map(float, scores)
        return cls(label, precision, recall, f1, int(support))


@dataclass(frozen=True, slots=True)
class Table:
    """One row a class, then the averages over them."""

    rows: tuple[Row, ...]
    averages: tuple[Row, ...]

    def average(self, name: str) -> Row:
        """The average of that name. Raises KeyError."""
        return {row.label: row for row in self.averages}[name]

    @classmethod
    def joined(cls, parts: Iterable[tuple[str, "Table"]]) -> "Table":
        """One table of several, the name of each before its labels."""
        named = [(name, table) for name, table in parts]
        return cls(
            rows=tuple(_under(name, row) for name, table in named for row in table.rows),
            averages=tuple(_under(name, row) for name, table in named for row in table.averages),
        )

    def to_json(self) -> dict[str, object]:
        """Plain values; a number without enough data is null."""
        return {"rows": list(map(_plain, self.rows)), "averages": list(map(_plain, self.averages))}


def _under(name: str, row: Row) -> Row:
    return replace(row, label=f"{name}: {row.label}")


def _plain(row: Row) -> dict[str, object]:
    return {
        key: None if isinstance(value, float) and math.isnan(value) else value
        for key, value in asdict(row).items()
    }
