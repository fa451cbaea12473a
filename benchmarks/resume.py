"""What saving and going on cost.

A save of an encoder of BERT-base size with the state of its optimizer, over the default interval
between saves; the memory that it takes, over the size of what it writes; a load, of files that the
system still holds in memory; and the planning of a round of a million examples, which going on does
once wherever it begins, and to which it then jumps.

    python benchmarks/resume.py
"""

import argparse
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import numpy as np
import torch
from _common import Target, print_closing_line

from polytask.config.options import CheckpointOptions
from polytask.mixing.steps import FeedSize, Round, plan_round
from polytask.training.checkpoint import Snapshot, newest_checkpoint, save_checkpoint

NUM_PARAMETERS = 110_000_000
NUM_TENSORS = 200
NUM_EXAMPLES = 1_000_000
DONE = 0.9


def main() -> None:
    """Prints seconds, ratios and the closing line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, help="where to save; default: a temporary folder")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    interval = 60 * CheckpointOptions().every_minutes
    saving, loading, extra = time_saves(options.folder, options.rounds)
    planning = time_plan(options.rounds)
    print(f"save {saving:.2f} s, load {loading:.2f} s, interval {interval:.0f} s")
    print(f"plan of a million examples {planning:.2f} s")
    figures = {
        "save_over_interval": saving / interval,
        "memory_over_checkpoint": extra,
        "seconds_to_load": loading,
        "seconds_to_plan": planning,
    }
    targets = {
        "save_over_interval": Target("<=", 0.05),
        "memory_over_checkpoint": Target("<=", 1.0),
        "seconds_to_plan": Target("<=", 2.0),
    }
    print_closing_line(figures, targets)


def time_saves(folder: Path | None, rounds: int) -> tuple[float, float, float]:
    """Seconds of a save and of a load; memory at the peak of a save over what is written."""
    each = NUM_PARAMETERS // NUM_TENSORS

    def tensors(*suffixes: str) -> dict[str, torch.Tensor]:
        return {
            f"{i}{suffix}": torch.randn(each) for i in range(NUM_TENSORS) for suffix in suffixes
        }

    snapshot = Snapshot(
        1, {"model": tensors(""), "optimizer": tensors(":exp_avg", ":exp_avg_sq")}, {}
    )
    saves, loads, peaks = [], [], []
    with tempfile.TemporaryDirectory(dir=folder) as made:
        for _ in range(rounds):
            before = resident()
            with Peak() as peak:
                saves.append(timed(lambda: save_checkpoint(Path(made), snapshot, keep=1)))
            peaks.append(peak.most - before)
            loads.append(timed(lambda: newest_checkpoint(Path(made), torch.device("cpu"))))
    return median(saves), median(loads), max(peaks) / (3 * 4 * NUM_PARAMETERS)


def time_plan(rounds: int) -> float:
    """Seconds of planning a round, to the step that nine tenths of it come before."""
    lengths = np.random.default_rng(1).integers(4, 60, NUM_EXAMPLES)
    feeds = {"texts": FeedSize(lengths, np.ones(NUM_EXAMPLES, np.int64))}

    def plan() -> None:
        at = Round(0, {"texts": NUM_EXAMPLES}, {"texts": 0})
        steps = plan_round(feeds, at, batch_tokens=1024, accumulate=1, seed=1)
        next(iter(steps[int(DONE * len(steps)) :]))

    return median(timed(plan) for _ in range(rounds))


def timed(run: Callable[[], object]) -> float:
    """Seconds."""
    started = time.perf_counter()
    run()
    return time.perf_counter() - started


def resident() -> int:
    """Private bytes of this process (Linux)."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return 1024 * int(status.partition("RssAnon:")[2].split()[0])


class Peak:
    """The most private memory meanwhile, looked at every few milliseconds."""

    def __enter__(self) -> "Peak":
        self.most, self._is_over = resident(), False
        self._thread = threading.Thread(target=self._look)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over = True
        self._thread.join()

    def _look(self) -> None:
        while not self._is_over:
            self.most = max(self.most, resident())
            time.sleep(0.005)


if __name__ == "__main__":
    main()
