"""Which steps a run takes: the rounds that its mixer shares out among the feeds."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from statistics import fmean

from polytask.build import Experiment
from polytask.mixing import Drawn, Progress
from polytask.mixing.steps import FeedSize, Round, StepPlan, plan_round, whole_counts
from polytask.training.position import Position


class Rounds:
    """Plans each round from the position alone, and tells the mixer what it brought."""

    def __init__(self, experiment: Experiment, feeds: Mapping[str, FeedSize]) -> None:
        self._feeds = feeds
        self._sizes = {name: len(feed.lengths) for name, feed in feeds.items()}
        self._mixer = experiment.mixer
        self._options = experiment.train
        self._tasks = {
            feed: [task.name for task in tasks]
            for feed, tasks in experiment.tasks_by_feed().items()
        }
        self._num_epochs = self._epochs_in_all()

    def begin(self, at: Position) -> list[StepPlan]:
        """The steps of the round that the position is in; its counts are decided when it begins."""
        if not at.counts:
            at.seen = at.seen or dict.fromkeys(self._sizes, 0)
            at.counts = self._counts(at)
            if not at.num_steps:
                at.num_steps = self._expected_steps(at)
        return self._plan(at)

    def is_last(self, at: Position) -> bool:
        """Whether the round is the last of its epoch."""
        return at.round + 1 == self._mixer.num_rounds

    def end(self, at: Position) -> None:
        """Tells the mixer what the round brought, and goes on to the next."""
        losses = {feed: total / num for feed, (total, num) in at.losses.items()}
        self._mixer.learn(Drawn(at.counts, losses))
        at.seen = {name: at.seen[name] + count for name, count in at.counts.items()}
        at.counts, at.losses, at.index = {}, {}, 0
        at.epoch, at.round = (at.epoch + 1, 0) if self.is_last(at) else (at.epoch, at.round + 1)

    def note_losses(self, at: Position, losses: Mapping[str, float]) -> None:
        """Adds the losses of a step to those of the round, by feed the mean over its tasks."""
        for feed, tasks in self._tasks.items():
            found = [losses[task] for task in tasks if task in losses]
            if found:
                total, num = at.losses.get(feed, (0.0, 0))
                at.losses[feed] = (total + fmean(found), num + 1)

    def passes(self, at: Position, steps: Sequence[StepPlan]) -> dict[str, float]:
        """How many times each feed has been seen, `index` of these steps of the round included."""
        seen = Counter(at.seen)
        for step in steps[: at.index]:
            for batch in step:
                for name, indices in batch:
                    seen[name] += len(indices)
        return {name: seen[name] / size for name, size in self._sizes.items()}

    def _counts(self, at: Position) -> dict[str, int]:
        num_rounds, total = self._mixer.num_rounds, sum(self._sizes.values())
        num = total * (at.round + 1) // num_rounds - total * at.round // num_rounds
        progress = Progress(at.epoch, self._num_epochs, at.round)
        return whole_counts(self._mixer.shares(self._sizes, progress), num)

    def _epochs_in_all(self) -> float:
        """As many as asked for, or as `max_steps` have room for."""
        if not self._options.max_steps:
            return self._options.epochs
        whole = Position(counts=self._sizes, seen=dict.fromkeys(self._sizes, 0))
        return min(self._options.epochs, self._options.max_steps / len(self._plan(whole)))

    def _plan(self, at: Position) -> list[StepPlan]:
        number = at.epoch * self._mixer.num_rounds + at.round
        return plan_round(
            self._feeds,
            Round(number, at.counts, at.seen),
            batch_tokens=self._options.batch_tokens,
            accumulate=self._options.accumulate,
            seed=self._options.seed,
        )

    def _expected_steps(self, at: Position) -> int:
        """Steps of the whole run, if the mixer learns nothing more."""
        ahead = replace(at, counts=dict(at.counts))
        num_steps = at.step - at.index
        while ahead.epoch < self._options.epochs:
            ahead.counts = self._counts(ahead)
            num_steps += len(self._plan(ahead))
            if self._options.max_steps and num_steps >= self._options.max_steps:
                return self._options.max_steps
            ahead.seen = {name: ahead.seen[name] + num for name, num in ahead.counts.items()}
            is_last = self.is_last(ahead)
            ahead.epoch, ahead.round = (ahead.epoch + is_last, 0 if is_last else ahead.round + 1)
        return num_steps
