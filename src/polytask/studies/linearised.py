"""How tasks act on each other near the end of a joint run, where its model is nearly linear."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
import torch
from torch import Tensor

from polytask.balancing.sketch import Sketch
from polytask.build import Experiment, load_data, make_feeds, open_model, split_records
from polytask.data.feed import Feed
from polytask.data.tables import default_cache
from polytask.model import MultiTaskModel
from polytask.studies.sweep import Estimate, estimated
from polytask.tasks import Task, make_pass
from polytask.training.folder import RunFolder
from polytask.training.precision import choose_device

ROWS = 128
"""Of train that a task is fitted to, and of dev that its loss is measured on."""

_STEPS, _STRETCHES = 25, 10
_TINY = 1e-8
_LEAST = 1e-4
"""A loss is taken for at least this: an answer that is sure has no direction to learn."""
_PENALTIES = (0.001, 0.01, 0.1, 1.0)
"""Of a move, in mean squares of the slopes; dev chooses."""

Pairs = Mapping[tuple[str, str], Estimate]
"""By pair of tasks: first the one that acts on the other."""


@dataclass(frozen=True, slots=True)
class _Rows:
    """Rows of a task near the model: values of its linearised output, and what moves them.

    is_class: whether the output is the log odds of the gold label, whose loss is logistic, or what
    is left of a number, whose loss is half its square. values: (rows,). slopes: (rows,
    numbers), sketches, which keep scalar products.
    """

    is_class: bool
    values: np.ndarray
    slopes: np.ndarray

    @property
    def size(self) -> float:
        """The mean square of the length of a slope."""
        return float(np.square(self.slopes).sum(1).mean())

    def losses(self, move: np.ndarray) -> np.ndarray:
        """By row, when the parameters have moved."""
        moved = self.values + self.slopes @ move
        return cast(np.ndarray, np.logaddexp(0, -moved) if self.is_class else moved**2 / 2)

    def slope(self, move: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Gradient and Hessian of the mean loss."""
        moved = self.values + self.slopes @ move
        if self.is_class:
            wrong = 1 / (1 + np.exp(np.clip(moved, -500, 500)))
            first, second = -wrong, wrong * (1 - wrong)
        else:
            first, second = moved, np.ones_like(moved)
        num = len(moved)
        return self.slopes.T @ first / num, (self.slopes.T * second) @ self.slopes / num


def linearised(run: RunFolder) -> dict[tuple[str, str], Estimate]:
    """By how much of itself the loss of a task falls on dev when another is fitted beside it.

    The parameters of the last block move away from the best model of a run; outputs change as if
    they were linear in them, which needs gradients of rows alone and no training: a task is fitted
    to rows of train by itself, and together with another. Of the pair (i, j) the value is 1 - (loss
    of j fitted with i) / (loss of j fitted alone); of (j, j) it is 1 - (loss of j fitted alone) /
    (loss of j before). A task whose loss needs other rows beside a row has none. Source: Li et al.,
    "Scalable Multitask Learning Using Gradient-based Estimation of Task Affinity" (KDD 2024).
    """
    model, experiment = open_model(run.model)
    model.to(choose_device(experiment.train.device)).eval()
    with torch.random.fork_rng(), torch.backends.cudnn.flags(enabled=False):
        torch.manual_seed(0)  # words that `fill` masks
        train, dev = (_gradients(model, experiment, split) for split in ("train", "dev"))
    tasks = [task for task in train if task in dev]
    penalty = min(_PENALTIES, key=lambda one: _loss_alone(train, dev, one))
    scales = {task: penalty * train[task].size for task in tasks}
    alone = {task: dev[task].losses(_fitted([train[task]], scales[task])) for task in tasks}
    found = {}
    for task in tasks:
        before = dev[task].losses(_nowhere(dev[task]))
        found[task, task] = _fall(before, alone[task])
        for other in tasks:
            if other != task:
                move = _fitted([train[task], train[other]], scales[task])
                found[other, task] = _fall(alone[task], dev[task].losses(move))
    return found


def _gradients(model: MultiTaskModel, experiment: Experiment, split: str) -> dict[str, _Rows]:
    """By task its first rows with labels, of those that can be taken alone."""
    cache = default_cache()
    records = split_records(load_data(experiment, cache=cache))[split]
    feeds = make_feeds(experiment, model, records, cache=cache)
    parameters = list(model.encoder.blocks()[-1])
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    for parameter in parameters:
        parameter.requires_grad_(True)
    sketch = Sketch(parameters)
    found = {}
    for feed, tasks in experiment.tasks_by_feed().items():
        for task in tasks:
            rows = _rows(model, feeds[feed], task, parameters, sketch)
            if rows:
                losses, slopes = zip(*rows, strict=True)
                found[task.name] = _linear(task, np.array(losses), np.stack(slopes))
    return found


