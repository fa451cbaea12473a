"""What a study trains: an experiment with all its tasks, and each alone, with several seeds."""

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from rich.console import Console

from polytask.build import Experiment, read_experiment
from polytask.config.experiment import dump_yaml
from polytask.errors import ConfigError
from polytask.studies.origin import Origin, origin
from polytask.studies.runs import Planned, train_all
from polytask.studies.ways import asked_for
from polytask.training.checkpoint import write_synced, writing

_PATIENCE = 3
_LONGEST = 80
"""Characters of a folder named by its tasks."""
_OTHERS = {"reads": ("reads_gradient",), "agrees_with": ("agreement",)}
"""Keys of a task that name other tasks, and the keys that say how."""
_OF_OTHERS = {"auxiliary", *_OTHERS, *(one for about in _OTHERS.values() for one in about)}
"""Keys of a task that mean nothing where it is alone."""


@dataclass(frozen=True, slots=True)
class Study:
    """An experiment to be trained with seeds 1 to `seeds` below `out`, `jobs` models at a time.

    balancing, mixing: other kinds, or sections in braces, to train all tasks together with.
    longer: times as many epochs as the joint model made that a model of its own may take, if dev
    asks for them; with 1 it takes as many.
    """

    path: Path
    out: Path
    seeds: int
    jobs: int
    overrides: Sequence[str]
    console: Console
    balancing: Sequence[str] = ()
    mixing: Sequence[str] = ()
    longer: int = 3

    def check(self) -> None:
        """Raises ConfigError for numbers that cannot be."""
        for name in ("seeds", "jobs", "longer"):
            number = getattr(self, name)
            if number < 1:
                raise ConfigError(f"{name}: expected at least 1, got {number}")
        if any(one.partition("=")[0].strip() == "train.seed" for one in self.overrides):
            raise ConfigError("train.seed: each model is trained with every seed; say `seeds`")

    def origin(self, verb: str, options: Mapping[str, object]) -> Origin:
        """What makes the study again."""
        told = {"seeds": self.seeds, **options, "out": self.out}
        return origin(verb, self.path, told, self.overrides)

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
            write_synced(file, dump_yaml(of_tasks(experiment, [task], epochs)))
        return {
            length: self._planned(
                f"{task} alone, {length}",
                file,
                file.parent / f"{task}-{length.replace(' ', '-')}",
                options,
            )
            for length, options in self._lengths(epochs).items()
        }

    def subset(self, experiment: Experiment, tasks: Sequence[str], epochs: int) -> list[Planned]:
        """Some of the tasks in one model, a run a seed."""
        name = "+".join(tasks)
        if len(name) > _LONGEST:
            name = f"{name[:_LONGEST]}-{hashlib.sha256(name.encode()).hexdigest()[:6]}"
        file = self.out / "groups" / f"{name}.yaml"
        with writing(file):
            file.parent.mkdir(parents=True, exist_ok=True)
            write_synced(file, dump_yaml(of_tasks(experiment, tasks, epochs)))
        read_experiment(file)
        return self._planned(", ".join(tasks), file, file.parent / name, ())

    def _lengths(self, epochs: int) -> dict[str, list[str]]:
        """How long a task is trained alone: names and overrides."""
        equal = {f"{epochs} epochs": [f"train.epochs={epochs}"]}
        most = self.longer * epochs
        if most == epochs:
            return equal
        options = [f"train.epochs={most}", f"train.patience={_PATIENCE}"]
        return {**equal, f"up to {most} epochs": options}

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


def of_tasks(experiment: Experiment, names: Sequence[str], epochs: int) -> dict[str, object]:
    """The experiment of some of its tasks, for so many epochs: the others are left out of it.

    A section `mixing` or `balancing` that means nothing without the others, and those of one task
    alone, become plain: in proportion to sizes, static.
    """
    plain = cast(Mapping[str, dict[str, object]], experiment.plain)
    tasks = {
        name: _among(cast(Mapping[str, object], plain["tasks"][name]), names) for name in names
    }
    if all(task.get("auxiliary") for task in tasks.values()):
        tasks = {name: {**task, "auxiliary": None} for name, task in tasks.items()}
    data = list(dict.fromkeys(cast(str, task["data"]) for task in tasks.values()))
    absent = {*plain["tasks"], *plain["data"]} - {*names, *data}
    power = {name: experiment.oversample[name] for name in names if name in experiment.oversample}
    mixing = _without(plain["mixing"], absent) if len(names) > 1 else None
    balancing = _without(plain["balancing"], set(plain["tasks"]) - set(names))
    train = plain["train"]
    select = train["select"] if train["select"] in ("worst", *names) else "mean"
    rest = {"epochs": epochs, "select": select, "max_steps": None, "patience": None}
    return {
        **plain,
        "data": {one: plain["data"][one] for one in data},
        "tasks": tasks,
        "mixing": {**(mixing or {"kind": "proportional"}), "oversample": power or None},
        "balancing": (balancing if len(names) > 1 else None) or {"kind": "static"},
        "train": {**train, **rest},
    }


def _among(task: Mapping[str, object], names: Sequence[str]) -> dict[str, object]:
    """A task as it is beside these tasks alone."""
    kept = {key: value for key, value in task.items() if key not in _OF_OTHERS}
    if len(names) == 1:
        return kept
    for key, about in _OTHERS.items():
        others = [one for one in cast(Sequence[str], task.get(key) or ()) if one in names]
        if others:
            kept |= {key: others, **{one: task[one] for one in about if one in task}}
    return kept | {key: task[key] for key in ("auxiliary",) if key in task}


def _without(section: Mapping[str, object], absent: Set[str]) -> dict[str, object] | None:
    """A section without its options by absent task or data set; None if it cannot be without."""
    kept = dict(section)
    for key, value in section.items():
        if key in ("kind", "oversample"):  # the latter is told by `of_tasks`
            continue
        if isinstance(value, Mapping):
            kept[key] = {name: one for name, one in value.items() if _root(name) not in absent}
            if value and not kept[key]:
                return None
        elif any(text in absent for text in _texts(value)):
            return None
    return kept


def _texts(value: object) -> Iterator[str]:
    """Every name in a value."""
    if isinstance(value, str):
        yield _root(value)
    elif isinstance(value, Mapping):
        yield from map(_root, value)
        yield from (text for one in value.values() for text in _texts(one))
    elif isinstance(value, list | tuple):
        yield from (text for one in value for text in _texts(one))


def _root(name: str) -> str:
    """The data set of a feed such as `mails/text`."""
    return name.partition("/")[0]
