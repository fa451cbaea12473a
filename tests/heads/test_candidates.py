import math

import pytest
import torch

from head_inputs import inputs_of
from polytask.data.records import Record
from polytask.errors import DataError
from polytask.heads.candidates import by_record, candidate_rows
from polytask.heads.choose import Choose
from polytask.heads.rank import Rank

WHO: Record = {"text": "who", "candidates": ["Ann", "Bob"], "label": "1", "grades": [1.0, 3.0]}
WHERE: Record = {
    "text": "where",
    "candidates": ["here", "there", "Oslo"],
    "label": "0",
    "grades": [2.0, 0.0, 2.0],
}


def test_scores_of_rows_stand_side_by_side_by_record() -> None:
    rows = candidate_rows(torch.tensor([0, 0, 1, 1, 1, 2]))

    assert rows.tolist() == [[0, 1, -1], [2, 3, 4], [5, -1, -1]]
    assert by_record(torch.arange(6), rows).tolist() == [
        [0, 1, -1e4],
        [2, 3, 4],
        [5, -1e4, -1e4],
    ]


def test_a_choice_is_the_likeliest_candidate_of_its_record() -> None:
    head = Choose()
    inputs = inputs_of(head, WHO, WHERE)

    found = head.decode(torch.tensor([2.0, 1.0, 0.0, 0.0, 5.0]), [WHO, WHERE], inputs)

    assert [one["text"] for one in found] == ["Ann", "Oslo"]
    assert [one["choice"] for one in found] == [0, 2]
    assert found[0]["probabilities"] == pytest.approx([0.731059, 0.268941])
    scores = head.score([1, 2], found)
    assert scores.metrics == {"accuracy": 0.5, "mrr": 0.75}


def test_the_loss_of_a_choice_is_over_its_candidates() -> None:
    head = Choose()
    inputs = inputs_of(head, WHO, WHERE)

    loss = head.loss(torch.zeros(5), head.targets([WHO, WHERE], inputs))

    assert loss.item() == pytest.approx(math.log(2) + math.log(3))


@pytest.mark.parametrize("label", ["2", "-1", "Ann", "1.0"])
def test_a_label_that_is_no_candidate_is_told(label: str) -> None:
    fault = Choose().problem({**WHO, "label": label})

    assert fault == f"'{label}' in column 'label' is none of 0 to 1"


def test_a_choice_needs_two_candidates() -> None:
    with pytest.raises(DataError) as fault:
        Choose().fit([{"text": "who", "candidates": ["Ann"], "label": "0"}])

    assert str(fault.value) == "column 'candidates' holds no two candidates to choose from"


def fitted(method: str = "listwise") -> Rank:
    head = Rank(loss=method)  # type: ignore[arg-type]
    head.fit([{**WHO, "grades": [1.0, 3.0]}])
    return head


def test_the_listwise_loss_by_hand() -> None:
    head = fitted()  # grades lie one from their mean, so they count as they are

    loss = head.loss(torch.tensor([0.0, 1.0]), head.targets([WHO], inputs_of(head, WHO)))

    first, second = (torch.tensor(some).softmax(0) for some in ([1.0, 3.0], [0.0, 1.0]))
    assert loss.item() == pytest.approx(-(first * second.log()).sum().item())


def test_the_pairwise_loss_by_hand() -> None:
    head = fitted("pairwise")
    scores = torch.tensor([0.5, 0.0, 2.0])

    loss = head.loss(scores, head.targets([WHERE], inputs_of(head, WHERE)))

    # Two pairs: the first and the third are better than the second.
    expected = (math.log1p(math.exp(-0.5)) + math.log1p(math.exp(-2.0))) / 2
    assert loss.item() == pytest.approx(expected)


def test_a_ranking_is_the_order_of_scores() -> None:
    head = fitted()

    (found,) = head.decode(torch.tensor([0.5, 0.0, 2.0]), [WHERE], inputs_of(head, WHERE))

    assert found == {"order": [2, 0, 1], "scores": [0.5, 0.0, 2.0]}
    metrics = head.score([WHERE["grades"]], [found]).metrics
    assert metrics["ndcg_10"] == 1.0
    assert metrics["mrr"] == 1.0


@pytest.mark.parametrize(
    ("grades", "message"),
    [
        ([1.0], "2 candidates but 1 grades in column 'grades'"),
        ([1.0, -2.0], "grade -2.0 in column 'grades' is below 0"),
    ],
)
def test_what_is_wrong_with_grades_is_told(grades: list[float], message: str) -> None:
    assert Rank().problem({**WHO, "grades": grades}) == message


def test_two_different_grades_are_needed_and_flat_lists_are_told() -> None:
    with pytest.raises(DataError) as fault:
        Rank().fit([{**WHO, "grades": [2.0, 2.0]}])

    assert str(fault.value) == "column 'grades' holds no list with two different grades"
    flat = {**WHO, "grades": [2.0, 2.0]}
    assert Rank().fit([WHO, flat]) == ["1 lists have equal grades throughout and teach no order"]
