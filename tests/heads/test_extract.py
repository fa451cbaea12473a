from typing import cast

import pytest
import torch

from head_inputs import inputs_of
from polytask.data.records import Record
from polytask.errors import DataError
from polytask.heads.extract import Extract

PERSON, CITY = 1, 0  # types in alphabetical order
KNOWS, LIVES = 0, 1  # kinds in alphabetical order
NUM_TYPES, NUM_KINDS = 2, 2


def entity(start: int, end: int, label: str) -> dict[str, object]:
    return {"start": start, "end": end, "label": label, "text": None}


def relation(head: int, tail: int, label: str) -> dict[str, object]:
    return {"head": head, "tail": tail, "label": label}


ANN: Record = {
    "text": "Ann Lee left New York",
    "entities": [entity(0, 7, "person"), entity(13, 21, "city")],
    "relations": [relation(0, 1, "lives_in")],
}
BOB: Record = {
    "text": "Bob met Ann",
    "entities": [entity(0, 3, "person"), entity(8, 11, "person")],
    "relations": [relation(1, 0, "knows")],
}
BARE: Record = {"text": "Bob met Ann", "entities": BOB["entities"], "relations": None}


def fitted() -> Extract:
    head = Extract()
    head.fit([ANN, BOB])
    head.attach(4)
    return head.eval()


def test_targets_are_ends_of_entities_and_pairs_of_firsts_and_of_lasts() -> None:
    head = fitted()

    targets = head.targets([ANN], inputs_of(head, ANN))

    lives = NUM_TYPES + LIVES
    assert sorted(map(tuple, targets["pairs"][0].nonzero().tolist())) == sorted(
        [(0, 1, PERSON), (3, 4, CITY), (0, 3, lives), (1, 4, lives + NUM_KINDS)]
    )
    assert targets["is_known"].all()


def test_a_record_without_relations_teaches_entities_alone() -> None:
    head = fitted()

    targets = head.targets([BARE], inputs_of(head, BARE))

    assert targets["is_known"].tolist() == [[True, True, False, False, False, False]]
    assert head.count(targets) == 1


def test_an_entity_that_was_cut_off_is_not_learned_nor_are_its_relations() -> None:
    head = fitted()
    record: Record = {
        "text": "打印机坏了",
        "entities": [entity(0, 2, "person"), entity(3, 5, "city")],
        "relations": [relation(0, 1, "lives_in")],
    }

    targets = head.targets([record], inputs_of(head, record, max_tokens=5))

    assert targets["pairs"][0].nonzero().tolist() == [[0, 1, PERSON]]


def decoded(scores: dict[tuple[int, int, int], float]) -> dict[str, object]:
    head = fitted()
    logits = torch.full((1, 5, 5, NUM_TYPES + 2 * NUM_KINDS), -5.0)
    for place, score in scores.items():
        logits[(0, *place)] = score
    return head.decode(logits, [ANN], inputs_of(head, ANN))[0]


def test_a_relation_holds_where_both_its_scores_are_above_0() -> None:
    lives, knows = NUM_TYPES + LIVES, NUM_TYPES + KNOWS
    entities = {(0, 1, PERSON): 2.0, (3, 4, CITY): 3.0}
    firsts = {(0, 3, lives): 2.0, (3, 0, knows): 2.0}

    both = decoded({**entities, **firsts, (1, 4, lives + NUM_KINDS): 1.0})

    found = cast(list[dict[str, object]], both["entities"])
    assert [(one["text"], one["label"]) for one in found] == [
        ("Ann Lee", "person"),
        ("New York", "city"),
    ]
    assert both["relations"] == [
        {"label": "lives_in", "head": 0, "tail": 1, "probability": 0.731059}
    ]
    assert decoded({**entities, **firsts})["relations"] == []


def test_only_found_entities_are_related() -> None:
    lives = NUM_TYPES + LIVES

    found = decoded({(0, 3, lives): 2.0, (1, 4, lives + NUM_KINDS): 1.0, (0, 1, PERSON): 1.0})

    assert found["relations"] == []


def test_a_relation_is_right_if_its_entities_are_with_their_types() -> None:
    head = fitted()
    shown = [{**entity(0, 7, "person")}, {**entity(13, 21, "city")}]
    right = {"entities": shown, "relations": [relation(0, 1, "lives_in")]}
    typed = {"entities": [shown[0], entity(13, 21, "person")], "relations": right["relations"]}
    turned = {"entities": shown, "relations": [relation(1, 0, "lives_in")]}

    def scores(prediction: dict[str, object]) -> tuple[float, float]:
        metrics = head.score([head.gold(ANN)], [prediction]).metrics
        return metrics["relation_f1"], metrics["entity_f1"]

    assert scores(right) == (1.0, 1.0)
    assert scores(typed) == (0.0, 0.5)
    assert scores(turned) == (0.0, 1.0)


def test_a_record_without_relations_has_no_part_in_their_score() -> None:
    head = fitted()
    answer = {"entities": BARE["entities"], "relations": [relation(0, 1, "knows")]}

    metrics = head.score([head.gold(BARE), head.gold(BOB)], [answer, answer]).metrics

    assert metrics["entity_f1"] == 1.0
    assert metrics["relation_precision"] == 0.0
    assert head.score([head.gold(BOB)], [answer]).metrics == metrics


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"entities": None}, "relations without 'entities'"),
        (
            {"entities": [entity(0, 70, "person")]},
            "entity 1: ends at 70, but the text has 21 characters",
        ),
        (
            {"relations": [relation(0, 2, "knows")]},
            "relation 1: is not between two of the 2 entities",
        ),
        (
            {"relations": [relation(1, 1, "knows")]},
            "relation 1: is not between two of the 2 entities",
        ),
        (
            {"relations": [relation(0, 1, "know")]},
            "relation 'know' is not known. Did you mean 'knows'?",
        ),
        (
            {"entities": [entity(0, 7, "persn"), entity(13, 21, "city")]},
            "entity type 'persn' is not known. Did you mean 'person'?",
        ),
    ],
)
def test_what_is_wrong_with_a_record_is_told(changed: dict[str, object], message: str) -> None:
    fault = fitted().problem({**ANN, **changed})

    assert fault is not None
    assert fault.startswith(message)


@pytest.mark.parametrize("missing", ["entities", "relations"])
def test_something_to_learn_from_is_needed(missing: str) -> None:
    empty = {"entities": [], "relations": []} if missing == "entities" else {"relations": []}

    with pytest.raises(DataError) as fault:
        Extract().fit([{**ANN, **empty}])

    assert str(fault.value) == f"column '{missing}' holds nothing to learn from"
