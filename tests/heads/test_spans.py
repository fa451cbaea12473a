import math

import pytest
import torch

from head_inputs import inputs_of
from polytask.data.records import Record
from polytask.errors import ConfigError, DataError
from polytask.heads.span_pairs import overlap_of, words_of, zlpr
from polytask.heads.spans import Spans
from polytask.metrics.entities import Span


def span(start: int, end: int, label: str | None = "city", text: str | None = None) -> object:
    return {"start": start, "end": end, "label": label, "text": text}


BERLIN: Record = {"text": "to Berlin now", "spans": [span(3, 9), span(3, 13, "wish")]}
NOTHING: Record = {"text": "please help", "spans": []}


def fitted(*records: Record) -> Spans:
    head = Spans(text="text")
    head.fit(records or [BERLIN, NOTHING])
    head.attach(4)
    return head.eval()


def decoded(head: Spans, record: Record, scores: dict[tuple[int, int, int], float]) -> object:
    """The spans of a record from scores of (first word, last word, type)."""
    inputs = inputs_of(head, record)
    num_words = inputs.word_starts.shape[1]
    logits = torch.full((1, num_words, num_words, len(head.labels)), -5.0)
    for place, score in scores.items():
        logits[(0, *place)] = score
    return head.decode(logits, [record], inputs)[0]["spans"]


@pytest.mark.parametrize(
    ("one", "other", "overlap"),
    [
        ((0, 2), (2, 4), "none"),
        ((0, 4), (1, 3), "nested"),
        ((1, 4), (1, 3), "nested"),
        ((1, 3), (1, 3), "nested"),
        ((0, 3), (2, 4), "crossing"),
    ],
)
def test_how_two_spans_overlap(one: tuple[int, int], other: tuple[int, int], overlap: str) -> None:
    for first, second in ((one, other), (other, one)):
        assert overlap_of(Span("a", *first), Span("b", *second)) == overlap


@pytest.mark.parametrize(
    ("ends", "words"), [((0, 3), (0, 0)), ((4, 11), (1, 2)), ((5, 6), (1, 1)), ((2, 5), (0, 1))]
)
def test_the_words_a_span_covers(ends: tuple[int, int], words: tuple[int, int]) -> None:
    offsets = [(0, 3), (4, 7), (8, 11)]

    assert words_of(Span("a", *ends), offsets) == words


def test_the_loss_is_its_formula() -> None:
    scores = torch.tensor([[[1.0], [-2.0], [0.5]]])
    is_right = torch.tensor([[[True], [False], [False]]])

    loss = zlpr(scores, is_right)

    expected = math.log(1 + math.exp(-2) + math.exp(0.5)) + math.log(1 + math.exp(-1))
    assert loss.tolist() == [[pytest.approx(expected)]]


def test_targets_are_first_and_last_words() -> None:
    head = fitted()

    targets = head.targets([BERLIN], inputs_of(head, BERLIN))

    assert targets["spans"].nonzero().tolist() == [[0, 1, 1, 0], [0, 1, 2, 1]]
    assert targets["is_known"].tolist() == [True]


def test_a_span_that_was_cut_off_is_not_learned() -> None:
    head = fitted()
    record: Record = {"text": "打印机坏了", "spans": [span(0, 2), span(1, 5)]}

    targets = head.targets([record], inputs_of(head, record, max_tokens=5))

    assert targets["spans"].nonzero().tolist() == [[0, 0, 1, 0]]


def test_nothing_behind_the_limit_or_backwards_is_a_span() -> None:
    head = fitted()
    record: Record = {"text": "打印机坏了"}

    scores = head(torch.zeros(1, 5, 4), inputs_of(head, record, max_tokens=5))

    assert (scores[0, :, :, 0] > -100).nonzero().tolist() == [
        [first, last] for first in range(3) for last in range(first, 3)
    ]


def test_spans_point_into_the_text() -> None:
    found = decoded(fitted(), {"text": "我在 Berlin，坏了"}, {(2, 2, 0): 0.0001, (1, 2, 1): 2.0})

    assert found == [
        {"label": "wish", "text": "在 Berlin", "start": 1, "end": 9, "probability": 0.880797},
        {"label": "city", "text": "Berlin", "start": 3, "end": 9, "probability": 0.500025},
    ]


@pytest.mark.parametrize(
    ("spans", "kept"),
    [
        ([span(0, 2), span(3, 9)], [(0, 9)]),
        ([span(0, 9), span(3, 9)], [(0, 9), (0, 2)]),
        ([span(0, 9), span(3, 13)], [(0, 9), (0, 2), (3, 13)]),
    ],
    ids=["none", "nested", "crossing"],
)
def test_spans_overlap_only_as_they_do_in_train(
    spans: list[object], kept: list[tuple[int, int]]
) -> None:
    head = fitted({"text": "to Berlin now", "spans": spans})

    found = decoded(head, BERLIN, {(0, 1, 0): 3.0, (0, 0, 0): 2.0, (1, 2, 0): 1.0})

    ends = {(one["start"], one["end"]) for one in found}  # type: ignore[attr-defined]
    assert ends == set(kept)


def test_a_span_inside_a_word_is_learned_as_the_word_and_told() -> None:
    head = Spans(text="text")

    warnings = head.fit([BERLIN, {"text": "Berliners", "spans": [span(0, 6), span(0, 6, "wish")]}])

    assert warnings == ["2 spans begin or end inside a word; they are learned as whole words"]


@pytest.mark.parametrize(
    ("spans", "message"),
    [
        ([span(3, 9), span(3, 14)], "span 2: ends at 14, but the text has 13 characters"),
        ([span(3, 9, text="Berlim")], "span 1: characters 3 to 9 are 'Berlin'"),
        ([span(3, 9, None)], "span 1: has no `label`"),
        ([span(3, 9, "cty")], "span type 'cty' is not one of the types. Did you mean 'city'?"),
    ],
)
def test_what_is_wrong_with_spans_is_told(spans: list[object], message: str) -> None:
    fault = fitted().problem({"text": "to Berlin now", "spans": spans})

    assert fault is not None
    assert fault.startswith(message)


@pytest.mark.parametrize(
    ("tags", "message"),
    [
        (["O", "O"], "1 words but 2 labels in column 'tags'"),
        (["I-city"], "word 1: 'I-city' does not continue an entity of that type"),
    ],
)
def test_what_is_wrong_with_labels_of_words_is_told(tags: list[str], message: str) -> None:
    head = Spans(words="words")
    head.fit([{"words": ["Berlin"], "tags": ["B-city"]}])

    assert head.problem({"words": ["Berlin"], "tags": tags}) == message


def test_a_head_without_spans_to_learn_from_is_refused() -> None:
    with pytest.raises(DataError) as fault:
        Spans(text="text").fit([NOTHING])

    assert str(fault.value) == "column 'spans' holds no span"


def test_spans_belong_to_texts_and_tags_to_words() -> None:
    with pytest.raises(ConfigError) as spans:
        Spans(words="words", spans="spans")
    with pytest.raises(ConfigError) as tags:
        Spans(text="text", tags="tags")

    assert str(spans.value).startswith("`spans:` are stretches of a `text:`")
    assert str(tags.value).startswith("`tags:` are labels of `words:`")
