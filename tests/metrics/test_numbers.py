"""Scores of numbers; every warning is an error here."""

import math
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from polytask.metrics.numbers import mae, pearson, rmse, spearman

whole = st.integers(-9, 9).map(float)
points = st.lists(st.tuples(whole, whole), min_size=2, max_size=20)


def test_pearson_by_hand() -> None:
    # deviations (-1, 0, 1) and (-1, 1, 0): 1 / sqrt(2 * 2)
    assert pearson([1, 2, 3], [1, 3, 2]) == pytest.approx(0.5)
    assert pearson([1, 2, 3], [10, 20, 30]) == pytest.approx(1)
    assert pearson([1, 2], [5, 4]) == pytest.approx(-1)


def test_spearman_sees_only_the_order() -> None:
    assert spearman([1, 2, 3], [1, 10, 1000]) == pytest.approx(1)
    # ranks (1.5, 1.5, 3) and (1, 2, 3): deviations (-.5, -.5, 1) and (-1, 0, 1)
    assert spearman([1, 1, 2], [1, 2, 3]) == pytest.approx(1.5 / math.sqrt(1.5 * 2))


@given(points)
def test_correlations_are_those_of_scipy(points: list[tuple[float, float]]) -> None:
    gold, predicted = zip(*points, strict=True)
    if len(set(gold)) == 1 or len(set(predicted)) == 1:
        assert math.isnan(pearson(gold, predicted))
        assert math.isnan(spearman(gold, predicted))
    else:
        theirs = stats.spearmanr(gold, predicted).statistic
        assert pearson(gold, predicted) == stats.pearsonr(gold, predicted).statistic
        assert spearman(gold, predicted) == pytest.approx(theirs)


@pytest.mark.parametrize("correlation", [pearson, spearman])
@pytest.mark.parametrize(
    ("gold", "predicted"),
    [
        ([], []),
        ([1.0], [1.0]),
        ([1.0, 2.0], [3.0, 3.0]),
        ([3.0, 3.0], [1.0, 2.0]),
        ([0.0, 0.0], [0.0, 0.0]),
        ([1.0, 2.0], [0.1, 0.1 + 1e-17]),
        ([1.0, 2.0, 3.0], [1e6, 1e6 + 1e-9, 1e6]),
        ([1.0, 2.0], [math.nan, 1.0]),
        ([1.0, 2.0], [math.inf, 1.0]),
    ],
)
def test_no_correlation_without_two_different_finite_numbers_on_both_sides(
    correlation: Callable[[list[float], list[float]], float],
    gold: list[float],
    predicted: list[float],
) -> None:
    assert math.isnan(correlation(gold, predicted))


def test_errors_by_hand() -> None:
    gold, predicted = [1, 2, 3, 4], [1, 2, 3, 8]

    assert mae(gold, predicted) == 1  # 4 / 4
    assert rmse(gold, predicted) == 2  # sqrt(16 / 4)


def test_errors_of_nothing_are_nan() -> None:
    assert math.isnan(mae([], []))
    assert math.isnan(rmse([], []))


@pytest.mark.parametrize("score", [pearson, spearman, mae, rmse])
def test_numbers_must_pair_up(score: Callable[[list[float], list[float]], float]) -> None:
    with pytest.raises(ValueError, match="1 gold numbers but 2 predicted"):
        score([1.0], [1.0, 2.0])
