"""A run as one page: scores, losses, weights, gradients, in a file that needs nothing beside it."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from itertools import combinations
from pathlib import Path
from typing import Any

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from polytask.errors import RunError
from polytask.studies.charts import Points, heat_map, line_chart, stacked_bars
from polytask.studies.trust import trust_of
from polytask.training.checkpoint import write_synced, writing
from polytask.training.folder import RunFolder
from polytask.training.journal import Event, read_journal
from polytask.training.results import read_metrics


@dataclass(frozen=True, slots=True)
class Chart:
    """A drawing with what it shows."""

    title: str
    about: str
    drawing: Markup


def write_report(folder: RunFolder, out: Path) -> None:
    """Draws a run, finished or not, from its journal and its scores into one HTML file.

    Raises RunError if there is no journal, DiskError if the file cannot be written.
    """
    try:
        html = _page(folder, read_journal(folder))
    except (KeyError, TypeError, AttributeError, StopIteration) as error:
        raise RunError(f"{folder.journal}: is damaged: {error!r}") from error
    with writing(out):
        write_synced(out, html)


def _page(folder: RunFolder, events: Sequence[Event]) -> str:
    steps = [event for event in events if event["event"] == "step"]
    evaluations = [event for event in events if event["event"] == "evaluation"]
    metrics = read_metrics(folder)
    split, trusts = trust_of(folder, metrics)
    page = (files("polytask.studies") / "report.html.j2").read_text(encoding="utf-8")
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    return environment.from_string(page).render(
        title=f"Run {folder.path.resolve().name}",
        summary=_summary(steps, events),
        splits=list(metrics),
        scores=_scores(metrics),
        charts=_charts(steps, evaluations),
        trusted_split=split,
        trusts=trusts,
        seen=evaluations[-1]["seen"] if evaluations else {},
        notes=[event["text"] for event in events if event["event"] == "note"],
    )


def _summary(steps: Sequence[Event], events: Sequence[Event]) -> str:
    if not steps:
        return "No step was made yet."
    seconds = sum(step["seconds"] for step in steps)
    examples = sum(step["examples"] for step in steps)
    word = "step" if len(steps) == 1 else "steps"
    told = f"{len(steps)} {word}, {examples:,} examples in {seconds:,.0f} s"
    looks = sum(step.get("look_seconds", 0.0) for step in steps)
    if looks:
        told += f"; looks at gradients took {looks / (seconds + looks):.1%} of the time"
    is_finished = any(event["event"] == "end" for event in events)
    return f"{told}. {'The run is finished.' if is_finished else 'The run is not finished.'}"


def _scores(metrics: Mapping[str, Any]) -> list[dict[str, object]]:
    tasks = list(dict.fromkeys(task for of_split in metrics.values() for task in of_split))
    rows: list[dict[str, object]] = []
    for task in tasks:
        found = [of_split.get(task, {}).get("metrics", {}) for of_split in metrics.values()]
        names = list(dict.fromkeys(name for one in found for name in one))
        for place, name in enumerate(names):
            values = [_number(one.get(name)) for one in found]
            rows.append({"task": "" if place else task, "metric": name, "values": values})
    return rows


def _number(value: float | None) -> str:
    return "n/a" if value is None or not math.isfinite(value) else f"{value:.4f}"


def _charts(steps: Sequence[Event], evaluations: Sequence[Event]) -> list[Chart]:
    looks = [step for step in steps if "look" in step]
    charts = [
        Chart(
            "Losses",
            "Mean loss of each task, each target counting once; neighbouring steps averaged.",
            line_chart(_by_task(steps, "losses")),
        ),
        Chart("Scores on dev", "The headline of each task.", line_chart(_headlines(evaluations))),
        Chart(
            "Weights",
            "What the loss or the gradient of each task was multiplied by.",
            line_chart(_by_task(steps, "weights")),
        ),
        Chart(
            "Share of each task",
            "In the targets that were seen, and in the weighted lengths of the gradients on the "
            "encoder at the steps where these were looked at.",
            stacked_bars(_shares(steps, looks)),
        ),
    ]
    if looks:
        charts += _of_looks(looks)
    return charts


def _of_looks(looks: Sequence[Event]) -> list[Chart]:
    tasks = list(dict.fromkeys(task for step in looks for task in step["look"]["norms"]))
    pairs = {f"{one} {other}": f"{one} · {other}" for one, other in combinations(tasks, 2)}
    backwards = {
        f"{other} {one}": shown
        for (one, other), shown in zip(combinations(tasks, 2), pairs.values(), strict=True)
    }
    cosines: dict[str, list[tuple[float, float]]] = {}
    for step in looks:
        for pair, cosine in step["look"]["cosines"].items():
            shown = pairs.get(pair) or backwards[pair]
            cosines.setdefault(shown, []).append((step["step"], cosine))
    return [
        Chart(
            "Cosines of gradients",
            "Between the gradients of two tasks on the encoder: red, they pull together; blue, "
            "they are in conflict; pale, at right angles. Small batches make cosines small.",
            heat_map(cosines),
        ),
        Chart(
            "Lengths of gradients",
            "Of each task on the encoder, before weights and clipping.",
            line_chart(_of_look(looks, "norms")),
        ),
        Chart(
            "Progress",
            "By how much the loss of a task fell on the rows of a step, over what a step down its "
            "own gradient alone would bring at the same learning rate: below 0 it rose.",
            line_chart(_of_look(looks, "progress")),
        ),
    ]


def _by_task(steps: Sequence[Event], field: str) -> dict[str, Points]:
    found: dict[str, list[tuple[float, float]]] = {}
    for step in steps:
        for task, value in step[field].items():
            if value is not None:
                found.setdefault(task, []).append((step["step"], value))
    return dict(sorted(found.items()))


def _of_look(looks: Sequence[Event], field: str) -> dict[str, Points]:
    return _by_task([{"step": step["step"], **step["look"]} for step in looks], field)


def _headlines(evaluations: Sequence[Event]) -> dict[str, Points]:
    found: dict[str, list[tuple[float, float]]] = {}
    for event in evaluations:
        for task, metrics in event["metrics"].items():
            name, value = next(iter(metrics.items()))
            if value is not None:
                found.setdefault(f"{task} ({name})", []).append((event["step"], value))
    return dict(sorted(found.items()))


def _shares(steps: Sequence[Event], looks: Sequence[Event]) -> dict[str, dict[str, float]]:
    targets: dict[str, float] = {}
    lengths: dict[str, float] = {}
    for step in steps:
        for task, count in step["counts"].items():
            targets[task] = targets.get(task, 0) + count
    for step in looks:
        for task, norm in step["look"]["norms"].items():
            weight = abs(step["weights"].get(task) or 0.0)
            lengths[task] = lengths.get(task, 0.0) + weight * (norm or 0.0)
    bars = {"targets": targets, "gradient": lengths}
    return {
        name: {task: value / sum(found.values()) for task, value in sorted(found.items())}
        for name, found in bars.items()
        if sum(found.values()) > 0
    }
