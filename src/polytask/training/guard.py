"""Finds what made a step's losses or gradients not finite: task and rows."""

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor

from polytask.data.batching import Pass
from polytask.model import MultiTaskModel

NO_TASK = "the gradient is not finite, for no single task"
_MAX_ROWS = 5

Losses = Callable[[Pass], Mapping[str, Tensor]]
Where = Callable[[str, int], str]
Remake = Callable[[str, int], Pass]


def find_culprit(
    model: MultiTaskModel, passes: Sequence[Pass], *, losses: Losses, where: Where, remake: Remake
) -> str:
    """A sentence that names weights, tasks and rows that are not finite.

    `losses` runs a pass; `where` names a record; `remake` makes a pass of one record alone.
    """
    weights = [name for name, p in model.named_parameters() if not bool(p.isfinite().all())]
    blame = f"the weights {', '.join(weights[:_MAX_ROWS])} are not finite; " if weights else ""
    faults: dict[str, list[str]] = {}
    what: dict[str, str] = {}
    for batch in passes:
        for task, kind in _broken_tasks(model, batch, losses).items():
            part = next(part for part in batch.parts if task in part.targets)
            what[task] = kind
            faults.setdefault(task, []).extend(
                where(part.feed, int(index))
                for index in part.indices
                if task in _broken_tasks(model, remake(part.feed, int(index)), losses)
            )
    if not faults:
        return f"{blame}{NO_TASK}"
    sentences = [
        f"the {what[task]} of task {task} is not finite, from {_listed(rows)}"
        for task, rows in faults.items()
    ]
    return blame + "; ".join(sentences)


def _broken_tasks(model: MultiTaskModel, batch: Pass, losses: Losses) -> dict[str, str]:
    broken: dict[str, str] = {}
    for task, loss in losses(batch).items():
        if not bool(loss.isfinite()):
            broken[task] = "loss"
            continue
        model.zero_grad()
        losses(batch)[task].backward()
        gradients = [p.grad for p in model.parameters() if p.grad is not None]
        if not all(bool(torch.isfinite(gradient).all()) for gradient in gradients):
            broken[task] = "gradient"
    model.zero_grad()
    return broken


def _listed(rows: Sequence[str]) -> str:
    if not rows:
        return "the rows of the pass together"
    more = f" and {len(rows) - _MAX_ROWS} more rows" if len(rows) > _MAX_ROWS else ""
    return ", ".join(rows[:_MAX_ROWS]) + more
