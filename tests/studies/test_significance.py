"""Differences between ways of training: against tests that are known, and in simulation."""

import math

import numpy as np
import pytest
from scipy.stats import ttest_ind, ttest_rel

from polytask.studies.significance import (
    GROUPS,
    Difference,
    Sample,
    difference,
    in_parts,
    mean_gain,
    verdicts,
)

DRAW = np.random.default_rng(3)


def sampled(values: np.ndarray) -> Sample:
    """Of models whose score is the mean of their values: (seeds, rows)."""
    return Sample.of([in_parts(lambda rows: float(of[rows].mean()), len(of)) for of in values])  # noqa: B023


def test_rows_are_left_out_a_group_at_a_time_and_each_once() -> None:
    asked: list[np.ndarray] = []

    whole, without = in_parts(lambda rows: float(asked.append(rows) or len(rows)), 120)

    assert whole == 120
    assert len(without) == GROUPS
    left_out = [set(range(120)) - set(rows.tolist()) for rows in asked if len(rows) < 120]
    assert sorted(place for group in left_out for place in group) == list(range(120))
    few, parts = in_parts(lambda rows: float(len(rows)), 3)
    assert (few, parts) == (3.0, [2.0, 2.0, 2.0])


def test_where_rows_are_all_alike_it_is_welchs_test() -> None:
    one, other = DRAW.normal(0.8, 0.02, 5), DRAW.normal(0.77, 0.05, 4)

    found = difference(*(sampled(np.tile(side[:, None], 100)) for side in (one, other)))

    expected = ttest_ind(one, other, equal_var=False)
    assert found.p_value == pytest.approx(expected.pvalue)
    assert found.interval() == pytest.approx(tuple(expected.confidence_interval()))
    assert found.freedom == pytest.approx(expected.df)


def test_where_seeds_are_all_alike_it_is_the_paired_test_of_groups_of_rows() -> None:
    one, other = DRAW.normal(0.8, 0.3, 500), DRAW.normal(0.7, 0.3, 500)

    found = difference(*(sampled(np.tile(side, (3, 1))) for side in (one, other)))

    of_groups = [side.reshape(GROUPS, -1).mean(1) for side in (one, other)]
    expected = ttest_rel(*of_groups)
    assert found.p_value == pytest.approx(expected.pvalue)
    assert found.freedom == GROUPS - 1


def test_what_belongs_to_seed_and_row_together_counts_once() -> None:
    variances = []
    for _ in range(300):
        one, other = (sampled(DRAW.normal(0.0, 1.0, (4, 200))) for _ in range(2))
        variances.append(difference(one, other).error ** 2)

    true = 2 / (4 * 200)
    assert 0.9 * true < np.mean(variances) < 1.4 * true  # counted twice it would be 2


def test_one_seed_tells_nothing() -> None:
    found = difference(*(sampled(DRAW.normal(0, 1, (1, 100))) for _ in range(2)))

    assert math.isnan(found.interval()[0])
    assert found.p_value == 1
    assert not found.is_within(1e9)
    assert verdicts({"a": found}, 0.01) == {"a": "no evidence"}


def test_equal_scores_are_equivalent_and_other_constants_differ() -> None:
    one, other = (sampled(np.full((3, 60), value)) for value in (0.5, 0.75))

    assert verdicts({"a": difference(one, one)}, 0.01) == {"a": "equivalent"}
    assert verdicts({"a": difference(other, one)}, 0.01) == {"a": "helped"}


def test_verdicts_are_holms() -> None:
    def with_p(p_value: float, sign: int = 1) -> Difference:
        from scipy.stats import norm

        return Difference(sign * float(norm.isf(p_value / 2)), 1.0, math.inf)

    found = verdicts(
        {"a": with_p(0.03), "b": with_p(0.012, -1), "c": with_p(0.02), "d": with_p(0.04)}, 5.0
    )

    # 0.012 <= 0.05 / 4, but 0.02 > 0.05 / 3: all from there on are not told apart
    assert found == {"a": "equivalent", "b": "hurt", "c": "equivalent", "d": "equivalent"}
    assert verdicts({"a": with_p(0.03)}, 0.01) == {"a": "helped"}
    assert verdicts({"a": with_p(0.3)}, 0.01) == {"a": "no evidence"}


def test_the_least_difference_to_be_seen_is_seen_four_times_in_five() -> None:
    found = Difference(0.0, 0.02, 8.0)

    shifted = DRAW.standard_t(8, 20_000) * 0.02 + found.detectable()
    seen = [Difference(float(mean), 0.02, 8.0).p_value <= 0.05 for mean in shifted[:2000]]
    assert np.mean(seen) == pytest.approx(0.8, abs=0.03)


@pytest.mark.parametrize("seeds", [3, 5])
def test_a_verdict_where_nothing_differs_is_rarely_wrong(seeds: int) -> None:
    wrong = 0
    for _ in range(200):
        shared = DRAW.normal(0.0, 1.0, 200)
        sides = [
            sampled(shared + DRAW.normal(0, 0.1, (seeds, 1)) + DRAW.normal(0, 1, (seeds, 200)))
            for _ in range(2)
        ]
        wrong += difference(*sides).p_value <= 0.05
    assert wrong <= 20  # of 200; more than 20 has a chance of 0.2 % at a rate of 5 %


def test_the_mean_gain_is_relative_and_leaves_out_tasks_without_a_score() -> None:
    assert mean_gain([(0.6, 0.5), (0.4, 0.5), (0.3, 0.0)]) == pytest.approx(0.0)
    assert mean_gain([(-0.1, -0.2)]) == pytest.approx(0.5)
    assert math.isnan(mean_gain([]))


def test_rows_of_one_text_are_left_out_together() -> None:
    wrong = 0
    for _ in range(200):
        sides = [
            sampled(np.tile(DRAW.normal(0, 1, 100).repeat(5), (3, 1)) + DRAW.normal(0, 0.1, (3, 1)))
            for _ in range(2)
        ]
        wrong += difference(*sides).p_value <= 0.05
    assert wrong <= 20
