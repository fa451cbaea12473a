"""The training loop: draws steps, balances losses, keeps the best model by dev."""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch

from polytask.balancing import Setting
from polytask.build import Experiment, feed_sizes
from polytask.config.options import Precision
from polytask.data.batching import Pass
from polytask.data.feed import Feed
from polytask.errors import TrainingError
from polytask.evaluation.score import TaskResult, score_tasks
from polytask.mixing.steps import StepPlan, apart
from polytask.model import MultiTaskModel
from polytask.processes import alone, gathered, make_same, sums
from polytask.training import sharding
from polytask.training.batches import Batches
from polytask.training.guard import NO_TASK, find_culprit
from polytask.training.lookahead import LookAhead
from polytask.training.looks import Gradients, Looks
from polytask.training.mixed_precision import MixedPrecision
from polytask.training.observer import EvaluationReport, Look, Observer, StepReport
from polytask.training.optim import (
    clip_gradients,
    make_optimizer,
    schedule_factor,
    set_learning_rate,
    sum_up_gradients,
)
from polytask.training.passes import StepPasses
from polytask.training.position import Position
from polytask.training.rounds import Rounds
from polytask.training.selection import selected
from polytask.training.watching import Watched

ENCODER = "(encoder)"
"""Stands for the encoder among the names of tasks; no task can be called so."""


@dataclass(frozen=True, slots=True)
class Hooks:
    """What the loop calls outside itself.

    keep_best: when dev says so. after_step: may save; true stops the run. rollback: takes back the
    weights of the newest checkpoint. after_evaluation: may save.
    """

    keep_best: Callable[[Mapping[str, TaskResult]], None]
    after_step: Callable[[], bool]
    rollback: Callable[[], None]
    after_evaluation: Callable[[], None] = lambda: None


