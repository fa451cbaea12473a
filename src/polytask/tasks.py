"""A task: a name, the data it reads, and the head that knows what it means."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated

import numpy as np
import torch
from pydantic import Field

from polytask.data.batching import Inputs, Part, Pass, join, pad
from polytask.data.feed import RowSource
from polytask.data.masking import hide
from polytask.data.records import Indices
from polytask.data.tokeniser import Tokeniser
from polytask.data.views import Long
from polytask.data.windows import whole_texts
from polytask.heads import ALONE, NOTHING, Agrees, Head, Reads


@dataclass(frozen=True, slots=True)
class Task:
    """One task of a run. An auxiliary one trains along but has no say in which model is best.

    reads: the tasks whose probabilities its head sees beside the hidden states. agrees: those that
    it is to agree with. weight_decay: that of its head, None for that of the optimizer. risk: the
    share of answers that may be wrong among those that it calls sure, None if it calls none so.
    """

    name: str
    data: str
    head: Head
    is_auxiliary: bool = False
    reads: Reads = NOTHING
    weight_decay: float | None = None
    agrees: Agrees = ALONE
    risk: float | None = None


def task_section(
    *,
    data: str,
    auxiliary: bool | None = None,
    reads: list[str] | None = None,
    reads_gradient: bool = False,
    agrees_with: list[str] | None = None,
    agreement: Annotated[float, Field(gt=0)] = 1.0,
    long: Long | None = None,
    stride: Annotated[int, Field(ge=0)] | None = None,
    weight_decay: Annotated[float, Field(ge=0)] | None = None,
    risk: Annotated[float, Field(gt=0, lt=1)] | None = None,
) -> None:
    """The keys of every task: data, part, what it reads, whom it agrees with, how, L2, risk.

    Unless that is said, a task is an auxiliary if it learns from texts alone and others do not.
    """


def feed_names(tasks: Sequence[Task]) -> dict[str, str]:
    """Name of the feed of each task: its data set, and the view where a data set has several."""
    views: dict[str, list[str]] = {}
    for task in tasks:
        names = views.setdefault(task.data, [])
        if task.head.view.name not in names:
            names.append(task.head.view.name)
    return {
        task.name: task.data if len(views[task.data]) == 1 else f"{task.data}/{task.head.view.name}"
        for task in tasks
    }


def make_pass(
    picks: Sequence[tuple[RowSource, Indices]],
    tasks: Mapping[str, Sequence[Task]],
    *,
    tokeniser: Tokeniser,
    is_training: bool = True,
) -> Pass:
    """One pass over records of some feeds, while training with the targets of their tasks.

    `tasks` names the tasks of each feed. Words that a view masks are drawn from torch's global
    generator while training, otherwise always the same.
    """
    drawn = [feed.rows(indices) for feed, indices in picks]
    filler = {"pad_id": tokeniser.pad_id, "segment": tokeniser.second_segment}
    width = max(len(tokens) for rows in drawn for tokens in rows.token_ids)
    shown: list[Inputs] = []
    parts: list[Part] = []
    start = 0
    for (feed, indices), ragged in zip(picks, drawn, strict=True):
        view = tasks[feed.name][0].head.view
        seen = inputs = pad(ragged, **filler, num_tokens=width)
        places = None
        if view.is_masked:
            seed = int(torch.randint(2**62, ())) if is_training else None
            seen, inputs = hide(inputs, tokeniser, seed)
        elif view.has_whole_texts and any(ragged.continues):
            inputs, places = whole_texts(ragged, **filler)
        records = feed.take(indices)
        targets = {
            task.name: task.head.targets(records, inputs) if is_training else {}
            for task in tasks[feed.name]
        }
        rows = slice(start, start + len(seen.token_ids))
        parts.append(Part(feed.name, rows, inputs, records, np.asarray(indices), targets, places))
        shown.append(seen)
        start = rows.stop
    return Pass(join(shown), tuple(parts))
