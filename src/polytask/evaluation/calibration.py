"""Probabilities made true on dev, and how true they are."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from polytask.data.batching import by_length
from polytask.data.feed import Feed
from polytask.evaluation.predict import BATCH_TOKENS, answered
from polytask.heads import Chance, Gold, Prediction, ProbableHead
from polytask.metrics.calibration import Reliability
from polytask.model import MultiTaskModel
from polytask.tasks import Task


@dataclass(frozen=True, slots=True)
class Calibration:
    """How true the probabilities of a task are as they are stated, and as training left them."""

    before: Reliability
    after: Reliability

    def to_json(self) -> dict[str, object]:
        """Plain values."""
        return {"before": self.before.to_json(), "after": self.after.to_json()}


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
                inputs = part.inputs.to(torch.device("cpu"))
                targets = {
                    key: target.to(model.device)
                    for key, target in head.targets(part.records, inputs).items()
                }
                if head.count(targets):
                    with torch.inference_mode():
                        evidence[task].append(head.evidence(logits[task], targets))
        for task, head in heads.items():
            if evidence[task]:
                found[task] = head.calibrate(evidence[task])
    return found


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