class Loop:
    """Trains one model on all the tasks of an experiment."""

    def __init__(
        self,
        experiment: Experiment,
        model: MultiTaskModel,
        *,
        train: Mapping[str, Feed],
        dev: Mapping[str, Feed],
        watched: Mapping[str, Feed] | None = None,
        precision: Precision,
        device: torch.device,
        observers: Sequence[Observer],
    ) -> None:
        self.experiment = experiment
        self.model = model.to(device)
        make_same(list(model.state_dict().values()))
        if experiment.train.gradient_checkpointing:
            model.encoder.recompute_activations()
        if sharding.is_asked():
            sharding.shard(model, device)
        self.position = Position()
        self.optimizer = make_optimizer(model, experiment.optimizer, experiment.tasks)
        max_norm = experiment.optimizer.max_norm
        ahead = partial(LookAhead, self.optimizer, max_norm=max_norm)
        self._looks = Looks(model, experiment.train, self._apart, ahead)
        self._tasks = experiment.tasks_by_feed()
        self._batches = Batches(model, train, self._tasks)
        self._names = {feed: [task.name for task in tasks] for feed, tasks in self._tasks.items()}
        self.notes = experiment.balancer.attach(
            Setting(
                {name: model.head(name).num_classes for name in model.tasks},
                list(self._names.values()),
                model.encoder,
                list(model.heads.parameters()),
                is_mixed=precision != "float32",
            )
        )
        differentiated = dict.fromkeys([*model.parameters(), *experiment.balancer.parameters])
        self.mixed = MixedPrecision(precision, device, differentiated)
        self._rounds = Rounds(experiment, feed_sizes(experiment, train))
        self.train = train
        self.dev = dev
        self._watched = Watched(model, watched or {}, experiment)
        self.device = device
        self._observers = observers
        self._clipped = {
            ENCODER: list(model.encoder.parameters()),
            **{name: list(model.head(name).parameters()) for name in model.tasks},
        }

    @property
    def num_steps(self) -> int:
        """The steps that the run is expected to have in all."""
        return self.position.num_steps

    def run(self, hooks: Hooks) -> bool:
        """Trains from the present position to the end; false if it was stopped before."""
        at = self.position
        self.model.train()
        while at.epoch < self.experiment.train.epochs and not self._is_over():
            steps = self._rounds.begin(at)
            while at.index < len(steps) and not self._is_full():
                self._step(steps[at.index], hooks)
                at.index += 1
                at.step += 1
                if hooks.after_step():
                    return False
            is_epoch = self._rounds.is_last(at) or self._is_full()
            if is_epoch:
                self._evaluate(hooks, self._rounds.passes(at, steps))
            self._rounds.end(at)
            if is_epoch:
                hooks.after_evaluation()
        return True

    def _is_full(self) -> bool:
        max_steps = self.experiment.train.max_steps
        return max_steps is not None and self.position.step >= max_steps

    def _is_over(self) -> bool:
        patience = self.experiment.train.patience
        is_stale = patience is not None and self.position.num_worse >= patience
        is_scored = self.position.index == 0  # a run stopped at its last step still is to be
        return is_stale or (is_scored and self._is_full())

    def _step(self, plan: StepPlan, hooks: Hooks) -> None:
        started = time.perf_counter()
        if self.experiment.balancer.is_apart:
            plan = apart(plan)
        batches = self._batches.own(plan)
        passes = self._passes(batches)
        factor = schedule_factor(self.position.step, self.num_steps, self.experiment.schedule)
        set_learning_rate(self.optimizer, factor)
        balancer = self.experiment.balancer
        if balancer.watch_share is not None:
            balancer.watch(self._watched_losses())
        weights = balancer.backward(passes)
        sum_up_gradients(self.model)
        losses = passes.losses()
        looks, at = self._looks, self.position
        is_due = looks.is_due(at.step) and bool(passes.tasks)
        seen = looks.gradients(plan, at.step, self.device) if is_due else None
        norms = dict(
            zip(
                self._clipped,
                clip_gradients(list(self._clipped.values()), self.experiment.optimizer.max_norm),
                strict=True,
            )
        )
        if not all(map(math.isfinite, [*losses.values(), *norms.values()])):
            self._not_finite(batches, losses, hooks)
            look = None
        else:
            at.num_skipped = 0
            self.mixed.keep()
            self.optimizer.step()
            self._rounds.note_losses(at, losses)
            look = self._look_back(passes, seen)
        self.optimizer.zero_grad()
        looking = look or seen
        seconds = time.perf_counter() - started - (looking.seconds if looking else 0.0)
        self._report(batches, passes, weights, norms, look, seconds)

    def _watched_losses(self) -> dict[str, float]:
        self.model.eval()
        losses = self._passes(self._watched.draw(self.position.step)).again()
        self.model.train()
        return losses

    def _look_back(self, passes: StepPasses, seen: Gradients | None) -> Look | None:
        """Tells the balancer, and those who watch, the losses of the same rows behind the step."""
        balancer, started = self.experiment.balancer, time.perf_counter()
        if not balancer.looks_back and seen is None:
            return None
        after = passes.again()
        if balancer.looks_back and all(map(math.isfinite, after.values())):
            balancer.look_back(after)
        if seen is None:
            return None
        group = self.optimizer.param_groups[0]
        rate = self.experiment.optimizer.lr * group["lr"] / group["peak_lr"]
        seconds = 0.0 if balancer.looks_back else time.perf_counter() - started
        return self._looks.look(seen, passes.losses(), after, rate=rate, seconds=seconds)

    def _apart(self, plan: StepPlan) -> StepPasses:
        return self._passes(self._batches.own(apart(plan)))

    def _passes(self, batches: Sequence[Pass]) -> StepPasses:
        return StepPasses(self.model, batches, self._names, device=self.device, mixed=self.mixed)

    def _not_finite(
        self, passes: Sequence[Pass], losses: Mapping[str, float], hooks: Hooks
    ) -> None:
        options, at = self.experiment.train, self.position
        self.optimizer.zero_grad()
        if self.mixed.lower(losses):
            self._note(
                f"step {at.step + 1}: a gradient is too large for fp16. The step is skipped; "
                f"losses are scaled by {self.mixed.scale:g} from here."
            )
            return
        message = f"step {at.step + 1}: {self._culprit(passes)}"
        if options.on_nan == "raise":
            raise TrainingError(f"{message}. The weights were not changed by this step.")
        at.num_skipped += 1
        if at.num_skipped > options.max_skipped:
            raise TrainingError(f"{message}. {at.num_skipped} steps in a row could not be used.")
        self._note(f"{message}. The step is skipped.")
        if options.on_nan == "rollback":
            hooks.rollback()

    def _note(self, text: str) -> None:
        for observer in self._observers:
            observer.note(text)

    def _culprit(self, passes: Sequence[Pass]) -> str:
        if sharding.is_sharded(self.model.encoder):
            return "a loss or gradient is not finite"
        with alone():
            found = find_culprit(
                self.model,
                passes,
                losses=lambda batch: next(iter(self._passes([batch])), {}),
                where=self._batches.where,
                remake=lambda feed, index: self._batches.make([(feed, np.array([index]))]),
            )
        return min(gathered(found), key=lambda text: NO_TASK in text)

    def _evaluate(self, hooks: Hooks, passes: Mapping[str, float]) -> None:
        results = score_tasks(self.model, self.dev, self._tasks, tune=True)
        scores = {task.name: results[task.name].scores for task in self.experiment.tasks}
        at = self.position
        score = selected(scores, self.experiment.tasks, self.experiment.train.select)
        headlines = {name: scores[name].headline[1] for name in scores if scores[name].count}
        self.experiment.mixer.judge(
            {
                feed: {name: headlines[name] for name in names if name in headlines}
                for feed, names in self._names.items()
            }
        )
        is_best = score > at.best or at.best == -math.inf
        if is_best:
            at.best, at.best_step, at.num_worse = score, at.step, 0
            hooks.keep_best(results)
        else:
            at.num_worse += 1
        report = EvaluationReport(at.step, at.epoch + 1, scores, score, is_best, passes)
        for observer in self._observers:
            observer.evaluation(report)

    def _report(
        self,
        batches: Sequence[Pass],
        passes: StepPasses,
        weights: Mapping[str, float],
        norms: Mapping[str, float],
        look: Look | None,
        seconds: float,
    ) -> None:
        sizes = {
            "num_examples": sum(len(part.records) for batch in batches for part in batch.parts),
            "num_tokens": sum(int(batch.inputs.mask.sum()) for batch in batches),
            "num_padded": sum(batch.inputs.mask.numel() for batch in batches),
        }
        report = StepReport(
            step=self.position.step + 1,
            num_steps=self.num_steps,
            epoch=self.position.epoch + 1,
            losses=passes.losses(),
            weights=weights,
            counts=passes.counts,
            learning_rate=self.optimizer.param_groups[0]["lr"],
            gradient_norms=norms,
            seconds=seconds,
            look=look,
            **{name: int(size) for name, size in sums(sizes, list(sizes)).items()},
        )
        for observer in self._observers:
            observer.step(report)
