import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, f1_score

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


_LABELS = st.sampled_from(["Cause(e1,e2)", "Cause(e2,e1)", "Part(e1,e2)", "Part(e2,e1)", "Other"])
_PAIRS = st.lists(st.tuples(_LABELS, st.one_of(_LABELS, st.none())), min_size=1, max_size=30)


@given(_PAIRS, st.sampled_from([None, "Other"]))
def test_micro_f1_and_accuracy_are_those_of_scikit_learn(
    pairs: list[tuple[str, str | None]], none: str | None
) -> None:
    gold, answers = [one for one, _ in pairs], [other or "(nothing)" for _, other in pairs]
    labels = sorted({*gold, *answers} - {"(nothing)", none})

    found = relation_metrics(gold, [other for _, other in pairs], none)

    assert found["accuracy"] == pytest.approx(accuracy_score(gold, answers))
    if labels:
        expected = f1_score(gold, answers, labels=labels, average="micro", zero_division=0)
        assert found["micro_f1"] == pytest.approx(expected)
    else:
        assert math.isnan(found["micro_f1"])


@given(_PAIRS)
def test_macro_f1_by_the_rules_of_the_scorer(pairs: list[tuple[str, str | None]]) -> None:
    """Precision and recall of each type, its direction right, as the scorer's report has them."""
    scores = []
    for kind in ("Cause", "Part"):
        right = sum(a == b and a.startswith(kind) for a, b in pairs)
        found = sum((b or "").startswith(kind) for _, b in pairs)
        there = sum(a.startswith(kind) for a, _ in pairs)
        if not found and not there:
            continue
        precision, recall = right / found if found else 0.0, right / there if there else 0.0
        total = precision + recall
        scores.append(2 * precision * recall / total if total else 0.0)

    macro_f1 = relation_metrics([a for a, _ in pairs], [b for _, b in pairs], "Other")["macro_f1"]

    if scores:
        assert macro_f1 == pytest.approx(sum(scores) / len(scores))
    else:
        assert math.isnan(macro_f1)
