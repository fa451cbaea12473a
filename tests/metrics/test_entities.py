"""Entities are read and scored exactly as seqeval does without a mode."""

import warnings

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from seqeval.metrics import f1_score, precision_score, recall_score
from seqeval.metrics.sequence_labeling import get_entities, precision_recall_fscore_support

from polytask.errors import DataError
from polytask.metrics.entities import (
    Span,
    bio_fault,
    entity_table,
    is_entity_scheme,
    may_follow,
    repair_bio,
    spans_of,
)

TYPES = ["", "-", "-PER", "-LOC", "-PER-NOM", "--PER", "-人名"]
TAGS = ["O", *(prefix + kind for prefix in "BIES" for kind in TYPES)]

sentences = st.lists(st.sampled_from(TAGS), max_size=12)
few_types = st.lists(st.sampled_from(["O", "B-A", "I-A", "E-A", "S-A", "I-B", "B-B"]), max_size=8)
pairs = (sentences | few_types).flatmap(
    lambda tags: st.tuples(
        st.just(tags), st.lists(st.sampled_from(TAGS[:12]), min_size=len(tags), max_size=len(tags))
    )
)


@settings(max_examples=2000)
@given(sentences | few_types)
def test_spans_are_those_of_seqeval(tags: list[str]) -> None:
    theirs = [Span(label, start, last + 1) for label, start, last in get_entities(tags)]

    assert spans_of(tags) == theirs


@settings(max_examples=500)
@given(st.lists(pairs, min_size=1, max_size=5))
def test_scores_are_those_of_seqeval(corpus: list[tuple[list[str], list[str]]]) -> None:
    gold, predicted = map(list, zip(*corpus, strict=True))

    table = entity_table(gold, predicted)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # seqeval warns where it divides by zero
        by_type = zip(*precision_recall_fscore_support(gold, predicted), strict=True)
        micro = [score(gold, predicted) for score in (precision_score, recall_score, f1_score)]
    for row, (precision, recall, f1, support) in zip(table.rows, by_type, strict=True):
        assert (row.precision, row.recall, row.support) == (precision, recall, support)
        assert row.f1 == pytest.approx(f1)
    (average,) = table.averages
    assert [average.precision, average.recall, average.f1] == pytest.approx(micro)


@pytest.mark.parametrize(
    ("tags", "spans"),
    [
        ([], []),
        (["O", "O"], []),
        (["B-PER", "I-PER", "O", "B-LOC"], [Span("PER", 0, 2), Span("LOC", 3, 4)]),
        (["B-PER", "B-PER"], [Span("PER", 0, 1), Span("PER", 1, 2)]),
        (["O", "I-PER", "I-PER"], [Span("PER", 1, 3)]),
        (["B-PER", "I-LOC"], [Span("PER", 0, 1), Span("LOC", 1, 2)]),
        (["B-PER", "E-PER", "I-PER"], [Span("PER", 0, 2), Span("PER", 2, 3)]),
        (["S-PER", "S-PER"], [Span("PER", 0, 1), Span("PER", 1, 2)]),
        (["B-PER-NOM", "I-PER-NOM"], [Span("PER-NOM", 0, 2)]),
        (["B", "I", "O", "I"], [Span("_", 0, 2), Span("_", 3, 4)]),
        (["B-人名", "I-人名"], [Span("人名", 0, 2)]),
    ],
)
def test_spans_by_hand(tags: list[str], spans: list[Span]) -> None:
    assert spans_of(tags) == spans


def test_a_word_that_was_cut_off_is_outside() -> None:
    assert spans_of(["B-PER", None, "I-PER", None]) == [Span("PER", 0, 1), Span("PER", 2, 3)]


@pytest.mark.parametrize("tag", ["X-PER", "", "PER", "BPER", "O-PER", "b-PER"])
def test_a_label_of_no_entity_scheme_has_no_spans(tag: str) -> None:
    with pytest.raises(DataError) as fault:
        spans_of(["O", tag])

    assert str(fault.value) == (
        f"word 2: '{tag}' is no entity label. Expected O, or B, I, E or S and a type, as in B-PER."
    )


@pytest.mark.parametrize(
    ("labels", "answer"),
    [
        (["O", "B-PER", "I-PER"], True),
        (["B-PER"], True),
        (["O", "B-PER", "I-PER", "E-PER", "S-PER"], True),
        (["O", "B", "I"], True),
        (["O", "I-PER"], False),
        (["O", "B-PER", "NOUN"], False),
        (["O", "B-PER", "L-PER", "U-PER"], False),
        (["NOUN", "VERB"], False),
        (["B-PER", ""], False),
        ([], False),
    ],
)
def test_an_entity_scheme_has_only_entity_labels_and_one_that_begins(
    labels: list[str], answer: bool
) -> None:
    assert is_entity_scheme(iter(labels)) is answer


