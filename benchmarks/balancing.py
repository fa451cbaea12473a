"""What balancing costs beside plain training: MiniLM, 32 rows of 32 tokens a task, warmed up.

A step is all forwards and backwards of K tasks, without the optimizer. The base is the faster of
static weights with one mixed pass and with K passes. Contestants take turns; ratios are taken
within a round, figures are medians over rounds. A gradient method costs what its way costs with
weights given, and the time of the method itself on the scalar products. Peaks of memory are of
processes of their own.

    python benchmarks/balancing.py
"""

import argparse
import json
import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import numpy as np
import torch
from _common import RECIPES, Target, print_closing_line
from torch import Tensor
from torchjd.aggregation import Mean
from torchjd.autojac import jac_to_grad, mtl_backward

from polytask.balancing import (
    BALANCERS,
    Balancer,
    GradientBalancer,
    GramianWeighting,
    Passes,
    PassLosses,
    Setting,
)
from polytask.balancing.balancer import LossWeighting
from polytask.balancing.exact import gramian_of
from polytask.balancing.gradients import WayName
from polytask.balancing.gramian import PlainGramianWeighting
from polytask.balancing.pcd import PCD
from polytask.balancing.spaces import SpaceName
from polytask.balancing.torchjd import TorchJD
from polytask.build import read_experiment
from polytask.data.batching import Pass
from polytask.data.feed import LiveRows
from polytask.encoders import Encoder
from polytask.heads import HEADS
from polytask.model import MultiTaskModel
from polytask.tasks import Task, make_pass
from polytask.training.mixed_precision import MixedPrecision
from polytask.training.passes import StepPasses

NUM_ROWS, NUM_WORDS, NUM_LABELS = 32, 30, 8
WORDS = ("printer", "floor", "three", "eats", "every", "page", "please", "help", "new", "screen")
MEASURED = (
    "static, one pass",
    "static, a pass a task",
    "stale",
    "exact",
    "probe, last block",
    "sketch",
)
"""The contestants whose peak of memory is printed."""
BARS: Mapping[str, Mapping[int, float]] = {
    "losses": {2: 1.02, 4: 1.02, 8: 1.03},
    "stale": {2: 1.05, 4: 1.08, 8: 1.10},
    "exact": {2: 1.10, 4: 1.15, 8: 1.20},
    "same_rows.probe": {2: 1.05, 4: 1.08, 8: 1.12},
}


class Given(PlainGramianWeighting):
    """All weights 1: the cost of the way alone."""

    def weigh(self, gramian: Tensor, losses: Mapping[str, float]) -> Tensor:
        """Ones."""
        return torch.ones(len(losses), dtype=torch.float64)


@dataclass
class Bench:
    """A model of K tasks on rows of their own, or all on the same, and the passes of a step."""

    model: MultiTaskModel
    names: dict[str, list[str]]
    apart: list[Pass]
    mixed: list[Pass]

    @classmethod
    def of(cls, encoder: Encoder, num: int, *, same_rows: bool) -> "Bench":
        """K classification heads."""
        draw = random.Random(num)  # noqa: S311
        heads, feeds, tasks = {}, {}, {}
        for i in range(num):
            records = [
                {
                    "text": " ".join(draw.choices(WORDS, k=NUM_WORDS)),
                    "label": str(place % NUM_LABELS),
                }
                for place in range(NUM_ROWS)
            ]
            head = HEADS["classify"](text="text")
            head.fit(records)
            head.attach(encoder.width)
            heads[f"t{i}"] = head
            feed = "f0" if same_rows else f"f{i}"
            tasks.setdefault(feed, []).append(Task(f"t{i}", feed, head))
            feeds.setdefault(
                feed,
                LiveRows(feed, records, head.view, tokeniser=encoder.tokeniser, cleaning=None),
            )
        model = MultiTaskModel(encoder, heads)
        whole = np.arange(NUM_ROWS)
        made = {"tasks": tasks, "tokeniser": encoder.tokeniser}
        return cls(
            model,
            {feed: [task.name for task in some] for feed, some in tasks.items()},
            [make_pass([(rows, whole)], **made) for rows in feeds.values()],
            [make_pass([(rows, whole) for rows in feeds.values()], **made)],
        )

    def step(self, balancer: Balancer, batches: Sequence[Pass] | None = None) -> Callable[[], None]:
        """All forwards and backwards of a step, with a look back if the balancer wants one."""
        if batches is None:
            batches = self.apart if balancer.is_apart else self.mixed
        balancer.attach(
            Setting(
                dict.fromkeys(self.model.tasks, NUM_LABELS),
                list(self.names.values()),
                self.model.encoder,
                list(self.model.heads.parameters()),
            )
        )

        def run() -> None:
            passes = self.passes(batches)
            balancer.backward(passes)
            if balancer.looks_back:
                balancer.look_back(passes.again())
            self.model.zero_grad()

        return run

    def passes(self, batches: Sequence[Pass]) -> StepPasses:
        """The step's losses."""
        device = torch.device("cpu")
        return StepPasses(
            self.model,
            batches,
            self.names,
            device=device,
            mixed=MixedPrecision("float32", device, []),
        )

    def forward(self) -> None:
        """One forward without gradients."""
        self.passes(self.mixed).again()

    def torchjd(self) -> None:
        """The Jacobian of TorchJD, all tasks on the rows of one pass, and its mean."""
        (batch,) = self.apart
        part = batch.parts[0]
        hidden = self.model.encoder(batch.inputs)
        losses = []
        for task in self.model.tasks:
            head, targets = self.model.head(task), part.targets[task]
            losses.append(head.loss(head(hidden, part.inputs), targets) / head.count(targets))
        mtl_backward(losses, features=[hidden])
        jac_to_grad([p for p in self.model.encoder.parameters() if hasattr(p, "jac")], Mean())
        self.model.zero_grad()

    def loop(self) -> None:
        """A forward and a backward for each task, as a plain loop would."""
        for task in self.model.tasks:
            batch = self.apart[0]
            part = batch.parts[0]
            head, targets = self.model.head(task), part.targets[task]
            hidden = self.model.encoder(batch.inputs)
            (head.loss(head(hidden, part.inputs), targets) / head.count(targets)).backward()
        self.model.zero_grad()

    def gramian(self) -> Tensor:
        """The scalar products of this model's gradients."""
        shared = list(self.model.encoder.parameters())
        found = [
            list(torch.autograd.grad(loss, shared, allow_unused=True, retain_graph=True))
            for losses in self.passes(self.apart)
            for loss in losses.values()
        ]
        return gramian_of(found)


