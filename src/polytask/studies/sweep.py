"""Several values of any options, each with several seeds, and what difference they make on dev."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from itertools import product
from pathlib import Path
from re import sub
from statistics import fmean, stdev

from rich.console import Console
from rich.markup import escape
from scipy.stats import t

from polytask.build import read_experiment
from polytask.errors import ConfigError, TrainingError
from polytask.studies.listed import Listed
from polytask.studies.runs import Planned, dev_headlines, train_once
from polytask.training.checkpoint import write_synced, writing
from polytask.training.journal import finite

MEAN = "mean"
"""Stands for the mean over the tasks that are not auxiliary and have a label in dev, by which
training chooses, too; a task cannot be called so."""

_CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True)
class Trial:
    """One run of a sweep. scores: by task its headline on dev; error: why there are none."""

    variant: str
    seed: int
    folder: Path
    scores: Mapping[str, float]
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean over seeds and half its confidence interval of 95 %, nan for a single seed."""

    mean: float
    margin: float

    @classmethod
    def of(cls, held: Mapping[str, float | None]) -> "Estimate":
        """From plain values by name, None for nan."""
        mean, margin = (math.nan if one is None else one for one in (held["mean"], held["margin"]))
        return cls(mean, margin)

    def shown(self, form: str) -> str:
        """Both numbers in a form, the margin where it is known and without a sign."""
        margin = "" if math.isnan(self.margin) else f" ± {format(self.margin, form.lstrip('+'))}"
        return format(self.mean, form) + margin

    def __str__(self) -> str:
        return self.shown(".4f")


@dataclass(frozen=True, slots=True)
class Sweep:
    """The trials of a sweep, those of one seed after those of the other."""

    trials: Sequence[Trial]

    @property
    def variants(self) -> list[str]:
        """In the order in which they were asked for."""
        return list(dict.fromkeys(trial.variant for trial in self.trials))

    @property
    def tasks(self) -> list[str]:
        """The columns of scores: the mean over tasks first."""
        return list(dict.fromkeys(task for trial in self.trials for task in trial.scores))

    def scores(self, variant: str, task: str) -> dict[int, float]:
        """By seed."""
        return {
            trial.seed: trial.scores[task]
            for trial in self.trials
            if trial.variant == variant and trial.error is None
        }

    def estimate(self, variant: str, task: str) -> Estimate:
        """Of the score itself."""
        return estimated(list(self.scores(variant, task).values()))

    def difference(self, variant: str, task: str) -> Estimate:
        """From the first variant, seed by seed."""
        base, own = self.scores(self.variants[0], task), self.scores(variant, task)
        return estimated([own[seed] - base[seed] for seed in own if seed in base])

    def listed(self) -> Listed:
        """A row for each variant: the mean over tasks, its difference from the first, each task."""
        heads = ["variant", MEAN, "less the first", *self.tasks[1:]]
        return Listed("Scores on dev", heads, self._rows())

    def _rows(self) -> list[list[str]]:
        rows = []
        for place, variant in enumerate(self.variants):
            own = [trial for trial in self.trials if trial.variant == variant]
            errors = [trial.error.splitlines()[0] for trial in own if trial.error]
            name = f"{variant} ({len(errors)} of {len(own)} failed)" if errors else variant
            if len(errors) == len(own):
                rows.append([name, errors[0], *[""] * max(len(self.tasks), 1)])
                continue
            less = str(self.difference(variant, MEAN)) if place else ""
            each = [str(self.estimate(variant, task)) for task in self.tasks[1:]]
            rows.append([name, str(self.estimate(variant, MEAN)), less, *each])
        return rows


def estimated(values: Sequence[float]) -> Estimate:
    """Mean and margin, by Student's t."""
    if not values:
        return Estimate(math.nan, math.nan)
    if len(values) == 1:
        return Estimate(values[0], math.nan)
    factor = float(t.ppf((1 + _CONFIDENCE) / 2, len(values) - 1))
    return Estimate(fmean(values), factor * stdev(values) / math.sqrt(len(values)))


def variants_of(vary: Sequence[str]) -> dict[str, list[str]]:
    """Every combination of the values of each key, by name.

    A key named several times has several values. Raises ConfigError.
    """
    by_key: dict[str, list[str]] = {}
    for one in vary:
        key, sign, _ = one.partition("=")
        if not sign:
            raise ConfigError(f"'{one}': expected KEY=VALUE, as in --vary optimizer.lr=0.0001")
        if one in by_key.setdefault(key.strip(), []):
            raise ConfigError(f"'{one}': is there twice")
        by_key[key.strip()].append(one)
    if not by_key:
        raise ConfigError("nothing to vary: name values, as in --vary balancing.kind=upgrad")
    return {", ".join(chosen): list(chosen) for chosen in product(*by_key.values())}


def run_sweep(
    path: Path,
    out: Path,
    *,
    vary: Sequence[str],
    seeds: int,
    overrides: Sequence[str],
    console: Console,
) -> Sweep:
    """Trains every variant with seeds 1 to `seeds` below `out`; what is finished is used again.

    Every experiment is read before the first is trained. A run that diverges has no score and is
    tried again the next time. Raises PolytaskError for the user's faults, Interrupted after Ctrl-C.
    """
    if seeds < 1:
        raise ConfigError(f"seeds: expected at least 1, got {seeds}")
    if any(one.partition("=")[0].strip() == "train.seed" for one in [*vary, *overrides]):
        raise ConfigError("train.seed: every variant is trained with each seed; say `seeds`")
    planned = [
        (variant, seed, out / _folder_name(variant, seed), [*overrides, *own, f"train.seed={seed}"])
        for seed in range(1, seeds + 1)
        for variant, own in variants_of(vary).items()
    ]
    for _, _, _, own in planned:
        read_experiment(path, own)
    trials: list[Trial] = []
    for number, (variant, seed, folder, own) in enumerate(planned, 1):
        console.rule(escape(f"{number} of {len(planned)}: {variant}, seed {seed}"))
        trials.append(_trial(path, Trial(variant, seed, folder, {}), own, console))
        sweep = Sweep(trials)
        with writing(out):
            write_synced(out / "sweep.json", _as_json(trials))
            write_synced(out / "sweep.md", sweep.listed().markdown())
    return sweep


def _trial(path: Path, trial: Trial, overrides: Sequence[str], console: Console) -> Trial:
    experiment = read_experiment(path, overrides)
    planned = Planned(f"{trial.variant}, seed {trial.seed}", path, trial.folder, overrides)
    try:
        train_once(planned, console)
    except TrainingError as error:
        return replace(trial, error=str(error))
    scores = dev_headlines(planned.run)
    main = [task.name for task in experiment.tasks if not task.is_auxiliary]
    counted = [scores[name] for name in main if name in scores]
    return replace(trial, scores={MEAN: fmean(counted), **scores})


def _folder_name(variant: str, seed: int) -> str:
    plain = sub(r"[^A-Za-z0-9.]+", "-", variant).strip("-")[:60]
    return f"{plain}-{sha256(variant.encode()).hexdigest()[:6]}-seed{seed}"


def _as_json(trials: Sequence[Trial]) -> str:
    rows = [
        {
            "variant": trial.variant,
            "seed": trial.seed,
            "folder": trial.folder.name,
            "scores": trial.scores,
            "error": trial.error,
        }
        for trial in trials
    ]
    return json.dumps(finite(rows), ensure_ascii=False, indent=2)
