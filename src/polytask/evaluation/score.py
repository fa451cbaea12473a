"""Scores of every task on one split, and the same without rows that stand in the training data."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from polytask.build import task_records
from polytask.data.feed import Feed
from polytask.evaluation.calibration import Calibration, probable, reliability
from polytask.evaluation.predict import decoded
from polytask.evaluation.risk import decoder, given
from polytask.heads import Decode, Gold, Prediction, Scores, raw
from polytask.model import MultiTaskModel
from polytask.tasks import Task


@dataclass(frozen=True, slots=True)
class TaskResult:
    """Predictions of one task for every record of a feed, and their scores.

    `unseen` scores only records whose text does not occur in any training split; None where every
    record is unseen or that was not asked for. `calibration` is None for tasks without
    probabilities, and where it was not asked for.
    """

    feed: Feed
    predictions: Sequence[Prediction]
    scores: Scores
    unseen: Scores | None = None
    calibration: Calibration | None = None


def score_tasks(
    model: MultiTaskModel,
    feeds: Mapping[str, Feed],
    tasks: Mapping[str, Sequence[Task]],
    *,
    seen: Callable[[Feed], np.ndarray] | None = None,
    tune: bool = False,
    is_final: bool = False,
) -> dict[str, TaskResult]:
    """Scores by task over the feeds of one split; `tasks` names the tasks of each feed.

    `seen` tells for a feed which of its records occur in training data: (records,), true or false.
    `tune` lets the heads fit themselves to this split, which must be dev, before they are scored.
    `is_final` asks how true their probabilities are, with and without what dev taught them.
    """
    results: dict[str, TaskResult] = {}
    for name, feed in feeds.items():
        stating = [(task, head) for task in tasks[name] if is_final and (head := probable(task))]
        decoders: dict[tuple[str, bool], tuple[Task, Decode]] = {
            (task.name, False): (task, decoder(task)) for task in tasks[name]
        }
        decoders |= {(task.name, True): (task, raw(head)) for task, head in stating}
        predictions = decoded(model, feed, tasks[name], decoders)
        is_seen = seen(feed) if seen else np.zeros(len(feed), bool)
        for task in tasks[name]:
            golds = [task.head.gold(record) for record in task_records(task, feed.records)]
            found: Sequence[Prediction] = predictions[task.name, False]
            if tune:
                found = task.head.tune(golds, found)
            results[task.name] = _result(task, feed, golds, found, is_seen)
        for task, head in stating:
            golds = [task.head.gold(record) for record in task_records(task, feed.records)]
            before, after = (
                reliability(head, golds, predictions[task.name, is_raw]) for is_raw in (True, False)
            )
            told = Calibration(before, after, given(head, golds, predictions[task.name, False]))
            results[task.name] = replace(results[task.name], calibration=told)
    return results


def _result(
    task: Task,
    feed: Feed,
    golds: Sequence[Gold | None],
    predictions: Sequence[Prediction],
    is_seen: np.ndarray,
) -> TaskResult:
    labelled = [i for i, gold in enumerate(golds) if gold is not None]
    fresh = [i for i in labelled if not is_seen[i]]

    def scores(places: Sequence[int]) -> Scores:
        return task.head.score([golds[i] for i in places], [predictions[i] for i in places])

    return TaskResult(
        feed=feed,
        predictions=predictions,
        scores=scores(labelled),
        unseen=scores(fresh) if len(fresh) < len(labelled) else None,
    )