def by_gradients(way: WayName, space: SpaceName | None = None) -> GradientBalancer:
    """A way with weights given."""
    return GradientBalancer(Given(), way, space)


def methods() -> Iterator[tuple[str, GramianWeighting]]:
    """Every gradient method of our own, with its defaults."""
    for name, kind in BALANCERS.items():
        if issubclass(kind, GramianWeighting) and kind is not TorchJD:
            yield name, PCD(main="t0") if kind is PCD else kind()


def own_rows(bench: Bench) -> dict[str, Callable[[], None]]:
    """What takes turns where tasks have rows of their own."""
    static = BALANCERS["static"]
    return {
        "static, one pass": bench.step(static(), bench.mixed),
        "static, a pass a task": bench.step(static(), bench.apart),
        "losses before (dwa)": bench.step(BALANCERS["dwa"]()),
        "losses now (uw_so)": bench.step(BALANCERS["uw_so"]()),
        "famo": bench.step(BALANCERS["famo"]()),
        "a forward": bench.forward,
        "stale": bench.step(by_gradients("stale", "all")),
        "exact": bench.step(by_gradients("exact")),
        "probe, last block": bench.step(by_gradients("probe")),
        "sketch": bench.step(by_gradients("sketch", "all")),
    }


def same_rows(bench: Bench) -> dict[str, Callable[[], None]]:
    """What takes turns where all tasks read the same rows."""
    return {
        "static, one pass": bench.step(BALANCERS["static"]()),
        "probe, output": bench.step(by_gradients("probe", "shared")),
        "probe, last block": bench.step(by_gradients("probe")),
        "stale, last block": bench.step(by_gradients("stale")),
        "exact": bench.step(by_gradients("exact")),
        "TorchJD mtl_backward": bench.torchjd,
        "a plain loop": bench.loop,
    }


def timed(contestants: Mapping[str, Callable[[], None]], rounds: int) -> list[dict[str, float]]:
    """Seconds of each, by round, in a new order each time; one round before them warms up."""
    found: list[dict[str, float]] = []
    for number in range(rounds + 1):
        seconds = dict.fromkeys(contestants, 0.0)
        for name in random.Random(number).sample(list(contestants), len(contestants)):  # noqa: S311
            started = time.perf_counter()
            contestants[name]()
            seconds[name] = time.perf_counter() - started
        found.append(seconds)
    return found[1:]


def of_method(method: GramianWeighting, gramian: Tensor) -> float:
    """Seconds that a method takes for its weights."""
    losses = {f"t{i}": 1.0 + i for i in range(len(gramian))}
    found = []
    for _ in range(9):
        started = time.perf_counter()
        method.weigh(gramian, losses)
        found.append(time.perf_counter() - started)
    return median(found)


class Cheap(Passes):
    """A pass whose losses cost nothing: what is left is the weighting's own time."""

    def __init__(self, num: int) -> None:
        self._names = [f"t{i}" for i in range(num)]
        self._parameter = torch.ones((), requires_grad=True)

    @property
    def tasks(self) -> Sequence[str]:
        """All of them."""
        return self._names

    def __iter__(self) -> Iterator[PassLosses]:
        yield dict.fromkeys(self._names, self._parameter * 2)


def of_weighting(kind: type[Balancer], encoder: Encoder, num: int) -> float:
    """Seconds that a weighting by losses takes, over those of static weights."""
    seconds = []
    for balancer in (BALANCERS["static"](), kind()):
        passes, found = Cheap(num), []
        balancer.attach(Setting(dict.fromkeys(passes.tasks, NUM_LABELS), [], encoder, []))
        for _ in range(21):
            started = time.perf_counter()
            balancer.backward(passes)
            found.append(time.perf_counter() - started)
        seconds.append(median(found))
    return max(seconds[1] - seconds[0], 0.0)


