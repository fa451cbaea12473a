"""Spans as pairs of words: what spans and relations between spans are scored and read by."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations
from typing import Literal, cast

import torch
from torch import Tensor
from torch.nn import functional as nnf

from polytask.data.batching import NO_WORD, Inputs
from polytask.heads.head import Prediction
from polytask.heads.probable import Chance
from polytask.metrics.entities import Span

Overlap = Literal["none", "nested", "crossing"]
"""How spans of one text may share characters."""

Offsets = Sequence[tuple[int, int]]
"""The characters of each word of a text."""

_LOOSEST_FIRST: Sequence[Overlap] = ("crossing", "nested", "none")


def overlap_of(one: Span, other: Span) -> Overlap:
    """How two spans share words."""
    if one.end <= other.start or other.end <= one.start:
        return "none"
    is_inside = one.start >= other.start and one.end <= other.end
    holds = one.start <= other.start and one.end >= other.end
    return "nested" if is_inside or holds else "crossing"


def spans_in(value: object) -> list[Span]:
    """The spans of a value of a span column, or of a prediction."""
    return [
        Span(cast(str, one["label"]), cast(int, one["start"]), cast(int, one["end"]))
        for one in cast(Sequence[Mapping[str, object]], value)
    ]


def span_fault(text: str, value: object) -> str | None:
    """A span without a type or outside of its text, or one that is not the text it says it is."""
    for place, one in enumerate(cast(Sequence[Mapping[str, object]], value), 1):
        start, end = cast(int, one["start"]), cast(int, one["end"])
        if one["label"] is None:
            return f"span {place}: has no `label`"
        if end > len(text):
            return f"span {place}: ends at {end}, but the text has {len(text)} characters"
        if one["text"] is not None and one["text"] != text[start:end]:
            return f"span {place}: characters {start} to {end} are '{text[start:end]}'"
    return None


def words_of(span: Span, offsets: Offsets) -> tuple[int, int]:
    """First and last of the words that a span covers, whole or in part."""
    first = bisect_right([end for _, end in offsets], span.start)
    last = bisect_left([start for start, _ in offsets], span.end) - 1
    return first, max(first, last)


def is_of_words(span: Span, offsets: Offsets) -> bool:
    """Whether a span begins and ends with words."""
    first, last = words_of(span, offsets)
    return last < len(offsets) and (offsets[first][0], offsets[last][1]) == (span.start, span.end)


def inside_words(num: int, noun: str) -> list[str]:
    """The warning that so many spans are not those of whole words, if there are any."""
    told = f"{num} {noun} begin or end inside a word; they are learned as whole words"
    return [told] if num else []


def zlpr(scores: Tensor, is_right: Tensor) -> Tensor:
    """log(1 + sum of exp(s) where wrong) + log(1 + sum of exp(-s) where right).

    (records, pairs, types) to (records, types).
    """
    signed = torch.where(is_right, -scores, scores)  # (records, pairs, types)
    right, wrong = (
        nnf.pad(signed.masked_fill(is_other, -torch.inf), (0, 0, 1, 0)).logsumexp(1)
        for is_other in (~is_right, is_right)
    )
    return right + wrong


def pair_surprise(scores: Tensor, is_right: Tensor, temperature: float) -> Tensor:
    """Negative log likelihood of what pairs of words are, each by itself, a scalar."""
    return nnf.binary_cross_entropy_with_logits(
        scores.float() / temperature, is_right.float(), reduction="sum"
    )


def span_chances(gold: Sequence[Span], found: object) -> list[Chance]:
    """Those of the spans of a prediction."""
    shown = cast(Sequence[Mapping[str, float]], found)
    return [
        (one["probability"], span in gold) for one, span in zip(shown, spans_in(found), strict=True)
    ]


def overlap_among(spans: Sequence[Span]) -> Overlap:
    """The freest way in which two spans of a text share words."""
    return loosest(overlap_of(*pair) for pair in combinations(spans, 2))


def loosest(overlaps: Iterable[Overlap]) -> Overlap:
    """The freest of some ways to overlap, `none` without any."""
    found = {*overlaps, "none"}
    return next(kind for kind in _LOOSEST_FIRST if kind in found)


def both_there(inputs: Inputs) -> Tensor:
    """Whether both words of a pair are there: (records, words, words, 1)."""
    there = inputs.word_starts != NO_WORD  # (records, words)
    return (there.unsqueeze(2) & there.unsqueeze(1)).unsqueeze(3)


def read_spans(
    scores: Tensor, offsets: Offsets, labels: Sequence[str], overlap: Overlap
) -> dict[Span, float]:
    """Spans with a score above 0 by (first word, last word, type), likelier ones first.

    At most as many as words times types; one that overlaps a likelier one more freely than
    `overlap` is left out.
    """
    flat = scores.flatten()
    best, places = flat.topk(min(len(offsets) * len(labels), len(flat)))
    kept: dict[Span, float] = {}
    for score, place in zip(best.tolist(), places.tolist(), strict=True):
        if score <= 0:
            break
        pair, label = divmod(place, len(labels))
        first, last = divmod(pair, scores.shape[1])
        span = Span(labels[label], offsets[first][0], offsets[last][1])
        if all(_is_allowed(span, other, overlap) for other in kept):
            kept[span] = score
    return kept


def shown_span(text: str, span: Span, score: float) -> Prediction:
    """A span as predictions hold it."""
    return {
        "label": span.label,
        "text": text[span.start : span.end],
        "start": span.start,
        "end": span.end,
        "probability": probability(score),
    }


def probability(score: float) -> float:
    """The logistic function of a score, to six digits."""
    return round(torch.tensor(score).sigmoid().item(), 6)


def in_order(spans: Iterable[Span]) -> list[Span]:
    """Spans as they come in the text, the longer first where they begin together."""
    return sorted(spans, key=lambda one: (one.start, -one.end, one.label))


def _is_allowed(span: Span, other: Span, overlap: Overlap) -> bool:
    return _LOOSEST_FIRST.index(overlap_of(span, other)) >= _LOOSEST_FIRST.index(overlap)
