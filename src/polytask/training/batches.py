"""From the plan of a step to the passes of this process."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from polytask.data.batching import Part, Pass
from polytask.data.feed import Feed
from polytask.data.records import Indices
from polytask.mixing.steps import PassPlan, StepPlan
from polytask.model import MultiTaskModel
from polytask.processes import num, place
from polytask.tasks import Task, make_pass
from polytask.training.sharding import is_sharded


class Batches:
    """Makes passes of the records of `feeds`; `tasks` are those of each feed."""

    def __init__(
        self,
        model: MultiTaskModel,
        feeds: Mapping[str, Feed],
        tasks: Mapping[str, Sequence[Task]],
    ) -> None:
        self._model = model
        self.feeds = feeds
        self._tasks = tasks

    def make(self, picks: Sequence[tuple[str, Indices]]) -> Pass:
        """One pass over these records."""
        return make_pass(
            [(self.feeds[name], indices) for name, indices in picks],
            self._tasks,
            tokeniser=self._model.encoder.tokeniser,
        )

    def where(self, feed: str, index: int) -> str:
        """The file and line of a record."""
        return self.feeds[feed].records.where(index)

    def own(self, plan: StepPlan) -> list[Pass]:
        """This process's part of each pass: of the records of each feed every so manieth."""
        found = [self._own(batch) for batch in plan]
        return [batch for batch in found if batch is not None]

    def _own(self, batch: PassPlan) -> Pass | None:
        shares = [(name, indices[place() :: num()]) for name, indices in batch]
        shares = [(name, indices) for name, indices in shares if len(indices)]
        if shares:
            return self.make(shares)
        if not is_sharded(self._model.encoder):
            return None
        name, indices = batch[0]
        found = self.make([(name, indices[:1])])  # since every process must run the encoder
        return replace(found, parts=tuple(map(_without_records, found.parts)))


def _without_records(part: Part) -> Part:
    return replace(part, records=(), indices=np.zeros(0, np.int64), targets={})
