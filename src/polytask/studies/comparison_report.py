"""What a report says of a comparison: the verdict in plain words, then everything behind it."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import zip_longest
from pathlib import Path
from statistics import fmean
from typing import Any

from polytask.errors import RunError
from polytask.studies.affinity import cosines_of
from polytask.studies.charts import Interval, Points, intervals, line_chart
from polytask.studies.comparison import Comparison
from polytask.studies.document import Chart, Section
from polytask.studies.language import Language
from polytask.studies.listed import Listed
from polytask.studies.maps import matrix
from polytask.studies.trust import trust_of
from polytask.training.folder import RunFolder
from polytask.training.journal import Event, read_journal
from polytask.training.results import read_metrics

_STYLES = {"helped": "good", "hurt": "bad", "equivalent": "same"}


def comparison_verdict(found: Comparison, say: Language) -> list[str]:
    """What to make of it, by name of task, then the figures over all tasks."""
    if found.seeds == 1:
        return found.summary(say)
    named = {
        "helped": say("Sharing helped"),
        "hurt": say("Sharing hurt; a model of its own, or another way of sharing, may be better"),
        "equivalent": say("As good either way"),
        "no evidence": say("These runs cannot tell"),
    }
    verdicts = found.verdicts
    lines = []
    for verdict, words in named.items():
        tasks = [
            f"{task} ({found.rows[task].difference.mean:+.4f})"
            for task, one in verdicts.items()
            if one == verdict
        ]
        if tasks:
            lines.append(f"{words}: {', '.join(tasks)}.")
    counted, *rest = found.summary(say)
    return [counted, *lines, *rest]


def comparison_sections(found: Comparison, folder: Path, say: Language) -> Iterator[Section]:
    """The gains, the way there, the costs, and how far the joint model can be trusted."""
    scores, *ways, effort, cost = found.tables(say)
    yield _gains(found, scores, say)
    if ways:
        yield Section(say("Other ways of sharing"), tables=ways)
    yield _floors(found, say)
    joint = [RunFolder(folder / one) for one in found.runs]
    events = {one.path: _read(one) for one in joint}
    curves = list(_training(found, folder, list(events.values()), say))
    if curves:
        about = say(
            "The headline on dev over passes through the data of a task, the mean over seeds: in "
            "the joint model and in a model of its own."
        )
        yield Section(say("Training"), about, charts=curves, small=True)
    yield Section(say("What it costs"), tables=[effort, cost])
    yield from _cosines(list(events.values()), say)
    if joint and joint[0].metrics.is_file():
        whose = say("Of the joint model of the first seed.")
        yield from trust_of(joint[0], read_metrics(joint[0]), say, whose)


def _gains(found: Comparison, scores: Listed, say: Language) -> Section:
    verdicts = found.verdicts
    rows: dict[str, Interval] = {}
    for task, row in found.rows.items():
        lowest, highest = row.difference.interval()
        style = _STYLES.get(verdicts[task], "even")
        rows[task] = (lowest, row.difference.mean, highest, style)
    about = say(
        "Together less alone on test, with intervals of 95 %: right of 0 sharing helps. The band "
        "is what counts as equal. Green helped, red hurt, blue is as good either way, grey has no "
        "verdict."
    )
    chart = Chart(intervals(rows, found.margin), {task: one[:3] for task, one in rows.items()})
    return Section(say("What sharing does to each task"), about, charts=[chart], tables=[scores])


def _floors(found: Comparison, say: Language) -> Section:
    rows = [
        [task if place == 0 else "", name, f"{score:.4f}"]
        for task, row in found.rows.items()
        for place, (name, score) in enumerate(row.floors.items())
    ]
    about = say("What needs no training of an encoder, on test: a model should be better.")
    table = Listed("", say.each("task", "floor", "score"), rows, 2)
    return Section(say("Floors"), about, tables=[table] if rows else [])


def _read(folder: RunFolder) -> list[Event]:
    """The journal; nothing of a run that was taken away since."""
    try:
        return read_journal(folder)
    except RunError:
        return []


def _training(
    found: Comparison, folder: Path, joint: Sequence[Sequence[Event]], say: Language
) -> Iterator[Chart]:
    for task, row in found.rows.items():
        own = [_read(RunFolder(folder / one)) for one in row.runs]
        lines = {
            say("together"): _over_passes(joint, task, row.feed),
            say("alone"): _over_passes(own, task),
        }
        drawing = line_chart(lines, say("passes"), "{:,.1f}".format)
        if drawing:
            yield Chart(drawing, lines, f"{task} ({row.metric})")


def _over_passes(runs: Sequence[Sequence[Event]], task: str, feed: str = "") -> Points:
    """By pass the headline on dev: means over the runs that made it so far.

    feed: its data, as the journals name it; of runs of one task there is but one.
    """
    each = [
        [
            (event["seen"].get(feed) or max(event["seen"].values()), value)
            for event in events
            if event["event"] == "evaluation"
            and (value := _headline(event["metrics"].get(task, {}))) is not None
        ]
        for events in runs
    ]
    points = []
    for column in zip_longest(*each):
        some = [one for one in column if one is not None]
        points.append((fmean(x for x, _ in some), fmean(y for _, y in some)))
    return points


def _headline(metrics: Mapping[str, Any]) -> float | None:
    return next(iter(metrics.values()), None)


def _cosines(runs: Sequence[Sequence[Event]], say: Language) -> Iterator[Section]:
    """Of gradients in the joint models, which look at them now and then."""
    looks = [event["look"] for events in runs for event in events if "look" in event]
    tasks = list(dict.fromkeys(task for look in looks for task in look["norms"]))
    cells = {pair: fmean(values) for pair, values in cosines_of(looks).items()}
    if cells:
        about = say(
            "Means of the cosines of gradients on the encoder over the joint runs: red, two tasks "
            "pull together; blue, they are in conflict. Small batches make cosines small."
        )
        drawing = matrix(tasks, tasks, cells, digits=3)
        data = [[one, other, value] for (one, other), value in cells.items()]
        yield Section(say("How tasks act on each other"), about, charts=[Chart(drawing, data)])
