"""`kind: static`: gradients of the weighted sum of the tasks' mean losses."""

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor, nn

from polytask.balancing import PassLosses
from polytask.balancing.static import Static
from polytask.errors import ConfigError
from steps import Step, one_step, setting


def static(**weights: float) -> Static:
    balancer = Static(weights=weights)
    balancer.attach(setting({"a": None, "b": None}))
    return balancer


def test_the_gradient_is_that_of_the_weighted_sum_of_mean_losses() -> None:
    shared = nn.Parameter(torch.tensor(2.0))

    used = static(a=0.5).backward(one_step({"a": shared**2, "b": 3 * shared}))

    # d/dx (.5 x^2 + 1 * 3 x) at x = 2: 2 + 3
    assert shared.grad == pytest.approx(5.0)
    assert used == {"a": 0.5, "b": 1.0}


def test_rows_spread_unequally_over_two_passes_give_the_exact_mean_not_a_mean_of_means() -> None:
    weight = nn.Parameter(torch.tensor(1.0))
    rows = {"first": torch.tensor([1.0, 2.0, 3.0]), "second": torch.tensor([10.0])}
    count = 4

    def passes() -> Iterator[PassLosses]:
        for values in rows.values():
            yield {"a": (weight * values).sum() / count}

    static().backward(Step(passes, "a", "b"))

    # (1 + 2 + 3 + 10) / 4; the mean of the two means would be (2 + 10) / 2 = 6
    assert weight.grad == pytest.approx(4.0)


def test_one_graph_lives_at_a_time() -> None:
    weight = nn.Parameter(torch.tensor(1.0))
    gradients: list[Tensor | None] = []

    def passes() -> Iterator[PassLosses]:
        for value in (1.0, 2.0):
            gradients.append(None if weight.grad is None else weight.grad.clone())
            yield {"a": value * weight}

    static().backward(Step(passes, "a", "b"))

    assert gradients == [None, torch.tensor(1.0)]  # the first pass is done before the second


def test_a_task_of_weight_0_leaves_no_gradient() -> None:
    one, other = nn.Parameter(torch.tensor(1.0)), nn.Parameter(torch.tensor(1.0))

    static(b=0.0).backward(one_step({"a": 2 * one, "b": 5 * other}))

    assert (one.grad, other.grad) == (torch.tensor(2.0), torch.tensor(0.0))


def test_a_step_without_any_target_has_no_gradient_and_no_weights() -> None:
    assert static().backward(one_step()) == {}


def test_a_weight_for_an_unknown_task_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(ConfigError) as caught:
        Static(weights={"sentimnt": 2.0}).check(["intent", "sentiment"])

    assert str(caught.value) == (
        "weights: no task 'sentimnt'. Did you mean 'sentiment'? Known: intent, sentiment."
    )
