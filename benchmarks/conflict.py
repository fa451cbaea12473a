"""Does balancing help? Tasks in conflict, each method against static weights with as many trials.

Scenarios: two tasks with nothing in common on an encoder of width 2; a large task of random labels
beside a small one; one loss a hundred times the other; a tiny task beside a large one. `alone`
first shows whether sharing hurts: each task alone against both together. Then every method gets
three learning rates, static weights three weights of one task and mixing three temperatures; the
best of three by the mean of dev over seeds is scored on test.

    python benchmarks/conflict.py bottleneck --alone --seeds 20
    python benchmarks/conflict.py bottleneck --seeds 5 --methods static,upgrad
"""

import argparse
import json
import os
import random
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import cast

from _common import RECIPES, ROOT, Target, print_closing_line, write_section
from rich.console import Console
from torch import Tensor

from polytask import api
from polytask.balancing import BALANCERS
from polytask.build import read_experiment
from polytask.heads import HEADS
from polytask.heads.classify import Classify
from polytask.studies.sweep import MEAN, Sweep, estimated

NUM_DEV = 400
COLOURS = ["red", "green", "blue", "yellow", "white", "black", "brown", "grey"]
ANIMALS = ["dog", "cat", "horse", "cow", "goat", "duck", "mouse", "fish"]
FILLERS = [f"{first}{last}" for first in "bdfgklmnprst" for last in ("ada", "elo", "imu", "oni")]
NEEDS: Mapping[str, Mapping[str, str]] = {"pcd": {"main": "colour"}}
LEFT_OUT = ("torchjd",)
RATES = (0.5, 1.0, 2.0)
WEIGHTS = (0.1, 0.3, 3.0)
TEMPERATURES = (2.0, 5.0, 10.0)

Row = dict[str, object]
Result = tuple[list[str], dict[str, float], dict[str, Target]]


class Loud(Classify):
    """A loss a hundred times as large."""

    def loss(self, logits: Tensor, targets: Mapping[str, Tensor]) -> Tensor:
        """The sum over targets, times 100."""
        return 100 * super().loss(logits, targets)


SCENARIOS: Mapping[str, Mapping[str, object]] = {
    "bottleneck": {"colours": 1200, "animals": 1200},
    "random_labels": {"colours": 100, "animals": 4000, "random": True},
    "scale": {"colours": 1200, "animals": 1200, "overrides": ("tasks.animal.kind=loud",)},
    "sizes": {"colours": 60, "animals": 4000, "related": True},
}


def main() -> None:
    """Prints tables and the closing line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("scenario", choices=sorted(SCENARIOS))
    parser.add_argument("--alone", action="store_true", help="each task alone against both")
    parser.add_argument("--methods", help="kinds with commas between; default: all")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--out", type=Path, default=ROOT / "runs/conflict")
    parser.add_argument("--table", type=Path, help="a Markdown file to write the table into")
    options = parser.parse_args()
    HEADS["loud"] = Loud  # type: ignore[index]
    write_data(options.scenario)
    study = Study(options.scenario, options.seeds, options.out / options.scenario)
    lines, figures, targets = (
        study.alone() if options.alone else study.methods((options.methods or "").split(","))
    )
    print("\n".join(lines))
    if options.table:
        suffix = ", alone and together" if options.alone else ""
        write_section(options.table, f"{options.scenario}{suffix}", "\n".join(lines))
    print_closing_line(figures, targets)


def write_data(scenario: str) -> None:
    """Texts of filler words with a colour and an animal; labels as the scenario wants them."""
    given = SCENARIOS[scenario]
    prepared = Path(os.environ.setdefault("POLYTASK_PREPARED", str(ROOT / "runs/prepared")))
    folder = prepared / "conflict" / scenario
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("colours", "animals"):
        for split in ("train", "dev", "test"):
            draw = random.Random(f"{name} {split}")  # noqa: S311
            num = int(str(given[name])) if split == "train" else NUM_DEV
            rows = list(made(num, draw, given))
            text = "".join(f"{json.dumps(row)}\n" for row in rows)
            (folder / f"{name}.{split}.jsonl").write_text(text, encoding="utf-8")


def made(num: int, draw: random.Random, given: Mapping[str, object]) -> Iterator[Row]:
    """Rows: random labels of animals, or colours that are the animal's, where asked for."""
    for _ in range(num):
        place = draw.randrange(len(ANIMALS))
        animal, colour = ANIMALS[place], draw.choice(COLOURS)
        words = [*draw.choices(FILLERS, k=draw.randint(4, 12)), animal]
        words += [] if given.get("related") else [colour]
        draw.shuffle(words)
        yield {
            "text": " ".join(words),
            "colour": COLOURS[place] if given.get("related") else colour,
            "animal": draw.choice(ANIMALS) if given.get("random") else animal,
        }


