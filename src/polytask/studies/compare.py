"""Each task in one model with the others, against models of its own."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import fmean

from polytask.build import (
    Experiment,
    fit_heads,
    load_data,
    read_experiment,
    task_records,
)
from polytask.data.tables import default_cache
from polytask.errors import ConfigError, RunError
from polytask.evaluation.floors import Floor, floors
from polytask.studies.comparison import FILE, Comparison, Effort, Row, Way
from polytask.studies.costs import costs
from polytask.studies.judged import Judged, judge
from polytask.studies.origin import Origin
from polytask.studies.runs import Planned, dev_headlines
from polytask.studies.significance import Sample, difference
from polytask.studies.study import Study
from polytask.tasks import feed_names
from polytask.training.checkpoint import write_synced, writing
from polytask.training.journal import Event, read_journal
from polytask.training.precision import choose_device


def run_compare(study: Study, margin: float) -> Comparison:
    """Trains an experiment, and each of its tasks alone, and compares them on test.

    A task alone has the same encoder, data, optimizer and rule of selection. It is trained for as
    many epochs of its data as the joint model made, and for up to `longer` times as many with early
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
    simple, feeds = floors_of(experiment, tasks), feed_names(experiment.tasks)
    rows = {
        task: replace(
            _row(study, alone[task], chosen[task], (judged[task], own[task]), simple[task]),
            feed=feeds[task],
        )
        for task in tasks
    }
    models = {
        "together": [joint[0].run.model],
        "alone": [alone[task][chosen[task]][0].run.model for task in tasks],
    }
    ways = {name: _way(trials, own) for name, trials in others.items()}
    found = Comparison(
        rows,
        _effort(joint),
        costs(models, tasks),
        study.seeds,
        margin,
        ways,
        _below(study.out, joint),
        _origin(study, margin),
    )
    with writing(study.out):
        write_synced(study.out / FILE, found.as_json())
    return found


def _origin(study: Study, margin: float) -> Origin:
    ways = {"balancing": study.balancing, "mixing": study.mixing}
    return study.origin("compare", {"margin": margin, "longer": study.longer, **ways})


def _row(
    study: Study,
    trials: Mapping[str, Sequence[Planned]],
    chosen: str,
    sides: tuple[Judged, Sample],
    simple: Sequence[Floor],
) -> Row:
    together, own = sides
    return Row(
        metric=together.metric,
        floors={floor.name: floor.score for floor in simple},
        alone=float(own.whole.mean()),
        together=float(together.sample.whole.mean()),
        difference=difference(together.sample, own),
        chosen=chosen,
        effort=_effort(trials[chosen]),
        runs=_below(study.out, trials[chosen]),
    )


def _below(folder: Path, runs: Sequence[Planned]) -> list[str]:
    return [str(one.folder.relative_to(folder)) for one in runs]


Trials = dict[str, list[Planned]]
"""By trial its runs, one a seed; dev chooses among the trials."""


def trained(
    study: Study, experiment: Experiment, tasks: Sequence[str]
) -> tuple[list[Planned], dict[str, Trials], dict[str, Trials]]:
    """The runs of the joint model, of each task alone, and of other ways of sharing."""
    joint, others = study.together(), study.other_ways([task.name for task in experiment.tasks])
    study.train(joint)
    epochs = epochs_seen(experiment, joint)
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


def comparable(experiment: Experiment, *, on_test: bool = True) -> list[str]:
    """The tasks that are not auxiliary. Raises ConfigError or RunError where nothing compares.

    on_test: whether they are compared on test too, not on dev alone.
    """
    tasks = [task for task in experiment.tasks if not task.is_auxiliary]
    if len(experiment.tasks) < 2:
        raise ConfigError("tasks: there is one alone, so nothing is shared to compare")
    data = load_data(experiment, cache=default_cache())
    fit_heads(experiment, data, _say_nothing)
    for task in tasks:
        splits = data[task.data]
        if on_test and splits.test is None:
            raise RunError(f"data.{task.data}: names no test split to compare on")
        for records in (splits.dev, splits.test) if on_test else (splits.dev,):
            rows = () if records is None else task_records(task, records)
            if all(task.head.gold(record) is None for record in rows):
                raise RunError(
                    f"data.{task.data}: task {task.name} has no label to compare by in "
                    f"{records and records.path}. Label some rows, or say `auxiliary: true` to "
                    f"leave {task.name} out."
                )
    return [task.name for task in tasks]


def epochs_seen(experiment: Experiment, joint: Sequence[Planned]) -> dict[str, int]:
    """How often the joint model saw the data of each task: the mean over seeds, rounded."""
    feeds = feed_names(experiment.tasks)
    seen = [_events(one, "evaluation")[-1]["seen"] for one in joint]
    return {task: max(round(fmean(one[feed] for one in seen)), 1) for task, feed in feeds.items()}


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


def floors_of(
    experiment: Experiment, tasks: Sequence[str], *, on_dev: bool = False
) -> dict[str, list[Floor]]:
    """Simple models of each task, on test or on dev."""
    data = load_data(experiment, cache=default_cache())
    fit_heads(experiment, data, _say_nothing)
    encoder = None
    if experiment.source.is_pretrained:
        source = experiment.source
        encoder = source.create(lambda: iter(()), base=experiment.base, note=_say_nothing)
        encoder.to(choose_device(experiment.train.device))
    if on_dev:
        data = {name: replace(splits, test=splits.dev) for name, splits in data.items()}
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
