"""The batch loop that everyone uses: predictions of every task for records of a feed."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch

from polytask.data.batching import by_length
from polytask.data.feed import RowSource
from polytask.heads import Prediction
from polytask.model import MultiTaskModel
from polytask.tasks import Task, make_pass

BATCH_TOKENS = 4096
"""Padded tokens of a pass at prediction: one fixed number, so that results repeat exactly."""


def predict(
    model: MultiTaskModel, source: RowSource, tasks: Sequence[Task]
) -> dict[str, list[Prediction]]:
    """Predictions by task, in the order of the records: one forward of the encoder a batch."""
    found: dict[str, list[Prediction]] = {task.name: [{}] * len(source.lengths) for task in tasks}
    for part in stream(model, source, tasks):
        for task, predictions in part.predictions.items():
            for index, prediction in zip(part.indices, predictions, strict=True):
                found[task][index] = prediction
    return found


@dataclass(frozen=True, slots=True)
class Predicted:
    """Predictions by task for the records of one batch; `indices`: their places in the source."""

    indices: list[int]
    predictions: Mapping[str, list[Prediction]]


def stream(model: MultiTaskModel, source: RowSource, tasks: Sequence[Task]) -> Iterator[Predicted]:
    """Predictions batch by batch, the longest texts first; in float32 whatever training used."""
    device = next(model.parameters()).device
    was_training = model.training
    model.eval()
    try:
        for indices in by_length(source.lengths, source.num_rows, BATCH_TOKENS):
            batch = make_pass(
                [(source, indices)],
                {source.name: tasks},
                tokeniser=model.encoder.tokeniser,
                is_training=False,
            ).to(device)
            part = batch.parts[0]
            with torch.inference_mode():
                logits = model(batch, {source.name: [task.name for task in tasks]})
            yield Predicted(
                indices.tolist(),
                {
                    task.name: task.head.decode(logits[task.name], part.records, part.inputs)
                    for task in tasks
                },
            )
    finally:
        model.train(was_training)
