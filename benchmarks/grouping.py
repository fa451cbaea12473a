"""Does affinity foretell what sharing does? All pairs of six tasks of the starter, for real.

Trains each of six tasks alone and with each other, on at most 400 rows and for 3 epochs, with
three seeds, and all six together once with looks at their gradients. Of each pair the gain is the
mean of (together - alone) / alone over its two tasks, on dev. Prints it beside what affinities
foretell, and Spearman's rank correlation of both with an interval (pairs and seeds drawn again).

    python benchmarks/grouping.py --jobs 2
"""

import argparse
from itertools import combinations
from pathlib import Path
from statistics import fmean

import numpy as np
from _common import RECIPES, ROOT, print_closing_line
from rich.console import Console
from scipy.stats import spearmanr

from polytask.build import read_experiment
from polytask.config.experiment import dump_yaml
from polytask.studies.affinity import Affinity, run_affinity
from polytask.studies.runs import Planned, dev_headlines
from polytask.studies.study import Study, of_tasks

TASKS = ["intent", "slots", "banking", "rare_entities", "valence", "similarity"]
ROWS, EPOCHS, SEEDS, EVERY, DRAWS = 400, 3, 3, 10, 10_000

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


def correlation(said: dict[Pair, float], gains: dict[Pair, np.ndarray]) -> tuple[float, ...]:
    """Spearman's, and an interval of 95 % from pairs and seeds drawn again."""
    pairs = list(gains)
    values = np.array([said[pair] for pair in pairs])
    real = np.stack([gains[pair] for pair in pairs])  # (pairs, seeds)
    draw = np.random.default_rng(0)
    found = []
    for _ in range(DRAWS):
        rows = draw.integers(len(pairs), size=len(pairs))
        seeds = draw.integers(real.shape[1], size=real.shape)
        means = np.take_along_axis(real, seeds, axis=1).mean(1)
        found.append(spearmanr(values[rows], means[rows]).statistic)
    low, high = np.nanquantile(found, [0.025, 0.975])
    return float(spearmanr(values, real.mean(1)).statistic), float(low), float(high)


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
    for pair in sorted(gains, key=lambda one: -gains[one].mean()):
        cells = [f"{said[name][pair]:+.4f}" for name in said]
        print(f"| {', '.join(pair)} | {gains[pair].mean():+.2%} | {' | '.join(cells)} |")
    figures = {}
    for name, pairs in said.items():
        value, low, high = correlation(pairs, gains)
        print(f"{name}: Spearman {value:+.2f} ({low:+.2f} to {high:+.2f})")
        figures |= {name: value, f"{name}.low": low, f"{name}.high": high}
    print_closing_line(figures, {})


if __name__ == "__main__":
    main()
