"""From a declared experiment to its data, its model and the feeds that join them."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import cast

import numpy as np

from polytask.build.experiment import Experiment
from polytask.data.columns import Need
from polytask.data.dataset import Splits
from polytask.data.feed import Feed
from polytask.data.records import Record, Records
from polytask.encoders import Encoder, Note
from polytask.errors import ConfigError, DataError
from polytask.heads import ReadableHead
from polytask.mixing.oversampling import draw_weights
from polytask.mixing.steps import FeedSize
from polytask.model import MultiTaskModel
from polytask.tasks import Task

_MAX_FAULTS = 20


def load_data(experiment: Experiment, *, cache: Path) -> dict[str, Splits]:
    """The splits of every data set that a task reads, by name. Raises DataError."""
    needs: dict[str, dict[str, Need]] = {}
    for task in experiment.tasks:
        columns = needs.setdefault(task.data, {})
        for column, need in {**task.head.needs, **task.head.view.needs}.items():
            if columns.setdefault(column, need) != need:
                raise ConfigError(
                    f"tasks.{task.name}: column '{column}' of {task.data} is read as "
                    f"{need.type.name} here, but otherwise by another task"
                )
    return {
        name: experiment.data[name].load(
            needs[name],
            base=experiment.base,
            cache=cache,
            seed=experiment.train.seed,
            watch_share=experiment.balancer.watch_share,
        )
        for name in experiment.data
        if name in needs
    }


def fit_heads(experiment: Experiment, data: Mapping[str, Splits], note: Note) -> None:
    """Lets every head learn its labels from train, then checks the labels of all splits."""
    for name in experiment.data:
        if name not in data:
            note(f"Data set {name} is read by no task.")
    without_dev: list[str] = []
    for task in experiment.tasks:
        splits = data[task.data]
        try:
            warnings = task.head.fit(task_records(task, splits.unlimited))
        except DataError as error:
            raise DataError(f"{splits.train.path}: task {task.name}: {error}") from error
        for warning in warnings:
            note(f"{splits.train.path}: task {task.name}: {warning}.")
        for records in (splits.train, splits.test, splits.watched):
            if records is not None:
                check_labels(task, records, note)
        if not check_labels(task, splits.dev, note):
            without_dev.append(task.name)
            note(f"{splits.dev.path}: task {task.name}: no label, so no say in the choice.")
    _check_selection(experiment, without_dev)
    _check_agreement(experiment)


def _check_agreement(experiment: Experiment) -> None:
    labels = {
        task.name: list(task.head.signal_names)
        for task in experiment.tasks
        if isinstance(task.head, ReadableHead)
    }
    for task in experiment.tasks:
        for other in task.agrees.tasks:
            if other not in task.reads.tasks and labels[other] != labels[task.name]:
                raise DataError(
                    f"tasks.{task.name}.agrees_with: {other} has other labels "
                    f"({', '.join(labels[other][:5])}, …). Give both the same `labels:`, or let "
                    f"{task.name} read it (`reads: [{other}]`)."
                )


def _check_selection(experiment: Experiment, without_dev: Sequence[str]) -> None:
    select = experiment.train.select
    main = [task.name for task in experiment.tasks if not task.is_auxiliary]
    judges = main if select in ("mean", "worst") else [select]
    if all(name in without_dev for name in judges):
        raise DataError(
            f"train.select: {select}: dev holds no label of {', '.join(judges)}, so no model "
            "could be chosen. Label some rows of dev, or leave `dev:` out to cut it from train."
        )


def check_labels(task: Task, records: Records, note: Note) -> int:
    """How many records have labels of a task. Raises DataError with the faults of the others."""
    faults: list[str] = []
    num_repaired = num_labelled = 0
    for place, record in enumerate(task_records(task, records)):
        if problem := task.head.problem(record):
            faults.append(f"{records.where(place)}: task {task.name}: {problem}")
            continue
        num_repaired += task.head.repairs(record)
        num_labelled += task.head.gold(record) is not None
    if num_repaired:
        note(f"{records.path}: task {task.name}: repaired {num_repaired} labels.")
    if faults:
        more = [f"… and {len(faults) - _MAX_FAULTS} more"] if len(faults) > _MAX_FAULTS else []
        raise DataError("\n".join(faults[:_MAX_FAULTS] + more))
    return num_labelled


def task_records(task: Task, records: Records) -> Iterator[Record]:
    """The records of a split with the columns that a task reads, streamed."""
    columns = list({**task.head.view.needs, **task.head.needs})
    for some in records.batches(columns):
        yield from some


def make_model(experiment: Experiment, data: Mapping[str, Splits], note: Note) -> MultiTaskModel:
    """A new model: the encoder from its source, heads with fresh weights."""

    def texts() -> Iterator[str]:
        for tasks in experiment.tasks_by_feed().values():
            view, name = tasks[0].head.view, tasks[0].data
            for record in task_records(tasks[0], data[name].train):
                for row in view.rows(record, experiment.data[name].clean):
                    for segment in row:
                        yield segment if isinstance(segment, str) else " ".join(segment)

    encoder = experiment.source.create(texts, base=experiment.base, note=note)
    for task in experiment.tasks:
        task.head.attach(encoder.width)
    return assembled(encoder, experiment)


def assembled(encoder: Encoder, experiment: Experiment) -> MultiTaskModel:
    """The model of an encoder and the heads of an experiment."""
    tasks = experiment.tasks
    return MultiTaskModel(
        encoder,
        {task.name: task.head for task in tasks},
        {task.name: task.reads for task in tasks},
        {task.name: task.agrees for task in tasks},
    )


def split_records(data: Mapping[str, Splits]) -> dict[str, dict[str, Records]]:
    """The records of each split by data set; sets without such a split are left out there."""
    return {
        "train": {name: splits.train for name, splits in data.items()},
        "dev": {name: splits.dev for name, splits in data.items()},
        "test": {name: s.test for name, s in data.items() if s.test is not None},
        "watched": {name: s.watched for name, s in data.items() if s.watched is not None},
    }


def feed_sizes(experiment: Experiment, train: Mapping[str, Feed]) -> dict[str, FeedSize]:
    """What planning needs to know of each feed to train on.

    Raises DataError if the labels of a task to oversample are not one a record.
    """
    return {
        name: FeedSize(feed.lengths, feed.num_rows, _weights(experiment, name, feed.records))
        for name, feed in train.items()
    }


def _weights(experiment: Experiment, feed: str, records: Records) -> np.ndarray | None:
    """How often each record of a feed is drawn: the product over its tasks, None if all alike."""
    found = None
    for task in experiment.tasks_by_feed()[feed]:
        power = experiment.oversample.get(task.name)
        if power is None:
            continue
        labels = [task.head.gold(record) for record in task_records(task, records)]
        if not all(label is None or isinstance(label, str) for label in labels):
            raise DataError(
                f"mixing.oversample: task {task.name} has no single label a record, so none is rare"
            )
        weights = draw_weights(cast(Sequence[str | None], labels), power)
        found = weights if found is None else found * weights
    return found


def make_feeds(
    experiment: Experiment, model: MultiTaskModel, splits: Mapping[str, Records], *, cache: Path
) -> dict[str, Feed]:
    """One feed for each data set and view: `splits` holds the records of one split by data set."""
    return {
        name: Feed(
            name,
            splits[tasks[0].data],
            tasks[0].head.view,
            tokeniser=model.encoder.tokeniser,
            cleaning=experiment.data[tasks[0].data].clean,
            cache=cache,
        )
        for name, tasks in experiment.tasks_by_feed().items()
        if tasks[0].data in splits
    }
