import math

import numpy as np
import pytest

from polytask.metrics.retrieval import retrieval_metrics


def unit(*degrees: float) -> np.ndarray:
    """Vectors of length 1 at these angles."""
    angles = np.radians(degrees)
    return np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)


def groups(*numbers: int) -> np.ndarray:
    return np.array(numbers, np.int64)


def test_metrics_by_hand() -> None:
    # The first query finds its document first, the second finds it third.
    found = retrieval_metrics(unit(0, 20), unit(1, 21, 70, 25), groups(0, 2), groups(0, 1, 2, 3))

    assert found == {
        "hit_1": 0.5,
        "hit_10": 1.0,
        "mrr": pytest.approx((1 + 1 / 4) / 2),
        "ndcg_10": pytest.approx((1 + 1 / math.log2(5)) / 2),
    }


def test_several_relevant_documents() -> None:
    # Nearest first: relevant, not, relevant.
    found = retrieval_metrics(unit(0), unit(1, 2, 3), groups(5), groups(5, 6, 5))

    ideal = 1 + 1 / math.log2(3)
    assert found["ndcg_10"] == pytest.approx((1 + 1 / math.log2(4)) / ideal)
    assert found["hit_1"] == 1.0


def test_a_text_is_not_its_own_neighbour_and_one_alone_in_its_group_has_no_part() -> None:
    some = unit(0, 5, 90)

    found = retrieval_metrics(some, some, groups(0, 0, 1), groups(0, 0, 1), skip_self=True)

    assert found["hit_1"] == 1.0
    assert found["mrr"] == 1.0


def test_a_document_as_near_as_the_relevant_one_counts_as_nearer() -> None:
    found = retrieval_metrics(unit(0), unit(5, 5), groups(0), groups(0, 1))

    assert (found["hit_1"], found["mrr"]) == (0.0, 0.5)


def test_many_queries_are_measured_in_parts() -> None:
    generator = np.random.default_rng(0)
    some = generator.normal(size=(1100, 8)).astype(np.float32)
    some /= np.linalg.norm(some, axis=1, keepdims=True)
    same = np.arange(1100) % 5

    found = retrieval_metrics(some, some, same, same, skip_self=True)

    near = some @ some.T
    np.fill_diagonal(near, -1)
    expected = float((same[near.argmax(1)] == same).mean())
    assert found["hit_1"] == pytest.approx(expected, abs=1e-9)


def test_without_a_relevant_document_there_is_no_score() -> None:
    found = retrieval_metrics(unit(0), unit(1), groups(0), groups(1))

    assert all(map(math.isnan, found.values()))
