import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polytask.metrics.parses import parse_metrics

GOLD = [[(2, "det"), (3, "nsubj:pass"), (0, "root"), (3, "punct")]]


def test_relations_are_compared_up_to_the_colon_and_every_word_counts() -> None:
    scores = parse_metrics(GOLD, [[(2, "det"), (3, "nsubj"), (0, "root"), (2, "punct")]])

    assert scores == {"las": 0.75, "uas": 0.75, "clas": 1.0}


def test_clas_is_the_f1_of_words_with_a_content_relation() -> None:
    # Content: gold nsubj and root, predicted nsubj, obj and root; the root alone is right.
    scores = parse_metrics(GOLD, [[(2, "obj"), (1, "nsubj"), (0, "root"), (3, "punct")]])

    assert scores == {"las": 0.5, "uas": 0.75, "clas": pytest.approx(2 / 5)}


def test_a_word_without_an_arc_is_wrong() -> None:
    scores = parse_metrics(GOLD, [[None, (3, "nsubj"), (0, "root"), None]])

    assert scores == {"las": 0.5, "uas": 0.5, "clas": 1.0}


def test_without_words_there_is_no_score() -> None:
    assert all(map(math.isnan, parse_metrics([], []).values()))


_RELATIONS = st.sampled_from(["nsubj", "nmod:poss", "nmod", "punct", "root", "case"])
_ARCS = st.tuples(st.integers(0, 3), _RELATIONS)


@given(
    st.lists(
        st.lists(st.tuples(_ARCS, st.one_of(_ARCS, st.none())), max_size=6), min_size=1, max_size=5
    )
)
def test_random_trees_against_sets_of_arcs(
    sentences: list[list[tuple[tuple[int, str], tuple[int, str] | None]]],
) -> None:
    gold, found = set(), set()
    for number, sentence in enumerate(sentences):
        for place, ((head, relation), answer) in enumerate(sentence):
            gold.add((number, place, head, relation.split(":")[0]))
            if answer is not None:
                found.add((number, place, answer[0], answer[1].split(":")[0]))
    content = {"nsubj", "nmod", "root"}
    gold_content = {arc for arc in gold if arc[3] in content}
    found_content = {arc for arc in found if arc[3] in content}

    metrics = parse_metrics(
        [[arc for arc, _ in sentence] for sentence in sentences],
        [[answer for _, answer in sentence] for sentence in sentences],
    )

    if not gold:
        assert all(map(math.isnan, metrics.values()))
        return
    assert metrics["las"] == pytest.approx(len(gold & found) / len(gold))
    heads = {arc[:3] for arc in gold} & {arc[:3] for arc in found}
    assert metrics["uas"] == pytest.approx(len(heads) / len(gold))
    total = len(gold_content) + len(found_content)
    shared = len(gold_content & found_content)
    assert metrics["clas"] == pytest.approx(2 * shared / total if total else 0.0)
