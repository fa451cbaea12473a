"""Which tasks to train together, for a number of models: foretold by affinity, and for real."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import count
from pathlib import Path
from statistics import fmean
from typing import Literal, get_args

import numpy as np

from polytask.build import Experiment, load_data, read_experiment, task_records
from polytask.config.experiment import dump_yaml
from polytask.data.tables import default_cache
from polytask.errors import ConfigError, did_you_mean
from polytask.studies.affinity import Affinity, run_affinity
from polytask.studies.compare import comparable, epochs_seen, floors_of
from polytask.studies.language import ENGLISH, Language
from polytask.studies.listed import Listed
from polytask.studies.origin import UNKNOWN, Origin
from polytask.studies.partition import Groups, best_partition, gains, partitions, total
from polytask.studies.runs import Planned, dev_headlines
from polytask.studies.significance import Sample, difference, mean_gain
from polytask.studies.study import Study, of_tasks
from polytask.studies.sweep import Estimate
from polytask.training.checkpoint import write_synced, writing
from polytask.training.journal import finite

FILE = "group.json"
"""Of a grouping, in its folder."""

By = Literal["ahead", "cosines", "linear"]
"""The affinity that foretells."""

_BY: tuple[By, ...] = get_args(By)
_ALL_OF = 4
"""Up to so many tasks every partition is trained to learn what another would have gained."""


@dataclass(frozen=True, slots=True)
class Member:
    """A task. group: its number, from 1. gain: what its group is said to do to it.

    rows: with a label in train. floor, alone: the best simple model, and a model of its own, on
    dev; None where no simple model can do the task.
    """

    group: int
    gain: float
    rows: int
    metric: str
    floor: float | None
    alone: float


@dataclass(frozen=True, slots=True)
class Tried:
    """A partition that was trained: what was foretold, and the mean relative gain on dev."""

    groups: Groups
    foretold: float
    realised: Estimate


@dataclass(frozen=True, slots=True)
class Grouping:
    """The groups for a number of models. tried: with the groups that were chosen, those beside."""

    by: By
    groups: Groups
    members: Mapping[str, Member]
    tried: Sequence[Tried] = ()
    origin: Origin = UNKNOWN

    @property
    def regret(self) -> float:
        """How much more the best of what was tried gained than what was chosen."""
        chosen = next(one.realised.mean for one in self.tried if one.groups == self.groups)
        return max(one.realised.mean for one in self.tried) - chosen

    def told(self, say: Language = ENGLISH) -> list[str]:
        """What was found, in sentences."""
        lines = [
            say("Model {num}: {tasks}.", num=num, tasks=", ".join(group))
            for num, group in enumerate(self.groups, 1)
        ]
        if self.tried:
            found = next(one for one in self.tried if one.groups == self.groups)
            lines.append(
                say(
                    "For real these groups gain {gain} over models for each task, on dev; the best "
                    "of {num} partitions that were trained gains {regret:.2%} more, which may be "
                    "chance.",
                    gain=_in_percent(found.realised),
                    num=len(self.tried),
                    regret=self.regret,
                )
            )
        return lines

    def tables(self, say: Language = ENGLISH) -> list[Listed]:
        """The tasks, and what was tried."""
        heads = say.each("task", "model", "said gain", "rows", "metric", "floor", "alone")
        rows = [
            [
                name,
                str(one.group),
                f"{one.gain:+.4f}",
                f"{one.rows:,}",
                one.metric,
                "" if one.floor is None else f"{one.floor:.4f}",
                f"{one.alone:.4f}",
            ]
            for name, one in self.members.items()
        ]
        found = [Listed(say("Groups by {name}, scores on dev", name=self.by), heads, rows)]
        if self.tried:
            heads = say.each("partition", "said gain", "gain (95 %)")
            rows = [
                [
                    " | ".join(", ".join(group) for group in one.groups),
                    f"{one.foretold:+.4f}",
                    _in_percent(one.realised),
                ]
                for one in sorted(self.tried, key=lambda one: -one.realised.mean)
            ]
            found.append(Listed(say("What was trained"), heads, rows))
        return found

    def as_json(self) -> str:
        """All figures but the affinities, which have their own file."""
        return json.dumps(finite(asdict(self)), ensure_ascii=False, indent=2)

    @classmethod
    def from_json(cls, text: str) -> "Grouping":
        """What `as_json` gave. Raises ValueError, KeyError or TypeError for anything else."""
        held = json.loads(text)
        return cls(
            held["by"],
            _frozen(held["groups"]),
            {name: Member(**one) for name, one in held["members"].items()},
            [
                Tried(_frozen(one["groups"]), one["foretold"], Estimate.of(one["realised"]))
                for one in held["tried"]
            ],
            Origin(**held["origin"]),
        )


def run_group(study: Study, models: int, by: By, *, every: int, verify: bool) -> Grouping:
    """Groups the tasks of an experiment for a number of models, and writes a file for each group.

    Trains all tasks together once, with looks at how they act on each other, and each alone. With
    `verify` also, with several seeds, the groups that each affinity would choose and all tasks in
    one model, or up to 4 tasks every partition. A group makes as many epochs of its data as the
    joint model made; auxiliary tasks are in every group. Scores are those on dev. Raises
    PolytaskError.
    """
    study.check()
    if by not in _BY:
        raise ConfigError(f"by: no affinity '{by}'. {did_you_mean(by, _BY)}")
    experiment = read_experiment(study.path, study.overrides)
    tasks = comparable(experiment, on_test=False)
    if not 1 <= models <= len(tasks):
        raise ConfigError(f"models: expected 1 to {len(tasks)}, a task each, got {models}")
    found = run_affinity(
        study.path, study.out, every=every, overrides=study.overrides, console=study.console
    )
    pairs = {one: _means(found, one) for one in _BY}
    chosen = {one: best_partition(tasks, pairs[one], models) for one in _BY}
    trained = _Groups(study, experiment, tasks, verify=verify)
    own = {task: fmean(trained.alone(task)) for task in tasks}
    tried: list[Tried] = []
    if verify:
        every_one = list(partitions(tasks, models)) if len(tasks) <= _ALL_OF else []
        candidates = dict.fromkeys([*chosen.values(), (tuple(tasks),), *every_one])
        trained.train(candidates)
        tried = [Tried(one, total(one, pairs[by]), trained.gain(one)) for one in candidates]
    options = {"models": models, "by": by, "verify": verify, "every": every}
    members = _members(experiment, chosen[by], pairs[by], own)
    grouping = Grouping(by, chosen[by], members, tried, study.origin("group", options))
    _write(study.out, grouping, [trained.plain(group) for group in chosen[by]])
    return grouping


def _write(out: Path, grouping: Grouping, plains: Sequence[dict[str, object]]) -> None:
    with writing(out):
        write_synced(out / FILE, grouping.as_json())
        for number, plain in enumerate(plains, 1):
            write_synced(out / f"group-{number}.yaml", dump_yaml(plain))
        for number in count(len(plains) + 1):
            if not (file := out / f"group-{number}.yaml").exists():
                break
            file.unlink()


class _Groups:
    """Models of some tasks, a run a seed, each trained once; and models of each task alone."""

    def __init__(
        self, study: Study, experiment: Experiment, tasks: Sequence[str], *, verify: bool
    ) -> None:
        self._study, self._experiment = study, experiment
        self._auxiliary = [t.name for t in experiment.tasks if t.name not in tasks]
        self._seen = epochs_seen(experiment, [Planned("", study.path, study.out / "run", ())])
        data = load_data(experiment, cache=default_cache())
        self._sizes = {one.name: len(data[one.data].train) for one in experiment.tasks}
        self._runs: dict[tuple[str, ...], list[Planned]] = {}
        alone = [study.subset(experiment, [task], self._seen[task]) for task in tasks]
        self._alone = {
            task: runs if verify else runs[:1] for task, runs in zip(tasks, alone, strict=True)
        }
        study.train([run for runs in self._alone.values() for run in runs])

    def alone(self, task: str) -> list[float]:
        """Its score on dev, by seed."""
        return [dev_headlines(run.run)[task] for run in self._alone[task]]

    def train(self, candidates: Iterable[Groups]) -> None:
        """Every group of some partitions."""
        for group in dict.fromkeys(group for one in candidates for group in one):
            names = self._with_auxiliary(group)
            self._runs[group] = self._study.subset(self._experiment, names, self._epochs(names))
        self._study.train([run for runs in self._runs.values() for run in runs])

    def plain(self, group: Sequence[str]) -> dict[str, object]:
        """The experiment of a group."""
        names = self._with_auxiliary(group)
        return of_tasks(self._experiment, names, self._epochs(names))

    def gain(self, groups: Groups) -> Estimate:
        """The mean relative gain over models of each task alone; seeds of both are chance."""
        own = {task: self.alone(task) for group in groups for task in group}
        joint = {
            task: [dev_headlines(run.run)[task] for run in self._runs[group]]
            for group in groups
            for task in group
        }
        means = [{task: fmean(scores) for task, scores in side.items()} for side in (joint, own)]
        seeds = range(self._study.seeds)
        sides = [
            [mean_gain([(joint[task][seed], means[1][task]) for task in own]) for seed in seeds],
            [mean_gain([(means[0][task], own[task][seed]) for task in own]) for seed in seeds],
        ]
        whole = mean_gain([(means[0][task], means[1][task]) for task in own])
        apart = [Sample(np.array(side), np.zeros((len(side), 1))) for side in sides]
        lowest, highest = difference(*apart).interval()
        return Estimate(whole, (highest - lowest) / 2)

    def _with_auxiliary(self, group: Sequence[str]) -> list[str]:
        return [t.name for t in self._experiment.tasks if t.name in (*group, *self._auxiliary)]

    def _epochs(self, names: Sequence[str]) -> int:
        """How often the joint model saw their data, over all of it."""
        rows = sum(self._sizes[name] for name in names)
        return max(round(sum(self._seen[name] * self._sizes[name] for name in names) / rows), 1)


def _means(found: Affinity, by: By) -> dict[tuple[str, str], float]:
    pairs = {"ahead": found.ahead, "cosines": found.cosines, "linear": found.linear}[by]
    return {pair: one.mean for pair, one in pairs.items()}


def _members(
    experiment: Experiment,
    groups: Groups,
    pairs: Mapping[tuple[str, str], float],
    own: Mapping[str, float],
) -> dict[str, Member]:
    data = load_data(experiment, cache=default_cache())
    simple = floors_of(experiment, list(own), on_dev=True)
    said = gains(groups, pairs)
    numbers = {task: number for number, group in enumerate(groups, 1) for task in group}
    found = {}
    for task in (task for task in experiment.tasks if task.name in own):
        train = task_records(task, data[task.data].train)
        found[task.name] = Member(
            group=numbers[task.name],
            gain=said[task.name],
            rows=sum(task.head.gold(record) is not None for record in train),
            metric=task.head.headline,
            floor=max((one.score for one in simple[task.name]), default=None),
            alone=own[task.name],
        )
    return found


def _in_percent(gain: Estimate) -> str:
    return Estimate(100 * gain.mean, 100 * gain.margin).shown("+.2f") + " %"


def _frozen(groups: Sequence[Sequence[str]]) -> Groups:
    return tuple(tuple(group) for group in groups)
