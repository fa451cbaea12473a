"""Scores of labels, by hand and against scikit-learn."""

import math
import warnings

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import confusion_matrix, f1_score, matthews_corrcoef
from sklearn.metrics import precision_recall_fscore_support as reference

from polytask.errors import DataError
from polytask.metrics.classes import accuracy, class_table, confusion, macro_f1, matthews

LABELS = ["good", "bad", "中性", "never"]

answers = st.sampled_from(LABELS[:3])
answered = st.lists(st.tuples(answers, answers), min_size=1, max_size=20)
pairs = st.lists(st.tuples(answers, answers | st.none()), min_size=1, max_size=20)


def test_the_table_by_hand() -> None:
    gold = ["good", "good", "good", "bad"]
    predicted = ["good", "good", "bad", "bad"]

    table = class_table(gold, predicted, ["bad", "good"])

    # bad: 1 of 2 predicted is right, 1 of 1 found; good: 2 of 2 right, 2 of 3 found
    bad, good = table.rows
    assert (bad.label, bad.precision, bad.recall, bad.support) == ("bad", 0.5, 1.0, 1)
    assert (good.label, good.precision, good.support) == ("good", 1.0, 3)
    assert (bad.f1, good.f1) == (pytest.approx(2 / 3), pytest.approx(0.8))
    macro, weighted = table.averages
    assert (macro.label, macro.support) == ("macro", 4)
    assert (weighted.label, weighted.support) == ("weighted", 4)
    assert macro.precision == 0.75  # (.5 + 1) / 2
    assert weighted.precision == 0.875  # (.5 * 1 + 1 * 3) / 4


@given(pairs)
def test_scores_are_those_of_scikit_learn(pairs: list[tuple[str, str | None]]) -> None:
    gold, predicted = map(list, zip(*pairs, strict=True))
    occurring = [label for label in LABELS if label in gold or label in predicted]

    table = class_table(gold, predicted, LABELS)

    theirs = ["no answer" if label is None else label for label in predicted]
    rows = [row for row in table.rows if row.label in occurring]
    columns = zip(*reference(gold, theirs, labels=occurring, zero_division=0), strict=True)
    for row, (precision, recall, f1, support) in zip(rows, columns, strict=True):
        assert (row.precision, row.recall, row.f1, row.support) == (precision, recall, f1, support)
    for row, kind in zip(table.averages, ("macro", "weighted"), strict=True):
        average = reference(gold, theirs, labels=occurring, average=kind, zero_division=0)
        assert [row.precision, row.recall, row.f1] == pytest.approx(average[:3])


def test_a_label_that_does_not_occur_has_no_scores_and_no_part_in_the_average() -> None:
    table = class_table(["good", "bad"], ["good", "bad"], LABELS)

    never = table.rows[3]
    assert all(map(math.isnan, (never.precision, never.recall, never.f1)))
    assert never.support == 0
    assert table.averages[0].f1 == 1.0


def test_a_label_that_is_predicted_but_never_gold_scores_0_and_counts() -> None:
    table = class_table(["good", "good"], ["good", "bad"], ["good", "bad"])

    good, bad = table.rows
    assert (bad.precision, bad.recall, bad.f1, bad.support) == (0, 0, 0, 0)
    assert good.f1 == pytest.approx(2 / 3)  # 1 of 1 right, 1 of 2 found
    assert table.averages[0].f1 == pytest.approx(1 / 3)


def test_no_answer_is_a_wrong_answer() -> None:
    gold, predicted = ["good", "good", "bad"], ["good", None, None]

    assert accuracy(gold, predicted) == pytest.approx(1 / 3)
    good, bad = class_table(gold, predicted, ["good", "bad"]).rows
    assert (good.precision, good.recall, bad.recall) == (1.0, 0.5, 0.0)


