import math

import pytest

from polytask.metrics.rankings import kendall, ndcg, reciprocal_rank


@pytest.mark.parametrize(
    ("scores", "relevant", "rank"),
    [
        ([0.1, 0.9, 0.5], [1], 1.0),
        ([0.1, 0.9, 0.5], [0], 1 / 3),
        ([0.1, 0.9, 0.5], [0, 2], 1 / 2),
        ([0.5, 0.5, 0.5], [2], 1 / 3),
        ([0.5], [], 0.0),
    ],
)
def test_the_reciprocal_rank(scores: list[float], relevant: list[int], rank: float) -> None:
    assert reciprocal_rank(scores, relevant) == pytest.approx(rank)


def test_ndcg_by_hand() -> None:
    # In the order of scores: grades 1, 3, 0. Ideal: 3, 1, 0.
    found = 1 / math.log2(2) + 3 / math.log2(3)
    ideal = 3 / math.log2(2) + 1 / math.log2(3)

    assert ndcg([3, 1, 0], [0.5, 0.9, 0.1], 10) == pytest.approx(found / ideal)
    assert ndcg([3, 1, 0], [0.5, 0.9, 0.1], 1) == pytest.approx(1 / 3)
    assert ndcg([3, 1, 0], [3, 2, 1], 10) == 1.0


def test_equal_scores_share_their_gains() -> None:
    assert ndcg([3, 1], [0.5, 0.5], 1) == pytest.approx(2 / 3)


def test_without_a_grade_above_0_there_is_no_gain() -> None:
    assert math.isnan(ndcg([0, 0], [1, 2], 10))


def test_kendall() -> None:
    assert kendall([1, 2, 3], [5, 6, 7]) == pytest.approx(1.0)
    assert kendall([1, 2, 3], [7, 6, 5]) == pytest.approx(-1.0)
    assert kendall([1, 2, 3], [5, 7, 6]) == pytest.approx(1 / 3)
    assert math.isnan(kendall([1, 1], [5, 6]))
    assert math.isnan(kendall([1, 2], [5, 5]))