@pytest.mark.parametrize(
    ("before", "after", "legal", "legal_if_closed"),
    [
        ("O", "I-A", False, False),
        ("O", "E-A", False, False),
        ("O", "B-A", True, True),
        ("O", "S-A", True, True),
        ("B-A", "I-A", True, True),
        ("B-A", "I-B", False, False),
        ("B-A", "O", True, False),
        ("I-A", "S-A", True, False),
        ("I-A", "E-A", True, True),
        ("E-A", "I-A", False, False),
        ("E-A", "O", True, True),
        ("S-A", "E-A", False, False),
        ("B", "I", True, True),
        ("B", "I-A", False, False),
    ],
)
def test_what_may_follow_what(before: str, after: str, legal: bool, legal_if_closed: bool) -> None:
    assert may_follow(before, after) is legal
    assert may_follow(before, after, closes=True) is legal_if_closed


@pytest.mark.parametrize(
    ("tags", "fault"),
    [
        (["B-PER", "O", "O", "I-PER"], "word 4: 'I-PER' does not continue an entity of that type"),
        (["I-PER"], "word 1: 'I-PER' does not continue an entity of that type"),
        (["B-PER", "I-LOC"], "word 2: 'I-LOC' does not continue an entity of that type"),
        (["S-PER", "E-PER"], "word 2: 'E-PER' does not continue an entity of that type"),
        (["NOUN", "I-PER"], "word 2: 'I-PER' does not continue an entity of that type"),
        (["B-PER", "I-PER", "B-PER", "O"], None),
        (["B-PER", "I-PER", "E-PER", "S-LOC"], None),
        ([], None),
    ],
)
def test_the_first_fault_is_told_in_plain_words(tags: list[str], fault: str | None) -> None:
    assert bio_fault(tags) == fault


def test_an_inner_label_without_its_first_becomes_one() -> None:
    tags = ["I-PER", "I-PER", "O", "B-LOC", "I-PER", "E-LOC"]

    # words 1 and 5 continue nothing, and so does the E-LOC of word 6: the LOC ended at word 4
    assert repair_bio(tags) == (["B-PER", "I-PER", "O", "B-LOC", "B-PER", "S-LOC"], 3)


@given(sentences | few_types)
def test_a_repair_removes_all_faults_and_keeps_all_spans(tags: list[str]) -> None:
    repaired, num_repairs = repair_bio(tags)

    assert bio_fault(repaired) is None
    assert spans_of(repaired) == spans_of(tags)
    assert num_repairs == sum(old != new for old, new in zip(tags, repaired, strict=True))
    assert (num_repairs == 0) == (bio_fault(tags) is None)


def test_labels_of_no_entity_scheme_are_not_repaired() -> None:
    assert repair_bio(["NOUN", "VERB"]) == (["NOUN", "VERB"], 0)


def test_the_table_counts_whole_entities() -> None:
    gold = [["B-PER", "I-PER", "O", "B-LOC"], ["B-LOC", "O"]]
    predicted = [["B-PER", "I-PER", "O", "O"], ["B-PER", "O"]]

    table = entity_table(gold, predicted)

    loc, per = table.rows
    # LOC: none of 2 found. PER: 1 of 1 found, 1 of 2 predicted right: F1 = 2 * 1 / (1 + 2)
    assert (loc.label, loc.precision, loc.recall, loc.f1, loc.support) == ("LOC", 0, 0, 0, 2)
    assert (per.label, per.precision, per.recall, per.support) == ("PER", 0.5, 1.0, 1)
    assert per.f1 == pytest.approx(2 / 3)
    # in all 1 right of 2 predicted and 3 gold: F1 = 2 * 1 / (3 + 2)
    (micro,) = table.averages
    assert (micro.label, micro.precision, micro.support) == ("micro", 0.5, 3)
    assert (micro.recall, micro.f1) == (pytest.approx(1 / 3), pytest.approx(0.4))


def test_an_entity_whose_end_was_cut_off_is_missed() -> None:
    (micro,) = entity_table([["O", "B-PER", "I-PER"]], [["O", "B-PER", None]]).averages

    assert (micro.precision, micro.recall, micro.f1) == (0, 0, 0)


def test_sentences_without_entities_score_0() -> None:
    table = entity_table([["O"]], [["O"]])

    assert table.rows == ()
    assert (table.averages[0].f1, table.averages[0].support) == (0, 0)


def test_no_sentence_at_all_has_no_score() -> None:
    assert entity_table([], []).to_json() == {
        "rows": [],
        "averages": [
            {"label": "micro", "precision": None, "recall": None, "f1": None, "support": 0}
        ],
    }


@pytest.mark.parametrize("predicted", [[], [["O"]], [["O", "O"], []]])
def test_sentences_must_pair_up(predicted: list[list[str]]) -> None:
    with pytest.raises(ValueError, match="gold and predicted sentences differ in number or length"):
        entity_table([["O", "O"]], predicted)
