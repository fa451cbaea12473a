"""Which model is the best by dev."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from polytask.evaluation.score import TaskResult
from polytask.heads import Head, Scores
from polytask.training.loop import Hooks, Loop
from polytask.training.observer import EvaluationReport, Observer, StepReport
from toys import NO_HOOKS, best_weights, bits, events, toy_loop, train_toy

Headlines = Mapping[str, Sequence[float]]


class Selections(Observer):
    """Keeps the numbers that decide."""

    def __init__(self) -> None:
        self.selected: list[float] = []

    def note(self, text: str) -> None:
        pass

    def step(self, report: StepReport) -> None:
        pass

    def evaluation(self, report: EvaluationReport) -> None:
        self.selected.append(report.selected)

    def close(self) -> None:
        pass


def scripted(head: Head, values: Sequence[float]) -> None:
    """Gives a head the headline of each evaluation."""
    coming = iter(values)
    head.score = lambda gold, predicted: Scores({head.headline: next(coming)}, 1)  # type: ignore[method-assign]


def run(toy: Path, headlines: Headlines, *overrides: str) -> tuple[Loop, list[float], list[int]]:
    seen, kept = Selections(), []
    loop = toy_loop(toy, "train.batch_tokens=4096", *overrides, observers=[seen])
    for task, values in headlines.items():
        scripted(loop.model.head(task), values)

    def keep(results: Mapping[str, TaskResult]) -> None:
        kept.append(loop.position.step)

    loop.run(Hooks(keep, NO_HOOKS.after_step, NO_HOOKS.rollback))
    return loop, seen.selected, kept


THREE: Headlines = {"intent": [0.2, 0.6, 0.9], "items": [0.4, 0.6, 0.0], "stars": [0.6, 0.3, 0.3]}


@pytest.mark.parametrize(
    ("overrides", "selected", "kept"),
    [
        # (.2 + .4 + .6) / 3, (.6 + .6 + .3) / 3, (.9 + 0 + .3) / 3
        (["train.select=mean"], [0.4, 0.5, 0.4], [1, 2]),
        (["train.select=worst"], [0.2, 0.3, 0.0], [1, 2]),
        (["train.select=intent"], [0.2, 0.6, 0.9], [1, 2, 3]),
        (["train.select=stars"], [0.6, 0.3, 0.3], [1]),
        (["tasks.items.auxiliary=true"], [0.4, 0.45, 0.6], [1, 2, 3]),
        (["tasks.items.auxiliary=true", "train.select=worst"], [0.2, 0.3, 0.3], [1, 2]),
    ],
)
def test_the_best_model_is_the_best_by_the_declared_selection(
    toy: Path, overrides: list[str], selected: list[float], kept: list[int]
) -> None:
    loop, found, saved = run(toy, THREE, *overrides)

    assert found == pytest.approx(selected)
    assert saved == kept
    assert loop.position.best_step == kept[-1]


def test_a_headline_without_data_counts_as_0(toy: Path) -> None:
    nothing = {**THREE, "stars": [math.nan] * 3}

    _, mean, kept = run(toy, nothing)

    assert mean == pytest.approx([0.2, 0.4, 0.3])
    assert kept == [1, 2]


def test_a_first_model_is_kept_even_if_it_scores_nothing(toy: Path) -> None:
    _, _, kept = run(toy, {"intent": [0.0] * 3, "items": [0.0] * 3, "stars": [-0.5] * 3})

    assert kept == [1]


@pytest.mark.parametrize(("patience", "num_evaluations"), [(1, 3), (2, 4), (3, 6)])
def test_patience_stops_after_so_many_evaluations_without_a_better_one(
    toy: Path, patience: int, num_evaluations: int
) -> None:
    intent = [0.2, 0.6, 0.5, 0.6, 0.7, 0.1, 0.1]
    others = {"items": [0.0] * 7, "stars": [0.0] * 7}

    _, selected, _ = run(
        toy,
        {"intent": intent, **others},
        "train.select=intent",
        "train.epochs=6",
        f"train.patience={patience}",
    )

    assert len(selected) == num_evaluations


def test_the_model_that_is_kept_is_that_of_the_best_step(toy: Path, tmp_path: Path) -> None:
    options = ("schedule={shape: constant, warmup: 0.0}", "optimizer.lr=0.02", "train.select=items")
    train_toy(toy, tmp_path / "long", *options, "train.epochs=6")
    best = next(e for e in reversed(events(tmp_path / "long", "evaluation")) if e["is_best"])

    train_toy(toy, tmp_path / "short", *options, f"train.epochs={best['epoch']}")

    selected = [e["selected"] for e in events(tmp_path / "long", "evaluation")]
    assert best["selected"] == max(selected)
    assert events(tmp_path / "long", "end")[0]["best_step"] == best["step"]
    assert bits(best_weights(tmp_path / "long")) == bits(best_weights(tmp_path / "short"))
