"""Which tasks to train together, for a number of models: foretold by affinity, and for real."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import fmean
from typing import Literal, get_args

from polytask.build import Experiment, load_data, read_experiment, task_records
from polytask.config.experiment import dump_yaml
from polytask.data.tables import default_cache
from polytask.errors import ConfigError, RunError
from polytask.studies.affinity import Affinity, run_affinity
from polytask.studies.compare import epochs_seen, floors_of
from polytask.studies.language import ENGLISH, Language
from polytask.studies.listed import Listed
from polytask.studies.partition import Groups, best_partition, gains, partitions, total
from polytask.studies.runs import Planned, dev_headlines
from polytask.studies.significance import mean_gain
from polytask.studies.study import Study, of_tasks
from polytask.studies.sweep import Estimate, estimated
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
                    "For real these groups gain {gain:+.2%} over models for each task; the best of "
                    "{num} partitions that were trained gains {regret:.2%} more.",
                    gain=found.realised.mean,
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
                    f"{100 * one.realised.mean:+.2f} ± {100 * one.realised.margin:.2f} %",
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
        )


def run_group(study: Study, models: int, by: By, *, every: int, verify: bool) -> Grouping:
    """Groups the tasks of an experiment for a number of models, and writes a file for each group.

    Trains all tasks together once, with looks at how they act on each other, and each alone. With
    `verify` also, with several seeds, the groups that each affinity would choose and all tasks in
    one model, or up to 4 tasks every partition. Scores are those on dev. Raises PolytaskError.
    """
    study.check()
    experiment = read_experiment(study.path, study.overrides)
    tasks = [task.name for task in experiment.tasks]
    if not 1 <= models <= len(tasks):
        raise ConfigError(f"models: expected 1 to {len(tasks)}, a task each, got {models}")
    found = run_affinity(
        study.path, study.out, every=every, overrides=study.overrides, console=study.console
    )
    chosen = {one: best_partition(tasks, _means(found, one), models) for one in _BY}
    joint = Planned("", study.path, study.out / "run", study.overrides)
    epochs = epochs_seen(experiment, [joint])
    alone = {task: study.subset(experiment, [task], epochs[task]) for task in tasks}
    if not verify:
        alone = {task: runs[:1] for task, runs in alone.items()}
    study.train([run for runs in alone.values() for run in runs])
    own = {task: fmean(_headline(run, task) for run in runs) for task, runs in alone.items()}
    tried: list[Tried] = []
    if verify:
        every_one = list(partitions(tasks, models)) if len(tasks) <= _ALL_OF else []
        candidates = list(dict.fromkeys([*chosen.values(), (tuple(tasks),), *every_one]))
        tried = _tried(study, experiment, candidates, own, _means(found, by))
    members = _members(experiment, chosen[by], _means(found, by), own)
    grouping = Grouping(by, chosen[by], members, tried)
    with writing(study.out):
        write_synced(study.out / FILE, grouping.as_json())
        for number, group in enumerate(grouping.groups, 1):
            plain = of_tasks(experiment, group)
            write_synced(study.out / f"group-{number}.yaml", dump_yaml(plain))
    return grouping


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
    for task in experiment.tasks:
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


def _tried(
    study: Study,
    experiment: Experiment,
    partitions: Sequence[Groups],
    own: Mapping[str, float],
    pairs: Mapping[tuple[str, str], float],
) -> list[Tried]:
    """Trains every group of some partitions, each once, and scores the partitions on dev."""
    joint = Planned("", study.path, study.out / "run", study.overrides)
    epochs = epochs_seen(experiment, [joint])
    groups = dict.fromkeys(group for one in partitions for group in one)
    runs = {
        group: study.subset(experiment, group, max(epochs[task] for task in group))
        for group in groups
    }
    study.train([run for some in runs.values() for run in some])
    return [
        Tried(
            one,
            total(one, pairs),
            estimated(
                [
                    mean_gain(
                        [
                            (_headline(runs[group][seed], task), own[task])
                            for group in one
                            for task in group
                        ]
                    )
                    for seed in range(study.seeds)
                ]
            ),
        )
        for one in partitions
    ]


def _headline(run: Planned, task: str) -> float:
    found = dev_headlines(run.run)
    if task not in found:
        raise RunError(f"task {task}: has no label in dev to be judged by. Label some rows of it.")
    return found[task]


def _frozen(groups: Sequence[Sequence[str]]) -> Groups:
    return tuple(tuple(group) for group in groups)
