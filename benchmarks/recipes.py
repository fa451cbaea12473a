"""Trains recipes with several seeds and prints their scores on test, beside a simple floor.

Scores are in per cent: the headline of each task on all test rows, and on the rows whose text is
in no training split. all_right is the share of rows for which every task that reads them is right.
The floor is TF-IDF with logistic regression, or ridge regression for levels and numbers, trained on
train alone, its strength chosen on dev. A finished run folder of the same experiment is used again.

    python benchmarks/recipes.py snips banking77 --seeds 1,2,3
"""

import argparse
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import cast

import numpy as np
from _common import RECIPES, Target, print_closing_line, write_section
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import Pipeline, make_pipeline

from polytask import api
from polytask.build import Experiment, load_data, read_experiment, task_records
from polytask.data.checks import occur_in, text_keys
from polytask.data.dataset import Splits
from polytask.data.records import Records
from polytask.data.tables import default_cache
from polytask.heads import Prediction
from polytask.tasks import Task
from polytask.training.folder import RunFolder
from polytask.training.precision import settle_device
from polytask.training.results import read_metrics

BARS = {
    "snips.intent": 98.0,
    "snips.slots": 95.0,
    "snips.all_right": 88.5,
    "banking77.banking": 92.0,
    "clinc150.request": 95.0,
    "emotion_entities.valence": 72.0,
    "emotion_similarity.similarity": 82.0,
    "ewt.lemma": 95.0,
    "ewt.tree": 82.0,
    "goemotions.emotions": 40.0,
    "semeval.relation": 82.0,
    "stsb.similarity": 82.0,
}
ABOVE_FLOOR = ("csl_category.category", "goodbooks_bands.rating")
ANSWERS = {"classify": "label", "tag": "tags"}
"""By kind of task, the key of a prediction that the gold label is compared with."""
REGULARISATION = (1.0, 10.0, 100.0)
SECONDS_FILE = "seconds.json"


@dataclass(frozen=True, slots=True)
class Score:
    """A score in per cent on all test rows, and on those whose text train does not hold."""

    all_rows: float
    unseen: float


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the results: a task of a recipe, its scores by seed, and the floor if any."""

    recipe: str
    task: str
    metric: str
    by_seed: Sequence[Score]
    floor: Score | None
    seconds: float

    @property
    def name(self) -> str:
        """Recipe and task."""
        return f"{self.recipe}.{self.task}"

    @property
    def mean(self) -> Score:
        """Means over the seeds."""
        unseen = fmean(score.unseen for score in self.by_seed)
        return Score(fmean(score.all_rows for score in self.by_seed), unseen)


def main() -> None:
    """Prints a Markdown table and the closing line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("recipes", nargs="+", metavar="recipe", help="snips, banking77, …")
    parser.add_argument("--seeds", default="1", help="such as 1,2,3")
    parser.add_argument("--out", type=Path, default=Path("runs/recipes"), help="folder of the runs")
    parser.add_argument("--table", type=Path, help="Markdown file to put the table into")
    parser.add_argument("--set", action="append", default=[], dest="overrides", metavar="KEY=VALUE")
    options = parser.parse_args()
    seeds = [int(seed) for seed in options.seeds.split(",")]
    lines: list[Line] = []
    for recipe in options.recipes:
        lines += measure(recipe, seeds, out=options.out, overrides=options.overrides)
    shown = as_markdown(lines, seeds)
    print(shown)
    if options.table:
        write_section(options.table, "Recipes on public data", shown)
    print_closing_line(figures_of(lines), targets_of(lines))


def measure(
    recipe: str, seeds: Sequence[int], *, out: Path, overrides: Sequence[str]
) -> list[Line]:
    """The lines of one recipe."""
    file = RECIPES / f"{recipe}.yaml"
    experiment = read_experiment(file, overrides)
    data = load_data(experiment, cache=default_cache())
    seen = seen_rows(experiment, data)
    folders = [out / f"{recipe}-seed{seed}" for seed in seeds]
    seconds = fmean(
        run(file, folder, [*overrides, f"train.seed={seed}"])
        for seed, folder in zip(seeds, folders, strict=True)
    )
    lines: list[Line] = []
    for feed, tasks in experiment.tasks_by_feed().items():
        splits = data[tasks[0].data]
        for task in tasks:
            found = [headline(RunFolder(folder), task.name) for folder in folders]
            scores = [score for _, score in found]
            floor = tfidf(experiment, task, splits, seen[feed])
            floor = floor or ridge(experiment, task, splits, seen[feed])
            lines.append(Line(recipe, task.name, found[0][0], scores, floor, seconds))
        exact = {task: kind for task in tasks if (kind := kind_of(experiment, task)) in ANSWERS}
        if len(exact) > 1:
            right = [all_right(RunFolder(f), exact, test_of(splits), seen[feed]) for f in folders]
            lines.append(Line(recipe, "all_right", "accuracy", right, None, seconds))
    return lines


