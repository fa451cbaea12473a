from collections.abc import Sequence

import numpy as np
import pytest
import torch

from head_inputs import inputs_of
from polytask.data.batching import Inputs
from polytask.data.records import Record
from polytask.errors import DataError
from polytask.heads.answer import AnswerSpan
from polytask.heads.head import IGNORE, Prediction

LONG = "一二三四五六七八九十"
WHO: Record = {"context": LONG, "question": "谁", "answers": [{"start": 5, "end": 7}]}
NONE: Record = {"context": LONG, "question": "谁", "answers": []}


def windows_of(head: AnswerSpan, *records: Record) -> Inputs:
    """Nine tokens are room for five words of the passage, three marks and a question of one."""
    return inputs_of(head, *records, max_tokens=9)


def fitted(*records: Record, stride: int = 2) -> AnswerSpan:
    head = AnswerSpan()
    head.view = head.view.of_long_texts(None, stride)
    head.fit(records or [WHO, NONE])
    head.attach(4)
    return head.eval()


def decoded(head: AnswerSpan, scores: Sequence[dict[tuple[int, int], float]]) -> Prediction:
    """The answer to WHO, from scores of (place, side) in each window; place 0 is no answer."""
    inputs = windows_of(head, WHO)
    there = inputs.word_starts >= 0
    logits = torch.zeros(len(there), 1 + there.shape[1], 2)
    logits[:, 1:][~there] = -1e4
    for window, of_window in enumerate(scores):
        for place, score in of_window.items():
            logits[(window, *place)] = score
    (prediction,) = head.decode(logits, [WHO], inputs)
    return prediction


def test_a_long_passage_is_read_in_windows_that_overlap() -> None:
    inputs = windows_of(fitted(), WHO)

    held = [np.flatnonzero(window >= 0).tolist() for window in inputs.word_starts.numpy()]

    assert held == [[0, 1, 2, 3, 4], [3, 4, 5, 6, 7], [6, 7, 8, 9]]
    assert inputs.owners.tolist() == [0, 0, 0]


def test_targets_are_the_ends_of_the_answer_in_the_windows_that_hold_it() -> None:
    head = fitted()
    unlabelled = {**WHO, "answers": None}

    targets = head.targets([WHO, NONE, unlabelled], windows_of(head, WHO, NONE, unlabelled))

    assert targets["ends"].tolist() == [
        *([0, 0], [6, 7], [0, 0]),
        *([0, 0], [0, 0], [0, 0]),
        *([IGNORE, IGNORE],) * 3,
    ]
    assert head.count(targets) == 6


def test_the_best_span_of_all_windows_is_the_answer() -> None:
    prediction = decoded(fitted(WHO), [{(2, 0): 3.0, (3, 1): 3.0}, {(6, 0): 5.0, (7, 1): 4.0}])

    assert (prediction["answer"], prediction["start"], prediction["end"]) == ("六七", 5, 7)
    assert prediction["margin"] == 9.0
    assert [one["probability"] for one in prediction["n_best"]] == sorted(
        (one["probability"] for one in prediction["n_best"]), reverse=True
    )


def test_an_end_before_its_start_is_no_answer_nor_is_a_span_too_long() -> None:
    head = AnswerSpan(max_words=2)
    head.fit([WHO])
    head.attach(4)

    backwards = decoded(head, [{}, {(7, 0): 5.0, (6, 1): 5.0}])
    long = decoded(head, [{}, {(5, 0): 5.0, (7, 1): 5.0}])

    assert {backwards["answer"], long["answer"]} & {"六七", "五六七"} == set()


def test_a_question_has_no_answer_below_the_threshold_that_dev_gave() -> None:
    head = fitted()
    sure, unsure = {(6, 0): 5.0, (7, 1): 4.0}, {(6, 0): 1.5, (7, 1): 1.5}
    predictions = [decoded(head, [{}, scores]) for scores in (sure, unsure, unsure, sure)]
    assert [one["answer"] for one in predictions] == ["六七"] * 4

    tuned = head.tune([["六七"], [], [], None], predictions)

    assert [one["answer"] for one in tuned] == ["六七", None, None, "六七"]
    assert 3.0 < head.threshold < 9.0
    assert decoded(head, [{}, unsure])["answer"] is None
    assert head.score([["六七"], []], tuned[:2]).metrics == {
        "f1": 1.0,
        "exact_match": 1.0,
        "f1_with_answer": 1.0,
        "f1_without_answer": 1.0,
    }


def test_a_threshold_may_refuse_or_answer_everything() -> None:
    head = fitted()
    predictions = [decoded(head, [{(1, 0): 2.0, (1, 1): 1.0}]) for _ in range(2)]

    refused = head.tune([[], []], predictions)
    answered = head.tune([["一"], ["一"]], predictions)

    assert [one["answer"] for one in refused] == [None, None]
    assert [one["answer"] for one in answered] == ["一", "一"]


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ({"start": 5, "end": 17}, "answer 1: ends at 17, but the text has 10 characters"),
        ({"start": 5, "end": 7, "text": "七八"}, "answer 1: characters 5 to 7 are '六七'"),
    ],
)
def test_what_is_wrong_with_an_answer_is_told(answer: dict[str, object], message: str) -> None:
    record = {**WHO, "answers": [{"text": None, "label": None, **answer}]}

    assert fitted().problem(record) == message


def test_an_answer_is_needed() -> None:
    with pytest.raises(DataError) as fault:
        AnswerSpan().fit([NONE])

    assert str(fault.value) == "column 'answers' holds no answer"
