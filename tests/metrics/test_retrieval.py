import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import ndcg_score

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


@settings(max_examples=60)
@given(st.integers(0, 10_000), st.integers(1, 30), st.integers(1, 12), st.booleans())
def test_random_cases_against_counting(
    seed: int, num_documents: int, num_queries: int, skip_self: bool
) -> None:
    draw = np.random.default_rng(seed)
    num_queries = min(num_queries, num_documents)
    documents = draw.integers(-1, 2, (num_documents, 3)).astype(np.float32)  # many are alike
    labels = draw.integers(0, 4, num_documents)
    queries = documents[:num_queries] if skip_self else documents[:num_queries] + np.float32(1)
    wanted = labels[:num_queries] if skip_self else draw.integers(0, 5, num_queries)
    reciprocal, first, tenth, gains = [], [], [], []
    for i, query in enumerate(queries):
        items = [
            (-float(query @ document), bool(labels[j] == wanted[i]))
            for j, document in enumerate(documents)
            if not (skip_self and i == j)
        ]
        relevance = [is_relevant for _, is_relevant in sorted(items)]  # of equal ones False first
        if not any(relevance):
            continue
        rank = relevance.index(True) + 1
        reciprocal.append(1 / rank)
        first.append(rank == 1)
        tenth.append(rank <= 10)
        falling = [-float(place) for place in range(len(relevance))]
        # scikit-learn takes no list of one document
        gains.append(
            ndcg_score([[*relevance, False]], [[*falling, -1e9]], k=10) if relevance else 0.0
        )

    found = retrieval_metrics(queries, documents, wanted, labels, skip_self=skip_self)

    if not reciprocal:
        assert all(map(math.isnan, found.values()))
        return
    assert found["mrr"] == pytest.approx(np.mean(reciprocal))
    assert found["hit_1"] == pytest.approx(np.mean(first))
    assert found["hit_10"] == pytest.approx(np.mean(tenth))
    assert found["ndcg_10"] == pytest.approx(np.mean(gains))
