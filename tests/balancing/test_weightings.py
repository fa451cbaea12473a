"""Weights of tasks from their losses: by hand, and as published."""

import json
import math
from collections import Counter

import pytest
import torch
from scipy.stats import ks_2samp
from torch import nn

from polytask.balancing import BALANCERS, Balancer
from polytask.balancing.balancer import LossWeighting
from polytask.balancing.class_count import ClassCount
from polytask.balancing.dwa import DynamicWeightAverage
from polytask.balancing.famo import FAMO
from polytask.balancing.geometric import Geometric
from polytask.balancing.random import Random
from polytask.balancing.scalars import Scalars, softmax
from polytask.balancing.tchebycheff import Tchebycheff
from polytask.balancing.uncertainty import Uncertainty
from polytask.balancing.uw_so import SoftOptimalUncertainty
from steps import one_step, setting

LOSSES = {"a": 0.5, "b": 2.0}
WEIGHTINGS = {name: kind for name, kind in BALANCERS.items() if issubclass(kind, Balancer)}
NUMBERS: dict[str, int | None] = {"a": None, "b": None}


def backward(
    balancer: Balancer, losses: dict[str, float] = LOSSES
) -> tuple[dict[str, float], float]:
    """The weights of a step, and the gradient on a parameter that each loss grows with."""
    shared = nn.Parameter(torch.tensor(0.0, dtype=torch.float64))
    used = balancer.backward(one_step({task: loss + shared for task, loss in losses.items()}))
    assert shared.grad is not None
    return used, float(shared.grad)


def weights(balancer: Balancer, losses: dict[str, float] = LOSSES) -> list[float]:
    balancer.attach(setting({**NUMBERS, **dict.fromkeys(losses)}))
    return list(backward(balancer, losses)[0].values())


@pytest.mark.parametrize("name", WEIGHTINGS)
def test_gradients_are_those_of_the_weights_and_state_survives_json(name: str) -> None:
    balancer, other = WEIGHTINGS[name](), WEIGHTINGS[name]()
    tasks: dict[str, int | None] = {"a": 4, "b": None, "absent": 7}
    balancer.attach(setting(tasks))
    other.attach(setting(tasks))

    used, gradient = backward(balancer)
    if balancer.looks_back:
        balancer.look_back({"a": 0.4, "b": 1.9})
    state = json.loads(json.dumps(balancer.state_dict()))
    other.load_state_dict(state)

    assert set(used) == {"a", "b"}
    assert gradient == pytest.approx(sum(used.values()))
    torch.manual_seed(3)
    ours = backward(balancer)
    torch.manual_seed(3)
    assert backward(other) == ours


@pytest.mark.parametrize("name", WEIGHTINGS)
def test_the_weights_of_losses_spread_over_passes_are_those_of_the_whole_step(name: str) -> None:
    one, several = WEIGHTINGS[name](), WEIGHTINGS[name]()
    for balancer in (one, several):
        balancer.attach(setting({"a": 4, "b": None}))
    shared = nn.Parameter(torch.tensor(0.0, dtype=torch.float64))
    parts = [{"a": 0.2 + shared / 2}, {"b": 2 + shared, "a": 0.3 + shared / 2}]

    torch.manual_seed(3)
    expected, gradient = backward(one)
    torch.manual_seed(3)
    found = several.backward(one_step(*parts))

    assert found == pytest.approx(expected)
    assert float(shared.grad) == pytest.approx(gradient)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "balancer",
    [SoftOptimalUncertainty(), Geometric(), Geometric(form="log"), FAMO(), Tchebycheff()],
)
def test_a_loss_near_0_does_not_take_all(balancer: LossWeighting) -> None:
    found = balancer.weigh({"a": 0.0, "b": 2.0})

    assert all(map(math.isfinite, found.values()))
    assert found == balancer.weigh({"a": 0.05, "b": 2.0})


def test_no_row_gives_no_weights() -> None:
    for name, kind in WEIGHTINGS.items():
        balancer = kind()
        balancer.attach(setting(NUMBERS))
        assert balancer.backward(one_step()) == {}, name


