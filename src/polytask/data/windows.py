"""The windows of long texts, put together again behind the encoder."""

from itertools import pairwise

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from polytask.data.batching import NO_WORD, Inputs, Ragged, pad


def whole_texts(rows: Ragged, *, pad_id: int, segment: int) -> tuple[Inputs, Tensor]:
    """The windows of each text as one padded row: the tokens of a row without a limit.

    Beside it where each token stands among the windows: (texts, tokens, 2), window and token.
    """
    begins, ends = np.array(rows.own).T  # (windows,)
    before = np.cumsum(ends - begins) - (ends - begins)  # (windows,) own tokens of those before
    is_first = ~np.array(rows.continues)  # (windows,)
    texts = np.cumsum(is_first) - 1  # (windows,)
    shifts = before - before[is_first][texts] - begins  # (windows,)
    firsts = [*np.flatnonzero(is_first).tolist(), len(begins)]
    windows = [range(a, b) for a, b in pairwise(firsts)]

    def own(window: int) -> np.ndarray:
        tokens = np.arange(begins[window], ends[window])
        return np.stack([np.full_like(tokens, window), tokens], axis=1)  # (tokens, 2)

    def starts(some: range) -> np.ndarray:
        merged = np.full(max(rows.first_words[w] + len(rows.word_starts[w]) for w in some), NO_WORD)
        for window in some:
            found = np.asarray(rows.word_starts[window], np.int64)  # (words,)
            is_own = (found >= begins[window]) & (found < ends[window])
            words = rows.first_words[window] + np.flatnonzero(is_own)
            merged[words] = found[is_own] + shifts[window]
        return merged

    places = [np.concatenate(list(map(own, some))) for some in windows]
    merged = Ragged(
        token_ids=[np.array([rows.token_ids[w][t] for w, t in some]) for some in places],
        num_first=[int(rows.num_first[some[-1]] + shifts[some[-1]]) for some in windows],
        word_starts=[starts(some) for some in windows],
        owners=[rows.owners[some[0]] for some in windows],
        own=[(0, len(some)) for some in places],
        continues=[False for _ in places],
        first_words=[0 for _ in places],
    )
    inputs = pad(merged, pad_id=pad_id, segment=segment)
    return inputs, pad_sequence(list(map(torch.from_numpy, places)), batch_first=True)


def gather(hidden: Tensor, places: Tensor | None) -> Tensor:
    """Hidden states of whole texts from those of their windows; as they are without places.

    hidden: (windows, tokens, width); places: (texts, tokens, 2), 0 behind the end of a text;
    the result: (texts, tokens, width).
    """
    return hidden if places is None else hidden[places[..., 0], places[..., 1]]