def kind_of(experiment: Experiment, task: Task) -> str:
    """The kind of a task, as its section names it."""
    sections = cast(Mapping[str, Mapping[str, str]], experiment.plain["tasks"])
    return sections[task.name]["kind"]


def test_of(splits: Splits) -> Records:
    """The test rows. Raises SystemExit if there are none."""
    if splits.test is None:
        raise SystemExit(f"{splits.train.path}: a recipe needs a test split")
    return splits.test


def run(file: Path, folder: Path, overrides: Sequence[str]) -> float:
    """Trains and scores on test unless that is done; the seconds of training, nan if unknown."""
    status = status_of(folder, read_experiment(file, overrides))
    note = folder / SECONDS_FILE
    if status != "finished":
        trained = api.train(file, out=folder, overrides=overrides, overwrite=status == "other")
        note.write_text(json.dumps(trained.seconds if status != "unfinished" else None))
    if "test" not in read_metrics(RunFolder(folder)):
        api.evaluate(folder)
    seconds = json.loads(note.read_text()) if note.is_file() else None
    return float("nan") if seconds is None else float(seconds)


def status_of(folder: Path, experiment: Experiment) -> str:
    """`absent`, or `unfinished` or `finished` if the run is of this experiment, else `other`."""
    if not (folder / "run.json").is_file():
        return "absent"
    settle_device(experiment)
    return RunFolder(folder).status(experiment.plain) or "other"


def headline(folder: RunFolder, task: str) -> tuple[str, Score]:
    """Name and score of a task's first metric on test."""
    entry = cast(dict[str, dict[str, dict[str, object]]], read_metrics(folder)["test"])[task]
    every = cast(dict[str, float | None], entry["metrics"])
    fresh = cast(dict[str, dict[str, float | None]], entry.get("without_seen_in_train", entry))
    name = next(iter(every))
    return name, Score(_per_cent(every[name]), _per_cent(fresh["metrics"][name]))


def seen_rows(experiment: Experiment, data: Mapping[str, Splits]) -> dict[str, np.ndarray]:
    """By feed, which of its test rows stand in any training split: (rows,)."""
    feeds = {
        feed: (data[tasks[0].data], tasks[0].head.view)
        for feed, tasks in experiment.tasks_by_feed().items()
    }
    train = np.concatenate([text_keys(splits.train, view) for splits, view in feeds.values()])
    return {
        feed: occur_in(text_keys(test_of(splits), view), train)
        for feed, (splits, view) in feeds.items()
    }


def all_right(
    folder: RunFolder, kinds: Mapping[Task, str], test: Records, seen: np.ndarray
) -> Score:
    """Share of the test rows for which each task's label or tags are the gold ones."""
    right = np.ones(len(test), bool)
    for task, kind in kinds.items():
        lines = folder.predictions("test", task.name).read_text(encoding="utf-8").splitlines()
        answers = [json.loads(line)[ANSWERS[kind]] for line in lines]
        golds = [task.head.gold(record) for record in task_records(task, test)]
        right &= [answer == gold for answer, gold in zip(answers, golds, strict=True)]
    return _share(right, seen)


def tfidf(experiment: Experiment, task: Task, splits: Splits, seen: np.ndarray) -> Score | None:
    """Accuracy of logistic regression over words, or over 1-2 characters of Chinese.

    None for a task that does not put one label on a text.
    """
    if kind_of(experiment, task) != "classify":
        return None
    is_chinese = experiment.data[task.data].language == "zh"
    texts, labels = zip(*labelled(task, splits.train), strict=True)
    dev_texts, dev_labels = zip(*labelled(task, splits.dev), strict=True)
    models = []
    for strength in REGULARISATION:
        vectors = (
            TfidfVectorizer(analyzer="char", ngram_range=(1, 2))
            if is_chinese
            else TfidfVectorizer(sublinear_tf=True)
        )
        models.append(make_pipeline(vectors, LogisticRegression(C=strength, max_iter=1000)))
        models[-1].fit(texts, labels)
    best = max(models, key=lambda model: model.score(dev_texts, dev_labels))
    test = test_of(splits)
    test_texts, test_labels = zip(*labelled(task, test), strict=True)
    has_label = [task.head.gold(record) is not None for record in task_records(task, test)]
    return _share(best.predict(test_texts) == np.array(test_labels), seen[has_label])


