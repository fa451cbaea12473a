import math
from collections.abc import Sequence

import pytest
import torch

from head_inputs import inputs_of
from polytask.data.records import Record
from polytask.errors import ConfigError, DataError
from polytask.heads import Prediction
from polytask.heads.head import IGNORE
from polytask.heads.tag import Tag

PLACES: list[Record] = [
    {"words": ["in", "New", "York"], "tags": ["O", "B-place", "I-place"]},
    {"words": ["Ann"], "tags": ["B-who"]},
    {"words": ["help"], "tags": None},
]


def fitted(
    records: Sequence[Record] = PLACES, *, decoder: str = "softmax", repair: bool = False
) -> Tag:
    head = Tag(words="words", decoder="crf" if decoder == "crf" else "softmax", repair=repair)
    head.fit(records)
    head.attach(4)
    return head.eval()


def predict(head: Tag, record: Record, *tags: str) -> Prediction:
    """The prediction from logits that favour these tags."""
    logits = torch.full((1, len(tags), len(head.each[0].labels)), -5.0)
    for word, tag in enumerate(tags):
        logits[0, word, head.each[0].labels.index(tag)] = 5.0
    return head.decode(logits, [record], inputs_of(head, record, max_tokens=16))[0]


def span(label: str, text: str, start: int, probability: float) -> Prediction:
    """What a span of the text with this probability looks like, to four digits."""
    return {
        "label": label,
        "text": text,
        "start": start,
        "end": start + len(text),
        "probability": probability,
    }


def test_bio_labels_spell_spans_and_bring_the_labels_they_imply() -> None:
    records: list[Record] = [{"words": ["a", "b"], "tags": ["I-x", "I-x"]}, *PLACES]

    head = Tag(words="words")
    warnings = head.fit(records)

    assert head.each[0].labels == ["B-place", "B-who", "B-x", "I-place", "I-x", "O"]
    assert (head.each[0].has_spans, head.headline) == (True, "entity_f1")
    assert warnings == [
        f"label '{label}' is seen once" for label in ("B-place", "B-who", "I-place", "O")
    ]


def test_other_labels_are_plain() -> None:
    head = fitted([{"words": ["a", "dog"], "tags": ["DET", "NOUN"]}])

    assert head.each[0].labels == ["DET", "NOUN"]
    assert (head.each[0].has_spans, head.headline) == (False, "accuracy")
    assert predict(head, {"words": ["a", "dog"]}, "DET", "NOUN") == {
        "tags": ["DET", "NOUN"],
        "probabilities": [0.999955, 0.999955],
        "words": ["a", "dog"],
    }


def test_one_label_alone_cannot_be_learned() -> None:
    with pytest.raises(DataError) as fault:
        Tag(words="words").fit([{"words": ["a"], "tags": ["X"]}])

    assert str(fault.value) == "column 'tags' holds 1 different labels, but 2 are needed"


@pytest.mark.parametrize(
    ("tags", "problem"),
    [
        (["O", "O"], "3 words but 2 labels in column 'tags'"),
        ([], "3 words but 0 labels in column 'tags'"),
        (
            ["O", "I-place", "O"],
            "word 2: 'I-place' does not continue an entity of that type. "
            "Mend the file, or say `repair: true`",
        ),
        (
            ["B-place", "I-who", "O"],
            "word 2: 'I-who' does not continue an entity of that type. "
            "Mend the file, or say `repair: true`",
        ),
        (
            ["O", "B-plaza", "O"],
            "label 'B-plaza' is not one of the labels. Did you mean 'B-place'? "
            "Known: B-place, B-who, I-place, O.",
        ),
        (["O", "B-place", "I-place"], None),
        (None, None),
    ],
)
def test_labels_that_do_not_fit_are_a_problem(tags: list[str] | None, problem: str | None) -> None:
    assert fitted().problem({"words": ["in", "New", "York"], "tags": tags}) == problem


def test_repair_opens_the_entity_and_is_counted() -> None:
    head = fitted(repair=True)
    record: Record = {"words": ["New", "York", "Ann"], "tags": ["I-place", "I-place", "I-who"]}

    assert head.problem(record) is None
    assert head.gold(record) == ["B-place", "I-place", "B-who"]
    assert head.repairs(record) == 2
    assert fitted().repairs(record) == 0
    assert head.targets([record], inputs_of(head, record))["labels"][..., 0].tolist() == [[0, 2, 1]]


