"""Each task in one model with the others, against models of its own."""

import hashlib
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import cast

from rich.console import Console

from polytask.build import Experiment, fit_heads, load_data, read_experiment, task_records
from polytask.config.experiment import dump_yaml
from polytask.data.tables import default_cache
from polytask.errors import ConfigError, RunError
from polytask.evaluation.floors import Floor, floors
from polytask.studies.comparison import Comparison, Effort, Row, Way
from polytask.studies.costs import costs
from polytask.studies.judged import judge
from polytask.studies.runs import Planned, dev_headlines, train_all
from polytask.studies.significance import Sample, difference
from polytask.studies.ways import asked_for
from polytask.tasks import feed_names
from polytask.training.checkpoint import write_synced, writing
from polytask.training.journal import Event, read_journal
from polytask.training.precision import choose_device

LONGER = 3
"""Times as many epochs as the joint model made that a model of its own may take, if dev asks."""
_PATIENCE = 3
_OF_OTHERS = ("reads", "reads_gradient", "agrees_with", "agreement", "auxiliary")
"""Keys of a task that speak of the other tasks."""


@dataclass(frozen=True, slots=True)
class Study:
    """An experiment to be trained with seeds 1 to `seeds` below `out`, `jobs` models at a time.

    balancing, mixing: other kinds, or sections in braces, to train all tasks together with.
    """

    path: Path
    out: Path
    seeds: int
    jobs: int
    overrides: Sequence[str]
    console: Console
    balancing: Sequence[str] = ()
    mixing: Sequence[str] = ()

    def check(self) -> None:
        """Raises ConfigError for numbers that cannot be."""
        for name, number in (("seeds", self.seeds), ("jobs", self.jobs)):
            if number < 1:
                raise ConfigError(f"{name}: expected at least 1, got {number}")
        if any(one.partition("=")[0].strip() == "train.seed" for one in self.overrides):
            raise ConfigError("train.seed: each model is trained with every seed; say `seeds`")

    def together(self) -> list[Planned]:
        """All tasks in one model, a run a seed."""
        return self._planned("together", self.path, self.out / "together", self.overrides)

    def other_ways(self, tasks: Sequence[str]) -> dict[str, dict[str, list[Planned]]]:
        """All tasks in one model, by way and trial. Raises ConfigError for a way that is none."""
        found: dict[str, dict[str, list[Planned]]] = {}
        for way, trials in asked_for(self.balancing, self.mixing, tasks).items():
            found[way] = {}
            for number, (trial, override) in enumerate(trials.items(), 1):
                read_experiment(self.path, [*self.overrides, override])
                name = re.sub(r"[^A-Za-z0-9]+", "-", f"{way} {number}").strip("-")
                digest = hashlib.sha256(override.encode()).hexdigest()[:6]
                folder = self.out / f"{name}-{digest}"
                options = [*self.overrides, override]
                found[way][trial] = self._planned(f"together, {trial}", self.path, folder, options)
        return found

    def alone(self, experiment: Experiment, task: str, epochs: int) -> dict[str, list[Planned]]:
        """One task in a model of its own, a run a seed, by how long it may take."""
        file = self.out / "alone" / f"{task}.yaml"
        with writing(file):
            file.parent.mkdir(parents=True, exist_ok=True)
            write_synced(file, dump_yaml(_of_its_own(experiment, task)))
        return {
            length: self._planned(
                f"{task} alone, {length}",
                file,
                file.parent / f"{task}-{length.replace(' ', '-')}",
                options,
            )
            for length, options in _lengths(epochs).items()
        }

    def train(self, planned: Sequence[Planned]) -> None:
        """What is not trained yet."""
        train_all(planned, jobs=self.jobs, console=self.console)

    def _planned(
        self, name: str, path: Path, folder: Path, overrides: Sequence[str]
    ) -> list[Planned]:
        return [
            Planned(
                f"{name}, seed {seed}",
                path,
                folder / f"seed{seed}",
                [*overrides, f"train.seed={seed}"],
            )
            for seed in range(1, self.seeds + 1)
        ]


def run_compare(study: Study, margin: float) -> Comparison:
    """Trains an experiment, and each of its tasks alone, and compares them on test.

    A task alone has the same encoder, data, optimizer and rule of selection. It is trained for as
    many epochs of its data as the joint model made, and for up to three times as many with early
    stopping; the better of the two on dev, by the mean over seeds, is the one compared. Auxiliary
    tasks are not compared. Test is scored once all runs are trained. Raises PolytaskError.
    """
    study.check()
    if not margin >= 0:
        raise ConfigError(f"margin: expected at least 0, got {margin}")
    experiment = read_experiment(study.path, study.overrides)
    tasks = comparable(experiment)
    joint, alone, others = trained(study, experiment, tasks)
    study.console.rule("test")
    chosen = {task: best_on_dev(lengths, [task]) for task, lengths in alone.items()}
    own = {task: judge(alone[task][chosen[task]], [task])[task].sample for task in tasks}
    judged = judge(joint, tasks)
    study.console.rule("floors")
    simple = _floors(experiment, tasks)
    rows = {
        task: Row(
            metric=judged[task].metric,
            floors={floor.name: floor.score for floor in simple[task]},
            alone=float(own[task].whole.mean()),
            together=float(judged[task].sample.whole.mean()),
            difference=difference(judged[task].sample, own[task]),
            chosen=chosen[task],
            effort=_effort(alone[task][chosen[task]]),
        )
        for task in tasks
    }
    models = {
        "together": [joint[0].run.model],
        "alone": [alone[task][chosen[task]][0].run.model for task in tasks],
    }
    ways = {name: _way(trials, own) for name, trials in others.items()}
    found = Comparison(rows, _effort(joint), costs(models, tasks), study.seeds, margin, ways)
    with writing(study.out):
        write_synced(study.out / "compare.json", found.as_json())
        write_synced(study.out / "compare.md", found.markdown())
    return found