def ridge(experiment: Experiment, task: Task, splits: Splits, seen: np.ndarray) -> Score | None:
    """Headline of ridge regression over words, for a number or for the place of a level.

    None for another kind of task, and for pairs of texts.
    """
    kind = kind_of(experiment, task)
    if kind not in ("ordinal", "regress") or len(task.head.view.needs) > 1:
        return None
    task.head.fit(task_records(task, splits.unlimited))
    levels = cast(list[str], task.head.facts().get("levels", []))
    if kind == "regress" and len(task.head.needs) > 1:
        return None

    def numbers(records: Records) -> tuple[tuple[str, ...], np.ndarray]:
        texts, golds = zip(*labelled(task, records), strict=True)
        places = [levels.index(gold) if levels else cast(list[float], gold)[0] for gold in golds]
        return texts, np.array(places, float)

    def score(model: Pipeline, records: Records, kept: np.ndarray) -> float:
        texts, _ = numbers(records)
        golds = [
            gold for r in task_records(task, records) if (gold := task.head.gold(r)) is not None
        ]
        found = model.predict(texts)
        places = found.round().clip(0, len(levels) - 1).astype(int) if levels else ()
        answers: list[Prediction] = (
            [{"label": levels[place]} for place in places]
            if levels
            else [{"value": float(number)} for number in found]
        )
        some = np.flatnonzero(kept)
        scores = task.head.score([golds[i] for i in some], [answers[i] for i in some])
        return 100 * scores.headline[1]

    models = [
        make_pipeline(TfidfVectorizer(sublinear_tf=True), Ridge(alpha=1 / strength))
        for strength in REGULARISATION
    ]
    texts, values = numbers(splits.train)
    whole = np.ones(len(list(labelled(task, splits.dev))), bool)
    best = max(models, key=lambda model: score(model.fit(texts, values), splits.dev, whole))
    test = test_of(splits)
    has_label = [task.head.gold(record) is not None for record in task_records(task, test)]
    fresh = ~seen[has_label]
    return Score(score(best, test, np.ones(len(fresh), bool)), score(best, test, fresh))


def labelled(task: Task, records: Records) -> Iterator[tuple[str, object]]:
    """Text and label of each record that has one."""
    for record in task_records(task, records):
        if (label := task.head.gold(record)) is not None:
            segments = [part for row in task.head.view.rows(record, None) for part in row]
            words = [part if isinstance(part, str) else " ".join(part) for part in segments]
            yield " ".join(words), label


def _share(right: np.ndarray, seen: np.ndarray) -> Score:
    return Score(100 * float(right.mean()), 100 * float(right[~seen].mean()))


def _per_cent(score: float | None) -> float:
    return float("nan") if score is None else 100 * score


def as_markdown(lines: Sequence[Line], seeds: Sequence[int]) -> str:
    """A table with one row a task; "unseen" leaves out test rows whose text is in train."""
    heads = ["recipe", "task", "metric", "test", *(f"seed {seed}" for seed in seeds)]
    heads += ["unseen", "TF-IDF", "TF-IDF unseen", "seconds of training"]
    rows = [heads, ["---"] * 3 + ["---:"] * (len(heads) - 3)]
    for line in lines:
        floor = (line.floor.all_rows, line.floor.unseen) if line.floor else ("", "")
        numbers = [line.mean.all_rows, *(score.all_rows for score in line.by_seed)]
        cells = [*numbers, line.mean.unseen, *floor]
        shown = [cell if isinstance(cell, str) else f"{cell:.2f}" for cell in cells]
        seconds = "" if math.isnan(line.seconds) else f"{line.seconds:.0f}"
        rows.append([line.recipe, line.task, line.metric, *shown, seconds])
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def figures_of(lines: Sequence[Line]) -> dict[str, float]:
    """Means over the seeds, and the floors."""
    figures = {line.name: line.mean.all_rows for line in lines}
    figures |= {f"{line.name}.unseen": line.mean.unseen for line in lines}
    return figures | {f"{line.name}.tfidf": line.floor.all_rows for line in lines if line.floor}


def targets_of(lines: Sequence[Line]) -> dict[str, Target]:
    """The bars of the recipes that were run; some are their floors."""
    names = {line.name: line for line in lines}
    targets = {name: Target(">=", bar) for name, bar in BARS.items() if name in names}
    for name in ABOVE_FLOOR:
        if name in names and (floor := names[name].floor):
            targets[name] = Target(">", floor.all_rows)
    return targets


if __name__ == "__main__":
    main()
