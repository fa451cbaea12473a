"""Four ways to the scalar products of gradients, against each other and against whole gradients."""

import json
import weakref
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import cast

import pytest
import torch
from torch import Tensor, nn

from polytask.balancing import (
    BALANCERS,
    GradientBalancer,
    GramianWeighting,
    PassLosses,
    Setting,
)
from polytask.balancing.exact import gramian_of
from polytask.balancing.gradients import WayName
from polytask.balancing.gradnorm import GradNorm
from polytask.balancing.gramian import PlainGramianWeighting
from polytask.balancing.running import MOMENTUM, RunningGramian
from polytask.balancing.sketch import SIZE, Sketch
from polytask.balancing.sketched import LEAST
from polytask.balancing.spaces import SpaceName
from polytask.balancing.upgrad import UPGrad
from polytask.errors import ConfigError
from steps import Blocks, Step, one_step, setting
from toys import best_weights, bits, events, notes, train_toy

WAYS: list[tuple[WayName, SpaceName | None]] = [
    ("exact", None),
    ("probe", "last_block"),
    ("sketch", "all"),
    ("sketch", "last_block"),
    ("stale", "all"),
    ("stale", "last_block"),
]
TASKS = ("a", "b", "c")


class Model:
    """Two layers under three heads; tasks a and b read the same rows, c its own."""

    def __init__(self) -> None:
        draw = torch.Generator().manual_seed(5)

        def random(*shape: int) -> Tensor:
            return torch.randn(shape, generator=draw, dtype=torch.float64)

        self.first = nn.Parameter(random(6, 5))
        self.second = nn.Parameter(random(5, 5))
        self.heads = [nn.Parameter(random(5)) for _ in TASKS]
        self.rows = [random(4, 6), random(3, 6)]

    def passes(self) -> Iterator[PassLosses]:
        for rows, tasks in zip(self.rows, (TASKS[:2], TASKS[2:]), strict=True):
            hidden = (rows @ self.first).tanh() @ self.second
            yield {t: ((hidden @ self.heads[TASKS.index(t)]) ** 2).mean() for t in tasks}

    def step(self) -> Step:
        return Step(self.passes, *TASKS)

    @property
    def parameters(self) -> list[nn.Parameter]:
        return [self.first, self.second, *self.heads]

    def gradients(self) -> dict[str, list[Tensor | None]]:
        """By task, on every parameter."""
        return {
            task: list(torch.autograd.grad(loss, self.parameters, None, True, allow_unused=True))
            for losses in self.passes()
            for task, loss in losses.items()
        }

    def attached(
        self, method: GramianWeighting, way: WayName, space: SpaceName | None
    ) -> GradientBalancer:
        found = GradientBalancer(method, way, space)
        found.attach(
            setting(
                dict.fromkeys(TASKS),
                self.first,
                self.second,
                heads=self.heads,
                together=[["a", "b"], ["c"]],
            )
        )
        return found

    def clear(self) -> None:
        for parameter in self.parameters:
            parameter.grad = None


class Watched(PlainGramianWeighting):
    """Weights by the order of tasks, and the Gramian that came last."""

    def weigh(self, gramian: Tensor, losses: Mapping[str, float]) -> Tensor:
        self.gramian = gramian
        return torch.tensor([2.0, -0.5, 3.0][: len(losses)], dtype=torch.float64)


@pytest.mark.parametrize(("way", "space"), WAYS)
def test_every_way_leaves_the_weighted_sum_and_unweighted_heads(
    way: WayName, space: SpaceName | None
) -> None:
    model = Model()
    gradients = model.gradients()
    expected = [
        sum(w * g for w, g in zip((2.0, -0.5, 3.0), of_tasks, strict=True))
        for of_tasks in zip(*(gradients[task][:2] for task in TASKS), strict=True)
    ]

    balancer = model.attached(Watched(), way, space)
    if way == "stale":
        assert set(balancer.backward(model.step()).values()) == {1.0}  # nothing is known yet
        model.clear()
    used = balancer.backward(model.step())

    assert used == {"a": 2.0, "b": -0.5, "c": 3.0}
    for parameter, gradient in zip((model.first, model.second), expected, strict=True):
        torch.testing.assert_close(parameter.grad, gradient, rtol=1e-10, atol=1e-12)
    for place, task in enumerate(TASKS):
        torch.testing.assert_close(model.heads[place].grad, gradients[task][2 + place])


