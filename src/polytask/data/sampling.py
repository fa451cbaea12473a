"""Random choices of records: a dev split cut from train, a sample of train."""

import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np

from polytask.data.records import Records
from polytask.errors import DataError

Cut = Literal["dev", "watched"]

_SAMPLE = 2
_STREAMS: Mapping[Cut, int] = {"dev": 1, "watched": 3}
_ADVICE: Mapping[Cut, str] = {
    "dev": "for dev (dev_share: {share}). Give a `dev:` file, more rows or a larger `dev_share:`.",
    "watched": "to be watched (balancing.share: {share}). Give more rows or a larger `share:`.",
}


def sample(records: Records, size: int, seed: int) -> Records:
    """At most `size` records drawn at random, in the order of the file.

    Of the same records with the same seed, a smaller sample is part of every larger one.
    """
    order = np.random.default_rng([seed, _SAMPLE]).permutation(len(records))
    return records.select(np.sort(order[:size]))


def cut_off(
    records: Records, share: float, cut: Cut, *, texts: Sequence[str], label: str | None, seed: int
) -> tuple[Records, Records]:
    """The records to train on and a random `share` of them set apart.

    Records with equal `texts` stay together. The classes of the column `label` keep their
    proportions, and each keeps a record to train on. Raises DataError if nothing can be set apart.
    """
    groups, classes = _groups_and_classes(records, texts, label)
    chosen = _choose(groups, classes, share, np.random.default_rng([seed, _STREAMS[cut]]))
    if not chosen.any():
        raise DataError(
            f"{records.path}: no rows could be set apart from its {len(records)} rows "
            + _ADVICE[cut].format(share=share)
        )
    return records.select(np.flatnonzero(~chosen)), records.select(np.flatnonzero(chosen))


def _groups_and_classes(
    records: Records, texts: Sequence[str], label: str | None
) -> tuple[np.ndarray, np.ndarray]:
    """Number of the text and of the class of each record: (records,) both."""
    digests: list[bytes] = []
    classes: list[object] = []
    for rows in records.batches([*texts, *([] if label is None else [label])]):
        for row in rows:
            text = json.dumps([row[name] for name in texts])
            digests.append(hashlib.blake2b(text.encode(), digest_size=12).digest())
            classes.append(None if label is None else row[label])
    return _numbered(digests), _numbered(classes)


def _numbered(values: Sequence[object]) -> np.ndarray:
    numbers = {value: number for number, value in enumerate(dict.fromkeys(values))}
    return np.fromiter((numbers[value] for value in values), np.int64, len(values))


def _choose(
    groups: np.ndarray, classes: np.ndarray, share: float, generator: np.random.Generator
) -> np.ndarray:
    """Which records are set apart: (records,).

    Groups pass by class, shuffled within; one is set apart when at least half of it is due.
    """
    rows = np.argsort(groups, kind="stable")
    members = np.split(rows, np.flatnonzero(np.diff(groups[rows])) + 1)
    shuffled = [members[i] for i in generator.permutation(len(members))]
    left = Counter(classes.tolist())
    chosen = np.zeros(len(groups), np.bool_)
    due = 0.0
    for group in sorted(shuffled, key=lambda group: classes[group[0]]):
        taken = Counter(classes[group].tolist())
        if any(left[each] <= taken[each] for each in taken):
            continue
        # What large groups leave due must not be taken out of the classes after them.
        due = min(due + share * len(group), len(group))
        if 2 * due >= len(group):
            chosen[group] = True
            left -= taken
            due -= len(group)
    return chosen
