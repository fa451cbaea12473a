from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from polytask.build import read_experiment
from polytask.errors import ConfigError, DataError
from polytask.mixing.oversampling import draw, draw_weights
from polytask.mixing.steps import FeedSize, Round, plan_round
from toys import toy_loop

LABELS = ["often"] * 16 + ["rare"] * 4 + [None] * 5


@pytest.mark.parametrize(("power", "shares"), [(1.0, (10, 10)), (0.5, (40 / 3, 20 / 3))])
def test_labels_are_drawn_by_the_power_of_their_counts(
    power: float, shares: tuple[float, float]
) -> None:
    weights = draw_weights(LABELS, power)

    # By hand: 16 and 4 records; with power 1/2 their roots, 4 and 2, share the 20 two to one.
    assert weights[:16].sum() == pytest.approx(shares[0])
    assert weights[16:20].sum() == pytest.approx(shares[1])
    assert weights[20:].tolist() == [1.0] * 5


def test_without_any_label_all_are_drawn_alike() -> None:
    assert draw_weights([None, None], 1.0).tolist() == [1.0, 1.0]


@given(
    st.lists(st.floats(0.01, 100), min_size=1, max_size=40),
    st.integers(1, 200),
    st.integers(0, 99),
)
def test_each_record_is_drawn_as_often_as_its_weight_says(
    weights: list[float], count: int, seed: int
) -> None:
    found = Counter(draw(np.array(weights), count, np.random.default_rng(seed)).tolist())

    assert found.total() == count
    for place, weight in enumerate(weights):
        assert abs(found[place] - count * weight / sum(weights)) < 1 + 1e-6


def test_an_epoch_of_weighted_records_stays_as_long_and_changes() -> None:
    lengths, ones = np.full(25, 4), np.ones(25, int)
    feeds = {"mail": FeedSize(lengths, ones, draw_weights(LABELS, 1.0))}

    def epoch(number: int) -> list[int]:
        at = Round(number, {"mail": 25}, {"mail": 25 * number})
        steps = plan_round(feeds, at, batch_tokens=16, accumulate=1, seed=7)
        return [int(i) for step in steps for batch in step for _, indices in batch for i in indices]

    drawn = epoch(0)
    assert len(drawn) == 25
    assert 9 <= sum(16 <= place < 20 for place in drawn) <= 11
    assert drawn == epoch(0)
    assert sorted(drawn) != sorted(epoch(1))


def test_a_task_is_oversampled_while_training(toy: Path) -> None:
    loop = toy_loop(toy, "mixing.oversample={intent: 1.0}")

    weights = [size.weights for size in loop._rounds._feeds.values()]

    assert any(one is not None and one.std() > 0 for one in weights)


def test_a_task_without_one_label_a_record_is_refused(toy: Path) -> None:
    with pytest.raises(DataError, match=r"mixing.oversample: task items has no single label"):
        toy_loop(toy, "mixing.oversample={items: 0.5}")


def test_a_task_that_is_none_is_refused(toy: Path) -> None:
    with pytest.raises(ConfigError, match=r"mixing.oversample: no task 'intend'. Did you mean"):
        read_experiment(toy, ["mixing.oversample={intend: 0.5}"])