@pytest.mark.parametrize("decoder", ["softmax", "crf"])
def test_targets_leave_out_words_cut_off_missing_labels_and_padding(decoder: str) -> None:
    # 16 tokens, [CLS] and [SEP] among them: of 17 one-token words, 14 are kept.
    long: Record = {"words": ["help"] * 17, "tags": ["O"] * 16 + ["B-who"]}
    records = [long, PLACES[1], {"words": ["help", "me"], "tags": None}]
    head = fitted(decoder=decoder)

    targets = head.targets(records, inputs_of(head, *records, max_tokens=16))

    outside = head.each[0].labels.index("O")
    assert targets["labels"][..., 0].tolist() == [
        [outside] * 14 + [IGNORE] * 3,
        [head.each[0].labels.index("B-who")] + [IGNORE] * 16,
        [IGNORE] * 17,
    ]
    assert head.count(targets) == 15


@pytest.mark.parametrize("decoder", ["softmax", "crf"])
def test_a_cut_word_has_no_tag_and_counts_as_wrong(decoder: str) -> None:
    record: Record = {"words": ["help"] * 17, "tags": ["O"] * 15 + ["B-who", "O"]}
    head = fitted(decoder=decoder)

    prediction = predict(head, record, *["O"] * 17)

    assert prediction["tags"] == ["O"] * 14 + [None] * 3
    assert prediction["spans"] == []
    scores = head.score([head.gold(record)], [prediction])
    assert scores.metrics["accuracy"] == pytest.approx(14 / 17)
    assert scores.metrics["entity_recall"] == 0


def test_each_word_is_read_at_its_first_token() -> None:
    head = fitted()
    head.each[0].project = torch.nn.Linear(1, 1, bias=False)
    head.each[0].project.weight.data.fill_(1.0)
    record: Record = {"words": ["unforeseen", "help"]}
    inputs = inputs_of(head, record, max_tokens=16)
    hidden = torch.arange(inputs.token_ids.shape[1]).float().reshape(1, -1, 1)  # its own place

    logits = head(hidden, inputs)

    assert logits.flatten().tolist() == inputs.word_starts[0].tolist()


def test_spans_are_given_in_characters_of_the_joined_words() -> None:
    prediction = predict(fitted(), PLACES[0], "O", "B-place", "I-place")

    assert prediction == {
        "tags": ["O", "B-place", "I-place"],
        "probabilities": [0.999864, 0.999864, 0.999864],
        "words": ["in", "New", "York"],
        "spans": [span("place", "New York", 3, 0.999728)],
    }


def test_spans_of_raw_text_are_given_in_its_own_characters() -> None:
    text = "  In  New   York, Ann"

    prediction = predict(fitted(), {"words": text}, "O", "B-place", "I-place", "O", "B-who")

    assert prediction["words"] == ["In", "New", "York", ",", "Ann"]
    assert prediction["spans"] == [
        span("place", "New   York", 6, 0.999728),
        span("who", "Ann", 18, 0.999864),
    ]
    assert text[6:16] == "New   York"


def test_spans_of_chinese_text_have_no_spaces_put_in() -> None:
    text = "我爱北京👍🏽"

    prediction = predict(fitted(), {"words": text}, "O", "O", "B-place", "I-place", "O")

    assert prediction["words"] == ["我", "爱", "北", "京", "👍🏽"]
    assert prediction["spans"] == [span("place", "北京", 2, 0.999728)]


def test_an_inside_tag_that_continues_nothing_begins_a_span_without_a_crf() -> None:
    prediction = predict(fitted(), PLACES[0], "O", "I-place", "I-place")

    assert prediction["spans"] == [span("place", "New York", 3, 0.999728)]


def test_a_crf_never_predicts_an_inside_tag_that_continues_nothing() -> None:
    tags = predict(fitted(decoder="crf"), PLACES[0], "O", "I-place", "I-place")["tags"]

    assert tags in (["O", "B-place", "I-place"], ["B-place", "I-place", "I-place"])


def test_entities_are_scored_before_words() -> None:
    head = fitted()
    gold = [["B-place", "I-place", "O"], ["B-who"]]
    predicted: list[Prediction] = [{"tags": ["B-place", "O", "O"]}, {"tags": ["B-who"]}]

    scores = head.score(gold, predicted)

    # One of two entities is right, one of two found is right; three of four words are.
    assert list(scores.metrics)[:3] == ["entity_f1", "entity_precision", "entity_recall"]
    assert [scores.metrics[name] for name in list(scores.metrics)[:3]] == [0.5, 0.5, 0.5]
    assert scores.metrics["accuracy"] == 0.75
    assert scores.count == 2
    assert scores.labels == head.each[0].labels
    assert sum(map(sum, scores.confusion)) == 4


def test_the_best_constant_finds_no_entity_but_the_commonest_plain_label() -> None:
    plain: list[Record] = [{"words": ["a", "b", "c"], "tags": ["X", "X", "Y"]}, {"words": ["d"]}]

    assert fitted().label_counts(PLACES)[1:] == (1, 0.0)
    assert fitted(plain).label_counts(plain) == ({"X": 2, "Y": 1}, 1, pytest.approx(2 / 3))


