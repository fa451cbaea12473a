"""The conditional random field against sums and maxima over all label sequences."""

import itertools
import math
from collections.abc import Sequence

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from polytask.heads.crf import CRF
from polytask.heads.head import IGNORE

PLAIN = ["ADJ", "NOUN", "VERB"]
BIO = ["B-LOC", "B-人名", "I-LOC", "I-人名", "O"]
BIOES = ["B-A", "E-A", "I-A", "O", "S-A"]
SCHEMES = [PLAIN, BIO, BIOES]

LEGAL_IN_BIOES = {
    "start": {"B-A", "O", "S-A"},
    "B-A": {"I-A", "E-A"},
    "I-A": {"I-A", "E-A"},
    "E-A": {"B-A", "O", "S-A", "end"},
    "S-A": {"B-A", "O", "S-A", "end"},
    "O": {"B-A", "O", "S-A", "end"},
}


def is_legal(labels: Sequence[str], path: Sequence[int]) -> bool:
    """Spelled out anew, for the three schemes of this file alone."""
    steps = list(itertools.pairwise(["start", *(labels[place] for place in path), "end"]))
    if labels is PLAIN or not path:
        return True
    if labels is BIOES:
        return all(after in LEGAL_IN_BIOES[before] for before, after in steps)
    return all(
        not after.startswith("I-") or before in {"B" + after[1:], after} for before, after in steps
    )


def random_crf(labels: Sequence[str], seed: int, *, whole: bool = False) -> CRF:
    generator = torch.Generator().manual_seed(seed)
    crf = CRF(labels)
    for parameter in crf.parameters():
        values = torch.randn(parameter.shape, generator=generator)
        parameter.data = values.round() if whole else values
    return crf


def random_batch(
    lengths: Sequence[int], num_labels: int, seed: int, *, whole: bool = False
) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    num_words = max(lengths)
    emissions = torch.randn(len(lengths), num_words, num_labels, generator=generator)
    mask = torch.arange(num_words) < torch.tensor(lengths).unsqueeze(1)
    return emissions.round() if whole else emissions, mask


def path_score(crf: CRF, emissions: Tensor, path: Sequence[int]) -> float:
    if not path:
        return 0.0
    starts, ends = crf.starts.tolist(), crf.ends.tolist()
    transitions, emitted = crf.transitions.tolist(), emissions.tolist()
    return math.fsum(
        [
            starts[path[0]],
            *(emitted[word][place] for word, place in enumerate(path)),
            *(transitions[before][after] for before, after in itertools.pairwise(path)),
            ends[path[-1]],
        ]
    )


def legal_paths(labels: Sequence[str], num_words: int) -> list[tuple[int, ...]]:
    paths = itertools.product(range(len(labels)), repeat=num_words)
    return [path for path in paths if is_legal(labels, path)]


cases = st.tuples(
    st.sampled_from(SCHEMES),
    st.lists(st.integers(0, 4), min_size=1, max_size=4).filter(any),
    st.integers(0, 10_000),
)


@settings(max_examples=60)
@given(cases)
def test_probabilities_are_shares_of_the_sum_over_all_legal_sequences(
    case: tuple[list[str], list[int], int],
) -> None:
    labels, lengths, seed = case
    crf = random_crf(labels, seed)
    emissions, mask = random_batch(lengths, len(labels), seed)
    paths = [legal_paths(labels, length) for length in lengths]
    gold = [choices[seed % len(choices)] for choices in paths]
    tags = torch.full(mask.shape, IGNORE)
    for row, path in enumerate(gold):
        tags[row, : len(path)] = torch.tensor(path, dtype=torch.long)

    found = crf.log_likelihood(emissions, tags, mask)

    expected = [
        path_score(crf, row, path)
        - math.log(math.fsum(math.exp(path_score(crf, row, other)) for other in choices))
        for row, path, choices in zip(emissions, gold, paths, strict=True)
    ]
    assert found.tolist() == pytest.approx(expected, abs=1e-4)


@settings(max_examples=100)
@given(cases)
def test_viterbi_finds_the_first_of_the_best_legal_sequences(
    case: tuple[list[str], list[int], int],
) -> None:
    labels, lengths, seed = case
    crf = random_crf(labels, seed, whole=True)  # whole scores tie often, and add up exactly
    emissions, mask = random_batch(lengths, len(labels), seed, whole=True)

    found = crf.viterbi(emissions, mask)

    for row, length, path in zip(emissions, lengths, found.tolist(), strict=True):
        scores = {other: path_score(crf, row, other) for other in legal_paths(labels, length)}
        best = max(scores, key=scores.__getitem__)  # the first in the order of labels
        assert tuple(path[:length]) == best
        assert path[length:] == [IGNORE] * (len(path) - length)