class Study:
    """The runs of one scenario, below one folder."""

    def __init__(self, scenario: str, seeds: int, out: Path) -> None:
        self.file = RECIPES / "conflict" / f"{scenario}.yaml"
        self.seeds = seeds
        self.out = out
        self.overrides = tuple(cast(Sequence[str], SCENARIOS[scenario].get("overrides", ())))

    def sweep(self, name: str, vary: Sequence[str]) -> Sweep:
        """Runs, or what is there of them."""
        return api.sweep(
            self.file,
            vary=vary,
            seeds=self.seeds,
            out=self.out / name,
            overrides=self.overrides,
            console=Console(quiet=True),
        )

    def alone(self) -> Result:
        """Each task alone, the other's weight being 0 on the same steps, against both together."""
        together = "balancing={kind: static}"
        silent = {
            "colour": "balancing={weights: {animal: 0.0}}",
            "animal": "balancing={weights: {colour: 0.0}}",
        }
        found = self.sweep("alone", [together, *silent.values()])
        figures = {}
        lines = [
            "| task | alone | together | together less alone |",
            "| --- | ---: | ---: | ---: |",
        ]
        for task, variant in silent.items():
            base, both = found.scores(variant, task), found.scores(together, task)
            less = estimated([both[seed] - base[seed] for seed in base])
            own, other = found.estimate(variant, task), found.estimate(together, task)
            lines.append(f"| {task} | {own} | {other} | {less} |")
            figures[f"{task}.less"], figures[f"{task}.highest"] = less.mean, less.mean + less.margin
        return lines, figures, {f"{task}.highest": Target("<", 0) for task in silent}

    def methods(self, asked: Sequence[str]) -> Result:
        """The best of three trials of each method, chosen on dev, scored on test."""
        lr = read_experiment(self.file, self.overrides).optimizer.lr
        rates = [f"optimizer.lr={lr * rate:.6f}" for rate in RATES]
        trials: dict[str, list[str]] = {
            "static weights": [f"balancing={{weights: {{colour: {one}}}}}" for one in WEIGHTS],
            "temperature": [
                f"mixing={{kind: temperature, temperature: {t}}}" for t in TEMPERATURES
            ],
        }
        for kind in BALANCERS:
            needs = "".join(f", {key}: {value}" for key, value in NEEDS.get(kind, {}).items())
            if kind not in LEFT_OUT and (not any(asked) or kind in asked):
                trials[kind] = [f"balancing={{kind: {kind}{needs}}}", *rates]
        scores = {name: self._best(name, vary) for name, vary in trials.items()}
        base = scores["static"][MEAN]
        lines = ["| method | test | less static | colour | animal |", "| --- |" + " ---: |" * 4]
        figures: dict[str, float] = {}
        for name, found in sorted(scores.items(), key=lambda one: -fmean(one[1][MEAN])):
            less = estimated([a - b for a, b in zip(found[MEAN], base, strict=True)])
            shown = [estimated(found[task]) for task in (MEAN, "colour", "animal")]
            difference = "" if name == "static" else str(less)
            lines.append(f"| {name} | {shown[0]} | {difference} | {shown[1]} | {shown[2]} |")
            figures[name] = shown[0].mean
        return lines, figures, {}

    def _best(self, name: str, vary: Sequence[str]) -> dict[str, list[float]]:
        """Scores on test by task, a number a seed, of the variant that is best on dev."""
        found = self.sweep(name.replace(" ", "-"), vary)
        best = max(found.variants, key=lambda one: found.estimate(one, MEAN).mean)
        scores: dict[str, list[float]] = {}
        main = {task.name for task in read_experiment(self.file).tasks if not task.is_auxiliary}
        for trial in found.trials:
            if trial.variant == best:
                tasks = api.evaluate(trial.folder).scores
                headlines = {task: one.headline[1] for task, one in tasks.items()}
                headlines[MEAN] = fmean(headlines[task] for task in main)
                for task, value in headlines.items():
                    scores.setdefault(task, []).append(value)
        return scores


if __name__ == "__main__":
    main()
