from itertools import product

import numpy as np
import pytest

from polytask.heads.trees import best_tree


def is_tree(heads: tuple[int, ...]) -> bool:
    if heads.count(0) != 1:
        return False
    for node in range(1, len(heads) + 1):
        for _ in heads:
            node = node and heads[node - 1]
        if node:
            return False
    return True


def total(scores: np.ndarray, heads: tuple[int, ...] | list[int]) -> float:
    return float(sum(scores[word, head] for word, head in enumerate(heads)))


@pytest.mark.parametrize("seed", range(120))
def test_no_tree_scores_higher(seed: int) -> None:
    generator = np.random.default_rng(seed)
    num = int(generator.integers(1, 6))
    scores = generator.normal(size=(num, num + 1)) * (1, 100)[seed % 2]
    if seed % 3 == 0:
        scores = np.round(scores)  # many ties

    found = best_tree(scores)

    assert is_tree(tuple(found))
    every = filter(is_tree, product(range(num + 1), repeat=num))
    assert total(scores, found) == pytest.approx(max(total(scores, heads) for heads in every))


def test_two_words_that_point_at_each_other_are_parted_where_it_costs_least() -> None:
    scores = np.array([[1.0, 0.0, 9.0], [4.0, 9.0, 0.0]])

    assert best_tree(scores) == [2, 0]


def test_one_word_is_the_root_even_if_all_would_be() -> None:
    scores = np.array([[9.0, 0.0, 1.0], [9.0, 3.0, 0.0]])

    assert best_tree(scores) == [0, 1]


def test_a_sentence_without_words_has_no_tree() -> None:
    with pytest.raises(ValueError, match="a tree needs a word"):
        best_tree(np.zeros((0, 1)))