def test_a_sentence_of_two_words_by_hand() -> None:
    crf = CRF(["NOUN", "VERB"])
    crf.transitions.data = torch.tensor([[0.0, math.log(2)], [0.0, 0.0]])
    emissions, mask = torch.zeros(1, 2, 2), torch.ones(1, 2, dtype=torch.bool)

    found = crf.log_likelihood(emissions, torch.tensor([[0, 1]]), mask)

    # NOUN VERB weighs 2, the three others 1 each: 2 / 5
    assert found.exp().tolist() == pytest.approx([0.4])
    assert crf.viterbi(emissions, mask).tolist() == [[0, 1]]


@pytest.mark.parametrize("labels", SCHEMES)
def test_probabilities_of_all_sequences_add_up_to_1(labels: list[str]) -> None:
    crf = random_crf(labels, seed=3)
    paths = list(itertools.product(range(len(labels)), repeat=3))
    emissions = random_batch([3], len(labels), seed=4)[0].expand(len(paths), -1, -1)
    mask = torch.ones(len(paths), 3, dtype=torch.bool)

    found = crf.log_likelihood(emissions, torch.tensor(paths), mask)

    assert found.exp().sum().item() == pytest.approx(1, abs=1e-4)


@pytest.mark.parametrize("labels", [BIO, BIOES])
def test_what_breaks_the_scheme_is_never_decoded(labels: list[str]) -> None:
    crf = random_crf(labels, seed=5)
    emissions, mask = random_batch([6] * 300, len(labels), seed=6)

    found = crf.viterbi(30 * emissions, mask)  # far stronger than any learned transition

    assert all(is_legal(labels, path) for path in found.tolist())


def test_an_entity_may_end_with_any_label_unless_both_of_bioes_occur() -> None:
    labels = ["B-A", "E-A", "I-A", "O"]  # no S-: a lone B- is an entity of one word
    emissions = torch.tensor([[[9.0, 0, 0, 0], [0, 0, 0, 9.0]]])

    assert CRF(labels).viterbi(emissions, torch.ones(1, 2, dtype=torch.bool)).tolist() == [[0, 3]]


def test_plain_labels_may_follow_in_any_order() -> None:
    assert not CRF(PLAIN).penalties.any()
    assert not CRF(["I-A", "O"]).penalties.any()


def test_gold_labels_that_break_the_scheme_have_a_finite_loss_and_gradient() -> None:
    crf = random_crf(BIO, seed=7)
    emissions, mask = random_batch([3], len(BIO), seed=8)
    emissions.requires_grad_()
    tags = torch.tensor([[2, 3, 2]])  # I-LOC I-人名 I-LOC

    loss = -crf.log_likelihood(emissions, tags, mask).sum()
    loss.backward()

    assert loss.item() == pytest.approx(30_000, rel=1e-2)
    assert emissions.grad is not None
    assert emissions.grad.isfinite().all()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in crf.parameters())


def test_labels_far_below_the_best_of_their_word_keep_their_share() -> None:
    crf, mask = CRF(BIO), torch.ones(1, 2, dtype=torch.bool)
    emissions = torch.tensor([[[600.0, 0, 0, 0, 0], [0, 0, 0, 600.0, 1.0]]])

    found = crf.log_likelihood(emissions, torch.tensor([[0, 4]]), mask)

    # I-人名, the best of the second word, may not follow B-LOC; it weighs 600 behind B-人名.
    # Behind B-LOC there are B-LOC, B-人名 and I-LOC with 0, and O with 1.
    assert found.item() == pytest.approx(1 - math.log(3 + math.e + 1), abs=1e-4)


@pytest.mark.parametrize("labels", SCHEMES)
def test_gradients_are_finite_and_none_flows_from_outside_the_mask(labels: list[str]) -> None:
    crf = random_crf(labels, seed=9)
    emissions, mask = random_batch([4, 1, 0], len(labels), seed=10)
    emissions = emissions.masked_fill(~mask.unsqueeze(2), math.nan).requires_grad_()
    tags = torch.full((3, 4), IGNORE).masked_fill(mask, labels.index(labels[-1]))

    likelihood = crf.log_likelihood(emissions, tags, mask)
    likelihood.sum().backward()

    assert likelihood.isfinite().all()
    assert likelihood[2] == 0
    assert emissions.grad is not None
    assert emissions.grad.isfinite().all()
    assert not emissions.grad[~mask].any()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in crf.parameters())
    assert crf.viterbi(emissions, mask)[2].tolist() == [IGNORE] * 4


