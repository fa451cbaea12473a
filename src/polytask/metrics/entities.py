"""Entities that word labels spell (BIO, IOB1, BIOES), and how well predicted ones meet gold ones.

An entity label is `O`, or one of B, I, E and S with a type after the first `-`: `B-PER`,
`I-PER-NOM`. Without a type (`B`, `I`) the type is `_`.
"""

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

from polytask.errors import DataError
from polytask.metrics.table import Row, Table


@dataclass(frozen=True, slots=True)
class Span:
    """An entity: its type, its first word (or character) and the one after its last, from 0."""

    label: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Triple:
    """A relation: its label, and the entities it goes from and to."""

    label: str
    head: Span
    tail: Span


class _Tag(NamedTuple):
    prefix: str
    label: str


_OUTSIDE = _Tag("O", "")
_Found = Sequence[Sequence[Span | Triple]]


def spans_of(tags: Sequence[str | None]) -> list[Span]:
    """The entities of a sentence by the rules of conlleval, which are seqeval's without a mode.

    An I- or E- that continues nothing begins an entity. None, a word that was cut off, is outside.
    Raises DataError at a label of no entity scheme. Source: Tjong Kim Sang and Buchholz,
    "Introduction to the CoNLL-2000 Shared Task: Chunking" (CoNLL 2000).
    """
    spans: list[Span] = []
    start, before = 0, _OUTSIDE
    for place, tag in enumerate([*tags, None]):
        after = _OUTSIDE if tag is None else _split(tag)
        if after is None:
            raise DataError(
                f"word {place + 1}: '{tag}' is no entity label. Expected O, or B, I, E or S and a "
                "type, as in B-PER."
            )
        if not _continues(before, after):
            if before.prefix != "O":
                spans.append(Span(before.label, start, place))
            start = place
        before = after
    return spans


def is_entity_scheme(labels: Iterable[str]) -> bool:
    """Whether all labels are entity labels, and one of them begins an entity."""
    tags = [_split(label) for label in labels]
    return None not in tags and any(tag.prefix == "B" for tag in tags if tag)


def may_follow(before: str, after: str, *, closes: bool = False) -> bool:
    """Whether a sentence may hold label `after` right behind `before`; its ends count as O.

    I- and E- must continue an entity of their type. With `closes` (BIOES) B- and I- must be
    continued, too.
    """
    one, other = _split(before) or _OUTSIDE, _split(after) or _OUTSIDE
    must_continue = other.prefix in "IE" or (closes and one.prefix in "BI")
    return not must_continue or _continues(one, other)


def bio_fault(tags: Sequence[str]) -> str | None:
    """The first I- or E- that continues nothing, in plain words; None if there is none."""
    for place, (before, after) in enumerate(pairwise(["O", *tags]), 1):
        if not may_follow(before, after):
            return f"word {place}: '{after}' does not continue an entity of that type"
    return None


def repair_bio(tags: Sequence[str]) -> tuple[list[str], int]:
    """The labels without the faults that `bio_fault` finds, and how many there were.

    An I- that continues nothing becomes B-, an E- becomes S-: the entities stay what they are.
    """
    legal = [may_follow(before, after) for before, after in pairwise(["O", *tags])]
    opened = {"I": "B", "E": "S"}
    repaired = [
        tag if is_legal else opened[tag[0]] + tag[1:]
        for tag, is_legal in zip(tags, legal, strict=True)
    ]
    return repaired, legal.count(False)


def entity_table(gold: Sequence[Sequence[str]], predicted: Sequence[Sequence[str | None]]) -> Table:
    """`span_table` of the entities that word labels spell."""
    if list(map(len, gold)) != list(map(len, predicted)):
        raise ValueError("gold and predicted sentences differ in number or length")
    return span_table(list(map(spans_of, gold)), list(map(spans_of, predicted)))


def span_table(gold: _Found, predicted: _Found) -> Table:
    """Precision, recall, F1 and support of each type of span or relation, and the micro average.

    A predicted span is right if a gold one of the same text has its type and both its ends, a
    relation if one has its label and both its entities, types too. 0 / 0 is 0; without any text
    the average is nan.
    """
    num_right, num_found, num_gold = Counter[str](), Counter[str](), Counter[str]()
    for some, answers in zip(gold, predicted, strict=True):
        truth, found = set(some), set(answers)
        num_right.update(one.label for one in truth & found)
        num_found.update(one.label for one in found)
        num_gold.update(one.label for one in truth)
    rows = [
        _row(label, num_right[label], num_found[label], num_gold[label])
        for label in sorted({*num_gold, *num_found})
    ]
    micro = _row("micro", num_right.total(), num_found.total(), num_gold.total())
    nothing = Row("micro", math.nan, math.nan, math.nan, 0)
    return Table(rows=tuple(rows), averages=(micro if gold else nothing,))


def _row(label: str, num_right: int, num_found: int, num_gold: int) -> Row:
    return Row(
        label,
        precision=num_right / max(num_found, 1),
        recall=num_right / max(num_gold, 1),
        f1=2 * num_right / max(num_found + num_gold, 1),
        support=num_gold,
    )


def _split(tag: str) -> _Tag | None:
    prefix, _, label = tag.partition("-")
    if prefix in {"B", "I", "E", "S"}:
        return _Tag(prefix, label or "_")
    return _OUTSIDE if tag == "O" else None


def _continues(before: _Tag, after: _Tag) -> bool:
    return before.prefix in "BI" and after.prefix in "IE" and before.label == after.label
