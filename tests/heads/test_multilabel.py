import math
from collections.abc import Sequence

import pytest
import torch

from polytask.data.batching import Inputs
from polytask.data.records import Record
from polytask.errors import DataError
from polytask.heads.multilabel import Multilabel

NOTHING = Inputs(*(torch.zeros(0, 0) for _ in range(5)))
SETS = [["joy"], ["joy", "anger"], [], None]


def rows(*sets: Sequence[str] | None) -> list[Record]:
    return [{"text": "x", "labels": some} for some in sets]


def fitted(head: Multilabel, *sets: Sequence[str] | None) -> Multilabel:
    head.fit(rows(*sets))
    head.attach(4)
    return head


def test_labels_are_learned_in_alphabetical_order() -> None:
    head = Multilabel(text="text")

    assert head.fit(rows(*SETS)) == ["label 'anger' is seen once"]
    assert head.labels == ["anger", "joy"]


def test_without_any_label_there_is_nothing_to_learn() -> None:
    with pytest.raises(DataError, match="column 'labels' holds no label"):
        Multilabel(text="text").fit(rows([], None))


def test_an_empty_set_is_a_label_and_a_missing_one_is_not() -> None:
    head = fitted(Multilabel(text="text"), *SETS)

    targets = head.targets(rows(*SETS), NOTHING)

    shown = targets["labels"].tolist()
    assert shown[:3] == [[0, 1], [1, 1], [0, 0]]
    assert all(map(math.isnan, shown[3]))
    assert head.count(targets) == 3


def test_the_loss_by_hand() -> None:
    head = fitted(Multilabel(text="text"), *SETS)
    logits = torch.tensor([[0.0, math.log(3)], [5.0, 5.0]])

    loss = head.loss(logits, head.targets(rows(["joy"], None), NOTHING))

    # anger: -log(1 - 1/2); joy: -log(3/4); the second row has no labels
    assert loss.item() == pytest.approx((math.log(2) - math.log(0.75)) / 2)


def test_labels_are_given_from_their_thresholds_on_the_likeliest_first() -> None:
    head = fitted(Multilabel(text="text"), *SETS)
    head.thresholds = [0.5, 0.8]

    found = head.decode(torch.tensor([[0.0, 3.0], [-1.0, 1.0]]), [], NOTHING)

    assert found[0]["labels"] == ["joy", "anger"]
    assert found[0]["probabilities"] == {"anger": 0.5, "joy": pytest.approx(0.952574)}
    assert found[1]["labels"] == []


def test_thresholds_are_fitted_to_dev_where_there_are_examples_enough() -> None:
    sets: list[list[str]] = [["often"]] * 6 + [["rare"]] * 2 + [[]] * 2
    head = fitted(Multilabel(text="text"), *sets)
    often = [0.4, 0.35, 0.4, 0.4, 0.4, 0.4, 0.3, 0.1, 0.2, 0.1]
    rare = [0.1] * 6 + [0.6, 0.05] + [0.1] * 2
    logits = torch.logit(torch.tensor([often, rare]).T)

    tuned = head.tune([*sets, None], head.decode(torch.cat([logits, logits[:1]]), [], NOTHING))

    # together: the six of `often` and one of `rare` stand above 0.325, where all seven are right
    assert head.thresholds == pytest.approx([0.325, 0.325])
    assert [one["labels"] for one in tuned] == [*[["often"]] * 6, ["rare"], [], [], [], ["often"]]


def test_a_given_threshold_is_left_alone() -> None:
    head = fitted(Multilabel(text="text", threshold=0.3), *SETS)
    predicted = head.decode(torch.tensor([[-0.5, -3.0]]), [], NOTHING)

    assert head.tune([["joy"]], predicted) is predicted
    assert predicted[0]["labels"] == ["anger"]
    assert head.thresholds == [0.3, 0.3]


def test_an_unknown_label_is_named() -> None:
    problem = fitted(Multilabel(text="text"), *SETS).problem(rows(["joy", "joyy"])[0])

    assert problem == (
        "label 'joyy' is not one of the labels. Did you mean 'joy'? Known: anger, joy."
    )


def test_a_label_that_stands_there_twice_counts_once() -> None:
    head = Multilabel(text="text")
    records = rows(["joy", "joy"], ["anger", "joy"], ["anger"])

    warnings = head.fit(records)

    assert warnings == ["1 records name a label more than once; it counts once"]
    assert head.gold(records[0]) == ["joy"]
    assert head.label_counts(records)[0] == {"joy": 2, "anger": 2}


def test_labels_are_counted() -> None:
    head = fitted(Multilabel(text="text"), *SETS)

    counts, missing, majority = head.label_counts(rows(*SETS))

    assert (counts, missing) == ({"joy": 2, "anger": 1}, 1)
    assert math.isnan(majority)