def test_class_count() -> None:
    balancer = ClassCount()
    balancer.attach(setting({"a": 7, "b": None, "c": 1}))

    found, _ = backward(balancer, {"a": 1.0, "b": 1.0, "c": 1.0})

    assert found == {"a": pytest.approx(1 / math.log(7)), "b": 1.0, "c": 1.0}


def test_random_weights_have_mean_1_and_treat_tasks_alike() -> None:
    balancer = Random()
    balancer.attach(setting({"a": None, "b": None, "c": None}))
    torch.manual_seed(1)
    drawn = [balancer.draw() for _ in range(20_000)]

    assert all(sum(one.values()) == pytest.approx(3) for one in drawn[:100])
    assert min(min(one.values()) for one in drawn) > 0
    by_task = {task: [one[task] for one in drawn] for task in "abc"}
    for task in "abc":
        assert sum(by_task[task]) / len(drawn) == pytest.approx(1, abs=0.02)
    assert ks_2samp(by_task["a"], by_task["c"]).pvalue > 0.001
    assert len(Counter(by_task["a"])) == len(drawn)
    torch.manual_seed(1)
    assert balancer.draw() == drawn[0]
    balancer.attach(setting({"a": None}))
    assert balancer.draw() == {"a": 1.0}


@pytest.mark.parametrize(
    ("num_classes", "first", "optimum"),
    [
        (None, (0.5, 0.5), {"a": math.log(0.5), "b": math.log(2.0)}),
        (3, (1.0, 1.0), {"a": math.log(2 * 0.5), "b": math.log(2 * 2.0)}),
    ],
)
def test_uncertainty_goes_to_its_optimum(
    num_classes: int | None, first: tuple[float, float], optimum: dict[str, float]
) -> None:
    balancer = Uncertainty(lr=0.05)
    balancer.attach(setting(dict.fromkeys("ab", num_classes)))
    assert tuple(balancer.draw().values()) == first

    for _ in range(2000):
        balancer.learn(LOSSES)

    assert {task: balancer.log_variances[task] for task in "ab"} == pytest.approx(optimum, abs=1e-3)
    assert list(balancer.draw().values()) == pytest.approx([1.0, 0.25], abs=1e-3)


def test_uncertainty_goes_down_its_gradient_first() -> None:
    balancer = Uncertainty(lr=0.01)
    balancer.attach(setting(NUMBERS))

    balancer.learn(LOSSES)

    # The gradients on s are (.25, -.5); Adam's first step is as long as its rate.
    assert [balancer.log_variances[task] for task in "ab"] == pytest.approx([-0.01, 0.01], rel=1e-4)


@pytest.mark.parametrize(
    ("temperature", "expected"),
    [
        (1, (0.8176, 0.1824)),
        (0.5, (0.9526, 0.0474)),
        (2, (0.6792, 0.3208)),
        (100, (0.5037, 0.4963)),
    ],
)
def test_uw_so(temperature: float, expected: tuple[float, float]) -> None:
    found = weights(SoftOptimalUncertainty(temperature=temperature))

    assert [one / 2 for one in found] == pytest.approx(expected, abs=1e-4)
    assert weights(SoftOptimalUncertainty(), {"a": 3.0, "b": 3.0}) == [1.0, 1.0]


def dwa_after(
    ratios: dict[str, float], *, temperature: float = 2.0, scale: float = 1.0
) -> list[float]:
    balancer = DynamicWeightAverage(temperature=temperature, window=2)
    balancer.attach(setting(dict.fromkeys(ratios)))
    for factor in (0, 1):
        for _ in range(2):
            balancer.learn({task: scale * ratio**factor for task, ratio in ratios.items()})
    return list(balancer.draw().values())


def test_dwa() -> None:
    assert dwa_after({"a": 0.8, "b": 1.0}) == pytest.approx([0.9500, 1.0500], abs=1e-4)
    assert sum(dwa_after({"a": 0.1, "b": 3.0, "c": 1.0})) == pytest.approx(3)
    assert dwa_after({"a": 0.8, "b": 1.0}, temperature=1e9) == pytest.approx([1, 1])
    assert dwa_after({"a": 0.7, "b": 0.7}) == pytest.approx([1, 1])
    assert dwa_after({"a": 0.8, "b": 1.0}, scale=100) == pytest.approx(
        dwa_after({"a": 0.8, "b": 1})
    )


