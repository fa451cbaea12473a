"""Can the scores be trusted: calibration, texts out of scope and sure answers on public data.

Trains the recipes banking77 and clinc150 unless their runs are there, and prints for test: the
expected calibration error before and after dev made probabilities true (15 bins of equal size);
for clinc150 the AUROC of its texts that no intent fits, the share of these that is found, and that
of the others taken for such (none of the former is trained on; the score was chosen on dev); and
of the answers called sure at a risk of 5 % the share that is wrong.

    python benchmarks/trust.py
"""

import argparse
import os
from pathlib import Path
from typing import cast

from _common import RECIPES, ROOT, Target, print_closing_line
from recipes import run

from polytask.training.folder import RunFolder
from polytask.training.results import read_metrics

TASKS = {"banking77": "banking", "clinc150": "request"}
BARS = {
    "banking77.error_after": Target("<=", 0.02),
    "clinc150.error_after": Target("<=", 0.02),
    "clinc150.out_of_scope_auroc": Target(">=", 0.97),
    "clinc150.out_of_scope_recall": Target(">=", 0.86),
    "banking77.wrong": Target("<=", 0.05),
    "clinc150.wrong": Target("<=", 0.05),
}


def figures_of(recipe: str, folder: Path) -> dict[str, float]:
    """The figures of one recipe on test, by name."""
    run(RECIPES / f"{recipe}.yaml", folder, ["train.seed=1"])
    entry = cast(dict[str, dict[str, dict]], read_metrics(RunFolder(folder))["test"])[TASKS[recipe]]
    told = entry["calibration"]
    found = {
        "accuracy": entry["metrics"]["accuracy"],
        "error_before": told["before"]["error"],
        "error_after": told["after"]["error"],
        "answered": told["given"]["answered"],
        "wrong": told["given"]["wrong"],
    }
    scope = ("out_of_scope_auroc", "out_of_scope_recall", "false_rejects")
    found |= {name: entry["metrics"][name] for name in scope if name in entry["metrics"]}
    return {f"{recipe}.{name}": value for name, value in found.items()}


def main() -> None:
    """Prints a line for each figure, then the closing line."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", type=Path, default=ROOT / "runs" / "recipes")
    out = parser.parse_args().out
    os.environ.setdefault("POLYTASK_DATA", str(ROOT.parent / "shared" / "data"))
    figures: dict[str, float] = {}
    for recipe in TASKS:
        figures |= figures_of(recipe, out / f"{recipe}-seed1")
    for name, value in figures.items():
        print(f"{name}: {value:.4f}")
    print_closing_line(figures, BARS)


if __name__ == "__main__":
    main()
