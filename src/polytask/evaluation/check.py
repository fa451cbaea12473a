"""Looks at all the data of an experiment before anything is trained."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from polytask.build import (
    Experiment,
    fit_heads,
    load_data,
    make_feeds,
    make_model,
    split_records,
    task_records,
)
from polytask.data.checks import Keys, num_duplicates, occur_in, text_keys
from polytask.data.feed import Feed
from polytask.tasks import Task

PERCENTILES = (50, 90, 99, 100)
UNKNOWN_LIMIT = 0.05
"""A share of unknown tokens above this is a warning."""


@dataclass(frozen=True, slots=True)
class SplitCheck:
    """What one task sees in one split.

    lengths: tokens at `PERCENTILES`. leaks: by training feed, texts that stand there too.
    majority: the headline of always giving the most frequent answer, nan where there is none.
    """

    split: str
    num_rows: int
    num_missing: int
    label_counts: Mapping[str, int]
    lengths: Sequence[int]
    truncated: float
    unknown: float
    num_duplicates: int
    leaks: Mapping[str, int]
    majority: float


@dataclass(frozen=True, slots=True)
class Check:
    """Everything found, by task, and the sentences worth reading."""

    tasks: Mapping[str, Sequence[SplitCheck]]
    notes: Sequence[str]
    warnings: Sequence[str]


def check_experiment(experiment: Experiment, *, cache: Path) -> Check:
    """Reads everything and trains nothing. Raises PolytaskError for what cannot be used."""
    notes: list[str] = []
    data = load_data(experiment, cache=cache)
    for splits in data.values():
        notes += splits.notes
    fit_heads(experiment, data, notes.append)
    model = make_model(experiment, data, notes.append)
    feeds = {
        name: make_feeds(experiment, model, records, cache=cache)
        for name, records in split_records(data).items()
    }
    keys = training_keys(feeds["train"])
    found: dict[str, list[SplitCheck]] = {task.name: [] for task in experiment.tasks}
    for split, by_name in feeds.items():
        for name, tasks in experiment.tasks_by_feed().items():
            if name in by_name:
                for task in tasks:
                    found[task.name].append(_check(split, task, by_name[name], keys))
    return Check(found, notes, _warnings(found))


def training_keys(feeds: Mapping[str, Feed]) -> dict[str, Keys]:
    """Text keys of every training feed."""
    return {name: text_keys(feed.records, feed.view) for name, feed in feeds.items()}


def _check(split: str, task: Task, feed: Feed, train: Mapping[str, Keys]) -> SplitCheck:
    counts = feed.counts()
    keys = text_keys(feed.records, feed.view)
    labels, missing, majority = task.head.label_counts(task_records(task, feed.records))
    leaks = {name: int(occur_in(keys, others).sum()) for name, others in train.items()}
    return SplitCheck(
        split=split,
        num_rows=len(feed),
        num_missing=missing,
        label_counts=labels,
        lengths=[int(n) for n in np.percentile(counts.lengths, PERCENTILES, method="higher")],
        truncated=counts.num_truncated / len(feed),
        unknown=counts.num_unknown / max(counts.num_tokens, 1),
        num_duplicates=num_duplicates(keys),
        leaks={} if split == "train" else {name: n for name, n in leaks.items() if n},
        majority=majority,
    )


def _warnings(found: Mapping[str, Sequence[SplitCheck]]) -> list[str]:
    warnings: list[str] = []
    for task, splits in found.items():
        for one in splits:
            place = f"task {task}, {one.split}"
            if one.unknown > UNKNOWN_LIMIT:
                warnings.append(
                    f"{place}: {one.unknown:.1%} of the tokens are unknown to the encoder. "
                    "Choose one that knows this language, or `kind: scratch`."
                )
            for feed, num in one.leaks.items():
                warnings.append(f"{place}: {num} texts also stand in the training data of {feed}.")
            if one.num_missing == one.num_rows:
                warnings.append(f"{place}: no row has a label, so its score will be n/a.")
            if one.truncated > UNKNOWN_LIMIT:
                warnings.append(
                    f"{place}: {one.truncated:.1%} of the texts are cut at max_tokens. "
                    "`long: windows` reads them whole."
                )
    return warnings
