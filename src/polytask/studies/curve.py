"""The learning curve of a task: how many rows sharing saves."""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from rich import box
from rich.markup import escape
from rich.table import Table

from polytask.build import Experiment, load_data, read_experiment, task_records
from polytask.data.tables import default_cache
from polytask.errors import ConfigError, did_you_mean
from polytask.studies.compare import Study, best_on_dev, comparable, trained
from polytask.studies.judged import judge
from polytask.studies.significance import Difference, difference
from polytask.training.checkpoint import write_synced, writing
from polytask.training.journal import finite

SHARES = (0.1, 0.3, 1.0)
"""Of the rows of train, where no numbers of rows are asked for."""

HEADS = ("rows", "alone", "together", "difference (95 %)", "alone would need")


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

    def rows(self) -> list[list[str]]:
        """The table: a row for each point."""
        found = []
        for point in self.points:
            lowest, highest = point.difference.interval()
            margin = "" if math.isnan(lowest) else f" ± {(highest - lowest) / 2:.4f}"
            less = f"{point.difference.mean:+.4f}{margin}"
            scores = [f"{point.alone:.4f}", f"{point.together:.4f}", less]
            found.append([f"{point.rows:,}", *scores, self._told(point)])
        return found

    def table(self) -> Table:
        """For a terminal."""
        title = escape(f"{self.task}: {self.metric} by rows of train")
        table = Table(title=title, box=box.SIMPLE, title_justify="left")
        for name in HEADS:
            table.add_column(name, justify="right")
        for row in self.rows():
            table.add_row(*row)
        return table

    def as_json(self) -> str:
        """The same with all figures."""
        points = [
            {
                "rows": one.rows,
                "alone": one.alone,
                "together": one.together,
                "difference": one.difference.mean,
                "interval": one.difference.interval(),
                "alone_would_need": self.needed(one),
            }
            for one in self.points
        ]
        whole = {"task": self.task, "metric": self.metric, "points": points}
        return json.dumps(finite(whole), indent=2, ensure_ascii=False)

    def markdown(self) -> str:
        """The table for a file."""
        lines = [HEADS, ["---:"] * len(HEADS), *self.rows()]
        return "\n".join(f"| {' | '.join(cells)} |" for cells in lines) + "\n"

    def _told(self, point: Point) -> str:
        rows = self.needed(point)
        if math.isnan(rows):
            return f"fewer than {self.points[0].rows:,}"
        return f"more than {self.points[-1].rows:,}" if math.isinf(rows) else f"{rows:,.0f}"


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
    curve = Curve(task, metric, points)
    with writing(study.out):
        write_synced(study.out / "curve.json", curve.as_json())
        write_synced(study.out / "curve.md", curve.markdown())
    return curve


def _sizes(experiment: Experiment, task: str, rows: Sequence[int]) -> list[int]:
    one = next(one for one in experiment.tasks if one.name == task)
    train = load_data(experiment, cache=default_cache())[one.data].train
    num = sum(1 for _ in task_records(one, train))
    sizes = sorted(set(rows) or {max(round(share * num), 1) for share in SHARES})
    if sizes[0] < 1 or sizes[-1] > num:
        raise ConfigError(f"rows: train of {one.data} has {num}, so 1 to {num} can be taken")
    return sizes
