"""Filters of rows: the `where:` of a data section."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from polytask.data.columns import LABEL
from polytask.data.records import Records
from polytask.errors import ConfigError, DataError

Value = str | int | bool

Condition = Value | list[Value] | dict[str, Value | list[Value]]
"""A value, a list of values to choose from, or `{not: …}` of either."""


@dataclass(frozen=True, slots=True)
class Filter:
    """Keeps the rows whose column has one of some values, or has none of them."""

    column: str
    values: frozenset[str]
    is_negated: bool

    @classmethod
    def of(cls, column: str, condition: Condition) -> "Filter":
        """The filter that a condition of the experiment file describes. Raises ConfigError."""
        is_negated = isinstance(condition, dict)
        if isinstance(condition, dict):
            if list(condition) != ["not"]:
                found = ", ".join(condition) or "nothing"
                raise ConfigError(f"where.{column}: expected the key `not` alone, got {found}.")
            condition = condition["not"]
        values = condition if isinstance(condition, list) else [condition]
        if not values:
            raise ConfigError(f"where.{column}: expected at least one value, got an empty list.")
        try:
            texts = frozenset(str(LABEL.parse(value)) for value in values)
        except ValueError as fault:
            raise ConfigError(f"where.{column}: {fault}.") from None
        return cls(column, texts, is_negated)

    def keeps(self, value: object) -> bool:
        """Whether a row with this value stays; one without a value is none of them."""
        return (value in self.values) is not self.is_negated


def filtered(records: Records, filters: Sequence[Filter]) -> Records:
    """The records that every filter keeps. Raises DataError if there are none."""
    if not filters:
        return records
    kept: list[bool] = []
    for rows in records.batches([each.column for each in filters]):
        kept += [all(each.keeps(row[each.column]) for each in filters) for row in rows]
    if not any(kept):
        names = ", ".join(f"'{each.column}'" for each in filters)
        raise DataError(f"{records.path}: no row is left after the filters on {names} (`where:`).")
    return records.select(np.flatnonzero(kept))
