"""A trained run, scored on a split of its data."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from polytask.build import (
    Experiment,
    check_labels,
    load_data,
    make_feeds,
    open_model,
    split_records,
)
from polytask.data.checks import occur_in, text_keys
from polytask.data.records import Records
from polytask.data.tables import default_cache
from polytask.errors import RunError
from polytask.evaluation.score import TaskResult, score_tasks
from polytask.model import MultiTaskModel
from polytask.training.folder import RunFolder
from polytask.training.precision import choose_device
from polytask.training.results import write_results

Split = Literal["dev", "test"]


@dataclass(frozen=True, slots=True)
class Scored:
    """Results by task; model and experiment of the run, and the records of train by data set."""

    experiment: Experiment
    results: Mapping[str, TaskResult]
    model: MultiTaskModel
    train: Mapping[str, Records]


def score_run(folder: RunFolder, split: Split, overrides: Sequence[str] = ()) -> Scored:
    """Scores the best model of a run, and writes metrics and predictions into its folder.

    With `overrides` the scores are those of other data: nothing is written. Raises PolytaskError.
    """
    if not folder.path.is_dir():
        raise RunError(f"{folder.path}: no such folder")
    if not folder.model.is_dir():
        raise RunError(f"{folder.path}: no model folder in it, so not a run that was trained")
    model, experiment = open_model(folder.model, overrides)
    model.to(choose_device(experiment.train.device))
    cache = default_cache()
    data = load_data(experiment, cache=cache)
    records = split_records(data)
    if not records[split]:
        raise RunError(f"{folder.path}: no data set names a {split} split")
    for task in experiment.tasks:
        if task.data in records[split]:
            check_labels(task, records[split][task.data], _ignore)
    train_keys = np.concatenate(
        [
            text_keys(records["train"][tasks[0].data], tasks[0].head.view)
            for tasks in experiment.tasks_by_feed().values()
        ]
    )
    results = score_tasks(
        model,
        make_feeds(experiment, model, records[split], cache=cache),
        experiment.tasks_by_feed(),
        seen=lambda feed: occur_in(text_keys(feed.records, feed.view), train_keys),
        is_final=True,
    )
    if not overrides:
        write_results(folder, split, results)
    return Scored(experiment, results, model, records["train"])


def _ignore(_note: str) -> None:
    """The notes of a run are in its journal already."""
