"""Learning rates by block, decay, schedule, clipping: by hand."""

import math
from pathlib import Path
from typing import Literal

import pytest
import torch
from torch import nn

from polytask.config.options import OptimizerOptions, ScheduleOptions
from polytask.errors import ConfigError
from polytask.heads.match import Match
from polytask.model import MultiTaskModel
from polytask.tasks import Task
from polytask.training.optim import (
    clip_gradients,
    make_optimizer,
    schedule_factor,
    set_learning_rate,
)
from toys import toy_loop


@pytest.fixture(scope="module")
def model(toy: Path) -> MultiTaskModel:
    return toy_loop(toy).model


def group_of(
    model: MultiTaskModel, options: OptimizerOptions, *tasks: Task
) -> dict[str, tuple[float, float]]:
    """Rate and decay by the name of the weight."""
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    return {
        names[id(parameter)]: (group["peak_lr"], group["weight_decay"])
        for group in make_optimizer(model, options, tasks).param_groups
        for parameter in group["params"]
    }


def test_each_block_below_the_top_gets_the_decayed_rate(model: MultiTaskModel) -> None:
    found = group_of(model, OptimizerOptions(lr=0.1, head_lr=0.5, layer_decay=0.5))

    query = "encoder.model.encoder.layer.{}.attention.self.query.weight"
    assert found[query.format(1)][0] == pytest.approx(0.1)
    assert found[query.format(0)][0] == pytest.approx(0.05)
    assert found["encoder.model.embeddings.word_embeddings.weight"][0] == pytest.approx(0.025)
    assert found["heads.intent-head.project.weight"][0] == pytest.approx(0.5)


def test_biases_and_norms_are_not_decayed(model: MultiTaskModel) -> None:
    found = group_of(model, OptimizerOptions(weight_decay=0.3))
    sizes = {name: parameter.ndim for name, parameter in model.named_parameters()}

    assert {name: decay for name, (_, decay) in found.items()} == {
        name: 0.0 if sizes[name] == 1 else 0.3 for name in found
    }
    assert found["encoder.model.embeddings.LayerNorm.weight"][1] == 0.0


def test_a_head_may_decay_apart(model: MultiTaskModel) -> None:
    intent = Task("intent", "toy", model.head("intent"), weight_decay=0.7)

    found = group_of(model, OptimizerOptions(weight_decay=0.3, head_lr=0.5), intent)

    assert found["heads.intent-head.project.weight"] == (0.5, 0.7)
    assert found["heads.intent-head.project.bias"] == (0.5, 0.0)
    assert found["heads.stars-head.project.weight"] == (0.5, 0.3)
    assert set(found) == set(group_of(model, OptimizerOptions()))


def test_a_head_without_weights_cannot_decay(model: MultiTaskModel) -> None:
    head = Match(text=["a", "b"])
    bare = MultiTaskModel(model.encoder, {"pairs": head})

    with pytest.raises(ConfigError, match=r"tasks.pairs.weight_decay: a head of this kind"):
        make_optimizer(bare, OptimizerOptions(), [Task("pairs", "toy", head, weight_decay=0.1)])


def test_every_weight_but_the_unused_pooler_is_trained(model: MultiTaskModel) -> None:
    trained = set(group_of(model, OptimizerOptions()))

    unused = {name for name, _ in model.named_parameters()} - trained

    assert unused == {"encoder.model.pooler.dense.weight", "encoder.model.pooler.dense.bias"}


def test_a_factor_scales_every_group_from_its_peak(model: MultiTaskModel) -> None:
    optimizer = make_optimizer(model, OptimizerOptions(lr=0.1, head_lr=0.4), [])

    set_learning_rate(optimizer, 0.5)
    set_learning_rate(optimizer, 0.25)

    rates = sorted({group["lr"] for group in optimizer.param_groups})
    assert rates == pytest.approx([0.025, 0.1])


@pytest.mark.parametrize(
    ("shape", "factors"),
    [
        # 10 steps, warmup of 2: 1/2, 2/2, then from 1 down over 8 steps
        ("linear", [0.5, 1.0, 1.0, 7 / 8, 6 / 8, 5 / 8, 4 / 8, 3 / 8, 2 / 8, 1 / 8]),
        ("constant", [0.5, *[1.0] * 9]),
        ("cosine", [0.5, 1.0, *[(1 + math.cos(math.pi * k / 8)) / 2 for k in range(8)]]),
    ],
)
def test_the_rate_rises_over_the_warmup_and_falls_by_the_shape(
    shape: Literal["linear", "cosine", "constant"], factors: list[float]
) -> None:
    options = ScheduleOptions(shape=shape, warmup=0.2)

    assert [schedule_factor(step, 10, options) for step in range(10)] == pytest.approx(factors)


def test_a_single_step_without_warmup_has_the_full_rate() -> None:
    assert schedule_factor(0, 1, ScheduleOptions(warmup=0.0)) == 1.0


def test_each_group_is_clipped_by_itself() -> None:
    big, small, idle = (nn.Parameter(torch.zeros(2)) for _ in range(3))
    big.grad = torch.tensor([3.0, 4.0])
    small.grad = torch.tensor([0.3, 0.4])

    norms = clip_gradients([[big], [small], [idle]], 1.0)

    assert norms == pytest.approx([5.0, 0.5, 0.0])
    assert big.grad.tolist() == pytest.approx([0.6, 0.8])
    assert small.grad.tolist() == pytest.approx([0.3, 0.4])


def test_without_a_limit_nothing_is_clipped() -> None:
    weight = nn.Parameter(torch.zeros(2))
    weight.grad = torch.tensor([30.0, 40.0])

    assert clip_gradients([[weight]], None) == pytest.approx([50.0])
    assert weight.grad.tolist() == [30.0, 40.0]


@pytest.mark.parametrize("shape", ["linear", "cosine"])
def test_steps_beyond_those_expected_have_rate_0(shape: Literal["linear", "cosine"]) -> None:
    assert schedule_factor(12, 10, ScheduleOptions(shape=shape)) == pytest.approx(0.0)
