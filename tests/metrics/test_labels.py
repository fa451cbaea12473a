"""Scores of label sets, by hand and against scikit-learn."""

import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, f1_score

from polytask.metrics.labels import best_threshold, indicators, label_metrics, label_table

LABELS = ["anger", "joy", "中性", "never"]

places = st.lists(st.sampled_from(LABELS[:3]), unique=True)
probabilities = st.lists(st.sampled_from([0.1, 0.2, 0.5, 0.9]), min_size=4, max_size=4)
cases = st.lists(st.tuples(places, places, probabilities), min_size=1, max_size=12)


def test_scores_by_hand() -> None:
    gold = indicators([["joy"], ["joy", "anger"], []], LABELS)
    predicted = indicators([["joy"], ["anger", "中性"], []], LABELS)
    # joy: ranked 1st and 3rd: (1/1 + 2/3) / 2; anger: ranked 1st
    ranked = np.array([[0.1, 0.9, 0.2, 0.0], [0.8, 0.2, 0.6, 0.0], [0.3, 0.4, 0.1, 0.0]])

    found = label_metrics(gold, predicted, ranked)

    # anger 1; joy 1 of 1 predicted, 1 of 2 found: 2/3; 中性 predicted in vain: 0; never: left out
    assert found["macro_f1"] == pytest.approx((1 + 2 / 3 + 0) / 3)
    assert found["micro_f1"] == pytest.approx(2 * 2 / (3 + 3))
    assert found["samples_f1"] == pytest.approx((1 + 2 * 1 / 4 + 1) / 3)
    assert found["map"] == pytest.approx((1 + (1 + 2 / 3) / 2) / 2)
    assert found["exact"] == pytest.approx(2 / 3)


@given(cases)
def test_scores_are_those_of_scikit_learn(
    case: list[tuple[list[str], list[str], list[float]]],
) -> None:
    gold, predicted = (indicators([row[side] for row in case], LABELS) for side in (0, 1))
    ranked = np.array([row[2] for row in case])
    assume((gold + predicted).any())
    occurs, in_gold = (gold + predicted).any(axis=0), gold.any(axis=0)
    assume(occurs.sum() > 1)  # scikit-learn takes a single column for two classes

    found = label_metrics(gold, predicted, ranked)

    def f1(average: str, kept: np.ndarray) -> float:
        return f1_score(gold[:, kept], predicted[:, kept], average=average, zero_division=0.0)

    assert found["macro_f1"] == pytest.approx(f1("macro", occurs))
    assert found["micro_f1"] == pytest.approx(f1("micro", occurs))
    samples = f1_score(gold, predicted, average="samples", zero_division=1.0)
    assert found["samples_f1"] == pytest.approx(samples)
    precisions = [
        average_precision_score(gold[:, label], ranked[:, label])
        for label in np.flatnonzero(in_gold)
    ]
    assert found["map"] == pytest.approx(
        np.mean(precisions) if precisions else math.nan, nan_ok=True
    )


def test_without_any_row_or_label_nothing_is_made_up() -> None:
    nothing = indicators([], LABELS)

    assert all(map(math.isnan, label_metrics(nothing, nothing, np.zeros((0, 4))).values()))
    empty = indicators([[], []], LABELS)
    found = label_metrics(empty, empty, np.zeros((2, 4)))
    assert {name for name, value in found.items() if math.isnan(value)} == {
        "macro_f1",
        "micro_f1",
        "map",
    }
    assert found["samples_f1"] == found["exact"] == 1
    assert all(math.isnan(row.f1) for row in label_table(empty, empty, LABELS).rows)


def test_a_single_label_is_scored_as_one() -> None:
    gold, predicted = (indicators(sets, ["joy"]) for sets in ([["joy"], []], [["joy"], ["joy"]]))

    found = label_metrics(gold, predicted, np.array([[0.9], [0.6]]))

    assert found["macro_f1"] == found["micro_f1"] == pytest.approx(2 / 3)
    assert label_table(gold, predicted, ["joy"]).rows[0].precision == 0.5


def test_the_table_by_hand() -> None:
    gold = indicators([["joy"], ["joy", "anger"]], LABELS)
    predicted = indicators([["joy"], ["anger", "中性"]], LABELS)

    table = label_table(gold, predicted, LABELS)

    anger, joy, neutral, never = table.rows
    assert (anger.precision, anger.recall, anger.f1, anger.support) == (1, 1, 1, 1)
    assert (joy.precision, joy.recall, joy.support) == (1, 0.5, 2)
    assert (neutral.precision, neutral.recall, neutral.f1, neutral.support) == (0, 0, 0, 0)
    assert math.isnan(never.f1)
    assert table.average("macro").precision == pytest.approx(2 / 3)
    assert table.average("micro").recall == pytest.approx(2 / 3)


@given(st.lists(st.tuples(st.booleans(), st.sampled_from([0.1, 0.2, 0.3, 0.8])), min_size=1))
def test_no_threshold_has_a_better_f1(case: list[tuple[bool, float]]) -> None:
    fits = np.array([int(one) for one, _ in case])
    shown = np.array([p for _, p in case])
    assume(fits.any())

    found = best_threshold(fits, shown)

    def f1(threshold: float) -> float:
        return f1_score(fits, shown >= threshold, zero_division=0.0)

    best = max(f1(threshold) for threshold in (0.05, 0.15, 0.25, 0.5, 0.9))
    assert f1(found) == pytest.approx(best)
    assert 0 < found < 0.8


def test_a_label_that_never_fits_keeps_the_plain_threshold() -> None:
    assert best_threshold(np.zeros(3, int), np.array([0.1, 0.9, 0.5])) == 0.5
    assert best_threshold(np.zeros(0, int), np.zeros(0)) == 0.5
