from functools import cache

import numpy as np
import pytest
import torch
from transformers import PreTrainedTokenizerFast

from local_tokenizers import KINDS
from polytask.data.batching import Inputs, pad
from polytask.data.feed import ragged
from polytask.data.tokeniser import Tokeniser
from polytask.data.views import Row, text_view
from polytask.data.windows import gather, whole_texts
from polytask.errors import ConfigError

LONG = "打印机坏了 请帮忙 please send the invoice to Berlin " * 4
ROWS: list[Row] = [
    (LONG,),
    ("help",),
    (LONG.split(), "help"),
    (["help", "", "me"],),
    ([*LONG, ""],),
]


@cache
def tokenizer_of(kind: str) -> PreTrainedTokenizerFast:
    return KINDS[kind]()


def tokeniser_of(kind: str, max_tokens: int) -> Tokeniser:
    tokenizer = tokenizer_of(kind)
    pad_id = tokenizer.pad_token_id
    return Tokeniser(tokenizer.backend_tokenizer, max_tokens=max_tokens, pad_id=pad_id)


def as_lists(inputs: Inputs) -> list[object]:
    return [
        tensor.tolist()
        for tensor in (inputs.token_ids, inputs.mask, inputs.segment_ids, inputs.owners)
    ]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("max_tokens", "stride"), [(16, 0), (16, 5), (16, 100), (40, 64)])
def test_windows_put_together_are_the_row_that_no_limit_cuts(
    kind: str, max_tokens: int, stride: int
) -> None:
    small, large = tokeniser_of(kind, max_tokens), tokeniser_of(kind, 4096)
    filler = {"pad_id": small.pad_id, "segment": small.second_segment}
    windows = ragged(small.encode(ROWS, "windows", stride))

    merged, places = whole_texts(windows, **filler)

    whole = pad(ragged(large.encode(ROWS)), **filler)
    assert any(windows.continues)
    assert as_lists(merged) == as_lists(whole)
    assert merged.word_starts.tolist() == whole.word_starts.tolist()
    ids = pad(windows, **filler).token_ids.unsqueeze(-1)
    found = gather(ids, places).squeeze(-1)
    assert torch.equal(found[merged.mask], merged.token_ids[merged.mask])


def test_a_token_of_two_windows_is_taken_from_the_one_that_shows_more_around_it() -> None:
    tokeniser = tokeniser_of("wordpiece", 12)
    rows = ragged(tokeniser.encode([(["help"] * 24,)], "windows", 4))

    _, places = whole_texts(rows, pad_id=0, segment=1)

    window = np.array(places[0, 1:-1, 0])  # of each word
    assert [int((window == one).sum()) for one in range(4)] == [8, 6, 6, 4]
    # Ten words a window; of the four that two share each has two.
    assert places[0, 9].tolist() == [1, 3]


def test_windows_share_at_most_half() -> None:
    rows = next(tokeniser_of("wordpiece", 12).encode([(["help"] * 24,)], "windows", 100))

    assert [row.own for row in rows] == [(0, 8), (3, 8), (3, 8), (3, 11)]


def test_a_stride_without_windows_is_refused() -> None:
    with pytest.raises(ConfigError, match="say `long: windows` too"):
        text_view("text", None).of_long_texts("head_tail", 8)
