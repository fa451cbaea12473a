"""Where the model of a run goes wrong: by task, into its folder and as tables."""

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from polytask.evaluation.mistakes import Mistake, Mistakes, find_mistakes, missing_extra
from polytask.training.checkpoint import write_synced, writing
from polytask.training.folder import RunFolder
from polytask.training.journal import finite
from polytask.training.scored import Split, score_run

SHOWN = 10
"""How many rows of a list stand in a terminal."""


@dataclass(frozen=True, slots=True)
class Found:
    """By task what is wrong on a split; file: all of it as JSON."""

    split: Split
    tasks: Mapping[str, Mistakes]
    file: Path

    def show(self, console: Console) -> None:
        """The tables of each task, and where the rest is."""
        for task, found in self.tasks.items():
            for table in _tables(task, found):
                console.print(table)
        if missing := missing_extra():
            console.print(
                f"Nobody looked for wrong labels: {missing}", soft_wrap=True, markup=False
            )
        console.print(f"All of it: {self.file}", soft_wrap=True, markup=False, highlight=False)


def run_mistakes(folder: RunFolder, split: Split) -> Found:
    """Scores a run on a split, looks at all its answers, and writes what it found beside them.

    Raises PolytaskError.
    """
    scored = score_run(folder, split)
    tasks = {
        task.name: find_mistakes(
            task, scored.results[task.name], scored.train[task.data], scored.model
        )
        for task in scored.experiment.tasks
        if task.name in scored.results
    }
    file = mistakes_file(folder, split)
    with writing(folder.path):
        plain = {task: found.to_json() for task, found in tasks.items()}
        write_synced(file, json.dumps(finite(plain), ensure_ascii=False, indent=1))
    return Found(split, tasks, file)


def mistakes_file(folder: RunFolder, split: str) -> Path:
    """Beside the predictions, with which it goes when another model takes their place."""
    return folder.predictions(split, "mistakes").with_suffix(".json")


def _tables(task: str, found: Mistakes) -> Iterator[Table]:
    for by, groups in found.groups.items():
        table = _table(f"{task}: {found.metric} by {by}", by, "rows", found.metric)
        for group in groups:
            table.add_row(group.name, str(group.count), f"{group.score:.4f}")
        yield table
    if found.confusions:
        table = _table(f"{task}: what is taken for what", "gold", "answer", "times")
        for gold, answer, num in found.confusions[:SHOWN]:
            table.add_row(escape(gold), escape(answer), str(num))
        yield table
    lists = {"surest mistakes": found.surest, "probably wrong labels": found.label_errors or ()}
    for title, mistakes in lists.items():
        if mistakes:
            yield _listed(f"{task}: {title}", mistakes[:SHOWN])


def _listed(title: str, mistakes: Sequence[Mistake]) -> Table:
    table = _table(title, "text", "gold", "answer", "stated")
    for one in mistakes:
        stated = "" if math.isnan(one.sureness) else f"{one.sureness:.4f}"
        cells = (f"{one.where} {one.text}", one.gold, one.answer)
        table.add_row(*(escape(cell[:160]) for cell in cells), stated)
    return table


def _table(title: str, *columns: str) -> Table:
    table = Table(title=escape(title), box=box.SIMPLE_HEAD, title_justify="left")
    for place, column in enumerate(columns):
        is_number = place and place == len(columns) - 1
        table.add_column(column, justify="right" if is_number else "left", overflow="fold")
    return table