def _rows(
    model: MultiTaskModel,
    feed: Feed,
    task: Task,
    parameters: Sequence[Tensor],
    sketch: Sketch,
) -> Sequence[tuple[float, np.ndarray]]:
    """Mean loss over the targets of a row, and the sketch of its gradient."""
    found: list[tuple[float, np.ndarray]] = []
    order = np.random.default_rng(0).permutation(len(feed.lengths))
    for place in order[: 4 * ROWS]:
        batch = make_pass(
            [(feed, np.array([place]))],
            {feed.name: [task]},
            tokeniser=model.encoder.tokeniser,
        ).to(model.device)
        targets = batch.parts[0].targets[task.name]
        count = task.head.count(targets)
        if not count:
            continue
        logits = model(batch, {feed.name: [task.name]})[task.name]
        loss = model.head(task.name).loss(logits, targets) / count
        gradient = torch.autograd.grad(loss, parameters, allow_unused=True)
        if loss.item() > 0:
            found.append((loss.item(), sketch(gradient).numpy()))
        if len(found) == ROWS:
            break
    return found


def _linear(task: Task, losses: np.ndarray, gradients: np.ndarray) -> _Rows:
    """Log odds of the gold label from a loss -log(p), or what is left of a number from its square.

    Of a loss l these are -log(e^l - 1) and sqrt(2 l), and their slopes follow from its gradient.
    """
    losses = np.maximum(losses, _LEAST)
    if task.head.num_classes is None:
        left = np.sqrt(2 * losses)
        return _Rows(False, left, gradients / left[:, None])
    wrong = -np.expm1(-losses)
    return _Rows(True, -np.log(np.expm1(losses)), -gradients / wrong[:, None])


def _fitted(tasks: Sequence[_Rows], scale: float) -> np.ndarray:
    """The move with the least sum of mean losses and of half its own square times a scale.

    The scale is that of the first task, alone or not: else a task would seem to help or to hurt by
    the size of its slopes. The move, (numbers,), lies where the slopes of the rows point to, so it
    is sought there, by Newton's method; the problem is convex.
    """
    slopes = np.concatenate([one.slopes for one in tasks])
    values, vectors = np.linalg.eigh(slopes @ slopes.T)
    kept = values > _TINY * values[-1]
    basis = slopes.T @ (vectors[:, kept] / np.sqrt(values[kept]))  # (numbers, directions)
    inside = [_Rows(one.is_class, one.values, one.slopes @ basis) for one in tasks]
    move: np.ndarray = basis @ _newton(inside, scale)
    return move


def _nowhere(rows: _Rows) -> np.ndarray:
    return np.zeros(rows.slopes.shape[1])


def _newton(tasks: Sequence[_Rows], scale: float) -> np.ndarray:
    num = tasks[0].slopes.shape[1]
    move = np.zeros(num)

    def loss(at: np.ndarray) -> float:
        return float(sum(one.losses(at).mean() for one in tasks) + scale * (at @ at) / 2)

    for _ in range(_STEPS):
        slopes = [one.slope(move) for one in tasks]
        first = sum(one for one, _ in slopes) + scale * move
        second = sum(one for _, one in slopes) + scale * np.eye(num)
        step = np.linalg.solve(second, first)
        rate = 1.0
        while loss(move - rate * step) > loss(move) and rate > 1e-6:
            rate /= 2
        move = move - rate * step
        if rate * np.abs(step).max() < 1e-8:
            break
    return move


def _loss_alone(train: Mapping[str, _Rows], dev: Mapping[str, _Rows], penalty: float) -> float:
    """The mean over tasks of what fitting each by itself leaves of its loss on dev."""
    left = [
        dev[task].losses(_fitted([train[task]], penalty * train[task].size)).mean()
        / dev[task].losses(_nowhere(dev[task])).mean()
        for task in train
        if task in dev
    ]
    return float(np.mean(left)) if left else 0.0


def _fall(before: np.ndarray, after: np.ndarray) -> Estimate:
    """Over all rows, with an interval over stretches of them."""
    parts = zip(np.array_split(before, _STRETCHES), np.array_split(after, _STRETCHES), strict=True)
    margin = estimated([1 - b.mean() / a.mean() for a, b in parts if len(a)]).margin
    return Estimate(float(1 - after.mean() / before.mean()), margin)
