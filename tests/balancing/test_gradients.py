"""What reaches `.grad` of encoder and heads when tasks are weighed by their gradients."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from polytask.balancing import PassLosses
from polytask.balancing.exact import gramian_of
from polytask.balancing.gradients import GradientBalancer
from polytask.balancing.gramian import PlainGramianWeighting
from polytask.balancing.mgda import MGDA
from polytask.balancing.upgrad import UPGrad
from steps import Step, one_step, setting
from toys import events, train_toy

ONE_STEP = ("train.max_steps=1", "encoder.dropout=0.0", "optimizer.max_norm=null")
NO_DROPOUT = tuple(f"tasks.{task}.dropout=0.0" for task in ("intent", "items", "stars"))


class Fixed(PlainGramianWeighting):
    """Weights given, and the last Gramian kept."""

    def __init__(self, *weights: float) -> None:
        self.weights = weights
        self.gramian = torch.zeros(0)

    def weigh(self, gramian: Tensor, losses: Mapping[str, float]) -> Tensor:
        self.gramian = gramian
        return torch.tensor(self.weights[: len(losses)], dtype=torch.float64)


def parts() -> tuple[nn.Parameter, nn.Parameter, nn.Parameter]:
    """Two parameters of the encoder, one of a head."""
    one = nn.Parameter(torch.tensor([1.0, 2.0], dtype=torch.float64))
    other = nn.Parameter(torch.tensor(3.0, dtype=torch.float64))
    return one, other, nn.Parameter(torch.tensor(1.0, dtype=torch.float64))


def balancer(method: PlainGramianWeighting, *shared: nn.Parameter) -> GradientBalancer:
    found = GradientBalancer(method, "exact")
    found.attach(setting({"a": None, "b": None}, *shared))
    return found


def test_the_encoder_gets_the_weighted_sum_and_heads_their_own() -> None:
    one, other, head = parts()
    method = Fixed(2.0, -1.0)

    def passes() -> Iterator[PassLosses]:
        yield {"a": (one * torch.tensor([1.0, 0.0])).sum()}
        yield {"b": (one * torch.tensor([-1.0, 1.0])).sum() + 5 * other + 7 * head}

    used = balancer(method, one, other).backward(Step(passes, "a", "b"))

    assert used == {"a": 2.0, "b": -1.0}
    assert one.grad is not None
    assert one.grad.tolist() == [3.0, -1.0]
    assert float(other.grad) == -5.0  # type: ignore[arg-type]
    assert float(head.grad) == 7.0  # type: ignore[arg-type]
    assert method.gramian.tolist() == [[1.0, -1.0], [-1.0, 27.0]]


def test_tasks_of_the_same_rows_and_of_several_passes_add_up() -> None:
    one, other, head = parts()
    method = Fixed(1.0, 10.0)

    def passes() -> Iterator[PassLosses]:
        for scale in (0.25, 0.75):
            states = scale * one
            yield {"a": states.sum(), "b": (states * head).sum() * 2}

    balancer(method, one, other).backward(Step(passes, "a", "b"))

    assert one.grad is not None
    assert one.grad.tolist() == [21.0, 21.0]
    assert other.grad is None
    assert float(head.grad) == 6.0  # type: ignore[arg-type]
    assert method.gramian.tolist() == [[2.0, 4.0], [4.0, 8.0]]


def test_a_task_that_a_step_lacks_is_no_gradient_of_0() -> None:
    one, other, _ = parts()

    used = balancer(MGDA(), one, other).backward(one_step({"b": one.sum()}))

    assert used == {"b": 1.0}
    assert balancer(MGDA(), one, other).backward(one_step()) == {}


def test_a_loss_that_is_not_finite_never_reaches_the_method() -> None:
    one, other, _ = parts()
    method = Fixed(5.0, 5.0)

    used = balancer(method, one, other).backward(
        one_step({"a": one.sum() * torch.inf}, {"b": one.sum()})
    )

    assert used == {"a": 1.0, "b": 1.0}
    assert not method.gramian.numel()


def test_scalar_products_over_parameters_that_some_tasks_do_not_touch() -> None:
    found = gramian_of(
        [
            [torch.tensor([1.0, 2.0]), None],
            [torch.tensor([3.0, -1.0]), torch.tensor([[2.0]])],
            [None, torch.tensor([[-4.0]])],
        ]
    )

    assert found.tolist() == [[5, 1, 0], [1, 14, -8], [0, -8, 16]]


def test_heads_learn_in_a_step_what_they_learn_under_static(toy: Path, tmp_path: Path) -> None:
    options = (*ONE_STEP, *NO_DROPOUT, "train.batch_tokens=4096")
    train_toy(toy, tmp_path / "static", *options)
    train_toy(toy, tmp_path / "pcgrad", *options, "balancing={kind: pcgrad}")

    plain, apart = (events(tmp_path / name, "step")[0] for name in ("static", "pcgrad"))
    assert apart["losses"] == pytest.approx(plain["losses"], rel=1e-5)
    assert apart["counts"] == plain["counts"]
    assert apart["examples"] == plain["examples"]
    for task in ("intent", "items", "stars"):
        assert apart["gradient_norms"][task] == pytest.approx(
            plain["gradient_norms"][task], rel=1e-4
        )


def test_every_step_of_upgrad_weighs_the_tasks_that_are_there(toy: Path, tmp_path: Path) -> None:
    train_toy(toy, tmp_path, "balancing={kind: upgrad}", "train.accumulate=2")

    steps = events(tmp_path, "step")
    assert len(steps) > 2
    for step in steps:
        assert set(step["weights"]) == set(step["losses"])
        assert min(step["weights"].values()) >= 1 / len(step["weights"]) - 1e-6


def test_weights_of_upgrad_are_named_by_task() -> None:
    one, other, _ = parts()
    losses = {
        "b": (one * torch.tensor([1.0, 0.0])).sum(),
        "a": (one * torch.tensor([-1.0, 1.0])).sum(),
    }

    used = balancer(UPGrad(), one, other).backward(one_step(losses))

    assert used == {"b": pytest.approx(1.0), "a": pytest.approx(0.75)}
