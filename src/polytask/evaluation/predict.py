"""The batch loop that everyone uses: predictions of every task for records of a feed."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from polytask.data.batching import by_length, pad
from polytask.data.feed import RowSource
from polytask.data.records import Indices
from polytask.data.windows import gather, whole_texts
from polytask.encoders import Encoder
from polytask.heads import Prediction, pool_mean
from polytask.model import MultiTaskModel
from polytask.processes import gathered, share
from polytask.tasks import Task, make_pass

BATCH_TOKENS = 4096
"""Padded tokens of a pass at prediction: one fixed number, so that results repeat exactly."""


def predict(
    model: MultiTaskModel, source: RowSource, tasks: Sequence[Task]
) -> dict[str, list[Prediction]]:
    """Predictions by task, in the order of the records: one forward of the encoder a batch.

    While several processes train, each computes its share of the batches and all get everything.
    """
    batches = list(by_length(source.lengths, source.num_rows, BATCH_TOKENS))
    found: dict[str, list[Prediction]] = {task.name: [{}] * len(source.lengths) for task in tasks}
    for parts in gathered(list(_stream(model, source, tasks, share(batches)))):
        for part in parts:
            for task, predictions in part.predictions.items():
                for index, prediction in zip(part.indices, predictions, strict=True):
                    found[task][index] = prediction
    return found


@dataclass(frozen=True, slots=True)
class Predicted:
    """Predictions by task for the records of one batch; `indices`: their places in the source."""

    indices: list[int]
    predictions: Mapping[str, list[Prediction]]


def _stream(
    model: MultiTaskModel, source: RowSource, tasks: Sequence[Task], batches: Sequence[Indices]
) -> Iterator[Predicted]:
    """Predictions batch by batch; in float32 whatever training used."""
    device = model.device
    was_training = model.training
    model.eval()
    try:
        for indices in batches:
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


def embed(encoder: Encoder, source: RowSource) -> np.ndarray:
    """The mean hidden state of each record, of length 1: (records, width).

    Records are of one text each; its windows, if it has several, count as one.
    """
    device, tokeniser = next(encoder.parameters()).device, encoder.tokeniser
    filler = {"pad_id": tokeniser.pad_id, "segment": tokeniser.second_segment}
    found = np.zeros((len(source.lengths), encoder.width), np.float32)
    was_training = encoder.training
    encoder.eval()
    try:
        for indices in by_length(source.lengths, source.num_rows, BATCH_TOKENS):
            rows = source.rows(indices)
            with torch.inference_mode():
                inputs = pad(rows, **filler).to(device)
                hidden = encoder(inputs)
                if any(rows.continues):
                    texts, places = whole_texts(rows, **filler)
                    inputs, hidden = texts.to(device), gather(hidden, places.to(device))
                vectors = pool_mean(hidden, inputs.mask).float()
            found[indices] = torch.nn.functional.normalize(vectors, dim=1).cpu().numpy()
    finally:
        encoder.train(was_training)
    return found
