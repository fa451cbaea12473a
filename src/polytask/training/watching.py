"""Losses on rows set apart from train, for a balancing that follows them."""

from collections.abc import Mapping

import numpy as np

from polytask.build import Experiment
from polytask.data.batching import Pass
from polytask.data.feed import Feed
from polytask.model import MultiTaskModel
from polytask.training.batches import Batches


class Watched:
    """Draws a pass of each feed for every step, as large as passes of training."""

    def __init__(
        self, model: MultiTaskModel, feeds: Mapping[str, Feed], experiment: Experiment
    ) -> None:
        self._batches = Batches(model, feeds, experiment.tasks_by_feed())
        self._tokens = experiment.train.batch_tokens
        self._seed = experiment.train.seed

    def draw(self, step: int) -> list[Pass]:
        """This process's part of the passes of a step, which depend on its number alone."""
        generator = np.random.default_rng([self._seed, step])
        plan = []
        for name, feed in self._batches.feeds.items():
            order = generator.permutation(len(feed))
            longest = np.maximum.accumulate(feed.lengths[order])
            num = int((np.cumsum(feed.num_rows[order]) * longest <= self._tokens).sum())
            plan.append(((name, order[: max(num, 1)]),))
        return self._batches.own(tuple(plan))
