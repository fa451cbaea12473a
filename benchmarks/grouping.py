"""Does affinity foretell what sharing does? All pairs of six tasks of the starter, for real.

Trains each of six tasks alone and with each other, on at most 400 rows and for 3 epochs, with
three seeds, and all six together once with looks at their gradients. Of each pair the gain is the
mean of (together - alone) / alone over its two tasks, on dev. Prints it beside what affinities
foretell, and Spearman's rank correlation of both with an interval (pairs and seeds drawn again).

    python benchmarks/grouping.py --jobs 2
"""

from itertools import combinations
from pathlib import Path
from statistics import fmean

import numpy as np
from _common import RECIPES

from polytask.build import read_experiment
from polytask.config.experiment import dump_yaml
from polytask.studies.runs import Planned, dev_headlines
from polytask.studies.study import Study, of_tasks

TASKS = ["intent", "slots", "banking", "rare_entities", "valence", "similarity"]
ROWS, EPOCHS, SEEDS, EVERY, DRAWS = 400, 3, 3, 10, 10_000

Pair = tuple[str, str]


def six(out: Path) -> Path:
    """Writes the experiment of the six tasks."""
    experiment = read_experiment(RECIPES / "starter.yaml")
    data = {task.data for task in experiment.tasks if task.name in TASKS}
    limits = [f"data.{name}.limit={ROWS}" for name in data]
    limited = read_experiment(RECIPES / "starter.yaml", [*limits, f"train.epochs={EPOCHS}"])
    out.mkdir(parents=True, exist_ok=True)
    file = out / "six.yaml"
    file.write_text(dump_yaml(of_tasks(limited, TASKS)), encoding="utf-8")
    return file


def realised(study: Study) -> dict[Pair, np.ndarray]:
    """By pair its gain, by seed of the pair."""
    experiment = read_experiment(study.path)
    alone = {task: study.subset(experiment, [task], EPOCHS) for task in TASKS}
    pairs = {pair: study.subset(experiment, pair, EPOCHS) for pair in combinations(TASKS, 2)}
    study.train([run for runs in (*alone.values(), *pairs.values()) for run in runs])
    own = {task: fmean(headline(run, task) for run in runs) for task, runs in alone.items()}
    return {
        pair: np.array(
            [fmean(headline(run, task) / own[task] - 1 for task in pair) for run in runs]
        )
        for pair, runs in pairs.items()
    }


def headline(run: Planned, task: str) -> float:
    """On dev."""
    return dev_headlines(run.run)[task]
