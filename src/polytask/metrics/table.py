"""Scores class by class."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Row:
    label: str
    precision: float
    recall: float
    f1: float
    support: int


@dataclass(frozen=True, slots=True)
class Table:
    rows: tuple[Row, ...]
    averages: tuple[Row, ...]

    def to_json(self) -> dict[str, object]:
        def one(row): return {"label": row.label, "precision": row.precision, "recall": row.recall, "f1": row.f1, "support": row.support}
        return {"rows": [one(r) for r in self.rows], "averages": [one(r) for r in self.averages]}
