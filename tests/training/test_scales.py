from pathlib import Path

import pytest
import torch

from polytask.training.loop import Loop
from polytask.training.random import random_state
from polytask.training.scales import gradient_sizes, scale_warning
from toys import notes, toy_loop, train_toy


def sizes(loop: Loop) -> dict[str, float]:
    tasks = loop.experiment.tasks_by_feed()
    return gradient_sizes(loop.model, loop._batches.feeds, tasks, loop.mixed)


def test_fp16_does_not_change_them(toy: Path) -> None:
    options = ("encoder.dropout=0.0", "tasks.stars.dropout=0.0")

    assert sizes(toy_loop(toy, *options, "train.precision=fp16")) == pytest.approx(
        sizes(toy_loop(toy, *options)), rel=1e-3
    )


def test_a_task_is_as_strong_as_its_gradient_on_the_encoder(toy: Path) -> None:
    loop = toy_loop(toy, "encoder.dropout=0.0", "tasks.stars.dropout=0.0")
    before = random_state(torch.device("cpu"))

    found = sizes(loop)

    assert set(found) == {"intent", "items", "stars"}
    assert min(found.values()) > 0
    assert all(parameter.grad is None for parameter in loop.model.parameters())
    assert torch.equal(random_state(torch.device("cpu"))["torch"], before["torch"])
    with torch.no_grad():
        for parameter in loop.model.head("stars").parameters():
            parameter *= 3
    again = sizes(loop)
    assert again["stars"] > 2 * found["stars"]


def test_strengths_that_differ_tenfold_are_worth_a_warning() -> None:
    warning = scale_warning({"intent": 0.1, "slots": 0.5, "stars": 4.0})

    assert warning is not None
    assert (
        "the gradient of task stars on the encoder is 40 times as long as that of intent" in warning
    )
    assert "`balancing: {weights: {intent: 4}}`" in warning
    assert scale_warning({"intent": 0.1, "slots": 1.0}) is None
    assert scale_warning({"intent": 0.1, "slots": 0.0, "stars": float("nan")}) is None
    assert scale_warning({}) is None


@pytest.mark.parametrize("factor", [1, 1000])
def test_the_journal_holds_the_warning(
    toy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, factor: int
) -> None:
    monkeypatch.setattr(
        "polytask.training.run.gradient_sizes",
        lambda *_: {"intent": 1.0, "stars": 1.0 * factor},
    )

    train_toy(toy, tmp_path, "train.max_steps=1")

    told = [note for note in notes(tmp_path) if "gradient of task stars" in note]
    assert len(told) == (factor > 1)