def test_words_on_both_sides_of_a_gap_are_neighbours() -> None:
    crf = random_crf(BIO, 5)
    emissions, whole = random_batch([6, 4], len(BIO), 5)
    tags = torch.tensor([[4, 1, 3, 0, 2, 4], [0, 2, 2, 4, 0, 0]])
    places = torch.tensor([[0, 1, 4, 5, 7, 8], [1, 2, 6, 7, 0, 0]])
    mask = torch.zeros(2, 9, dtype=torch.bool)
    with_gaps = torch.full((2, 9, len(BIO)), 50.0)
    gold = torch.full((2, 9), IGNORE)
    for row, num in enumerate((6, 4)):
        mask[row, places[row, :num]] = True
        with_gaps[row, places[row, :num]] = emissions[row, :num]
        gold[row, places[row, :num]] = tags[row, :num]

    found = crf.viterbi(with_gaps, mask)

    assert torch.allclose(
        crf.log_likelihood(with_gaps, gold, mask), crf.log_likelihood(emissions, tags, whole)
    )
    expected = crf.viterbi(emissions, whole)
    for row, num in enumerate((6, 4)):
        assert found[row, places[row, :num]].tolist() == expected[row, :num].tolist()
    assert (found[~mask] == IGNORE).all()


@pytest.mark.parametrize("shape", [(0, 3), (2, 0)])
def test_no_sentence_or_no_word_is_no_fault(shape: tuple[int, int]) -> None:
    crf = CRF(BIO)
    emissions = torch.zeros(*shape, len(BIO), requires_grad=True)
    tags, mask = torch.zeros(shape, dtype=torch.long), torch.ones(shape, dtype=torch.bool)

    likelihood = crf.log_likelihood(emissions, tags, mask)
    likelihood.sum().backward()

    assert likelihood.tolist() == [0.0] * shape[0]
    assert crf.viterbi(emissions, mask).shape == shape


def test_a_sentence_alone_scores_as_in_any_batch() -> None:
    crf = random_crf(BIO, seed=11)
    emissions, mask = random_batch([4, 2, 3], len(BIO), seed=12)
    tags = torch.tensor([[0, 2, 4, 4], [4, 1, 0, 0], [4, 4, 4, 0]])
    order = torch.tensor([2, 0, 1])

    together = crf.log_likelihood(emissions, tags, mask)
    paths = crf.viterbi(emissions, mask)

    assert crf.log_likelihood(emissions[order], tags[order], mask[order]).equal(together[order])
    assert crf.viterbi(emissions[order], mask[order]).equal(paths[order])
    for row, length in enumerate([4, 2, 3]):
        one = slice(row, row + 1), slice(length)
        alone = crf.log_likelihood(emissions[one], tags[one], mask[one])
        assert alone.tolist() == pytest.approx([together[row].item()], abs=1e-5)
        assert crf.viterbi(emissions[one], mask[one]).tolist() == [paths[row, :length].tolist()]


def test_equal_sequences_are_decoded_as_the_lowest_labels() -> None:
    emissions, mask = torch.zeros(2, 3, 3), torch.ones(2, 3, dtype=torch.bool)

    assert CRF(PLAIN).viterbi(emissions, mask).tolist() == [[0, 0, 0], [0, 0, 0]]


def test_all_is_computed_in_float32_under_autocast() -> None:
    crf = random_crf(BIO, seed=13)
    emissions, mask = random_batch([4, 3], len(BIO), seed=14)
    half, tags = emissions.bfloat16(), torch.full((2, 4), 4)
    expected = crf.log_likelihood(half.float(), tags, mask)

    with torch.autocast("cpu", torch.bfloat16):
        found = crf.log_likelihood(half, tags, mask)
        paths = crf.viterbi(half, mask)

    assert found.dtype == torch.float32
    assert found.equal(expected)
    assert paths.equal(crf.viterbi(half.float(), mask))


def test_all_is_computed_where_the_emissions_are() -> None:
    crf = CRF(BIO).to("meta")  # where nothing meets a tensor of another device or is read back
    emissions = torch.zeros(2, 3, len(BIO), device="meta")
    tags = torch.zeros(2, 3, dtype=torch.long, device="meta")
    mask = torch.ones(2, 3, dtype=torch.bool, device="meta")

    assert crf.log_likelihood(emissions, tags, mask).shape == (2,)
    assert crf.viterbi(emissions, mask).shape == (2, 3)


def test_only_learned_scores_are_saved() -> None:
    crf = random_crf(BIO, seed=15)
    emissions, mask = random_batch([4], len(BIO), seed=16)
    loaded = CRF(BIO)

    loaded.load_state_dict(crf.state_dict())

    assert set(crf.state_dict()) == {"starts", "transitions", "ends"}
    assert loaded.viterbi(emissions, mask).equal(crf.viterbi(emissions, mask))
    assert loaded.penalties.equal(crf.penalties)
