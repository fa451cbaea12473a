from itertools import pairwise

import numpy as np
import pytest

from polytask.metrics.calibration import Reliability, isotonic_curve, on_curve


def test_the_error_is_the_mean_distance_over_bins_of_equal_size() -> None:
    # 15 bins of two answers: one states 0.9 and is right, one states 0.9 and is wrong, and so on.
    chances = [(0.01 * place, is_right) for place in range(15) for is_right in (True, False)]

    found = Reliability.of(chances)

    assert [one.count for one in found.bins] == [2] * 15
    assert found.error == pytest.approx(np.mean([abs(0.01 * place - 0.5) for place in range(15)]))
    assert found.brier == pytest.approx(np.mean([(p - right) ** 2 for p, right in chances]))


def test_equal_probabilities_stay_in_one_bin() -> None:
    found = Reliability.of([(1.0, True)] * 40 + [(0.5, False)] * 3)

    assert [(one.stated, one.right, one.count) for one in found.bins] == [(0.5, 0, 3), (1, 1, 40)]


def test_without_answers_nothing_is_known() -> None:
    found = Reliability.of([])

    assert found.count == 0
    assert np.isnan(found.error)


def test_an_isotonic_curve_rises_from_0_to_1_and_keeps_apart_what_differs() -> None:
    chances = np.array([0.1, 0.2, 0.3, 0.4, 0.8])
    fits = np.array([0.0, 1.0, 0.0, 1.0, 1.0])

    curve = isotonic_curve(chances, fits)
    found = [on_curve(curve, one) for one in np.linspace(0, 1, 21)]

    assert (found[0], found[-1]) == (0.0, 1.0)
    assert all(one < other for one, other in pairwise(found))
    # 0.2 and 0.3 are pooled: one of two fits, and one answer more of the share of all, 0.6.
    assert on_curve(curve, 0.25) == pytest.approx(1.6 / 3)