def compare_own_rows(encoder: Encoder, num: int, rounds: int) -> dict[str, float]:
    """Ratios to the base, tasks having rows of their own."""
    bench = Bench.of(encoder, num, same_rows=False)
    turns = timed(own_rows(bench), rounds)
    plain = min(
        ("static, one pass", "static, a pass a task"),
        key=lambda name: median(one[name] for one in turns),
    )
    bases = [one[plain] for one in turns]
    gramian = bench.gramian()
    solving = {name: of_method(method, gramian) for name, method in methods()}
    slowest = max(solving, key=solving.__getitem__)
    kinds = {n: k for n, k in BALANCERS.items() if issubclass(k, Balancer) and n != "static"}
    weighing = {name: of_weighting(kind, encoder, num) for name, kind in kinds.items()}

    def ratio(name: str, more: float = 0.0, less: str | None = None) -> float:
        return median(
            (one[name] + more - (one[less] if less else 0.0)) / base
            for one, base in zip(turns, bases, strict=True)
        )

    print(f"\nK = {num}, rows of their own: base {plain}, {1000 * median(bases):.0f} ms")
    print("| | ratio |\n| --- | ---: |")
    for name in turns[0]:
        print(f"| {name} | {ratio(name):.3f} |")
    print(f"| famo without its forward | {ratio('famo', less='a forward'):.3f} |")
    print(f"| slowest method: {slowest} | {solving[slowest] / median(bases):.4f} more |")
    losses = {
        name: ratio(
            "losses now (uw_so)" if issubclass(kind, LossWeighting) else "losses before (dwa)",
            weighing[name],
        )
        for name, kind in kinds.items()
        if name != "famo"
    }
    losses["famo"] = ratio("famo", less="a forward")
    print("| " + ", ".join(f"{name} {cost:.3f}" for name, cost in losses.items()) + " | |")
    return {
        "losses": max(losses.values()),
        "stale": ratio("stale", solving[slowest]),
        "exact": ratio("exact", solving[slowest]),
        "sketch": ratio("sketch", solving[slowest]),
    }


def compare_same_rows(encoder: Encoder, num: int, rounds: int) -> dict[str, float]:
    """Ratios to the base, all tasks reading the same rows."""
    bench = Bench.of(encoder, num, same_rows=True)
    turns = timed(same_rows(bench), rounds)
    bases = [one["static, one pass"] for one in turns]
    solving = max(of_method(method, bench.gramian()) for _, method in methods())
    found = {
        name: median(one[name] / base for one, base in zip(turns, bases, strict=True))
        for name in turns[0]
    }
    print(f"\nK = {num}, the same rows: base {1000 * median(bases):.0f} ms")
    print("| | ratio |\n| --- | ---: |")
    for name, cost in found.items():
        print(f"| {name} | {cost:.3f} |")
    return {
        "same_rows.probe": found["probe, output"] + solving / median(bases),
        "same_rows.torchjd": found["TorchJD mtl_backward"],
    }


def peak(name: str, num: int) -> float:
    """MB at the peak of a process that makes three steps of one contestant."""
    command = [sys.executable, __file__, "--peak", name, "--tasks", str(num)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return float(json.loads(done.stdout.splitlines()[-1]))


def main() -> None:
    """Prints Markdown tables and the closing line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--tasks", type=int, nargs="+", default=[2, 4, 8])
    parser.add_argument("--peak", help="only make three steps of a contestant and print its peak")
    options = parser.parse_args()
    torch.manual_seed(0)
    source = read_experiment(RECIPES / "snips.yaml").source
    encoder = source.create(lambda: iter(()), base=Path(), note=lambda _: None)
    if options.peak:
        run = own_rows(Bench.of(encoder, options.tasks[0], same_rows=False))[options.peak]
        for _ in range(3):
            run()
        status = Path("/proc/self/status").read_text(encoding="ascii")
        print(int(status.partition("VmHWM:")[2].split()[0]) / 1024)
        return
    figures: dict[str, float] = {}
    for num in options.tasks:
        for compare in (compare_own_rows, compare_same_rows):
            found = compare(encoder, num, options.rounds)
            figures |= {f"{name}.{num}": ratio for name, ratio in found.items()}
    print("\n| peak of memory in MB | " + " | ".join(f"K = {n}" for n in options.tasks) + " |")
    print("| --- |" + " ---: |" * len(options.tasks))
    for name in MEASURED:
        peaks = {num: peak(name, num) for num in options.tasks}
        print(f"| {name} | " + " | ".join(f"{one:.0f}" for one in peaks.values()) + " |")
        figures |= {f"peak_mb.{name}.{num}": one for num, one in peaks.items()}
    targets = {
        f"{name}.{num}": Target("<=", bar)
        for name, bars in BARS.items()
        for num, bar in bars.items()
        if num in options.tasks
    }
    print_closing_line(figures, targets)


if __name__ == "__main__":
    main()
