"""Runs that differ in their seed alone, scored on test: the whole of it, and without some rows."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from polytask.build import load_data, read_experiment, task_records
from polytask.data.tables import default_cache
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
    """By task. What was scored before, for this model and these rows, is used again.

    A headline without a value, such as the correlation of constant answers, counts as 0.
    """
    models: dict[str, list[tuple[float, Sequence[float]]]] = {task: [] for task in tasks}
    metrics: dict[str, str] = {}
    for one in runs:
        rows = _test_rows(one)
        if any(_read(one, task, rows) is None for task in tasks):
            _score(one, tasks, rows)
        for task in tasks:
            held = _read(one, task, rows)
            assert held is not None  # noqa: S101
            models[task].append((held["score"], held["without_a_group"]))
            metrics[task] = held["metric"]
    return {task: Judged(metrics[task], Sample.of(models[task])) for task in tasks}


def _test_rows(planned: Planned) -> Mapping[str, str]:
    """By task, what tells the content of its test rows."""
    experiment = read_experiment(planned.path, planned.overrides)
    data = load_data(experiment, cache=default_cache())
    tests = {task.name: data[task.data].test for task in experiment.tasks}
    return {task: test.fingerprint for task, test in tests.items() if test is not None}


def _read(planned: Planned, task: str, rows: Mapping[str, str]) -> dict[str, Any] | None:
    file = _file(planned, task)
    if not file.is_file():
        return None
    held: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return held if held["rows"] == rows[task] else None


def _score(planned: Planned, tasks: Sequence[str], rows: Mapping[str, str]) -> None:
    scored = score_run(planned.run, "test")
    for task in scored.experiment.tasks:
        if task.name in tasks:
            parts = {"rows": rows[task.name], **_parts(task, scored.results[task.name])}
            with writing(planned.folder):
                write_synced(_file(planned, task.name), json.dumps(parts))


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
