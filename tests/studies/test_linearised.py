"""What tasks do to each other where a model is taken for linear."""

from pathlib import Path

import numpy as np
import pytest
from scipy.optimize import minimize

from polytask.build import read_experiment
from polytask.studies.linearised import _fitted, _linear, _Rows
from polytask.tasks import Task
from toys import write_toy


@pytest.fixture
def tasks(tmp_path: Path) -> dict[str, Task]:
    return {task.name: task for task in read_experiment(write_toy(tmp_path)).tasks}


def test_of_a_class_the_log_odds_are_linear(tasks: dict[str, Task]) -> None:
    """p = sigmoid(3 w) at w = 0.5; the loss is -log p, and its gradient -3 (1 - p)."""
    p = 1 / (1 + np.exp(-1.5))

    rows = _linear(tasks["intent"], np.array([-np.log(p)]), np.array([[-3 * (1 - p)]]))

    assert rows.values == pytest.approx([1.5])
    assert rows.slopes == pytest.approx(np.array([[3.0]]))
    moved = 1 / (1 + np.exp(-3 * 0.7))
    assert rows.losses(np.array([0.2])) == pytest.approx([-np.log(moved)])


def test_of_a_number_what_is_left_is_linear(tasks: dict[str, Task]) -> None:
    """What is left is 2 w - 5 at w = 1, so 3 below; its sign does not matter to the loss."""
    rows = _linear(tasks["stars"], np.array([3.0**2 / 2]), np.array([[-3.0 * 2.0]]))

    assert rows.losses(np.array([0.5])) == pytest.approx([2.0**2 / 2])


def test_the_fit_is_where_no_other_method_finds_less() -> None:
    draw = np.random.default_rng(0)
    tasks = [
        _Rows(True, draw.normal(size=30), draw.normal(size=(30, 50))),
        _Rows(False, draw.normal(size=20), draw.normal(size=(20, 50))),
    ]
    scale = 2.5

    def loss(move: np.ndarray) -> float:
        return float(sum(one.losses(move).mean() for one in tasks) + scale * move @ move / 2)

    found = _fitted(tasks, scale)

    assert loss(found) == pytest.approx(minimize(loss, np.zeros(50)).fun, rel=1e-6)


def test_a_slope_is_that_of_the_losses() -> None:
    draw = np.random.default_rng(1)
    move, step = draw.normal(size=5), 1e-5 * draw.normal(size=5)
    for is_class in (True, False):
        rows = _Rows(is_class, draw.normal(size=9), draw.normal(size=(9, 5)))
        first, second = rows.slope(move)
        up, down = (rows.losses(move + sign * step).mean() for sign in (1, -1))
        assert up - down == pytest.approx(2 * first @ step, rel=1e-5)
        change = rows.slope(move + step)[0] - rows.slope(move - step)[0]
        assert change == pytest.approx(2 * second @ step, rel=1e-4)


def alone_and_beside(task: _Rows, other: _Rows) -> tuple[np.ndarray, np.ndarray]:
    scale = 0.1 * task.size
    return task.losses(_fitted([task], scale)), task.losses(_fitted([task, other], scale))


@pytest.mark.parametrize("size", [0.03, 1.0, 30.0])
@pytest.mark.parametrize("is_class", [True, False])
def test_a_task_with_nothing_in_common_does_nothing_whatever_its_size(
    size: float, is_class: bool
) -> None:
    draw = np.random.default_rng(2)
    slopes = draw.normal(size=(20, 12))
    mine, others = (np.where(np.arange(12) // 6 == half, slopes, 0.0) for half in (0, 1))
    task = _Rows(is_class, draw.normal(size=20), mine)

    alone, beside = alone_and_beside(task, _Rows(is_class, draw.normal(size=20), size * others))

    assert beside == pytest.approx(alone, rel=1e-6)


def test_the_same_task_again_helps_and_its_opposite_hurts() -> None:
    draw = np.random.default_rng(3)
    task = _Rows(True, draw.normal(size=20) - 1, draw.normal(size=(20, 12)))

    alone, beside = alone_and_beside(task, task)
    _, against = alone_and_beside(task, _Rows(True, -task.values, -task.slopes))

    assert beside.mean() < alone.mean() < against.mean()
