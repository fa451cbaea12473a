"""Losses and gradients of a step, and what a person sees of it."""

import io
import math
from collections.abc import Mapping
from pathlib import Path

import pytest
import torch
from rich.console import Console

from polytask.balancing.famo import FAMO
from polytask.balancing.uncertainty import Uncertainty
from polytask.training.observer import StepReport
from polytask.training.progress import ConsoleProgress
from steps import one_step, setting
from toys import events, train_toy

ONE_STEP = ("train.max_steps=1", "encoder.dropout=0.0", "optimizer.max_norm=null")
NO_DROPOUT = tuple(f"tasks.{task}.dropout=0.0" for task in ("intent", "items", "stars"))


def test_a_step_of_many_small_passes_has_the_losses_and_gradients_of_one_large_pass(
    toy: Path, tmp_path: Path
) -> None:
    large, small = ("train.batch_tokens=4096",), ("train.batch_tokens=64", "train.accumulate=100")

    train_toy(toy, tmp_path / "large", *ONE_STEP, *NO_DROPOUT, *large)
    train_toy(toy, tmp_path / "small", *ONE_STEP, *NO_DROPOUT, *small)

    one, other = (events(tmp_path / name, "step")[0] for name in ("large", "small"))
    assert one["counts"] == other["counts"] == {"intent": 35, "items": 283, "stars": 34}
    assert other["losses"] == pytest.approx(one["losses"], rel=1e-5)
    assert other["gradient_norms"] == pytest.approx(one["gradient_norms"], rel=1e-4)
    assert other["padded_tokens"] < one["padded_tokens"]


def test_the_loss_of_a_weighted_task_is_told_unweighted_with_its_weight_beside(
    toy: Path, tmp_path: Path
) -> None:
    train_toy(toy, tmp_path / "even", *ONE_STEP, *NO_DROPOUT)
    train_toy(toy, tmp_path / "odd", *ONE_STEP, *NO_DROPOUT, "balancing.weights={items: 3.0}")

    even, odd = (events(tmp_path / name, "step")[0] for name in ("even", "odd"))
    assert odd["losses"] == even["losses"]
    assert odd["weights"] == {**even["weights"], "items": 3.0}
    assert odd["gradient_norms"]["items"] == pytest.approx(3 * even["gradient_norms"]["items"])


def test_a_loss_that_is_not_finite_does_not_stay_in_the_mean_that_is_shown() -> None:
    shown = io.StringIO()
    progress = ConsoleProgress(Console(file=shown, force_terminal=True, width=120))

    for step, loss in enumerate((1.0, math.nan, 1.0), start=1):
        progress.step(
            StepReport(
                step=step,
                num_steps=3,
                epoch=1,
                losses={"intent": loss},
                weights={},
                counts={},
                learning_rate=0.1,
                gradient_norms={},
                num_examples=4,
                num_tokens=30,
                num_padded=40,
                seconds=0.25,
            )
        )
    progress.close()

    assert "intent 1.000" in shown.getvalue()
    assert "nan" not in shown.getvalue()


def test_famo_sees_the_rows_of_the_step_again_with_the_same_dropout(
    toy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Mapping[str, float]] = []
    monkeypatch.setattr(FAMO, "look_back", lambda self, losses: seen.append(losses))
    still = ("optimizer.lr=1.0e-12", "optimizer.head_lr=1.0e-12", "optimizer.weight_decay=0.0")

    train_toy(
        toy, tmp_path, "balancing={kind: famo}", *still, "encoder.dropout=0.3", "train.accumulate=2"
    )

    steps = events(tmp_path, "step")
    assert len(seen) == len(steps) > 2
    for step, again in zip(steps, seen, strict=True):
        assert again == pytest.approx(step["losses"], rel=1e-5)


def test_weights_of_a_step_that_is_skipped_leave_nothing_behind(toy: Path) -> None:
    balancer = Uncertainty()
    balancer.attach(setting({"intent": 3, "stars": None}))
    loss = torch.ones((), requires_grad=True)

    balancer.backward(one_step({"intent": loss * math.nan, "stars": 2 * loss}))

    assert balancer.state_dict() == {}