@pytest.mark.parametrize(("way", "space"), WAYS)
def test_every_way_sees_the_scalar_products_of_the_space(
    way: WayName, space: SpaceName | None
) -> None:
    model, method = Model(), Watched()
    gradients = model.gradients()
    part = slice(1 if space == "last_block" else 0, 2)
    expected = gramian_of([gradients[task][part] for task in TASKS])
    balancer = model.attached(method, way, space)

    for _ in range(2):  # the second step of `stale` knows the first
        model.clear()
        balancer.backward(model.step())

    torch.testing.assert_close(method.gramian, expected, rtol=1e-10, atol=1e-12)


FORGETFUL = {
    name: cast(type[GramianWeighting], kind)
    for name, kind in BALANCERS.items()
    if issubclass(kind, PlainGramianWeighting)
}


@pytest.mark.parametrize("kind", FORGETFUL)
def test_weights_of_steps_before_are_those_of_this_step_once_gradients_stand_still(
    kind: str,
) -> None:
    model = Model()
    exact = model.attached(FORGETFUL[kind](), "exact", None)
    stale = model.attached(FORGETFUL[kind](), "stale", "all")
    torch.manual_seed(1)
    expected = exact.backward(model.step())

    for _ in range(3):
        model.clear()
        torch.manual_seed(1)
        used = stale.backward(model.step())

    least = LEAST * sum(map(abs, expected.values())) / len(expected)
    for task, weight in expected.items():
        assert used[task] == pytest.approx(weight if abs(weight) > least else least, rel=1e-6)


def test_a_replay_runs_twice_and_the_other_ways_once() -> None:
    runs = {}
    for way, space in WAYS:
        model = Model()
        step = model.step()
        model.attached(Watched(), way, space).backward(step)
        runs[way] = step.num_runs

    assert runs == {"exact": 1, "probe": 1, "sketch": 2, "stale": 1}


def test_a_task_that_a_method_drops_is_still_seen() -> None:
    class Drops(PlainGramianWeighting):
        def weigh(self, gramian: Tensor, losses: Mapping[str, float]) -> Tensor:
            self.gramian = gramian
            return torch.tensor([1.0, 0.0, 2.0], dtype=torch.float64)

    model, method = Model(), Drops()
    balancer = model.attached(method, "stale", "all")
    for _ in range(2):
        model.clear()
        used = balancer.backward(model.step())

    assert used == {"a": 1.0, "b": LEAST, "c": 2.0}
    gradients = model.gradients()
    expected = gramian_of([gradients[task][:2] for task in TASKS])
    torch.testing.assert_close(method.gramian, expected, rtol=1e-8, atol=1e-10)


class Line(Blocks):
    """One matrix, so that there is an output to add a bias to."""

    width = 5

    def forward(self, inputs: Tensor) -> Tensor:  # type: ignore[override]
        hidden: Tensor = inputs @ self.parts[0]
        return hidden


@pytest.mark.parametrize("way", ["probe", "sketch", "stale"])
def test_on_the_output_of_the_encoder_gradients_are_those_of_a_bias_added_to_it(
    way: WayName,
) -> None:
    draw = torch.Generator().manual_seed(5)
    encoder = Line(nn.Parameter(torch.randn(6, 5, generator=draw)))
    heads = [nn.Parameter(torch.randn(5, generator=draw)) for _ in TASKS]
    rows = [torch.randn(4, 6, generator=draw), torch.randn(3, 6, generator=draw)]
    outputs: list[Tensor] = []

    def passes() -> Iterator[PassLosses]:
        for some, tasks in zip(rows, (TASKS[:2], TASKS[2:]), strict=True):
            outputs.append(encoder(some))
            yield {t: ((outputs[-1] @ heads[TASKS.index(t)]) ** 2).mean() for t in tasks}

    given = {
        task: torch.autograd.grad(loss, outputs[-1], retain_graph=True)[0].sum(0)
        for losses in passes()
        for task, loss in losses.items()
    }
    expected = torch.stack([given[task] for task in TASKS]).double()
    method = Watched()
    balancer = GradientBalancer(method, way, "shared")
    balancer.attach(Setting(dict.fromkeys(TASKS), [["a", "b"], ["c"]], encoder, heads))

    for _ in range(2):
        encoder.zero_grad()
        balancer.backward(Step(passes, *TASKS))

    torch.testing.assert_close(method.gramian, expected @ expected.T, rtol=1e-5, atol=1e-6)
    assert not encoder._forward_hooks


