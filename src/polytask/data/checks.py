"""Texts that occur more than once: duplicates in a split, and leaks from train into dev or test."""

import hashlib
from collections.abc import Sequence

import numpy as np

from polytask.data.records import Record, Records
from polytask.data.views import View

Keys = np.ndarray[tuple[int], np.dtype[np.uint64]]


def text_keys(records: Records, view: View) -> Keys:
    """A number for the text of each record, alike for texts that differ in case or spaces only."""
    columns = [name for name, need in view.needs.items() if need.required]
    keys = [_key(record, columns) for some in records.batches(columns) for record in some]
    return np.array(keys, np.uint64)


def occur_in(keys: Keys, others: Keys) -> np.ndarray:
    """Which texts stand among the others too: (records,), true or false."""
    found: np.ndarray = np.isin(keys, others)
    return found


def num_duplicates(keys: Keys) -> int:
    """How many texts repeat an earlier one."""
    return len(keys) - len(np.unique(keys))


def _key(record: Record, columns: Sequence[str]) -> int:
    text = "\x1f".join(_text(record[column]) for column in columns)
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest())


def _text(value: object) -> str:
    parts = value if isinstance(value, list) else [value]
    return "".join("".join(map(str, parts)).casefold().split())
