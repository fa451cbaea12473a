"""Texts and words to token ids: the same way for training, evaluation and prediction."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from tokenizers import Encoding, Tokenizer

from polytask.data.backends import frame_of, keep_marks_as_text, unknown_id, with_word_spaces
from polytask.data.views import STRIDE, Long, Row, Segment

MAX_CHARACTERS_PER_TOKEN = 16
"""Text beyond this many characters a token of the limit is cut before it is tokenised."""

_MASKS = ("[MASK]", "<mask>")
_HEAD = 0.25
"""The share of the head where head and tail of a long text are kept."""

_CHARACTERS_AT_ONCE = 1 << 22
"""Tokens on their way take some 150 bytes each: so much text becomes tokens at a time."""

_VERSION = "3"


@dataclass(frozen=True, slots=True)
class TokenRow:
    """One encoder row as tokens.

    `word_starts` holds, for each word of the first segment if that was split into words, the
    position of its first token: that of the token before for a word without tokens, -1 if cut off.
    `full_length` counts the tokens before anything was cut. `own` is the stretch of tokens that a
    window of a text has as the only one: all of them together are the text as one long row.
    `continues` is true of the windows of a text behind the first. `first_word` is the word that
    `word_starts` begins with: a window tells only of words from its first on to its last.
    """

    token_ids: list[int]
    num_first: int
    word_starts: list[int]
    full_length: int
    num_unknown: int
    own: tuple[int, int]
    continues: bool = False
    first_word: int = 0


class Tokeniser:
    """A fast tokeniser of the `tokenizers` library, cut to a limit, words aligned to tokens."""

    def __init__(self, backend: Tokenizer, *, max_tokens: int, pad_id: int) -> None:
        text = Tokenizer.from_str(backend.to_str())
        text.no_truncation()
        text.no_padding()
        self.max_tokens = max_tokens
        self.pad_id = pad_id
        self._text = keep_marks_as_text(text)
        self._words = keep_marks_as_text(with_word_spaces(text))
        self._frames = {1: frame_of(text, 1), 2: frame_of(text, 2)}
        self._unknown = unknown_id(text)
        added = text.get_added_tokens_decoder()
        self.special_ids = {i for i, token in added.items() if token.special}
        self.num_tokens = text.get_vocab_size()
        found = (text.token_to_id(mark) for mark in _MASKS)
        self.mask_id = next((i for i in found if i is not None), None)
        self._special = self.special_ids - {self._unknown}

    @property
    def second_segment(self) -> int:
        """The segment id of the second text of a pair."""
        return self._frames[2].second_segment

    @property
    def fingerprint(self) -> str:
        """Changes whenever any text could be tokenised differently."""
        parts = (_VERSION, str(self.max_tokens), str(self.pad_id), self._text.to_str())
        return hashlib.sha256("\x00".join(parts).encode()).hexdigest()

    def encode(
        self, rows: Sequence[Row], long: Long = "truncate", stride: int = STRIDE
    ) -> Iterator[list[TokenRow]]:
        """Token rows of at most `max_tokens`, of each row one, or several windows.

        Without windows the longer text of a pair is cut first: its end, or what lies between a
        quarter at its beginning and three quarters at its end (Sun et al., "How to Fine-Tune BERT
        for Text Classification?", CCL 2019). Windows move over the first segment, neighbours
        sharing `stride` tokens, at most half of a window; each holds the whole second segment, or
        what fits into half of `max_tokens`. A word has a start in the windows that hold its first
        token. Text becomes tokens as the rows are asked for, some megabytes at a time.
        """
        whole = {"truncate": 0, "windows": 1, "head_tail": 2}[long]  # segments that are not cut yet
        cut: list[Row] = [
            (*row[:whole], *(_cut(s, self.max_tokens) for s in row[whole:])) for row in rows
        ]
        for some in _portions([sum(map(_size, row)) for row in cut]):
            encoded = iter(self._encode_segments([s for row in cut[some] for s in row]))
            for row, given in zip(cut[some], rows[some], strict=True):
                segments = [next(encoded) for _ in row]
                if long == "windows":
                    yield self._slide(row, segments, stride)
                else:
                    yield [self._assemble(given, row, segments, long)]

    def _slide(self, row: Row, encoded: Sequence[Encoding], stride: int) -> list[TokenRow]:
        frame = self._frames[len(row)]
        first, *others = [self._as_text(e.ids) for e in encoded]
        room = self.max_tokens - frame.num_special
        second = [some[: room // 2] for some in others]
        size = room - sum(map(len, second))
        shared = min(stride, size // 2)
        step = max(size - shared, 1)
        begins = range(0, max(len(first) - size, 0) + step, step)
        num_before = len(frame.before)
        words = _first_tokens(row[0], encoded[0])
        found = []
        for begin in begins:
            held = first[begin : begin + size]
            token_ids = [*frame.before, *held]
            for some in second:
                token_ids += [*frame.between, *some]
            token_ids += frame.after
            first_word, end_word = np.searchsorted(words, (begin, begin + max(len(held), 1)))
            is_whole = list(map(len, second)) == list(map(len, others))
            found.append(
                TokenRow(
                    token_ids=token_ids,
                    num_first=num_before + len(held) + len(frame.between)
                    if second
                    else len(token_ids),
                    word_starts=(words[first_word:end_word] + num_before - begin).tolist(),
                    first_word=int(first_word),
                    full_length=len(token_ids) if is_whole else self.max_tokens + 1,
                    num_unknown=token_ids.count(self._unknown),
                    own=(
                        num_before + shared // 2 if begin else 0,
                        len(token_ids)
                        if begin == begins[-1]
                        else num_before + len(held) - (shared - shared // 2),
                    ),
                    continues=begin > 0,
                )
            )
        return found

    def _encode_segments(self, cut: Sequence[Segment]) -> list[Encoding]:
        found: dict[int, Encoding] = {}
        for is_split in (False, True):
            places = [i for i, segment in enumerate(cut) if isinstance(segment, list) is is_split]
            backend = self._words if is_split else self._text
            found |= dict(
                zip(
                    places,
                    backend.encode_batch(
                        [cut[i] for i in places],
                        is_pretokenized=is_split,
                        add_special_tokens=False,
                    ),
                    strict=True,
                )
            )
        return [found[i] for i in range(len(cut))]

    def _assemble(self, whole: Row, row: Row, encoded: Sequence[Encoding], long: Long) -> TokenRow:
        frame = self._frames[len(row)]
        ids = [self._as_text(e.ids) for e in encoded]
        lengths = _fit([len(some) for some in ids], self.max_tokens - frame.num_special)
        kept = [_ends(len(some), num, long) for some, num in zip(ids, lengths, strict=True)]
        shown = [
            [one for begin, end in parts for one in some[begin:end]]
            for some, parts in zip(ids, kept, strict=True)
        ]
        token_ids = list(frame.before)
        starts = _word_starts(_first_tokens(row[0], encoded[0]), kept[0], len(token_ids))
        if isinstance(whole[0], list):
            starts += [-1] * (len(whole[0]) - len(row[0]))
        token_ids += shown[0]
        num_first = len(token_ids)
        if len(row) == 2:
            num_first += len(frame.between)
            token_ids += [*frame.between, *shown[1]]
        token_ids += frame.after
        full = sum(len(some) for some in ids) + frame.num_special
        if any(one is not other for one, other in zip(row, whole, strict=True)):
            full = max(full, self.max_tokens + 1)
        return TokenRow(
            token_ids=token_ids,
            num_first=num_first if len(row) == 2 else len(token_ids),
            word_starts=starts,
            full_length=full,
            num_unknown=sum(some.count(self._unknown) for some in ids),
            own=(0, len(token_ids)),
        )

    def _as_text(self, ids: list[int]) -> list[int]:
        # A Unigram model has the special tokens among its pieces: text that spells one would be it.
        if self._unknown < 0 or self._special.isdisjoint(ids):
            return ids
        return [self._unknown if i in self._special else i for i in ids]


def _cut(segment: Segment, max_tokens: int) -> Segment:
    limit = max_tokens * MAX_CHARACTERS_PER_TOKEN
    if isinstance(segment, str):
        return segment if len(segment) <= limit else segment[:limit]
    if len(segment) <= limit and sum(map(len, segment)) <= limit:
        return segment
    kept: list[str] = []
    room = limit
    for word in segment[:limit]:
        if room <= 0:
            break
        kept.append(word[:room])
        room -= len(word)
    return kept


def _fit(lengths: list[int], room: int) -> list[int]:
    if len(lengths) == 1:
        return [min(lengths[0], room)]
    first, second = lengths
    if first + second <= room:
        return lengths
    shorter = min(first, second, room // 2)
    return [shorter, room - shorter] if first <= second else [room - shorter, shorter]


def _ends(length: int, room: int, long: Long) -> list[tuple[int, int]]:
    """The stretches of so many tokens that fit: the first, or some from both ends."""
    if length <= room or long != "head_tail":
        return [(0, min(length, room))]
    head = round(_HEAD * room)
    return [(0, head), (length - room + head, length)]


def _first_tokens(segment: Segment, encoded: Encoding) -> np.ndarray:
    """Of each word its first token, (words,): that of the word before for one without tokens."""
    if isinstance(segment, str):
        return np.zeros(0, np.int64)
    of_tokens = np.array([-1 if w is None else w for w in encoded.word_ids], np.int64)
    found = np.zeros(len(segment), np.int64)
    seen, first = np.unique(of_tokens, return_index=True)
    found[seen[seen >= 0]] = first[seen >= 0]
    return np.maximum.accumulate(found)


def _word_starts(words: np.ndarray, kept: Sequence[tuple[int, int]], offset: int) -> list[int]:
    """Of each word the place of its first token, if that lies in one of the kept stretches."""
    starts = np.full(len(words), -1, np.int64)
    if kept == [(0, 0)]:  # no tokens at all
        return [offset] * len(words)
    for begin, end in kept:
        is_held = (words >= begin) & (words < end)
        starts[is_held] = words[is_held] + offset - begin
        offset += end - begin
    return starts.tolist()


def _size(segment: Segment) -> int:
    return len(segment) if isinstance(segment, str) else sum(map(len, segment))


def _portions(sizes: Sequence[int]) -> Iterator[slice]:
    """Stretches of neighbours that hold at most some megabytes together, or are one alone."""
    begin, held = 0, 0
    for i, size in enumerate(sizes):
        if i > begin and held + size > _CHARACTERS_AT_ONCE:
            yield slice(begin, i)
            begin, held = i, 0
        held += size
    if sizes:
        yield slice(begin, len(sizes))
