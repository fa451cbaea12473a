"""Training speed of the joint SNIPS recipe, on the processor.

(a) Against the Hugging Face Trainer fine-tuning the same encoder on each task in turn: the same
batches of equal padded size in the same order, the same precision, the same AdamW.
(b) Against a bare loop over ready-made tensors of the same shapes: encoder and AdamW, no heads.
(c) bf16 against float32, for this encoder and for the small one of the Chinese sample. On a
processor without bf16 a step can take a minute, so there one step decides.

Contestants take turns, forwards and backwards; the first round is a warm-up. Figures are medians
over rounds, ratios are taken within a round. Run it with HF_HUB_OFFLINE=1 where there is no hub.
"""

import argparse
import copy
import math
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median
from typing import cast

import torch
from _common import RECIPES, Target, print_closing_line
from _trainer import features_of, trainer_lap, trainer_maker
from torch.optim import AdamW
from transformers.utils import logging

from polytask import api
from polytask.build import fit_heads, load_data, make_feeds, make_model, read_experiment
from polytask.config.options import OptimizerOptions, Precision
from polytask.data.batching import Inputs, Pass
from polytask.data.feed import Feed
from polytask.data.tables import default_cache
from polytask.encoders import Encoder
from polytask.mixing.steps import FeedSize, Round, plan_round
from polytask.tasks import make_pass
from polytask.training.journal import Journal
from polytask.training.loop import Hooks, Loop, Position
from polytask.training.precision import choose_precision

CPU = torch.device("cpu")
ENCODERS = {"minilm": RECIPES / "snips.yaml", "scratch": api.sample("chinese")}
"""An experiment file for each encoder."""

Lap = Callable[[], float]
"""Trains some steps and returns the seconds they took."""

Rounds = Sequence[Mapping[str, float]]
"""Seconds of each contestant, round by round."""


def main() -> None:
    """Prints the figures and the closing line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=60, help="timed steps of each contestant")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    has_bf16 = choose_precision("auto", CPU) == "bf16"
    with tempfile.TemporaryDirectory() as name:
        laps, num_examples = contestants(Path(name), options.steps)
        figures = speeds_of(take_turns(laps, options.rounds), num_examples)
        laps = precisions(Path(name), options.steps if has_bf16 else 1)
        figures |= speedups_of(take_turns(laps, options.rounds if has_bf16 else 1))
    for name, figure in figures.items():
        print(f"{name}: {figure:.3g}")
    targets = {"two_runs_over_joint": Target(">=", 1.8), "joint_over_bare": Target(">=", 0.85)}
    is_right = Target(">=" if has_bf16 else "<=", 1.0)
    targets |= {f"{name}_bf16_speedup": is_right for name in ENCODERS}
    print_closing_line(figures, targets)


def speeds_of(rounds: Rounds, num_examples: int) -> dict[str, float]:
    """Medians over the rounds."""

    def middle(figure: Callable[[Mapping[str, float]], float]) -> float:
        return median(figure(seconds) for seconds in rounds)

    return {
        "joint_examples_per_second": middle(lambda s: num_examples / s["joint"]),
        "bare_examples_per_second": middle(lambda s: num_examples / s["bare"]),
        "trainer_intent_examples_per_second": middle(lambda s: num_examples / s["intent"]),
        "trainer_slots_examples_per_second": middle(lambda s: num_examples / s["slots"]),
        "two_runs_over_joint": middle(lambda s: (s["intent"] + s["slots"]) / s["joint"]),
        "joint_over_bare": middle(lambda s: s["bare"] / s["joint"]),
    }


def speedups_of(rounds: Rounds) -> dict[str, float]:
    """Medians over the rounds."""
    return {
        f"{name}_bf16_speedup": median(s[f"{name} float32"] / s[f"{name} bf16"] for s in rounds)
        for name in ENCODERS
    }


def take_turns(laps: Mapping[str, Lap], num_rounds: int) -> Rounds:
    """Seconds by contestant for each round after the first."""
    rounds: list[dict[str, float]] = []
    for number in range(num_rounds + 1):
        names = list(laps)[:: 1 if number % 2 else -1]
        rounds.append({name: laps[name]() for name in names})
    return rounds[1:]


def contestants(folder: Path, steps: int) -> tuple[dict[str, Lap], int]:
    """Laps by name, and the examples in a lap of the joint recipe."""
    precision = choose_precision("auto", CPU)
    joint = open_bench(ENCODERS["minilm"], precision, folder, steps)
    encoder_folder = folder / "encoder"
    encoder_folder.mkdir()
    joint.loop.model.encoder.save(encoder_folder)
    bare = copy.deepcopy(joint.loop.model.encoder)
    options = joint.loop.experiment.optimizer
    inputs = [batch.inputs for batch in joint.passes]
    laps: dict[str, Lap] = {
        "joint": joint.lap,
        "bare": partial(bare_lap, bare, bare_optimizer(bare, options), inputs, precision),
    }
    for task in ("intent", "slots"):
        facts = joint.loop.model.head(task).facts()
        labels = cast(list[str], cast(dict[str, object], facts.get("tags", facts))["labels"])
        maker = trainer_maker(
            *features_of(joint.feed, joint.passes, task),
            num_labels=len(labels),
            encoder=encoder_folder,
            options=options,
            precision=precision,
        )
        laps[task] = partial(trainer_lap, maker)
    return laps, sum(len(batch.parts[0].records) for batch in joint.passes[1:])


def precisions(folder: Path, steps: int) -> dict[str, Lap]:
    """A lap for each encoder in each precision."""
    return {
        f"{name} {precision}": open_bench(file, precision, folder, steps).lap
        for name, file in ENCODERS.items()
        for precision in cast(tuple[Precision, ...], ("float32", "bf16"))
    }


@dataclass(frozen=True, slots=True)
class Bench:
    """A loop over the one feed of an experiment, and the first passes of its first epoch.

    A lap trains all passes but the first, `num_laps` times over, so that it has `steps` steps.
    """

    loop: Loop
    feed: Feed
    passes: Sequence[Pass]
    num_laps: int

    def lap(self) -> float:
        """Seconds of polytask's own loop, journal included."""
        return sum(self._lap() for _ in range(self.num_laps))

    def _lap(self) -> float:
        ticks: list[float] = []

        def tick() -> bool:
            ticks.append(time.perf_counter())
            return len(ticks) == len(self.passes)

        self.loop.position = Position()
        self.loop.run(Hooks(keep_best=lambda _: None, after_step=tick, rollback=lambda: None))
        return ticks[-1] - ticks[0]


