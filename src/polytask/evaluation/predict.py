"""The batch loop that everyone uses: predictions of every task for records of a feed."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TypeVar, cast

import numpy as np
import torch
from torch import Tensor

from polytask.data.batching import Inputs, Part, by_length, pad
from polytask.data.feed import RowSource
from polytask.data.records import Indices, Record
from polytask.data.windows import gather, whole_texts
from polytask.encoders import Encoder
from polytask.evaluation.risk import decoder
from polytask.heads import Prediction, pool_mean
from polytask.model import MultiTaskModel
from polytask.processes import gathered, share
from polytask.tasks import Task, make_pass

Name = TypeVar("Name")
Made = TypeVar("Made")

BATCH_TOKENS = 4096
"""Padded tokens of a pass at prediction: one fixed number, so that results repeat exactly."""


def predict(
    model: MultiTaskModel, source: RowSource, tasks: Sequence[Task]
) -> dict[str, list[Prediction]]:
    """Predictions by task, in the order of the records: one forward of the encoder a batch.

    While several processes train, each computes its share of the batches and all get everything.
    """
    return decoded(model, source, tasks, {task.name: (task, decoder(task)) for task in tasks})


def decoded(
    model: MultiTaskModel,
    source: RowSource,
    tasks: Sequence[Task],
    decoders: Mapping[Name, tuple[Task, Callable[[Tensor, Sequence[Record], Inputs], list[Made]]]],
) -> dict[Name, list[Made]]:
    """What each decoder, by its name, makes of the logits of a task; otherwise as `predict`."""
    batches = list(by_length(source.lengths, source.num_rows, BATCH_TOKENS))
    num = len(source.lengths)
    found: dict[Name, list[Made]] = {name: [cast(Made, None)] * num for name in decoders}
    mine = [
        (
            part.indices.tolist(),
            {
                name: decode(logits[task.name], part.records, part.inputs)
                for name, (task, decode) in decoders.items()
            },
        )
        for part, logits in answered(model, source, tasks, share(batches))
    ]
    for parts in gathered(mine):
        for indices, by_name in parts:
            for name, predictions in by_name.items():
                for index, prediction in zip(indices, predictions, strict=True):
                    found[name][index] = prediction
    return found


def answered(
    model: MultiTaskModel, source: RowSource, tasks: Sequence[Task], batches: Sequence[Indices]
) -> Iterator[tuple[Part, dict[str, Tensor]]]:
    """Batches, and their logits by task; in float32 whatever training used."""
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
            with torch.inference_mode():
                logits = model(batch, {source.name: [task.name for task in tasks]})
            yield batch.parts[0], logits
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
