import math
from collections.abc import Sequence

import pytest
import torch
from torch import Tensor

from polytask.data.batching import Inputs
from polytask.data.records import Record
from polytask.errors import ConfigError, DataError
from polytask.heads.classify import Classify
from polytask.heads.head import IGNORE, pair_features, pool_mean

NOTHING = Inputs(*(torch.zeros(0, 0) for _ in range(5)))


def rows(*labels: str | None) -> list[Record]:
    return [{"text": "x", "label": label} for label in labels]


def fitted(head: Classify, records: Sequence[Record]) -> Classify:
    head.fit(records)
    head.attach(4)
    return head


def loss_of(head: Classify, logits: list[list[float]], *labels: str | None) -> float:
    targets = head.targets(rows(*labels), NOTHING)
    return head.loss(torch.tensor(logits), targets).item()


def test_labels_are_learned_in_alphabetical_order() -> None:
    head = Classify(text="text")

    warnings = head.fit(rows("no", "yes", None, "no", "maybe", "yes"))

    assert head.one.labels == ["maybe", "no", "yes"]
    assert warnings == ["label 'maybe' is seen once"]


def test_given_labels_keep_their_order_and_others_are_refused() -> None:
    head = Classify(text="text", labels=["yes", "no", "never"])
    head.fit(rows("no", "yes"))

    with pytest.raises(DataError) as fault:
        head.fit(rows("no", "yess"))

    assert head.one.labels == ["yes", "no", "never"]
    assert str(fault.value) == (
        "label 'yess' is not given. Did you mean 'yes'? Known: yes, no, never."
    )


@pytest.mark.parametrize(("labels", "count"), [(["a", "a"], 1), ([None], 0)])
def test_one_label_alone_cannot_be_learned(labels: list[str | None], count: int) -> None:
    with pytest.raises(DataError) as fault:
        Classify(text="text").fit(rows(*labels))

    assert str(fault.value) == f"column 'label' holds {count} different labels, but 2 are needed"


def test_a_label_unseen_in_training_is_a_problem() -> None:
    head = fitted(Classify(text="text"), rows("good", "bad"))

    assert head.problem({"label": "goood"}) == (
        "label 'goood' is not one of the labels. Did you mean 'good'? Known: bad, good."
    )


def test_targets_are_places_of_labels_and_ignored_where_there_is_none() -> None:
    head = fitted(Classify(text="text"), rows("a", "b"))

    targets = head.targets(rows("b", None, "a"), NOTHING)

    assert targets["labels"].tolist() == [1, IGNORE, 0]
    assert head.count(targets) == 2


def test_the_loss_is_the_sum_of_cross_entropies() -> None:
    head = fitted(Classify(text="text"), rows("a", "b"))

    # At equal logits each costs ln 2; at 0 and ln 3 the label a has probability 1/4.
    assert loss_of(head, [[0, 0], [0, 0]], "a", "b") == pytest.approx(2 * math.log(2))
    assert loss_of(head, [[0, math.log(3)]], "a") == pytest.approx(math.log(4))


def test_balanced_weights_are_records_over_labels_times_records_of_the_label() -> None:
    # 4 records, 2 labels: a 4 / (2 * 3) = 2/3; b 4 / (2 * 1) = 2.
    head = fitted(Classify(text="text", class_weights="balanced"), rows("a", "a", "a", "b"))

    assert head.facts() == {
        "labels": ["a", "b"],
        "counts": [3, 1],
        "class_weights": [pytest.approx(2 / 3), 2.0],
    }
    assert loss_of(head, [[0, 0], [0, 0]], "a", "b") == pytest.approx((2 / 3 + 2) * math.log(2))


def test_weights_may_be_given_for_some_labels() -> None:
    head = fitted(Classify(text="text", class_weights={"b": 3.0}), rows("a", "b"))

    assert loss_of(head, [[0, 0], [0, 0]], "a", "b") == pytest.approx(4 * math.log(2))


def test_a_weight_of_no_label_is_refused() -> None:
    with pytest.raises(DataError) as fault:
        Classify(text="text", class_weights={"goood": 2.0}).fit(rows("good", "bad"))

    assert str(fault.value) == (
        "class_weights: 'goood' is no label. Did you mean 'good'? Known: bad, good."
    )


@pytest.mark.parametrize("weight", [-1.0, math.inf, math.nan])
def test_a_weight_below_nothing_or_not_finite_is_refused(weight: float) -> None:
    with pytest.raises(ConfigError) as fault:
        Classify(text="text", class_weights={"a": weight})

    assert str(fault.value) == f"class_weights: 'a' is {weight}, expected at least 0"


def test_a_label_given_twice_is_refused() -> None:
    with pytest.raises(ConfigError) as fault:
        Classify(text="text", labels=["a", "b", "a"])

    assert str(fault.value) == "`labels:` names a label twice"


def test_a_prediction_is_the_likeliest_label_and_its_probability() -> None:
    head = fitted(Classify(text="text"), rows("a", "b"))

    predictions = head.decode(torch.tensor([[0, math.log(3)], [2.0, 2.0]]), rows("a", "a"), NOTHING)

    assert predictions == [
        {"label": "b", "probability": pytest.approx(0.75)},
        {"label": "a", "probability": pytest.approx(0.5)},
    ]


