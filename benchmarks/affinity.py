"""What it costs to watch tasks act on each other: 8 tasks on MiniLM, 32 rows of 32 tokens each.

Trains a few steps with looks at every third, and divides what a look took by what the steps
between two looks of `polytask affinity` (every 30) take. Cosines and look-ahead are measured apart.

    python benchmarks/affinity.py
"""

import argparse
import inspect
import json
import random
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from _common import RECIPES, Target, print_closing_line
from rich.console import Console

from polytask import api
from polytask.build import read_experiment
from polytask.config.experiment import dump_yaml
from polytask.training.folder import RunFolder
from polytask.training.journal import read_journal

NUM_TASKS, NUM_ROWS, NUM_WORDS, NUM_LABELS = 8, 32, 30, 8
WORDS = ("printer", "floor", "three", "eats", "every", "page", "please", "help", "new", "screen")
EVERY = inspect.signature(api.affinity).parameters["every"].default
BARS = {"cosines": Target("<=", 1.05), "look_ahead": Target("<=", 1.35)}


def write(folder: Path) -> Path:
    """Writes 8 data sets of random texts, and their experiment file."""
    draw = random.Random(0)  # noqa: S311
    data, tasks = {}, {}
    for number in range(NUM_TASKS):
        rows = [
            {"text": " ".join(draw.choices(WORDS, k=NUM_WORDS)), "label": str(place % NUM_LABELS)}
            for place in range(10 * NUM_ROWS)
        ]
        for split, some in (("train", rows), ("dev", rows[:NUM_LABELS])):
            file = folder / f"{number}.{split}.jsonl"
            file.write_text("".join(json.dumps(row) + "\n" for row in some))
        files = {split: f"{number}.{split}.jsonl" for split in ("train", "dev")}
        data[f"data{number}"] = files
        tasks[f"task{number}"] = {"kind": "classify", "data": f"data{number}", "text": "text"}
    encoder = read_experiment(RECIPES / "banking77.yaml").plain["encoder"]
    plain = {"encoder": encoder, "data": data, "tasks": tasks, "train": {"precision": "float32"}}
    file = folder / "eight.yaml"
    file.write_text(dump_yaml(plain))
    return file


def cost(file: Path, *, look_ahead: bool, steps: int) -> float:
    """Time of training with looks over that without."""
    out = file.parent / f"run-{look_ahead}"
    options = ["train.epochs=1", f"train.max_steps={steps}", "train.look_every=3"]
    options += [f"train.batch_tokens={NUM_TASKS * NUM_ROWS * (NUM_WORDS + 2)}"]
    options += [f"train.look_ahead={str(look_ahead).lower()}"]
    api.train(file, out=out, overrides=options, console=Console(quiet=True))
    made = [event for event in read_journal(RunFolder(out)) if event["event"] == "step"][1:]
    looks = [event["look_seconds"] for event in made if "look" in event]
    return 1 + median(looks) / (EVERY * median(event["seconds"] for event in made))


def main() -> None:
    """Prints both ratios, then the closing line."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--steps", type=int, default=8)
    steps = parser.parse_args().steps
    with TemporaryDirectory() as folder:
        file = write(Path(folder))
        figures = {name: cost(file, look_ahead=name == "look_ahead", steps=steps) for name in BARS}
    for name, ratio in figures.items():
        print(f"{name}, a look every {EVERY} steps: {ratio:.3f} x the time without")
    print_closing_line(figures, BARS)


if __name__ == "__main__":
    main()