def test_dwa_is_even_until_there_are_two_windows() -> None:
    balancer = DynamicWeightAverage(window=2)
    balancer.attach(setting(NUMBERS))

    for _ in range(3):
        balancer.learn({"a": 5.0, "b": 1.0})
        assert balancer.draw() == {"a": 1.0, "b": 1.0}
    balancer.learn({"a": 1.0})  # the second window of a is full, b has had three steps
    assert balancer.draw() == {"a": 1.0, "b": 1.0}


def test_geometric() -> None:
    # The mean is sqrt(.5 * 2) = 1; K times its gradients by hand: (2, .5).
    assert weights(Geometric()) == pytest.approx([2.0, 0.5])
    assert weights(Geometric(form="log")) == pytest.approx([2.0, 0.5])
    scaled = weights(Geometric(), {"a": 50.0, "b": 2.0})
    assert scaled == pytest.approx([10 * 2.0 / 100, 10 * 0.5])
    log = weights(Geometric(form="log"), {"a": 50.0, "b": 2.0})
    assert scaled[0] / scaled[1] == pytest.approx(log[0] / log[1])


def test_famo_as_published() -> None:
    balancer = FAMO(decay=0.0)
    assert weights(balancer) == pytest.approx([2 * 0.8, 2 * 0.2])

    balancer.look_back({"a": 0.4, "b": 1.9})

    # Falls ln(.5 / .4) = .2231 and ln(2 / 1.9) = .0513; gradients (.0430, -.0430).
    first = {task: balancer.state_dict()[task][1] for task in "ab"}  # type: ignore[index]
    assert first == pytest.approx({"a": 0.00430, "b": -0.00430}, abs=1e-5)
    assert [balancer.scores[task] for task in "ab"] == pytest.approx([-0.025, 0.025], rel=1e-4)
    shares = softmax({task: balancer.scores[task] for task in "ab"})
    assert shares == pytest.approx({"a": 0.4875, "b": 0.5125}, abs=1e-4)


def test_famo_does_nothing_where_all_fall_alike_and_keeps_what_is_absent() -> None:
    balancer = FAMO(decay=0.0)
    weights(balancer)
    balancer.look_back({"a": 0.25, "b": 1.0})
    assert [balancer.scores[task] for task in "ab"] == pytest.approx([0.0, 0.0], abs=1e-6)

    weights(balancer)
    balancer.look_back({"a": 0.4, "b": 1.9})
    before = balancer.scores["b"]
    weights(balancer, {"a": 0.5, "c": 1.0})
    balancer.look_back({"a": 0.4, "c": 0.2})
    assert balancer.scores["b"] == before


def test_tchebycheff_over_the_losses_at_the_start() -> None:
    for mu, expected in ((1.0, (0.8, 0.8)), (0.2, (0.0039, 0.9990))):
        balancer = Tchebycheff(mu=mu, warmup=3)
        for _ in range(3):
            assert weights(balancer, {"a": 1.0, "b": 1.0}) == [1.0, 1.0]
        assert weights(balancer) == pytest.approx(expected, abs=1e-4)


def test_tchebycheff_with_a_small_mu_trains_the_worst_alone_without_overflow() -> None:
    balancer = Tchebycheff(mu=0.001, warmup=1)
    weights(balancer, {"a": 1.0, "b": 1.0})

    assert weights(balancer, {"a": 1e4, "b": 1e3}) == pytest.approx([2 / 1e4, 0.0])


def test_scalars_step_as_adam_does() -> None:
    ours, parameter = Scalars(0.1), nn.Parameter(torch.tensor(0.0, dtype=torch.float64))
    adam = torch.optim.Adam([parameter], lr=0.1)
    for gradient in (0.3, -1.0, 0.2, 5.0):
        ours.step({"a": gradient})
        parameter.grad = torch.tensor(gradient, dtype=torch.float64)
        adam.step()

        assert ours["a"] == pytest.approx(float(parameter.detach()), abs=1e-9)
    assert ours["b"] == 0.0


def test_famo_is_not_confused_by_a_step_without_any_target() -> None:
    balancer = FAMO()
    weights(balancer)
    balancer.look_back({"a": 0.4, "b": 1.9})
    before = balancer.state_dict()

    balancer.look_back({})

    assert balancer.state_dict() == before
