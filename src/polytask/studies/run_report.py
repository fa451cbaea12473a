"""What a report says of one run: scores, losses, weights, gradients."""

import math
import shlex
from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from typing import Any

from polytask.build import EXPERIMENT_FILE, versions_of
from polytask.studies.charts import Points, line_chart, stacked_bars
from polytask.studies.document import Chart, Document, Section
from polytask.studies.language import Language
from polytask.studies.listed import Listed
from polytask.studies.maps import over_steps
from polytask.studies.origin import Origin
from polytask.studies.trust import trust_of
from polytask.training.folder import RunFolder
from polytask.training.journal import Event, read_journal
from polytask.training.results import read_metrics


def run_document(folder: RunFolder, say: Language) -> Document:
    """Of a run, finished or not. Raises RunError if there is no journal or it is damaged."""
    events = read_journal(folder)
    steps = [event for event in events if event["event"] == "step"]
    evaluations = [event for event in events if event["event"] == "evaluation"]
    metrics = read_metrics(folder)
    seen = evaluations[-1]["seen"] if evaluations else {}
    notes = [event["text"] for event in events if event["event"] == "note"]
    times = [[name, f"{times:.2f}"] for name, times in seen.items()]
    sections = [
        Section(say("Scores"), tables=[_scores(metrics, say)]),
        *_of_steps(steps, evaluations, say),
        *trust_of(folder, metrics, say),
        Section(
            say("How often each data set was seen"),
            tables=[Listed("", say.each("feed", "times"), times)] if times else [],
        ),
        Section(say("What the journal says"), items=notes),
        Section(say("How it was made"), told=_made_by(folder, say)),
    ]
    title = say("Run {name}", name=folder.path.resolve().name)
    return Document(title, _summary(steps, events, say), (), sections)


def _made_by(folder: RunFolder, say: Language) -> list[str]:
    again = folder.path.resolve().with_name(f"{folder.path.resolve().name}-again")
    words = ["polytask", "train", str(folder.path / EXPERIMENT_FILE), "--out", str(again)]
    return Origin(shlex.join(words), versions_of(folder.model)).told(say)


def _summary(steps: Sequence[Event], events: Sequence[Event], say: Language) -> str:
    if not steps:
        return say("No step was made yet.")
    seconds = sum(step["seconds"] for step in steps)
    told = [
        say(
            "{num:,} steps, {examples:,} examples in {seconds:,.0f} s.",
            num=len(steps),
            examples=sum(step["examples"] for step in steps),
            seconds=seconds,
        )
    ]
    looks = sum(step.get("look_seconds", 0.0) for step in steps)
    if looks:
        share = looks / (seconds + looks)
        told.append(say("Looks at gradients took {share:.1%} of the time.", share=share))
    is_finished = any(event["event"] == "end" for event in events)
    end = say("The run is finished.") if is_finished else say("The run is not finished.")
    return " ".join([*told, end])


def _scores(metrics: Mapping[str, Any], say: Language) -> Listed:
    tasks = list(dict.fromkeys(task for of_split in metrics.values() for task in of_split))
    rows: list[list[str]] = []
    for task in tasks:
        found = [of_split.get(task, {}).get("metrics", {}) for of_split in metrics.values()]
        names = list(dict.fromkeys(name for one in found for name in one))
        for place, name in enumerate(names):
            rows.append(["" if place else task, name, *(_number(one.get(name)) for one in found)])
    return Listed("", [*say.each("task", "metric"), *metrics], rows, 2)


def _number(value: float | None) -> str:
    return "n/a" if value is None or not math.isfinite(value) else f"{value:.4f}"


def _of_steps(
    steps: Sequence[Event], evaluations: Sequence[Event], say: Language
) -> Iterator[Section]:
    looks = [step for step in steps if "look" in step]
    yield _lines(
        say("Losses"),
        say("Mean loss of each task, each target counting once; neighbouring steps averaged."),
        _by_task(steps, "losses"),
        say,
    )
    yield _lines(
        say("Scores on dev"), say("The headline of each task."), _headlines(evaluations), say
    )
    yield _lines(
        say("Weights"),
        say("What the loss or the gradient of each task was multiplied by."),
        _by_task(steps, "weights"),
        say,
    )
    shares = _shares(steps, looks, say)
    about = say(
        "In the targets that were seen, and in the weighted lengths of the gradients on the "
        "encoder at the steps where these were looked at."
    )
    charts = [Chart(stacked_bars(shares), shares)] if shares else []
    yield Section(say("Share of each task"), about, charts=charts)
    if looks:
        yield from _of_looks(looks, say)


def _lines(title: str, about: str, lines: Mapping[str, Points], say: Language) -> Section:
    return Section(title, about, charts=[Chart(line_chart(lines, say("step")), lines)])


def _of_looks(looks: Sequence[Event], say: Language) -> Iterator[Section]:
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
    about = say(
        "Between the gradients of two tasks on the encoder: red, they pull together; blue, "
        "they are in conflict; pale, at right angles. Small batches make cosines small."
    )
    drawing = over_steps(cosines, say("step"))
    yield Section(say("Cosines of gradients"), about, charts=[Chart(drawing, cosines)])
    yield _lines(
        say("Lengths of gradients"),
        say("Of each task on the encoder, before weights and clipping."),
        _of_look(looks, "norms"),
        say,
    )
    yield _lines(
        say("Progress"),
        say(
            "By how much the loss of a task fell on the rows of a step, over what a step down its "
            "own gradient alone would bring at the same learning rate: below 0 it rose."
        ),
        _of_look(looks, "progress"),
        say,
    )


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
            name, value = next(iter(metrics.items()), ("", None))
            if value is not None:
                found.setdefault(f"{task} ({name})", []).append((event["step"], value))
    return dict(sorted(found.items()))


def _shares(
    steps: Sequence[Event], looks: Sequence[Event], say: Language
) -> dict[str, dict[str, float]]:
    targets: dict[str, float] = {}
    lengths: dict[str, float] = {}
    for step in steps:
        for task, count in step["counts"].items():
            targets[task] = targets.get(task, 0) + count
    for step in looks:
        for task, norm in step["look"]["norms"].items():
            weight = abs(step["weights"].get(task) or 0.0)
            lengths[task] = lengths.get(task, 0.0) + weight * (norm or 0.0)
    bars = {say("targets"): targets, say("gradient"): lengths}
    return {
        name: {task: value / sum(found.values()) for task, value in sorted(found.items())}
        for name, found in bars.items()
        if sum(found.values()) > 0
    }