def open_bench(file: Path, precision: Precision, folder: Path, steps: int) -> Bench:
    """Everything that training an experiment needs, with a journal in `folder`."""
    experiment, cache = read_experiment(file), default_cache()
    data = load_data(experiment, cache=cache)
    fit_heads(experiment, data, lambda _: None)
    torch.manual_seed(experiment.train.seed)
    model = make_model(experiment, data, lambda _: None)
    train = make_feeds(experiment, model, {n: s.train for n, s in data.items()}, cache=cache)
    dev = make_feeds(experiment, model, {n: s.dev for n, s in data.items()}, cache=cache)
    journal = Journal(folder / "journal.jsonl")
    loop = Loop(
        experiment,
        model,
        train=train,
        dev=dev,
        precision=precision,
        device=CPU,
        observers=[journal],
    )
    ((name, feed),) = train.items()
    plan = plan_round(
        {name: FeedSize(feed.lengths, feed.num_rows)},
        Round(0, counts={name: len(feed)}, seen={name: 0}),
        batch_tokens=experiment.train.batch_tokens,
        accumulate=1,
        seed=experiment.train.seed,
    )
    tokeniser = model.encoder.tokeniser
    passes = [
        make_pass(
            [(feed, indices) for _, indices in one],
            experiment.tasks_by_feed(),
            tokeniser=tokeniser,
        )
        for (one,) in plan[: steps + 1]
    ]
    return Bench(loop, feed, passes, math.ceil(steps / (len(passes) - 1)))


def bare_optimizer(encoder: Encoder, options: OptimizerOptions) -> AdamW:
    """AdamW over all parameters in use, in one group."""
    parameters = [parameter for block in encoder.blocks() for parameter in block]
    return AdamW(parameters, lr=options.lr, weight_decay=options.weight_decay, fused=True)


def bare_lap(
    encoder: Encoder, optimizer: AdamW, inputs: Sequence[Inputs], precision: Precision
) -> float:
    """Seconds of forward, backward and AdamW on ready-made tensors; the first is not timed."""
    started = 0.0
    encoder.train()
    for number, batch in enumerate(inputs):
        if number == 1:
            started = time.perf_counter()
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"):
            hidden = encoder(batch)  # (rows, tokens, width)
        hidden.mean().backward()
        optimizer.step()
        optimizer.zero_grad()
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
