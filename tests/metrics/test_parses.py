import math

import pytest

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
