import pytest
import torch

from local_tokenizers import KINDS, wordpiece
from polytask.data.batching import Inputs, pad
from polytask.data.feed import ragged, token_rows
from polytask.data.masking import hide
from polytask.data.tokeniser import Tokeniser
from polytask.data.views import TextView
from polytask.errors import ConfigError

VIEW = TextView(("text",), is_split=True, is_raw=True, long="windows", stride=0, is_masked=True)
TOKENISER = Tokeniser(wordpiece().backend_tokenizer, max_tokens=24, pad_id=0)
TEXTS = ["please send the invoice to Berlin", "打印机坏了，请帮忙。" * 5, "help"]


def inputs_of(*texts: str) -> Inputs:
    rows = token_rows([{"text": text} for text in texts], VIEW, TOKENISER, None)
    return pad(ragged(rows), pad_id=0, segment=1)


def words_of(inputs: Inputs, row: int) -> list[list[int]]:
    """The places of the tokens of each word of a row."""
    starts = sorted({int(place) for place in inputs.word_starts[row] if place >= 0})
    end = int(inputs.mask[row].sum()) - 1  # before the end mark
    return [list(range(a, b)) for a, b in zip(starts, [*starts[1:], end], strict=True)]


@pytest.mark.parametrize("seed", [None, 0, 7])
def test_whole_words_are_hidden_and_nothing_else(seed: int | None) -> None:
    inputs = inputs_of(*TEXTS)

    shown, kept = hide(inputs, TOKENISER, seed)

    assert kept.is_hidden is not None
    assert torch.equal(kept.token_ids, inputs.token_ids)
    assert not (kept.is_hidden & ~inputs.mask).any()
    assert ((shown.token_ids != inputs.token_ids) <= kept.is_hidden).all()
    for row in range(len(inputs.token_ids)):
        words = words_of(inputs, row)
        states = [{bool(kept.is_hidden[row, place]) for place in word} for word in words]
        assert all(len(state) == 1 for state in states)
        assert sum(True in state for state in states) == max(1, round(0.15 * len(words)))
        inside = {place for word in words for place in word}
        assert set(kept.is_hidden[row].nonzero().flatten().tolist()) <= inside


def test_each_seed_hides_other_words_and_none_always_the_same() -> None:
    inputs = inputs_of(TEXTS[1])

    def hidden(seed: int | None) -> list[bool]:
        found = hide(inputs, TOKENISER, seed)[1].is_hidden
        assert found is not None
        return [bool(one) for one in found[0]]

    assert hidden(None) == hidden(None)
    assert hidden(3) == hidden(3)
    assert len({tuple(hidden(seed)) for seed in range(8)}) > 1


def test_what_is_hidden_without_a_seed_depends_on_the_text_alone() -> None:
    together = hide(inputs_of(*TEXTS), TOKENISER, None)[0]

    for owner, text in enumerate(TEXTS):
        alone = hide(inputs_of(text), TOKENISER, None)[0].token_ids
        rows = together.token_ids[together.owners == owner]
        assert torch.equal(rows[:, : alone.shape[1]], alone)


def test_most_hidden_words_become_the_mask_and_some_stay() -> None:
    inputs = inputs_of(*[TEXTS[1]] * 8)
    num_hidden = num_masks = num_same = 0
    for seed in range(40):
        shown, kept = hide(inputs, TOKENISER, seed)
        assert kept.is_hidden is not None
        num_hidden += int(kept.is_hidden.sum())
        num_masks += int((shown.token_ids[kept.is_hidden] == TOKENISER.mask_id).sum())
        num_same += int((shown.token_ids == inputs.token_ids)[kept.is_hidden].sum())

    assert 0.75 < num_masks / num_hidden < 0.85
    assert 0.07 < num_same / num_hidden < 0.14


def test_a_tokeniser_without_a_mask_is_refused() -> None:
    tokenizer = KINDS["metaspace"]()
    tokeniser = Tokeniser(tokenizer.backend_tokenizer, max_tokens=24, pad_id=0)
    tokeniser.mask_id = None

    with pytest.raises(ConfigError) as fault:
        hide(inputs_of("help"), tokeniser, None)

    assert str(fault.value).startswith("encoder: its tokeniser has no mask token")