@pytest.mark.parametrize("way", ["exact", "probe", "sketch", "stale"])
def test_one_graph_lives_at_a_time_but_for_a_probe(way: WayName) -> None:
    model = Model()
    alive: list[weakref.ref[Tensor]] = []
    counts: list[int] = []

    def passes() -> Iterator[PassLosses]:
        for losses in model.passes():
            counts.append(sum(ref() is not None for ref in alive))
            alive.extend(weakref.ref(loss) for loss in losses.values())
            yield losses
            del losses

    model.attached(UPGrad(), way, "last_block" if way == "probe" else "all").backward(
        Step(passes, *TASKS)
    )

    assert counts == {"exact": [0, 2], "probe": [0, 2]}.get(way, [0, 0] * (1 + (way == "sketch")))


@pytest.mark.parametrize("way", ["exact", "probe", "sketch", "stale"])
def test_training_repeats_bit_for_bit_and_says_what_it_compares(
    way: str, toy: Path, tmp_path: Path
) -> None:
    options = (f"balancing={{kind: upgrad, gradients: {way}}}", "train.accumulate=2")
    train_toy(toy, tmp_path / "whole", *options)
    train_toy(toy, tmp_path / "again", *options)

    assert bits(best_weights(tmp_path / "whole")) == bits(best_weights(tmp_path / "again"))
    steps = events(tmp_path / "whole", "step")
    assert all(set(one["weights"]) == set(one["losses"]) for one in steps)
    assert any(
        note.startswith("Gradients of tasks are compared on") for note in notes(tmp_path / "whole")
    )


def test_where_tasks_read_the_same_rows_the_last_block_is_compared_unless_asked_otherwise() -> None:
    model, method = Model(), UPGrad()
    groups = {"together": [["a", "b"], ["c"]], "heads": model.heads}
    of = setting(dict.fromkeys(TASKS), model.first, model.second, **groups)
    apart = setting(dict.fromkeys(TASKS), model.first, model.second)

    assert GradientBalancer(method).attach(of) == [
        "Gradients of tasks are compared on 25 numbers (stale, last_block)."
    ]
    assert GradientBalancer(method).attach(apart) == [
        "Gradients of tasks are compared on 55 numbers (stale, all)."
    ]
    assert GradientBalancer(method, "exact").attach(of) == [
        "Gradients of tasks are compared on 55 numbers (exact, all).",
        "Tasks that read the same rows cost a backward of the encoder each: a, b. "
        "`balancing: {gradients: probe}` needs one for all.",
    ]


@pytest.mark.parametrize(
    ("way", "space", "advice"),
    [("exact", "last_block", "say `gradients: probe`"), ("probe", "all", "say `gradients: exact`")],
)
def test_ways_that_do_not_go_with_a_space_are_told_apart(
    way: WayName, space: SpaceName, advice: str
) -> None:
    with pytest.raises(ConfigError, match=advice):
        GradientBalancer(UPGrad(), way, space).check(["a"])


def test_a_space_that_nothing_trains_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"balancing\.space: lora: the encoder trains no such"):
        Model().attached(UPGrad(), "stale", "lora")


def test_an_encoder_that_is_not_trained_leaves_heads_to_learn() -> None:
    for way, space in WAYS:
        model = Model()
        for parameter in (model.first, model.second):
            parameter.requires_grad = False

        model.attached(UPGrad(), way, space).backward(model.step())

        gradients = [head.grad for head in model.heads]
        assert all(one is not None and one.isfinite().all() for one in gradients), way


def test_a_loss_that_is_not_finite_leaves_the_averages_alone() -> None:
    model = Model()
    balancer = model.attached(UPGrad(), "stale", "all")
    balancer.backward(model.step())
    before = json.dumps(balancer.state_dict()["way"]["running"])  # type: ignore[index]

    balancer.backward(one_step({"a": model.first.sum() * torch.inf}))

    assert json.dumps(balancer.state_dict()["way"]["running"]) == before  # type: ignore[index]


def sketches(parameters: Sequence[nn.Parameter], *gradients: list[Tensor | None]) -> list[Tensor]:
    sketch = Sketch(parameters)
    sketch.redraw(3)
    return [sketch(one) for one in gradients]


