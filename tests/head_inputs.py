"""Records as the inputs of a head, by a small tokeniser."""

from local_tokenizers import wordpiece
from polytask.data.batching import Inputs, pad
from polytask.data.feed import ragged, token_rows
from polytask.data.records import Record
from polytask.data.tokeniser import Tokeniser
from polytask.heads import Head


def inputs_of(head: Head, *records: Record, max_tokens: int = 48) -> Inputs:
    """The rows of some records, padded; the longest has `max_tokens`."""
    tokeniser = Tokeniser(wordpiece().backend_tokenizer, max_tokens=max_tokens, pad_id=0)
    rows = token_rows(list(records), head.view, tokeniser, None)
    return pad(ragged(rows), pad_id=0, segment=1)
