"""Runs that differ in their seed alone, scored on test: the whole of it, and without some rows."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np

from polytask.build import task_records
from polytask.evaluation.score import TaskResult
from polytask.studies.runs import Planned
from polytask.studies.significance import Sample, in_parts
from polytask.tasks import Task
from polytask.training.checkpoint import write_synced, writing
from polytask.training.scored import score_run


@dataclass(frozen=True, slots=True)
class Judged:
    """The headline of a task on test: its name, and its values over seeds."""

    metric: str
    sample: Sample


def judge(runs: Sequence[Planned], tasks: Sequence[str]) -> dict[str, Judged]:
    """By task. What was scored before, for the model that is there, is used again.

    A headline without a value, such as the correlation of constant answers, counts as 0.
    """
    for one in runs:
        if not all(_file(one, task).is_file() for task in tasks):
            _score(one, tasks)
    found = {}
    for task in tasks:
        read = [json.loads(_file(one, task).read_text(encoding="utf-8")) for one in runs]
        parts = [(held["score"], held["without_a_group"]) for held in read]
        found[task] = Judged(cast(str, read[0]["metric"]), Sample.of(parts))
    return found


def _score(planned: Planned, tasks: Sequence[str]) -> None:
    scored = score_run(planned.run, "test")
    for task in scored.experiment.tasks:
        if task.name in tasks:
            text = json.dumps(_parts(task, scored.results[task.name]))
            with writing(planned.folder):
                write_synced(_file(planned, task.name), text)


def _parts(task: Task, result: TaskResult) -> Mapping[str, object]:
    golds = [task.head.gold(record) for record in task_records(task, result.feed.records)]
    pairs = [
        (gold, found)
        for gold, found in zip(golds, result.predictions, strict=True)
        if gold is not None
    ]

    def score(places: np.ndarray) -> float:
        kept = [pairs[place] for place in places]
        value = task.head.score([gold for gold, _ in kept], [found for _, found in kept])
        return 0.0 if math.isnan(value.headline[1]) else value.headline[1]

    whole, without = in_parts(score, len(pairs))
    return {"metric": result.scores.headline[0], "score": whole, "without_a_group": without}


def _file(planned: Planned, task: str) -> Path:
    """Beside the predictions, with which it goes when another model takes their place."""
    return planned.run.predictions("test", task).with_suffix(".parts.json")
