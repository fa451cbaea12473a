"""Probabilities made true on dev, and how true they are."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import cast

import numpy as np
import torch
from torch import Tensor

from polytask.build import task_records
from polytask.data.batching import Part, by_length
from polytask.data.feed import Feed
from polytask.evaluation.predict import BATCH_TOKENS, answered, predict
from polytask.evaluation.risk import Given, fit_risk
from polytask.heads import Chance, Gold, Head, Prediction, ProbableHead, ScopedHead, Seen
from polytask.metrics.calibration import Reliability
from polytask.model import MultiTaskModel
from polytask.tasks import Task


@dataclass(frozen=True, slots=True)
class Calibration:
    """How true the probabilities of a task are as they are stated, and as training left them.

    given: with `risk:`, how many answers are sure and how many of these wrong.
    """

    before: Reliability
    after: Reliability
    given: Given | None

    def to_json(self) -> dict[str, object]:
        """Plain values."""
        return asdict(self)


def probable(task: Task) -> ProbableHead | None:
    """The head of a task if its predictions hold probabilities."""
    head = task.head
    return head if isinstance(head, ProbableHead) and head.is_probable else None


def calibrate(
    model: MultiTaskModel, feeds: Mapping[str, Feed], tasks: Mapping[str, Sequence[Task]]
) -> dict[str, str]:
    """Makes the probabilities of all heads true on the feeds of dev; says by task what it found.

    `tasks` names the tasks of each feed. Heads without any label in dev stay as they are.
    """
    found: dict[str, str] = {}
    for name, feed in feeds.items():
        heads = {task.name: head for task in tasks[name] if (head := probable(task)) is not None}
        evidence: dict[str, list[np.ndarray]] = {task: [] for task in heads}
        batches = list(by_length(feed.lengths, feed.num_rows, BATCH_TOKENS)) if heads else []
        for part, logits in answered(model, feed, tasks[name], batches):
            for task, head in heads.items():
                targets = _targets(head, part, model.device)
                if head.count(targets):
                    with torch.inference_mode():
                        evidence[task].append(head.evidence(logits[task], targets))
        for task, head in heads.items():
            if evidence[task]:
                found[task] = head.calibrate(evidence[task])
    return found


def fit_scopes(
    model: MultiTaskModel,
    train: Mapping[str, Feed],
    dev: Mapping[str, Feed],
    tasks: Mapping[str, Sequence[Task]],
) -> dict[str, str]:
    """Lets heads that tell texts out of scope learn from train and dev; says what they found."""
    found: dict[str, str] = {}
    for name in train:
        for task in tasks[name]:
            head = task.head
            if isinstance(head, ScopedHead) and head.scope is not None:
                seen = [_seen(model, feed, task, head) for feed in (train[name], dev[name])]
                found[task.name] = head.scope.to("cpu").fit(*seen)
                head.scope.to(model.device)
    return found


def fit_risks(
    model: MultiTaskModel, dev: Mapping[str, Feed], tasks: Mapping[str, Sequence[Task]]
) -> dict[str, str]:
    """Lets tasks with `risk:` learn on dev which answers are sure; says what they found."""
    found: dict[str, str] = {}
    for name, feed in dev.items():
        risky = [task for task in tasks[name] if task.risk is not None]
        predictions = predict(model, feed, risky) if risky else {}
        for task in risky:
            golds = [task.head.gold(record) for record in task_records(task, feed.records)]
            head, risk = cast(ProbableHead, task.head), cast(float, task.risk)
            found[task.name] = fit_risk(head, golds, predictions[task.name], risk)
    return found


def _seen(model: MultiTaskModel, feed: Feed, task: Task, head: ScopedHead) -> Seen:
    batches = list(by_length(feed.lengths, feed.num_rows, BATCH_TOKENS))
    return Seen.joined(
        [
            head.seen(logits[task.name], _targets(head, part, model.device))
            for part, logits in answered(model, feed, [task], batches)
        ]
    )


def _targets(head: Head, part: Part, device: torch.device) -> dict[str, Tensor]:
    inputs = part.inputs.to(torch.device("cpu"))
    targets = head.targets(part.records, inputs)
    return {name: target.to(device) for name, target in targets.items()}


def reliability(
    head: ProbableHead, golds: Sequence[Gold | None], predictions: Sequence[Prediction]
) -> Reliability:
    """How true the probabilities of predictions are; gold is None where a record has none."""
    chances: list[Chance] = [
        chance
        for gold, prediction in zip(golds, predictions, strict=True)
        if gold is not None
        for chance in head.chances(gold, prediction)
    ]
    return Reliability.of(chances)
