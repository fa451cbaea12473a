import math

import pytest

from polytask.metrics.answers import answer_metrics


@pytest.mark.parametrize(
    ("golds", "answer", "f1", "exact"),
    [
        (["the Red Lamp"], "red lamp!", 1.0, 1.0),
        (["red lamp"], "big red lamp", 0.8, 0.0),
        (["red lamp", "lamp"], "a lamp", 1.0, 1.0),
        (["lamp lamp"], "lamp", 2 / 3, 0.0),
        (["lamp"], "Oslo", 0.0, 0.0),
        (["308"], "308 points", 2 / 3, 0.0),
        (["the"], "the", 1.0, 1.0),
        (["the"], "lamp", 0.0, 0.0),
        ([], "", 1.0, 1.0),
        ([], "lamp", 0.0, 0.0),
        (["lamp"], "", 0.0, 0.0),
        (["足球运动员"], "足球运动员。", 1.0, 1.0),
        (["足球运动员"], "运动员", 0.75, 0.0),
        (["北京大学"], "大学北京", 0.5, 0.0),
        (["《三国》第3版"], "三国第3版", 1.0, 1.0),
        (["Omega 社"], "omega", 2 / 3, 0.0),
        (["。"], "灯", 0.0, 0.0),
    ],
)
def test_an_answer_is_measured_by_its_best_gold_answer(
    golds: list[str], answer: str, f1: float, exact: float
) -> None:
    assert answer_metrics([golds], [answer]) == {
        "f1": pytest.approx(f1),
        "exact_match": pytest.approx(exact),
    }


def test_questions_count_alike() -> None:
    scores = answer_metrics([["red lamp"], ["Oslo"]], ["lamp", "Bergen"])

    assert scores == {"f1": pytest.approx((2 / 3 + 0) / 2), "exact_match": 0.0}


def test_without_questions_there_is_no_score() -> None:
    assert all(map(math.isnan, answer_metrics([], []).values()))
