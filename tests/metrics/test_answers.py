import math
from difflib import SequenceMatcher

import pytest
from hypothesis import given
from hypothesis import strategies as st

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


_ENGLISH = st.lists(st.sampled_from(["toner", "Floor", "three", "ink"]), min_size=1, max_size=6)


@given(_ENGLISH, _ENGLISH)
def test_words_against_precision_and_recall(gold: list[str], answer: list[str]) -> None:
    left = list(gold)
    for word in answer:
        if word in left:
            left.remove(word)
    shared = len(gold) - len(left)
    precision, recall = shared / len(answer), shared / len(gold)

    found = answer_metrics([[" ".join(gold)]], [" ".join(answer)])

    f1 = 2 * precision * recall / (precision + recall) if shared else 0.0
    assert found == {"f1": pytest.approx(f1), "exact_match": float(gold == answer)}


_CHINESE = st.text(st.sampled_from("打印机墨三楼"), min_size=1, max_size=8)


@given(_CHINESE, _CHINESE)
def test_characters_against_the_longest_match_of_difflib(gold: str, answer: str) -> None:
    longest = SequenceMatcher(None, gold, answer, autojunk=False).find_longest_match().size
    precision, recall = longest / len(answer), longest / len(gold)

    found = answer_metrics([[gold + "。"]], ["，" + answer])

    f1 = 2 * precision * recall / (precision + recall) if longest else 0.0
    assert found == {"f1": pytest.approx(f1), "exact_match": float(gold == answer)}
