import math

import pytest

from polytask.metrics.relations import relation_metrics

CAUSE, EFFECT, PART, NONE = "cause(e1,e2)", "cause(e2,e1)", "part(e1,e2)", "Other"


def test_a_wrong_direction_is_wrong_but_counts_for_the_type() -> None:
    # cause: 3 gold, 3 found, 1 right; part: 1 gold, 1 found, 1 right.
    scores = relation_metrics([CAUSE, CAUSE, EFFECT, PART], [CAUSE, EFFECT, CAUSE, PART])

    assert scores["macro_f1"] == pytest.approx((2 * 1 / 6 + 1) / 2)
    assert scores["micro_f1"] == pytest.approx(2 / 4)
    assert scores["accuracy"] == 0.5


def test_the_label_of_no_relation_has_no_f1_of_its_own_but_its_errors_count() -> None:
    gold, predicted = [CAUSE, NONE, NONE, PART], [NONE, CAUSE, NONE, PART]

    scores = relation_metrics(gold, predicted, NONE)

    # cause: 1 gold, 1 found, 0 right; part is right; Other is left out.
    assert scores["macro_f1"] == pytest.approx((0 + 1) / 2)
    assert scores["micro_f1"] == pytest.approx(2 * 1 / 4)
    assert scores["accuracy"] == 0.5
    assert relation_metrics(gold, predicted)["macro_f1"] == pytest.approx((0 + 1 + 1 / 2) / 3)


def test_a_type_that_is_only_found_counts_and_no_answer_is_wrong() -> None:
    scores = relation_metrics([CAUSE, CAUSE], [PART, None])

    assert scores == {"macro_f1": 0.0, "micro_f1": 0.0, "accuracy": 0.0}


def test_brackets_elsewhere_are_part_of_the_type() -> None:
    assert relation_metrics(["born (in)", "x(y)"], ["born (in)", "x(y)"])["macro_f1"] == 1.0


def test_without_anything_to_score_there_is_no_score() -> None:
    assert all(map(math.isnan, relation_metrics([], []).values()))
    assert math.isnan(relation_metrics([NONE], [NONE], NONE)["macro_f1"])
