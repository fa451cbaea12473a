"""The passes of a step: forwards of the model, the same again when asked for again."""

from collections.abc import Iterator, Mapping, Sequence

import torch
from torch import Tensor

from polytask.balancing import Passes, PassLosses
from polytask.data.batching import Part, Pass
from polytask.model import MultiTaskModel
from polytask.processes import sums
from polytask.training.mixed_precision import MixedPrecision
from polytask.training.random import random_state, set_random_state
from polytask.training.sharding import is_sharded


class StepPasses(Passes):
    """The losses of a model over some batches, each divided by its targets in all of them.

    Of several processes each has its own rows, and `counts` and `losses` are those of all. names:
    the tasks of each feed. counts: targets by task, of the tasks that have some.
    """

    def __init__(
        self,
        model: MultiTaskModel,
        batches: Sequence[Pass],
        names: Mapping[str, Sequence[str]],
        *,
        device: torch.device,
        mixed: MixedPrecision,
    ) -> None:
        self.counts = _count_targets(model, batches)
        self._num_rows = _count_rows(model, batches)
        self._nothing = next(iter(self.counts), "")
        self._losses: dict[str, float] = {}
        self._model = model
        self._batches = batches
        self._names = names
        self._device = device
        self._mixed = mixed
        self._random: dict[str, Tensor] = {}

    @property
    def tasks(self) -> Sequence[str]:
        """The tasks with targets."""
        return list(self.counts)

    def losses(self) -> dict[str, float]:
        """Mean losses by task of the first run through the passes; all processes must ask."""
        return sums(self._losses, self.tasks)

    def __iter__(self) -> Iterator[PassLosses]:
        """A forward a pass, behind the generators as they stood the first time.

        Another run through the passes leaves the generators as it found them.
        """
        before = random_state(self._device)
        is_first = not self._random
        if is_first:
            self._random = before
        else:
            set_random_state(self._random, self._device)
        try:
            for batch in self._batches:
                found = self._forward(batch.to(self._device))
                if is_first:
                    for task in found:
                        loss = float(found[task].detach())
                        self._losses[task] = self._losses.get(task, 0.0) + loss
                if found:
                    yield found
                del found  # and with it the graph, before the next pass makes another
        finally:
            if not is_first:
                set_random_state(before, self._device)

    def again(self) -> dict[str, float]:
        """Mean losses by task of another run, without gradients."""
        found: dict[str, float] = {}
        with torch.no_grad():
            for losses in self:
                for task in losses:
                    found[task] = found.get(task, 0.0) + float(losses[task])
        return sums(found, self.tasks)

    def _forward(self, batch: Pass) -> dict[str, Tensor]:
        with self._mixed.autocast:
            hidden = self._model.encoder(batch.inputs)
            logits = self._model.read(hidden, batch, self._names)
        found = {
            task: self._mixed.scaled(self._loss(task, hidden, part, logits))
            for part in batch.parts
            for task in part.targets
            if task in self.counts
        }
        if not found and self.counts and is_sharded(self._model.encoder):
            return {self._nothing: 0 * hidden.sum()}  # no process may leave out a backward
        return found

    def _loss(self, task: str, hidden: Tensor, part: Part, logits: Mapping[str, Tensor]) -> Tensor:
        total: Tensor = self._model.head(task).loss(logits[task], part.targets[task])
        loss = total / self.counts[task]
        if task not in self._model.agrees:
            return loss
        apart = self._model.disagreement(task, hidden, part, logits) / self._num_rows[task]
        return loss + self._model.agrees[task].weight * apart


def _count_rows(model: MultiTaskModel, batches: Sequence[Pass]) -> dict[str, float]:
    """Rows by task, of the tasks that are to agree with others."""
    rows: dict[str, float] = {}
    for batch in batches:
        for part in batch.parts:
            for task in part.targets:
                rows[task] = rows.get(task, 0.0) + len(part.inputs.mask)
    return sums(rows, list(model.agrees))


def _count_targets(model: MultiTaskModel, batches: Sequence[Pass]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for batch in batches:
        for part in batch.parts:
            for task, targets in part.targets.items():
                counts[task] = counts.get(task, 0) + model.head(task).count(targets)
    of_all = sums(counts, model.tasks)
    return {task: int(count) for task, count in of_all.items() if count}
