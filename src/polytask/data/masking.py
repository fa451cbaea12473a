"""Hides words of rows from the encoder, for a task that guesses them."""

from dataclasses import replace

import numpy as np
import torch

from polytask.data.batching import Inputs
from polytask.data.tokeniser import Tokeniser
from polytask.errors import ConfigError

SHARE = 0.15
"""The share of words that are hidden, at least one a row."""

_MASKED, _REPLACED = 0.8, 0.1
"""Of these so many become the mask token or a random token; the rest stay."""


def hide(inputs: Inputs, tokeniser: Tokeniser, seed: int | None) -> tuple[Inputs, Inputs]:
    """What the encoder sees, and the rows as they are with `is_hidden` set.

    Whole words are hidden, anew for each `seed`; without one always the same of the same row.
    Source: Devlin et al., "BERT" (NAACL 2019), and its later whole-word masking. Raises ConfigError
    if the tokeniser has no mask token.
    """
    if tokeniser.mask_id is None:
        raise ConfigError("encoder: its tokeniser has no mask token, which `kind: fill` needs")
    token_ids = inputs.token_ids.numpy().copy()  # (rows, tokens)
    is_hidden = np.zeros(token_ids.shape, bool)
    lengths = inputs.mask.sum(1).numpy()
    for row, starts in enumerate(inputs.word_starts.numpy()):
        ids = token_ids[row, : lengths[row]]
        fresh = [0, *ids.tolist()] if seed is None else [1, seed, row]
        draw = np.random.default_rng(fresh)
        begins = np.unique(starts[starts >= 0])  # words without a token of their own fall away
        ends = np.append(begins[1:], begins[-1:] + 1)
        last = int(ends[-1]) if len(ends) else 0
        while last < len(ids) and int(ids[last]) not in tokeniser.special_ids:
            last += 1
        ends[-1:] = last  # of the last word all its tokens
        num = max(1, round(SHARE * len(begins)))
        for word in draw.permutation(len(begins))[:num]:
            place = slice(int(begins[word]), int(ends[word]))
            is_hidden[row, place] = True
            chance = draw.random()
            if chance < _MASKED:
                ids[place] = tokeniser.mask_id
            elif chance < _MASKED + _REPLACED:
                ids[place] = draw.integers(0, tokeniser.num_tokens, place.stop - place.start)
    hidden = torch.from_numpy(is_hidden)
    shown = replace(inputs, token_ids=torch.from_numpy(token_ids))
    return shown, replace(inputs, is_hidden=hidden)
