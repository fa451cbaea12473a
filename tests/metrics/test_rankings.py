import math
from itertools import combinations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from sklearn.metrics import ndcg_score

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


@given(
    st.lists(
        st.tuples(st.integers(0, 3), st.integers(0, 4)),  # grade and score: many are equal
        min_size=2,
        max_size=12,
    ),
    st.integers(1, 13),
)
def test_ndcg_is_that_of_scikit_learn(items: list[tuple[int, int]], k: int) -> None:
    grades, scores = [float(grade) for grade, _ in items], [float(score) for _, score in items]
    assume(any(grades))

    assert ndcg(grades, scores, k) == pytest.approx(ndcg_score([grades], [scores], k=k))


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=2, max_size=8))
def test_kendall_counts_pairs(items: list[tuple[int, int]]) -> None:
    pairs = list(combinations(items, 2))
    signs = [((a > c) - (a < c), (b > d) - (b < d)) for (a, b), (c, d) in pairs]
    agreement = sum(one * other for one, other in signs)
    untied = [sum(sign[side] != 0 for sign in signs) for side in (0, 1)]

    found = kendall([float(a) for a, _ in items], [float(b) for _, b in items])

    if 0 in untied:
        assert math.isnan(found)
    else:
        assert found == pytest.approx(agreement / math.sqrt(untied[0] * untied[1]))


@given(st.lists(st.tuples(st.integers(0, 4), st.booleans()), min_size=1, max_size=10))
def test_the_reciprocal_rank_is_the_worst_over_all_orders_of_equal_scores(
    items: list[tuple[int, bool]],
) -> None:
    relevant = [place for place, (_, is_relevant) in enumerate(items) if is_relevant]
    order = sorted(items, key=lambda item: (-item[0], item[1]))
    ranks = [rank for rank, (_, is_relevant) in enumerate(order, 1) if is_relevant]

    found = reciprocal_rank([float(score) for score, _ in items], relevant)

    assert found == pytest.approx(1 / ranks[0] if ranks else 0.0)