COLUMNS: list[Record] = [
    {"words": ["see", "New", "York"], "pos": ["V", "N", "N"], "place": ["O", "B-x", "I-x"]},
    {"words": ["in", "Oslo"], "pos": ["P", "N"], "place": None},
    {"words": ["help"], "pos": None, "place": None},
]


def several() -> Tag:
    head = Tag(words="words", tags=["pos", "place"])
    head.fit(COLUMNS)
    head.attach(4)
    return head.eval()


def test_several_columns_are_learned_side_by_side_and_each_may_be_missing() -> None:
    head = several()

    targets = head.targets(COLUMNS, inputs_of(head, *COLUMNS))

    assert [one.labels for one in head.each] == [["N", "P", "V"], ["B-x", "I-x", "O"]]
    assert targets["labels"][0].tolist() == [[2, 2], [0, 0], [0, 1]]
    assert targets["labels"][1].tolist() == [[1, IGNORE], [0, IGNORE], [IGNORE, IGNORE]]
    assert head.count(targets) == 8
    assert [head.gold(record) for record in COLUMNS[1:]] == [
        {"pos": ["P", "N"], "place": None},
        None,
    ]
    assert head.label_counts(COLUMNS) == (
        {"pos: N": 3, "pos: V": 1, "pos: P": 1, "place: O": 1, "place: B-x": 1, "place: I-x": 1},
        1,
        pytest.approx((3 / 5 + 1 / 3) / 2),
    )


def test_several_columns_are_answered_and_scored_by_column() -> None:
    head = several()
    logits = torch.full((1, 3, 6), -5.0)
    for word, places in enumerate([(2, 5), (0, 3), (2, 4)]):  # V O, N B-x, V I-x
        logits[0, word, list(places)] = 5.0

    (found,) = head.decode(logits, COLUMNS[:1], inputs_of(head, *COLUMNS[:1]))

    assert found["tags"] == {"pos": ["V", "N", "V"], "place": ["O", "B-x", "I-x"]}
    assert found["spans"] == {"place": [span("x", "New York", 4, 0.999818)]}
    gold = [head.gold(COLUMNS[0]), {"pos": ["V", "N", "V"], "place": None}]
    scores = head.score(gold, [found, found])
    assert scores.headline == ("accuracy", pytest.approx((5 / 6 + 1) / 2))
    assert scores.metrics["accuracy_pos"] == pytest.approx(5 / 6)
    assert scores.metrics["entity_f1_place"] == 1
    assert "entity_f1" not in scores.metrics
    assert scores.table is not None
    assert [row.label for row in scores.table.rows] == ["pos: N", "pos: P", "pos: V", "place: x"]


def test_columns_of_entities_alone_are_scored_by_their_mean_f1() -> None:
    records: list[Record] = [{"words": ["a", "b"], "one": ["B-x", "O"], "two": ["O", "B-y"]}]
    head = Tag(words="words", tags=["one", "two"])
    head.fit(records)
    predicted: list[Prediction] = [{"tags": {"one": ["B-x", "O"], "two": ["O", "O"]}}]

    scores = head.score([head.gold(records[0])], predicted)

    assert head.headline == "entity_f1"
    assert scores.headline == ("entity_f1", 0.5)


@pytest.mark.parametrize("tags", [[], ["pos", "pos"]])
def test_columns_are_named_once(tags: list[str]) -> None:
    with pytest.raises(ConfigError, match="one column, or several different ones"):
        Tag(words="words", tags=tags)


def test_the_error_of_a_word_counts_by_the_weight_of_its_label() -> None:
    records: list[Record] = [{"words": list("abcd"), "tags": ["X", "X", "X", "Y"]}]
    head = Tag(words="words", class_weights="balanced")
    head.fit(records)
    head.attach(4)

    loss = head.loss(torch.zeros(1, 4, 2), head.targets(records, inputs_of(head, *records)))

    # X weighs 4 / (2 * 3), Y 4 / (2 * 1): the three errors of X weigh 2 in all, that of Y 2
    assert loss.item() == pytest.approx(4 * math.log(2))


def test_a_crf_takes_no_weights_of_words() -> None:
    with pytest.raises(ConfigError, match="a CRF learns whole sentences"):
        Tag(words="words", decoder="crf", class_weights="balanced")


def test_a_label_that_train_does_not_have_may_count_as_wrong() -> None:
    head = Tag(words="words", unknown="wrong")
    head.fit([{"words": ["a", "b"], "tags": ["B-x", "O"]}])
    record = {"words": ["c", "d"], "tags": ["B-y", "O"]}

    scores = head.score([head.gold(record)], [{"tags": ["B-x", "O"]}])

    assert head.problem(record) is None
    assert scores.metrics["entity_f1"] == 0.0
    assert scores.metrics["accuracy"] == 0.5
    assert list(scores.labels) == ["B-x", "O", "B-y"]
