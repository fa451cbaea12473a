"""Views of several parts: marked spans, a passage and a question, candidates, texts apart."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import cast

from polytask.data.cleaning import Cleaning
from polytask.data.columns import SPAN, TEXT, TEXTS, Need
from polytask.data.records import Record
from polytask.data.views import Row, View, cleaned
from polytask.data.words import split_finely

_MARKS = (("@", "*"), ("#", "^"))
"""Of the first and the second span: what stands around it, and around its type."""

OPENING = (1, 5)
"""The pieces of a marked row that open its two spans, in the order of the text."""


@dataclass(frozen=True, slots=True)
class MarkedView(View):
    """One text with two of its spans between marks: a row of pieces, the marks among them.

    The marks hold the type of a span if it has one: `@ * city * Oslo @`, `# ^ person ^ Ann #`.
    Source: Zhou and Chen, "An Improved Baseline for Sentence-level Relation Extraction" (AACL
    2022).
    """

    text: str
    spans: tuple[str, str]

    @property
    def needs(self) -> Mapping[str, Need]:
        """The text and its spans."""
        return {
            self.text: Need(TEXT, required=True),
            **{span: Need(SPAN, required=True) for span in self.spans},
        }

    @property
    def source(self) -> str:
        """The text, and which spans are marked."""
        return f"{self.text}[{','.join(self.spans)}]"

    @property
    def has_words(self) -> bool:
        """Pieces have places like words."""
        return True

    def rows(self, record: Record, cleaning: Cleaning | None) -> list[Row]:
        """One row of eleven pieces; `OPENING` are the marks before the spans, as they come.

        Spans may lie apart, one in the other, or overlap; any piece of text may be empty.
        """
        text = cast(str, record[self.text])
        given = [cast(Mapping[str, object], record[span]) for span in self.spans]
        ends = [(cast(int, span["start"]), cast(int, span["end"])) for span in given]
        one, other = sorted((0, 1), key=lambda i: (ends[i][0], -ends[i][1]))
        (begin, end), (inner, last) = ends[one], ends[other]
        opens, closes = zip(*map(_marks, (0, 1), given), strict=True)

        def part(start: int, stop: int | None) -> str:
            return cleaned(text[start:stop], cleaning)

        if end <= inner:
            held = [part(begin, end), closes[one], part(end, inner), opens[other]]
            held += [part(inner, last), "", "", closes[other]]
        else:
            near, far = sorted((end, last))
            order = (other, one) if last <= end else (one, other)
            held = [part(begin, inner), "", "", opens[other]]
            held += [part(inner, near), closes[order[0]], part(near, far), closes[order[1]]]
        return [([part(0, begin), opens[one], *held, part(max(end, last), None)],)]


def _marks(place: int, span: Mapping[str, object]) -> tuple[str, str]:
    """What opens and what closes the first or the second span."""
    outer, inner = _MARKS[place]
    kind = f" {inner} {span['label']} {inner}" if span.get("label") else ""
    return outer + kind, outer


@dataclass(frozen=True, slots=True)
class PassageView(View):
    """A question about a passage: the passage, split finely, first, in windows if it is long."""

    passage: str
    question: str

    @property
    def needs(self) -> Mapping[str, Need]:
        """Passage and question."""
        return {column: Need(TEXT, required=True) for column in (self.passage, self.question)}

    @property
    def source(self) -> str:
        """Both columns."""
        return f"{self.question}?{self.passage}"

    @property
    def has_whole_texts(self) -> bool:
        """Never: an answer is looked for in each window."""
        return False

    @property
    def has_words(self) -> bool:
        """The passage is split."""
        return True

    def rows(self, record: Record, cleaning: Cleaning | None) -> list[Row]:
        """The words of the passage, then the question."""
        text, offsets = self.words(record)
        words = [cleaned(text[start:end], cleaning) for start, end in offsets]
        return [(words, cleaned(cast(str, record[self.question]), cleaning))]

    def words(self, record: Record) -> tuple[str, list[tuple[int, int]]]:
        """The passage and the character span of each of its words."""
        text = cast(str, record[self.passage])
        return text, split_finely(text)


@dataclass(frozen=True, slots=True)
class CandidatesView(View):
    """A text beside each of its candidates: as many rows as there are candidates."""

    text: str
    candidates: str

    @property
    def needs(self) -> Mapping[str, Need]:
        """The text and the list of candidates."""
        return {
            self.text: Need(TEXT, required=True),
            self.candidates: Need(TEXTS, required=True),
        }

    @property
    def source(self) -> str:
        """Both columns."""
        return f"{self.text}*{self.candidates}"

    @property
    def has_words(self) -> bool:
        """Texts are not split."""
        return False

    def rows(self, record: Record, cleaning: Cleaning | None) -> list[Row]:
        """The text with the first candidate, with the second, and so on."""
        text = cleaned(cast(str, record[self.text]), cleaning)
        candidates = cast(Sequence[str], record[self.candidates])
        return [(text, cleaned(candidate, cleaning)) for candidate in candidates]


@dataclass(frozen=True, slots=True)
class TowersView(View):
    """One text or two, each in a row of its own, and more rows for texts that do not belong."""

    columns: tuple[str, ...]
    negatives: str | None = None

    @property
    def needs(self) -> Mapping[str, Need]:
        """The texts; negatives may be missing."""
        needs = {column: Need(TEXT, required=True) for column in self.columns}
        return needs | ({self.negatives: Need(TEXTS, required=False)} if self.negatives else {})

    @property
    def source(self) -> str:
        """The columns."""
        extra = "" if self.negatives is None else f"-{self.negatives}"
        return "|".join(self.columns) + extra

    @property
    def has_words(self) -> bool:
        """Texts are not split."""
        return False

    def texts(self, record: Record) -> list[str]:
        """The texts of all rows."""
        negatives = record.get(self.negatives) if self.negatives else None
        own = [cast(str, record[column]) for column in self.columns]
        return own + list(cast(Sequence[str], negatives or ()))

    def rows(self, record: Record, cleaning: Cleaning | None) -> list[Row]:
        """A row for each text."""
        return [(cleaned(text, cleaning),) for text in self.texts(record)]