def test_without_answers_there_is_no_score() -> None:
    table = class_table([], [], ["good"])

    assert math.isnan(accuracy([], []))
    assert math.isnan(macro_f1([], []))
    assert math.isnan(matthews([], []))
    assert [row.support for row in table.rows + table.averages] == [0, 0, 0]
    assert all(math.isnan(row.f1) for row in table.rows + table.averages)


@given(answered)
def test_macro_f1_is_the_mean_over_classes_that_occur(pairs: list[tuple[str, str]]) -> None:
    gold, predicted = map(list, zip(*pairs, strict=True))

    theirs = f1_score(gold, predicted, average="macro", zero_division=0)

    assert macro_f1(gold, predicted) == pytest.approx(theirs)
    assert class_table(gold, predicted, LABELS).averages[0].f1 == pytest.approx(theirs)


def test_no_answer_is_no_class_of_the_macro_average() -> None:
    # good: 1 of 1 right, 1 of 2 found: F1 2/3; were None a class, the mean would be 1/3
    assert macro_f1(["good", "good"], ["good", None]) == pytest.approx(2 / 3)


@given(pairs)
def test_matthews_is_that_of_scikit_learn(pairs: list[tuple[str, str | None]]) -> None:
    gold, predicted = map(list, zip(*pairs, strict=True))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # scikit-learn may warn of a single class
        theirs = matthews_corrcoef(gold, [label or "no answer" for label in predicted])

    assert matthews(gold, predicted) == pytest.approx(theirs)


def test_matthews_of_two_classes_by_hand() -> None:
    # 2 true positives, 1 true negative, 1 false positive, none negative:
    # (2 * 1 - 1 * 0) / sqrt((2 + 1) * (2 + 0) * (1 + 1) * (1 + 0)) = 2 / sqrt(12)
    gold, predicted = ["yes", "yes", "no", "no"], ["yes", "yes", "yes", "no"]

    assert matthews(gold, predicted) == pytest.approx(2 / math.sqrt(12))


@pytest.mark.parametrize("predicted", [["a", "a"], ["b", "b"], [None, None]])
def test_matthews_of_a_constant_is_0_without_a_warning(predicted: list[str | None]) -> None:
    assert matthews(["a", "b"], predicted) == 0
    assert matthews(["a", "a"], predicted) == 0


def test_confusion_counts_gold_by_row_and_predictions_by_column() -> None:
    gold = ["good", "good", "good", "bad"]

    assert confusion(gold, ["good", "bad", "bad", "bad"], ["good", "bad"]) == [[1, 2], [0, 1]]


def test_confusion_has_a_last_column_for_no_answer_only_if_there_is_one() -> None:
    gold = ["good", "bad", "bad"]

    assert confusion(gold, ["good", None, "bad"], ["good", "bad"]) == [[1, 0, 0], [0, 1, 1]]


@given(answered)
def test_confusion_is_that_of_scikit_learn(pairs: list[tuple[str, str]]) -> None:
    gold, predicted = map(list, zip(*pairs, strict=True))

    theirs = confusion_matrix(gold, predicted, labels=LABELS).tolist()

    assert confusion(gold, predicted, LABELS) == theirs


def test_confusion_of_nothing_is_all_0() -> None:
    assert confusion([], [], ["good", "bad"]) == [[0, 0], [0, 0]]


@pytest.mark.parametrize(
    ("gold", "predicted"), [(["godo"], ["good"]), (["good"], ["godo"]), (["godo"], [None])]
)
def test_an_unknown_label_is_refused(gold: list[str], predicted: list[str | None]) -> None:
    message = "label 'godo' is not one of the labels. Did you mean 'good'? Known: good, bad."
    for score in (class_table, confusion):
        with pytest.raises(DataError) as fault:
            score(gold, predicted, ["good", "bad"])

        assert str(fault.value) == message


def test_answers_must_pair_up() -> None:
    for score in (accuracy, macro_f1, matthews):
        with pytest.raises(ValueError, match=r"."):
            score(["good"], [])
    with pytest.raises(ValueError, match="1 gold labels but 0 predicted"):
        class_table(["good"], [], ["good"])
