"""What the journal says of the tasks' gradients now and then."""

from pathlib import Path

import pytest
import torch

from toys import best_weights, bits, events, train_toy

STILL = ("encoder.dropout=0.0", *(f"tasks.{t}.dropout=0.0" for t in ("intent", "items", "stars")))


@pytest.mark.parametrize(
    "balancing",
    ["{kind: static}", "{kind: pcgrad, gradients: exact}", "{kind: famo}", "{kind: pcgrad}"],
)
def test_looks_change_nothing_but_the_journal(toy: Path, tmp_path: Path, balancing: str) -> None:
    options = (f"balancing={balancing}", "train.accumulate=2")
    train_toy(toy, tmp_path / "with", "train.look_every=2", *options)
    train_toy(toy, tmp_path / "without", "train.look_every=null", *options)

    assert bits(best_weights(tmp_path / "with")) == bits(best_weights(tmp_path / "without"))
    steps = events(tmp_path / "with", "step")
    assert [step["step"] for step in steps if "look" in step] == list(range(1, len(steps) + 1, 2))
    for step, plain in zip(steps, events(tmp_path / "without", "step"), strict=True):
        step.pop("look", None)
        assert step == plain


def test_norms_of_a_look_are_those_of_the_tasks_alone(toy: Path, tmp_path: Path) -> None:
    options = (*STILL, "train.max_steps=1", "train.batch_tokens=4096", "optimizer.max_norm=null")
    train_toy(toy, tmp_path / "all", *options)
    (step,) = events(tmp_path / "all", "step")
    look = step["look"]

    for task in ("intent", "items", "stars"):
        others = {one: 0.0 for one in ("intent", "items", "stars") if one != task}
        weights = f"balancing={{weights: {{{', '.join(f'{k}: {v}' for k, v in others.items())}}}}}"
        train_toy(toy, tmp_path / task, *options, weights)
        (alone,) = events(tmp_path / task, "step")
        norm = alone["gradient_norms"]["(encoder)"]
        assert look["norms"][task] == pytest.approx(norm, rel=0.06)
    pairs = {frozenset(pair.split()) for pair in look["cosines"]}
    assert pairs == {
        frozenset(pair) for pair in (("intent", "items"), ("intent", "stars"), ("items", "stars"))
    }
    assert all(-1 <= cosine <= 1 for cosine in look["cosines"].values())


def test_progress_is_1_where_one_task_goes_down_its_gradient(
    toy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def descent(parameters: object, **options: object) -> torch.optim.Optimizer:
        return torch.optim.SGD(parameters, lr=1e-4)  # type: ignore[arg-type]

    monkeypatch.setattr("polytask.training.optim.AdamW", descent)
    options = (*STILL, "train.max_steps=1", "train.batch_tokens=4096", "optimizer.max_norm=null")
    rates = ("optimizer.lr=1.0e-4", "optimizer.head_lr=1.0e-12", "schedule.shape=constant")
    alone = "balancing={weights: {intent: 0.0, items: 0.0}}"

    train_toy(toy, tmp_path / "run", *options, *rates, "schedule.warmup=0.0", alone)

    (step,) = events(tmp_path / "run", "step")
    assert step["look"]["progress"]["stars"] == pytest.approx(1.0, abs=0.1)


@pytest.mark.parametrize("balancing", ["{kind: static}", "{kind: upgrad}"])
def test_looking_ahead_changes_nothing_but_the_journal(
    toy: Path, tmp_path: Path, balancing: str
) -> None:
    options = (f"balancing={balancing}", "train.epochs=1", "train.look_every=2")
    train_toy(toy, tmp_path / "with", "train.look_ahead=true", *options)
    train_toy(toy, tmp_path / "without", *options)

    one, other = (best_weights(tmp_path / name) for name in ("with", "without"))
    assert all(torch.equal(one[name], other[name]) for name in other)
    looks = [step["look"] for step in events(tmp_path / "with", "step") if "look" in step]
    tasks = {"intent", "items", "stars"}
    assert all(set(ahead) <= tasks for look in looks for ahead in look["ahead"].values())
    assert set(looks[0]["ahead"]) == set(looks[0]["norms"])
    # A step on a task alone is a step down its own loss.
    own = [look["ahead"][task][task] for look in looks for task in look["ahead"]]
    assert sum(value > 0 for value in own) > 0.8 * len(own)


def test_looking_ahead_is_the_optimizers_own_step_on_one_task(toy: Path, tmp_path: Path) -> None:
    train_toy(
        toy,
        tmp_path / "run",
        *STILL,
        "train.look_every=1",
        "train.look_ahead=true",
        "train.max_steps=3",
        "optimizer.head_lr=1.0e-12",
        "balancing={kind: static, weights: {intent: 1.0, items: 0.0, stars: 0.0}}",
    )

    for step in events(tmp_path / "run", "step"):
        look = step["look"]
        for task, loss in step["losses"].items():
            # The step that was made is one on intent alone; progress tells what it did to losses.
            fall = look["progress"][task] * step["learning_rate"] * look["norms"][task] ** 2
            assert look["ahead"]["intent"][task] == pytest.approx(fall / loss, abs=2e-5)