def test_a_sketch_is_linear_and_a_parameter_without_a_gradient_is_0() -> None:
    draw = torch.Generator().manual_seed(1)
    parameters = [nn.Parameter(torch.zeros(700, 400)), nn.Parameter(torch.zeros(9))]
    one = [torch.randn(p.shape, generator=draw) for p in parameters]

    whole, first, second, zeros = sketches(
        parameters,
        [one[0], one[1]],
        [one[0], None],
        [None, one[1]],
        [one[0], torch.zeros(9)],
    )

    torch.testing.assert_close(whole, first + second, rtol=1e-4, atol=1e-3)
    assert torch.equal(first, zeros)


@pytest.mark.parametrize("rank", [1, 400])
def test_cosines_of_sketches_are_those_of_gradients(rank: int) -> None:
    # Gradients of weights are of low rank, rows and columns much alike: the hard case.
    draw = torch.Generator().manual_seed(2)
    parameters = [nn.Parameter(torch.zeros(1024, 400))]

    def random() -> Tensor:
        left = torch.randn(1024, rank, generator=draw)
        return left @ torch.randn(rank, 400, generator=draw)

    one = random()
    other = random() - 0.5 * one
    exact = torch.nn.functional.cosine_similarity(one.flatten(), other.flatten(), 0)
    sketch, errors = Sketch(parameters), []
    for seed in range(40):
        sketch.redraw(seed)
        first, second = sketch([one]), sketch([other])
        errors.append(float(torch.nn.functional.cosine_similarity(first, second, 0) - exact))

    spread = torch.tensor(errors).std().item()
    assert spread < 1.6 / SIZE**0.5
    assert abs(sum(errors) / len(errors)) < 4 * spread / len(errors) ** 0.5


def test_few_numbers_are_kept_as_they_are() -> None:
    parameters = [nn.Parameter(torch.zeros(2, 2)), nn.Parameter(torch.zeros(3))]

    (found,) = sketches(parameters, [torch.ones(2, 2), None])

    assert found.tolist() == [1.0] * 4 + [0.0] * (SIZE - 4)


def test_averages_are_kept_by_name_for_tasks_that_met() -> None:
    running = RunningGramian()
    running.update(torch.tensor([[4.0, 1.0], [1.0, 1.0]]), {"b": 1.0, "a": 0.5})
    running.update(torch.tensor([[8.0]]), {"c": 3.0})
    running.update(torch.tensor([[14.0]]), {"b": 0.9})

    found = running.of(["a", "b", "c"])

    b = MOMENTUM * 4 + (1 - MOMENTUM) * 14
    expected = [[1, 0.5 * b**0.5, 0], [0.5 * b**0.5, b, 0], [0, 0, 8]]
    torch.testing.assert_close(found, torch.tensor(expected, dtype=torch.float64))
    assert running.losses == {"a": 0.5, "b": 0.9, "c": 3.0}
    assert running.knows(["c", "a"])
    assert not running.knows(["a", "new"])
    again = RunningGramian()
    again.load_state_dict(json.loads(json.dumps(running.state_dict())))
    assert torch.equal(again.of(["a", "b"]), running.of(["a", "b"]))


def test_averages_of_unequal_age_stay_those_of_vectors() -> None:
    running = RunningGramian()
    for pair in ("ab", "bc", "ac"):  # each against each other: not possible at once
        running.update(torch.tensor([[1.0, -0.9], [-0.9, 1.0]]), dict.fromkeys(pair, 1.0))
    running.update(torch.tensor([[0.01]]), {"a": 1.0})

    found = running.of(["a", "b", "c"])

    lengths = found.diagonal().sqrt()
    assert lengths.tolist() == pytest.approx([(0.9 + 0.001) ** 0.5, 1, 1])
    assert torch.linalg.eigvalsh(found).min() > 0
    for kind in FORGETFUL.values():
        weights = kind().weigh(found, dict.fromkeys("abc", 1.0))
        assert weights.abs().max() < 100, kind


def test_a_task_without_a_gradient_does_not_get_all_the_weight() -> None:
    running = RunningGramian()
    running.update(torch.tensor([[1.0, 0.0], [0.0, 0.0]]), {"a": 1.0, "b": 1.0})

    found = running.of(["a", "b"])

    assert found.diagonal().sqrt().tolist() == pytest.approx([1.0, 1e-4])


def test_what_a_method_remembers_begins_with_what_was_seen() -> None:
    model, method = Model(), GradNorm()
    balancer = model.attached(method, "stale", "all")
    step = model.step()
    first = {task: float(loss.detach()) for losses in step for task, loss in losses.items()}

    for _ in range(2):
        model.clear()
        balancer.backward(model.step())

    assert method.first == pytest.approx(first)
