"""The learning curve of a task: how many rows sharing saves."""

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace

import numpy as np

from polytask.build import Experiment, load_data, read_experiment, task_records
from polytask.data.tables import default_cache
from polytask.errors import ConfigError, did_you_mean
from polytask.studies.compare import best_on_dev, comparable, trained
from polytask.studies.judged import judge
from polytask.studies.language import ENGLISH, Language
from polytask.studies.listed import Listed
from polytask.studies.origin import UNKNOWN, Origin
from polytask.studies.significance import Difference, difference
from polytask.studies.study import Study
from polytask.training.checkpoint import write_synced, writing
from polytask.training.journal import finite

FILE = "curve.json"
"""Of a learning curve, in its folder."""

SHARES = (0.1, 0.3, 1.0)
"""Of the rows of train, where no numbers of rows are asked for."""


@dataclass(frozen=True, slots=True)
class Point:
    """The scores of a task on test with so many rows of train: means over seeds."""

    rows: int
    alone: float
    together: float
    difference: Difference


@dataclass(frozen=True, slots=True)
class Curve:
    """The points of a task, the fewest rows first."""

    task: str
    metric: str
    points: Sequence[Point]
    origin: Origin = UNKNOWN

    def needed(self, point: Point) -> float:
        """How many rows the task alone needs to score as it does together at a point.

        Read off its own curve, straight over the logarithm of rows between the points that are
        better than all before; inf where more are needed than were tried, nan where fewer.
        """
        better: list[Point] = []
        for one in self.points:
            if not better or one.alone > better[-1].alone:
                better.append(one)
        alone = [one.alone for one in better]
        if point.together > alone[-1]:
            return math.inf
        if point.together < alone[0]:
            return math.nan
        logs = np.log([one.rows for one in better])
        return float(np.exp(np.interp(point.together, alone, logs)))

    def listed(self, say: Language = ENGLISH) -> Listed:
        """A row for each point."""
        title = say("{task}: {metric} by rows of train", task=self.task, metric=self.metric)
        heads = say.each("rows", "alone", "together", "difference (95 %)", "alone would need")
        rows = [
            [
                f"{one.rows:,}",
                f"{one.alone:.4f}",
                f"{one.together:.4f}",
                str(one.difference),
                self._told(one, say),
            ]
            for one in self.points
        ]
        return Listed(title, heads, rows, 0)

    def as_json(self) -> str:
        """The same with all figures."""
        points = [
            {
                "rows": one.rows,
                "alone": one.alone,
                "together": one.together,
                "difference": one.difference.mean,
                "error": one.difference.error,
                "freedom": one.difference.freedom,
                "interval": one.difference.interval(),
                "alone_would_need": self.needed(one),
            }
            for one in self.points
        ]
        origin = asdict(self.origin)
        whole = {"task": self.task, "metric": self.metric, "points": points, "origin": origin}
        return json.dumps(finite(whole), indent=2, ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str) -> "Curve":
        """What `as_json` gave. Raises ValueError, KeyError or TypeError for anything else."""
        held = json.loads(text)
        points = [
            Point(
                one["rows"],
                one["alone"],
                one["together"],
                Difference.of({**one, "mean": one["difference"]}),
            )
            for one in held["points"]
        ]
        return cls(held["task"], held["metric"], points, Origin(**held["origin"]))

    def _told(self, point: Point, say: Language) -> str:
        rows = self.needed(point)
        if math.isnan(rows):
            return say("fewer than {rows:,}", rows=self.points[0].rows)
        if math.isinf(rows):
            return say("more than {rows:,}", rows=self.points[-1].rows)
        return f"{rows:,.0f}"


def run_curve(study: Study, task: str, rows: Sequence[int]) -> Curve:
    """Trains a task alone and together with the others, on few and on more rows of its data.

    The others keep all of theirs, but for tasks on the same data set. Without `rows` a tenth,
    three tenths and all are taken; fewer are always among more. The task alone is as in a
    comparison. Test is scored once all runs are trained. Raises PolytaskError.
    """
    study.check()
    experiment = read_experiment(study.path, study.overrides)
    if task not in (names := comparable(experiment)):
        raise ConfigError(f"no task '{task}' to compare. {did_you_mean(task, names)}")
    data = next(one.data for one in experiment.tasks if one.name == task)
    sizes = _sizes(experiment, task, rows)
    made = {}
    for size in sizes:
        own = replace(
            study,
            out=study.out / f"{size}-rows",
            overrides=[*study.overrides, f"data.{data}.limit={size}"],
        )
        limited = read_experiment(own.path, own.overrides)
        joint, alone, _ = trained(own, limited, [task])
        made[size] = joint, alone[task]
    points, metric = [], ""
    for size, (joint, lengths) in made.items():
        together = judge(joint, [task])[task]
        own_best = judge(lengths[best_on_dev(lengths, [task])], [task])[task]
        metric = together.metric
        less = difference(together.sample, own_best.sample)
        means = [float(one.sample.whole.mean()) for one in (own_best, together)]
        points.append(Point(size, means[0], means[1], less))
    origin = study.origin("curve", {"task": task, "rows": list(rows)})
    curve = Curve(task, metric, points, origin)
    with writing(study.out):
        write_synced(study.out / FILE, curve.as_json())
    return curve


def _sizes(experiment: Experiment, task: str, rows: Sequence[int]) -> list[int]:
    one = next(one for one in experiment.tasks if one.name == task)
    train = load_data(experiment, cache=default_cache())[one.data].train
    num = sum(1 for _ in task_records(one, train))
    sizes = sorted(set(rows) or {max(round(share * num), 1) for share in SHARES})
    if sizes[0] < 1 or sizes[-1] > num:
        raise ConfigError(f"rows: train of {one.data} has {num}, so 1 to {num} can be taken")
    return sizes
