"""Scores as tables for a terminal."""

import math
from collections.abc import Mapping

from rich import box
from rich.table import Table

from polytask.evaluate.check import PERCENTILES, Check
from polytask.heads import Scores

_MAX_LABELS = 12


def scores_table(title: str, scores: Mapping[str, Scores], unseen: Mapping[str, Scores]) -> Table:
    """One row a task: headline, other metrics, rows; and the headline without leaked texts."""
    table = _table(title, "task", "metric", "score", "rows", "others")
    if unseen:
        table.add_column("unseen in train", justify="right")
    for task, one in scores.items():
        name, value = one.headline
        others = [f"{key} {number(v)}" for key, v in list(one.metrics.items())[1:4]]
        cells = [task, name, number(value), str(one.count), ", ".join(others)]
        if unseen:
            fresh = unseen.get(task)
            cells.append(f"{number(fresh.headline[1])} ({fresh.count})" if fresh else "the same")
        table.add_row(*cells)
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
    """What `polytask check` found, one table a task."""
    tables = []
    for task, splits in check.tasks.items():
        percentiles = "/".join(map(str, PERCENTILES))
        table = _table(
            task,
            "split",
            "rows",
            "no label",
            f"tokens p{percentiles}",
            "cut",
            "unknown",
            "duplicates",
            "also in train",
            "majority",
        )
        for one in splits:
            leaks = ", ".join(f"{num} ({feed})" for feed, num in one.leaks.items()) or "0"
            table.add_row(
                one.split,
                str(one.num_rows),
                str(one.num_missing),
                "/".join(map(str, one.lengths)),
                f"{one.truncated:.1%}",
                f"{one.unknown:.1%}",
                str(one.num_duplicates),
                "" if one.split == "train" else leaks,
                number(one.majority),
            )
        table.caption = "labels of train: " + _counts(splits[0].label_counts)
        tables.append(table)
    return tables


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