Trials = dict[str, list[Planned]]
"""By trial its runs, one a seed; dev chooses among the trials."""


def trained(
    study: Study, experiment: Experiment, tasks: Sequence[str]
) -> tuple[list[Planned], dict[str, Trials], dict[str, Trials]]:
    """The runs of the joint model, of each task alone, and of other ways of sharing."""
    joint, others = study.together(), study.other_ways([task.name for task in experiment.tasks])
    study.train(joint)
    epochs = _epochs(experiment, joint)
    alone = {task: study.alone(experiment, task, epochs[task]) for task in tasks}
    study.train(
        [
            one
            for trials in (*alone.values(), *others.values())
            for runs in trials.values()
            for one in runs
        ]
    )
    return joint, alone, others


def comparable(experiment: Experiment) -> list[str]:
    """The tasks that are not auxiliary. Raises ConfigError or RunError where nothing compares."""
    tasks = [task for task in experiment.tasks if not task.is_auxiliary]
    if len(experiment.tasks) < 2:
        raise ConfigError("tasks: there is one alone, so nothing is shared to compare")
    data = load_data(experiment, cache=default_cache())
    fit_heads(experiment, data, _say_nothing)
    for task in tasks:
        splits = data[task.data]
        if splits.test is None:
            raise RunError(f"data.{task.data}: names no test split to compare on")
        for records in (splits.dev, splits.test):
            if all(task.head.gold(record) is None for record in task_records(task, records)):
                raise RunError(
                    f"{records.path}: task {task.name} has no label there to compare by. "
                    f"Label some rows, or say `auxiliary: true` to leave {task.name} out."
                )
    return [task.name for task in tasks]


def _of_its_own(experiment: Experiment, name: str) -> dict[str, object]:
    """The experiment of one task: what speaks of other tasks is left out."""
    plain = cast(Mapping[str, dict[str, object]], experiment.plain)
    task = cast(dict[str, object], plain["tasks"][name])
    data = cast(str, task["data"])
    power = experiment.oversample.get(name)
    return {
        **plain,
        "data": {data: plain["data"][data]},
        "tasks": {name: {key: task[key] for key in task if key not in _OF_OTHERS}},
        "mixing": {"kind": "proportional", **({"oversample": {name: power}} if power else {})},
        "balancing": {"kind": "static"},
        "train": {**plain["train"], "select": "mean", "max_steps": None, "patience": None},
    }


def _epochs(experiment: Experiment, joint: Sequence[Planned]) -> dict[str, int]:
    """How often the joint model saw the data of each task: the mean over seeds, rounded."""
    feeds = feed_names(experiment.tasks)
    seen = [_events(one, "evaluation")[-1]["seen"] for one in joint]
    return {task: max(round(fmean(one[feed] for one in seen)), 1) for task, feed in feeds.items()}


def _lengths(epochs: int) -> dict[str, list[str]]:
    """How long a task is trained alone: the names and overrides of both ways."""
    return {
        f"{epochs} epochs": [f"train.epochs={epochs}"],
        f"up to {LONGER * epochs} epochs": [
            f"train.epochs={LONGER * epochs}",
            f"train.patience={_PATIENCE}",
        ],
    }


def best_on_dev(trials: Mapping[str, Sequence[Planned]], tasks: Sequence[str]) -> str:
    """Of some trials the best on dev, by the mean over seeds and tasks."""

    def on_dev(trial: str) -> float:
        found = [dev_headlines(one.run) for one in trials[trial]]
        return fmean(scores.get(task, 0.0) for scores in found for task in tasks)

    return max(trials, key=on_dev)


def _way(trials: Mapping[str, Sequence[Planned]], own: Mapping[str, Sample]) -> Way:
    """The best trial of a way, against models of their own."""
    best = best_on_dev(trials, list(own))
    judged = judge(trials[best], list(own))
    scores = {task: float(one.sample.whole.mean()) for task, one in judged.items()}
    less = {task: difference(one.sample, own[task]) for task, one in judged.items()}
    return Way(best, scores, less)


def _floors(experiment: Experiment, tasks: Sequence[str]) -> dict[str, list[Floor]]:
    """Simple models of each task; the untrained encoder only if it knows something already."""
    data = load_data(experiment, cache=default_cache())
    fit_heads(experiment, data, _say_nothing)
    encoder = None
    if experiment.source.is_pretrained:
        source = experiment.source
        encoder = source.create(lambda: iter(()), base=experiment.base, note=_say_nothing)
        encoder.to(choose_device(experiment.train.device))
    return {
        task.name: floors(task, data[task.data], experiment.data[task.data].clean, encoder)
        for task in experiment.tasks
        if task.name in tasks
    }


def _say_nothing(_note: str) -> None:
    """The runs have said it."""


def _effort(runs: Sequence[Planned]) -> Effort:
    steps = [_events(one, "step") for one in runs]
    totals = [
        {key: math.fsum(event[key] for event in of_run) for key in _SUMMED} for of_run in steps
    ]
    means = {key: fmean(total[key] for total in totals) for key in _SUMMED}
    return Effort(fmean(map(len, steps)), means["examples"], means["tokens"], means["seconds"])


_SUMMED = ("examples", "tokens", "seconds")


def _events(planned: Planned, name: str) -> list[Event]:
    return [event for event in read_journal(planned.run) if event["event"] == name]
