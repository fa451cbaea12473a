"""Scores as tables for a terminal."""

import math
from collections.abc import Callable, Mapping, Sequence

from rich import box
from rich.table import Table

from polytask.evaluation.calibration import Calibration
from polytask.evaluation.check import PERCENTILES, Check, SplitCheck
from polytask.heads import Scores

_MAX_LABELS = 8


def scores_table(
    title: str,
    scores: Mapping[str, Scores],
    unseen: Mapping[str, Scores],
    calibration: Mapping[str, Calibration],
) -> Table:
    """Every metric of every task, the headline first; and without texts that train holds too."""
    table = _table(title, "task", "metric", "score", "rows")
    if unseen:
        table.add_column("not in train", justify="right")
        table.add_column("rows", justify="right")
    for task, one in scores.items():
        fresh = unseen.get(task)
        for place, (name, value) in enumerate(one.metrics.items()):
            cells = [task if place == 0 else "", name, number(value), str(one.count)]
            if fresh:
                cells += [number(fresh.metrics.get(name, math.nan)), str(fresh.count)]
            table.add_row(*cells, style="bold" if place == 0 else None)
        if (told := calibration.get(task)) and told.after.count:
            table.add_row("", "calibration_error", number(told.after.error), str(told.after.count))
        table.add_section()
    return table


def class_table(task: str, scores: Scores) -> Table | None:
    """Precision, recall, F1 and support of every class of one task."""
    if scores.table is None:
        return None
    table = _table(task, "class", "precision", "recall", "F1", "support")
    for row in scores.table.rows:
        table.add_row(
            row.label, *map(number, (row.precision, row.recall, row.f1)), str(row.support)
        )
    table.add_section()
    for row in scores.table.averages:
        table.add_row(
            row.label, *map(number, (row.precision, row.recall, row.f1)), str(row.support)
        )
    return table


def check_tables(check: Check) -> list[Table]:
    """What `polytask check` found: a table a task, a column a split."""
    return [_check_table(task, splits) for task, splits in check.tasks.items()]


def _check_table(task: str, splits: Sequence[SplitCheck]) -> Table:
    table = _table(task, "", *(one.split for one in splits))
    percentiles = ", ".join(map(str, PERCENTILES))
    rows: Mapping[str, Callable[[SplitCheck], str]] = {
        "rows": lambda one: str(one.num_rows),
        "without a label": lambda one: str(one.num_missing),
        f"tokens, percentiles {percentiles}": lambda one: ", ".join(map(str, one.lengths)),
        "texts cut at max_tokens": lambda one: f"{one.truncated:.1%}",
        "unknown tokens": lambda one: f"{one.unknown:.1%}",
        "duplicate texts": lambda one: str(one.num_duplicates),
        "texts also in train": _leaks,
        "majority baseline": lambda one: number(one.majority),
        "labels": lambda one: _counts(one.label_counts),
    }
    for name, cell in rows.items():
        table.add_row(name, *map(cell, splits))
    return table


def _leaks(one: SplitCheck) -> str:
    found = [f"{num} ({feed})" for feed, num in one.leaks.items()]
    return "" if one.split == "train" else ", ".join(found) or "0"


def number(value: float) -> str:
    """Four digits, or n/a where there is too little data."""
    return "n/a" if math.isnan(value) else f"{value:.4f}"


def _counts(counts: Mapping[str, int]) -> str:
    shown = [f"{label} {num}" for label, num in list(counts.items())[:_MAX_LABELS]]
    more = [f"… {len(counts)} in all"] if len(counts) > _MAX_LABELS else []
    return ", ".join(shown + more)


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, box=box.SIMPLE_HEAD, title_justify="left", caption_justify="left")
    for place, column in enumerate(columns):
        table.add_column(column, justify="left" if place == 0 else "right", overflow="fold")
    return table
