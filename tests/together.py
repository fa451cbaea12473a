"""Trains the toy with each balancing for some steps and saves the weights; alone or as one of many.

python tests/together.py EXPERIMENT OUT
"""

import os
import sys
from pathlib import Path

import torch
from safetensors.torch import save_file

from polytask.evaluation.score import score_tasks
from polytask.processes import is_first, joined, place
from polytask.training.state import unique_weights
from toys import NO_HOOKS, toy_loop

DROPOUT_OFF = (
    "encoder.dropout=0.0",
    *(f"tasks.{t}.dropout=0.0" for t in ("intent", "items", "stars")),
)
STEPS = ("train.max_steps=10", "train.epochs=9", "train.batch_tokens=64", "train.accumulate=3")
CASES: dict[str, tuple[str, ...]] = {
    "static": (),
    "uncertainty": ("balancing.kind=uncertainty",),
    "famo": ("balancing.kind=famo",),
    "random": ("balancing.kind=random",),
    "pcgrad, stale": ("balancing.kind=pcgrad", "balancing.space=all"),
    "pcgrad, stale, last block": ("balancing.kind=pcgrad", "balancing.space=last_block"),
    "upgrad, exact": ("balancing.kind=upgrad", "balancing.gradients=exact"),
    "upgrad, probe": ("balancing.kind=upgrad", "balancing.gradients=probe"),
    "upgrad, sketch": ("balancing.kind=upgrad", "balancing.gradients=sketch"),
    "recomputed": ("train.gradient_checkpointing=true",),
    "fsdp, static": (),
    "fsdp, uncertainty": ("balancing.kind=uncertainty",),
    "fsdp, famo": ("balancing.kind=famo",),
    "fsdp, kept whole": (),
    "fsdp, few rows": ("train.batch_tokens=16", "train.accumulate=9"),
    "few rows": ("train.batch_tokens=16", "train.accumulate=9"),
    "fsdp, recomputed": ("train.gradient_checkpointing=true",),
}


def main() -> None:
    experiment, out = map(Path, sys.argv[1:])
    torch.set_default_dtype(torch.float64)
    with joined(use_gpu=False):
        for name, overrides in CASES.items():
            is_spread = name.startswith("fsdp")
            os.environ |= {
                "ACCELERATE_USE_FSDP": str(is_spread).lower(),
                "FSDP_VERSION": "2",
                "FSDP_RESHARD_AFTER_FORWARD": str("kept whole" not in name).lower(),
            }
            loop = toy_loop(experiment, *DROPOUT_OFF, *STEPS, *overrides)
            torch.manual_seed(loop.experiment.train.seed + place())
            loop.run(NO_HOOKS)
            weights = unique_weights(loop.model)
            results = score_tasks(loop.model, loop.dev, loop.experiment.tasks_by_feed())
            weights |= {
                f"score.{task}": torch.tensor(one.scores.headline[1])
                for task, one in results.items()
            }
            if is_first():
                save_file(weights, out / f"{name}.safetensors")


if __name__ == "__main__":
    main()