def test_scores_hold_the_headline_first_and_the_confusion_of_gold_by_predicted() -> None:
    head = fitted(Classify(text="text"), rows("a", "b"))
    predicted: list[dict[str, object]] = [{"label": label} for label in ("a", "b", "b", "b")]

    scores = head.score(["a", "a", "b", "b"], predicted)

    # a: precision 1/1, recall 1/2, F1 2/3; b: precision 2/3, recall 2/2, F1 4/5.
    assert scores.headline == ("accuracy", 0.75)
    assert scores.metrics["macro_f1"] == pytest.approx((2 / 3 + 4 / 5) / 2)
    assert scores.labels == ["a", "b"]
    assert scores.confusion == [[1, 1], [0, 2]]
    assert scores.count == 4


def test_the_best_constant_is_the_share_of_the_most_frequent_label() -> None:
    counts = Classify(text="text").label_counts(rows("a", "b", "a", None, "a"))

    assert counts == ({"a": 3, "b": 1}, 1, 0.75)


def test_pooling_is_the_mean_over_real_tokens() -> None:
    hidden = torch.tensor([[[1.0, 2.0], [3.0, 4.0], [100.0, 100.0]], [[5.0, 6.0], [9, 9], [9, 9]]])
    mask = torch.tensor([[True, True, False], [True, False, False]])

    assert pool_mean(hidden, mask).tolist() == [[2.0, 3.0], [5.0, 6.0]]


def test_features_of_a_pair_are_both_their_distance_and_their_product() -> None:
    pooled: Tensor = torch.tensor([[1.0], [3.0], [5.0], [2.0]])  # records (1, 3) and (5, 2)

    assert pair_features(pooled).tolist() == [[1, 3, 2, 3], [5, 2, 3, 10]]


def test_effective_numbers_weigh_rare_labels_less_than_their_counts_would() -> None:
    head = fitted(Classify(text="text", class_weights="effective"), rows("a", "a", "a", "b"))

    # 1 / (1 - .999^3) and 1 / (1 - .999), their sum made 2
    one, other = 1 / (1 - 0.999**3), 1 / (1 - 0.999)
    weights = head.facts()["class_weights"]
    assert weights == pytest.approx([2 * one / (one + other), 2 * other / (one + other)])


def test_focal_loss_makes_little_of_what_is_known() -> None:
    head = fitted(Classify(text="text", focal=2.0), rows("a", "b"))

    # p = 3/4 of the gold label in the first row, 1/2 in the second, no label in the third
    logits = [[math.log(3), 0.0], [0.0, 0.0], [0.0, 9.0]]
    expected = -((1 / 4) ** 2) * math.log(3 / 4) - (1 / 2) ** 2 * math.log(1 / 2)
    assert loss_of(head, logits, "a", "b", None) == pytest.approx(expected)


def test_smoothed_labels_share_a_part_with_all() -> None:
    head = fitted(Classify(text="text", label_smoothing=0.2), rows("a", "b"))

    expected = -0.9 * math.log(3 / 4) - 0.1 * math.log(1 / 4)
    assert loss_of(head, [[math.log(3), 0.0]], "a") == pytest.approx(expected)


@pytest.mark.parametrize("tau", [1.0, 2.0])
def test_logits_are_adjusted_by_the_shares_of_labels_while_training(tau: float) -> None:
    head = fitted(Classify(text="text", logit_adjustment=tau), rows("a", "a", "a", "b"))
    logits = [[0.0, 0.0]]

    # at equal logits the shares alone speak: 3^tau to 1
    assert loss_of(head, logits, "b") == pytest.approx(math.log(3**tau + 1))
    assert head.decode(torch.tensor(logits), rows("a"), NOTHING)[0]["probability"] == 0.5


def test_answers_can_be_adjusted_instead() -> None:
    head = fitted(
        Classify(text="text", logit_adjustment=1.0, adjust="answers"), rows("a", "a", "a", "b")
    )

    assert loss_of(head, [[0.0, 0.0]], "b") == pytest.approx(math.log(2))
    found = head.decode(torch.tensor([[1.0, 0.0]]), rows("a"), NOTHING)
    # logits 1 - log(3/4) and 0 - log(1/4): the rare label wins as log 3 > 1
    assert found == [{"label": "b", "probability": pytest.approx(3 / (3 + math.e), abs=1e-6)}]


def test_recall_is_told_apart_by_frequency_where_there_are_many_labels() -> None:
    labels = [f"l{i:02}" for i in range(21)]
    head = Classify(text="text")
    head.fit(rows(*(label for i, label in enumerate(labels) for _ in range(1 + i))))
    gold = [labels[20], labels[20], labels[10], labels[0]]  # the most frequent in train is the last
    predicted = [labels[20], labels[0], labels[10], labels[20]]

    scores = head.score(gold, [{"label": label} for label in predicted])

    assert list(scores.metrics.values())[3:] == [0.5, 1.0, 0.0]
    assert list(scores.metrics)[3:] == ["recall_head", "recall_middle", "recall_tail"]
    assert head.score([], []).metrics["recall_tail"] != 0  # nan: nothing to average


def test_a_label_that_train_does_not_have_may_count_as_wrong() -> None:
    head = Classify(text="text", unknown="wrong")
    head.fit([{"text": "a", "label": "good"}, {"text": "b", "label": "bad"}])
    record = {"text": "c", "label": "fair"}

    scores = head.score([head.gold(record), "bad"], [{"label": "good"}, {"label": "bad"}])

    assert head.problem(record) is None
    assert scores.metrics["accuracy"] == 0.5
    assert list(scores.labels) == ["bad", "good", "fair"]
    assert scores.confusion[2] == [0, 1, 0]
