"""Texts and words to token ids: the same way for training, evaluation and prediction."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass

from tokenizers import Encoding, Tokenizer

from polytask.data.views import Row, Segment

MAX_CHARACTERS_PER_TOKEN = 16
"""Text beyond this many characters a token of the limit is cut before it is tokenised."""

_MASKS = ("[MASK]", "<mask>")
_VERSION = "1"


@dataclass(frozen=True, slots=True)
class TokenRow:
    """One encoder row as tokens.

    `word_starts` holds, for each word of the first segment if that was split into words, the
    position of its first token: that of the token before for a word without tokens, -1 if cut off.
    `full_length` counts the tokens before anything was cut.
    """

    token_ids: list[int]
    num_first: int
    word_starts: list[int]
    full_length: int
    num_unknown: int


class Tokeniser:
    """A fast tokeniser of the `tokenizers` library, cut to a limit, words aligned to tokens."""

    def __init__(self, backend: Tokenizer, *, max_tokens: int, pad_id: int) -> None:
        text = Tokenizer.from_str(backend.to_str())
        text.no_truncation()
        text.no_padding()
        self.max_tokens = max_tokens
        self.pad_id = pad_id
        self._text = _keep_marks_as_text(text)
        self._words = _keep_marks_as_text(_with_word_spaces(text))
        self._frames = {1: _frame(text, 1), 2: _frame(text, 2)}
        self._unknown = _unknown_id(text)
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

    def encode(self, rows: Sequence[Row]) -> list[TokenRow]:
        """Token rows of at most `max_tokens`; of a pair the longer text is cut first."""
        cut: list[Row] = [tuple(_cut(s, self.max_tokens) for s in row) for row in rows]
        encoded = iter(self._encode_segments([segment for row in cut for segment in row]))
        result = []
        for row, whole in zip(cut, rows, strict=True):
            result.append(self._assemble(whole, row, [next(encoded) for _ in row]))
        return result

    def windows(self, rows: Sequence[Row], stride: int) -> list[list[TokenRow]]:
        """Of each row as many as its first segment takes, neighbours sharing `stride` tokens of it.

        Each holds the whole second segment, or what fits into half of `max_tokens`. A word has a
        start in the windows that hold its first token.
        """
        cut: list[Row] = [(row[0], *(_cut(s, self.max_tokens) for s in row[1:])) for row in rows]
        encoded = iter(self._encode_segments([segment for row in cut for segment in row]))
        return [self._slide(row, [next(encoded) for _ in row], stride) for row in cut]

    def _slide(self, row: Row, encoded: Sequence[Encoding], stride: int) -> list[TokenRow]:
        frame = self._frames[len(row)]
        first, *others = [self._as_text(e.ids) for e in encoded]
        room = self.max_tokens - frame.num_special
        second = [some[: room // 2] for some in others]
        size = room - sum(map(len, second))
        step = max(size - stride, 1)
        found = []
        for begin in range(0, max(len(first) - size, 0) + step, step):
            held = first[begin : begin + size]
            num_before = len(frame.before)
            token_ids = [*frame.before, *held]
            for some in second:
                token_ids += [*frame.between, *some]
            token_ids += frame.after
            is_whole = list(map(len, second)) == list(map(len, others))
            found.append(
                TokenRow(
                    token_ids=token_ids,
                    num_first=num_before + len(held) + len(frame.between)
                    if second
                    else len(token_ids),
                    word_starts=_word_starts(row[0], encoded[0], len(held), num_before, begin),
                    full_length=len(token_ids) if is_whole else self.max_tokens + 1,
                    num_unknown=token_ids.count(self._unknown),
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

    def _assemble(self, whole: Row, row: Row, encoded: Sequence[Encoding]) -> TokenRow:
        frame = self._frames[len(row)]
        ids = [self._as_text(e.ids) for e in encoded]
        lengths = _fit([len(some) for some in ids], self.max_tokens - frame.num_special)
        token_ids = list(frame.before)
        starts = _word_starts(row[0], encoded[0], lengths[0], len(token_ids))
        if isinstance(whole[0], list):
            starts += [-1] * (len(whole[0]) - len(row[0]))
        token_ids += ids[0][: lengths[0]]
        num_first = len(token_ids)
        if len(row) == 2:
            num_first += len(frame.between)
            token_ids += [*frame.between, *ids[1][: lengths[1]]]
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
        )

    def _as_text(self, ids: list[int]) -> list[int]:
        # A Unigram model has the special tokens among its pieces: text that spells one would be it.
        if self._unknown < 0 or self._special.isdisjoint(ids):
            return ids
        return [self._unknown if i in self._special else i for i in ids]


@dataclass(frozen=True, slots=True)
class _Frame:
    before: tuple[int, ...]
    between: tuple[int, ...]
    after: tuple[int, ...]
    second_segment: int

    @property
    def num_special(self) -> int:
        return len(self.before) + len(self.between) + len(self.after)


def _frame(backend: Tokenizer, num_segments: int) -> _Frame:
    probe = backend.encode("a") if num_segments == 1 else backend.encode("a", "a")
    special = [bool(mark) for mark in probe.special_tokens_mask]
    inner = [i for i, is_special in enumerate(special) if not is_special]
    between = [i for i in range(inner[0], inner[-1]) if special[i]]
    return _Frame(
        before=tuple(probe.ids[: inner[0]]),
        between=tuple(probe.ids[i] for i in between),
        after=tuple(probe.ids[inner[-1] + 1 :]),
        second_segment=probe.type_ids[inner[-1]],
    )


def _keep_marks_as_text(backend: Tokenizer) -> Tokenizer:
    """A user's text that spells a special token stays text."""
    backend.encode_special_tokens = True
    return backend


def _with_word_spaces(backend: Tokenizer) -> Tokenizer:
    """Each split word is tokenised as if after a space, which byte-level BPE must be told."""
    parts = json.loads(backend.to_str())

    def visit(node: object) -> None:
        if isinstance(node, dict):
            if node.get("type") == "ByteLevel":
                node["add_prefix_space"] = True
            if node.get("type") == "Metaspace":
                node["prepend_scheme"] = "always"
            for child in node.values():
                visit(child)
        elif isinstance(node, list):
            for child in node:
                visit(child)

    visit(parts.get("pre_tokenizer"))
    return Tokenizer.from_str(json.dumps(parts))


def _unknown_id(backend: Tokenizer) -> int:
    parts = json.loads(backend.to_str())["model"]
    if isinstance(parts.get("unk_id"), int):
        return int(parts["unk_id"])
    unknown = parts.get("unk_token")
    found = backend.token_to_id(unknown) if unknown else None
    return -1 if found is None else int(found)


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


def _word_starts(
    segment: Segment, encoded: Encoding, kept: int, offset: int, begin: int = 0
) -> list[int]:
    """Of each word the place of its first token, if it is one of the `kept` from `begin` on."""
    if isinstance(segment, str):
        return []
    first_token: dict[int, int] = {}
    for token, word in enumerate(encoded.word_ids):
        if word is not None:
            first_token.setdefault(word, token)
    num_encoded = len(encoded.word_ids)
    starts: list[int] = []
    before = 0
    for word in range(len(segment)):
        token = first_token.get(word, before)
        before = token
        is_cut = num_encoded > kept and not begin <= token < begin + kept
        starts.append(-1 if is_cut else min(max(token - begin, 0), max(kept - 1, 0)) + offset)
    return starts
