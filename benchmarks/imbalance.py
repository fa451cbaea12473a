"""What helps rare labels: clinc150 with an exponential tail, each remedy beside plain training.

    python benchmarks/imbalance.py --table docs/results.md

Of its 150 intents, in random order, train keeps 100 rows of the first down to 5 of the last; dev
and test stay as they are. Prints accuracy and mean recall of the 50 labels most frequent in train,
of the middle, and of the rarest, in per cent, then one JSON line. Every remedy has the same steps.
"""

import argparse
import json
import os
from collections import defaultdict
from pathlib import Path

import numpy as np
from _common import RECIPES, ROOT, Target, print_closing_line, write_section
from recipes import run

from polytask.training.folder import RunFolder
from polytask.training.results import read_metrics

MOST, FEWEST = 100, 5
EPOCHS = 5
REMEDIES = {
    "plain": [],
    "class_weights: balanced": ["tasks.request.class_weights=balanced"],
    "class_weights: effective": ["tasks.request.class_weights=effective"],
    "focal: 2": ["tasks.request.focal=2.0"],
    "logit_adjustment: 1": ["tasks.request.logit_adjustment=1.0"],
    "logit_adjustment: 1, adjust: answers": [
        "tasks.request.logit_adjustment=1.0",
        "tasks.request.adjust=answers",
    ],
    "label_smoothing: 0.1": ["tasks.request.label_smoothing=0.1"],
    "oversample: 1": ["mixing.oversample={request: 1.0}"],
    "oversample: 0.5": ["mixing.oversample={request: 0.5}"],
}
SHOWN = ("accuracy", "recall_head", "recall_middle", "recall_tail")


def main() -> None:
    """Trains with each remedy and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("remedies", nargs="*", metavar="remedy", help=f"of {list(REMEDIES)}")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path("runs/imbalance"), help="folder of runs")
    parser.add_argument("--table", type=Path, help="Markdown file to put the table into")
    options = parser.parse_args()
    train = options.out / "train.jsonl"
    num_rows = cut_to_a_tail(train, options.seed)
    found: dict[str, dict[str, float]] = {}
    for name in options.remedies or REMEDIES:
        folder = options.out / f"{list(REMEDIES).index(name)}-seed{options.seed}"
        overrides = [
            f"data.clinc150.train={train.resolve()}",
            f"train.epochs={EPOCHS}",
            f"train.seed={options.seed}",
        ]
        run(RECIPES / "clinc150.yaml", folder, [*overrides, *REMEDIES[name]])
        metrics = read_metrics(RunFolder(folder))["test"]["request"]["metrics"]  # type: ignore[index]
        found[name] = {metric: 100 * metrics[metric] for metric in SHOWN}
    lines = [
        f"Of {num_rows} training rows, seed {options.seed}; the best epoch on dev, scores on test:",
        "",
        f"| `request` | {' | '.join(SHOWN)} |",
        "| --- |" + " ---: |" * len(SHOWN),
        *(
            f"| {name} | {' | '.join(f'{metrics[one]:.2f}' for one in SHOWN)} |"
            for name, metrics in found.items()
        ),
    ]
    print("\n".join(lines))
    if options.table:
        write_section(options.table, "Rare labels", "\n".join(lines))
    print_closing_line(*figures_and_targets(found))


def cut_to_a_tail(file: Path, seed: int) -> int:
    """Writes the rows of train that are kept, and gives their number."""
    source = Path(os.environ.get("POLYTASK_DATA", ROOT / "../shared/data")) / "clinc150/train.jsonl"
    rows: dict[str, list[str]] = defaultdict(list)
    for line in source.read_text(encoding="utf-8").splitlines():
        rows[json.loads(line)["label"]].append(line)
    rows.pop("oos", None)
    order = np.random.default_rng(seed)
    kept: list[str] = []
    for place, label in enumerate(order.permutation(sorted(rows))):
        num = round(MOST * (FEWEST / MOST) ** (place / (len(rows) - 1)))
        kept += [rows[label][i] for i in np.sort(order.permutation(len(rows[label]))[:num])]
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("".join(f"{line}\n" for line in kept), encoding="utf-8")
    return len(kept)


def figures_and_targets(
    found: dict[str, dict[str, float]],
) -> tuple[dict[str, float], dict[str, Target]]:
    """What the closing line says: gains of logit adjustment over plain training are bound."""
    figures = {
        f"{name}.{metric}": metrics[metric]
        for name, metrics in found.items()
        for metric in ("accuracy", "recall_tail")
    }
    plain, adjusted = found.get("plain"), found.get("logit_adjustment: 1")
    if plain is None or adjusted is None:
        return figures, {}
    gains = {f"gain.{one}": adjusted[one] - plain[one] for one in ("accuracy", "recall_tail")}
    bars = {"gain.accuracy": Target(">=", 0.0), "gain.recall_tail": Target(">=", 4.0)}
    return figures | gains, bars


if __name__ == "__main__":
    main()
