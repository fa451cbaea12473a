"""Does affinity foretell what sharing does? All pairs of six tasks of the starter, for real.

Trains each of six tasks alone and with each other, on at most 400 rows and for 3 epochs, with
three seeds, and all six together once with looks at their gradients. Of each pair the gain is the
mean of (together - alone) / alone over its two tasks, on dev. Prints it beside what affinities
foretell, and Spearman's rank correlation of both, with an interval from leaving out each task.

    python benchmarks/grouping.py --jobs 2
"""

import argparse
from collections.abc import Mapping, Sequence
from itertools import combinations
from pathlib import Path
from statistics import fmean

import numpy as np
from _common import RECIPES, ROOT, print_closing_line
from rich.console import Console
from scipy.stats import spearmanr, t

from polytask.build import read_experiment
from polytask.config.experiment import dump_yaml
from polytask.studies.affinity import Affinity, run_affinity
from polytask.studies.runs import Planned, dev_headlines
from polytask.studies.significance import mean_gain
from polytask.studies.study import Study, of_tasks

TASKS = ["intent", "slots", "banking", "rare_entities", "valence", "similarity"]
ROWS, EPOCHS, SEEDS, EVERY = 400, 3, 3, 10

Pair = tuple[str, str]


def six(out: Path) -> Path:
    """Writes the experiment of the six tasks."""
    experiment = read_experiment(RECIPES / "starter.yaml")
    data = {task.data for task in experiment.tasks if task.name in TASKS}
    limits = [f"data.{name}.limit={ROWS}" for name in sorted(data)]
    limited = read_experiment(RECIPES / "starter.yaml", [*limits, f"train.epochs={EPOCHS}"])
    out.mkdir(parents=True, exist_ok=True)
    file = out / "six.yaml"
    file.write_text(dump_yaml(of_tasks(limited, TASKS, EPOCHS)), encoding="utf-8")
    return file


def realised(study: Study) -> dict[Pair, float]:
    """By pair its mean relative gain, over seeds and both tasks."""
    experiment = read_experiment(study.path)
    alone = {task: study.subset(experiment, [task], EPOCHS) for task in TASKS}
    pairs = {pair: study.subset(experiment, pair, EPOCHS) for pair in combinations(TASKS, 2)}
    study.train([run for runs in (*alone.values(), *pairs.values()) for run in runs])
    own = {task: headline(runs, task) for task, runs in alone.items()}
    return {
        pair: mean_gain([(headline(runs, task), own[task]) for task in pair])
        for pair, runs in pairs.items()
    }


def headline(runs: Sequence[Planned], task: str) -> float:
    """On dev, the mean over seeds."""
    return fmean(dev_headlines(run.run)[task] for run in runs)


def foretold(found: Affinity) -> dict[str, dict[Pair, float]]:
    """By affinity and pair the mean of both directions."""
    named = {"cosines": found.cosines, "look-ahead": found.ahead, "linearised": found.linear}
    return {
        name: {
            (one, other): fmean((pairs[one, other].mean, pairs[other, one].mean))
            for one, other in combinations(TASKS, 2)
        }
        for name, pairs in named.items()
    }


def correlation(said: Mapping[Pair, float], gains: Mapping[Pair, float]) -> tuple[float, float]:
    """Spearman's, and half its interval of 95 %: a jackknife that leaves out a task at a time.

    Pairs that share a task depend on each other, so they are left out together.
    """

    def of(pairs: Sequence[Pair]) -> float:
        found = spearmanr([said[pair] for pair in pairs], [gains[pair] for pair in pairs])
        return float(found.statistic)

    without = np.array([of([pair for pair in gains if task not in pair]) for task in TASKS])
    num = len(TASKS)
    error = np.sqrt((num - 1) * without.var())
    return of(list(gains)), float(t.ppf(0.975, num - 1) * error)


def main() -> None:
    """Prints a row for each pair, the correlations, then the closing line."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", type=Path, default=ROOT / "runs" / "grouping")
    parser.add_argument("--jobs", type=int, default=1)
    asked = parser.parse_args()
    file = six(asked.out)
    console = Console(stderr=True)
    gains = realised(Study(file, asked.out, SEEDS, asked.jobs, (), console))
    said = foretold(run_affinity(file, asked.out, every=EVERY, overrides=(), console=console))
    print(
        "| pair | gain | cosines | look-ahead | linearised |\n| --- | ---: | ---: | ---: | ---: |"
    )
    for pair in sorted(gains, key=lambda one: -gains[one]):
        cells = [f"{said[name][pair]:+.4f}" for name in said]
        print(f"| {', '.join(pair)} | {gains[pair]:+.2%} | {' | '.join(cells)} |")
    figures = {}
    for name, pairs in said.items():
        value, margin = correlation(pairs, gains)
        print(f"{name}: Spearman {value:+.2f} ± {margin:.2f}")
        figures |= {name: value, f"{name}.margin": margin}
    print_closing_line(figures, {})


if __name__ == "__main__":
    main()
