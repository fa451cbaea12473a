"""Cleaning of texts before they are tokenised, with the way back to the user's text."""

import html
import re
import unicodedata
from array import array
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Literal

from polytask.errors import ConfigError

_TAG_OR_ENTITY = re.compile(r"<!--[^<>]*-->|</?[A-Za-z][^<>]*>|&(?:#\d+|#[xX][\da-fA-F]+|\w+);")
_BREAKING_TAG = re.compile(
    r"</?(?:br|p|div|li|ul|ol|tr|td|th|table|h[1-6]|blockquote)\b", re.IGNORECASE
)
_FULL_WIDTH = re.compile(r"[\uff01-\uff5e\u3000]")
_LINE_BREAK = r"\r\n|[\t-\r\x85\u2028\u2029]"
_HIDDEN = (
    "\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f\xad\u061c\u180e\u200b\u200e\u200f"
    "\u202a-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
)
_JOINERS = "\u200c\u200d"
# Joiners shape Persian words and emoji: elsewhere they only hide.
_CONTROL = re.compile(
    rf"{_LINE_BREAK}|[{_HIDDEN}]|(?<![^\x00-\x7f{_HIDDEN}{_JOINERS}\x85\u2028\u2029])[{_JOINERS}]"
)
_URL = re.compile(
    r"(?:https?://|www\.)[\w.~:/?#\[\]@!$&'()*+,;=%-]*[\w/#=&%~+-]", re.ASCII | re.IGNORECASE
)
_USER = re.compile(r"(?<![A-Za-z0-9_.@])(?:@\w+)+")
# What may join the character before it although it is no combining mark: Hangul vowels and finals
# in their three forms, half-width voicing marks, Kirat Rai vowels.
_JOINING = re.compile(
    "[\u1160-\u11ff\u3131-\u318e\uffa0-\uffdc\uff9e\uff9f\U00016d63\U00016d67\U00016d68]"
)


@dataclass(frozen=True, slots=True)
class Cleaning:
    """What to clean from every text before it is tokenised. All off unless said.

    unicode: normal form to bring the text into.
    full_width: full-width forms to ASCII.
    html: tags dropped, those that break lines replaced by a space, entities unescaped.
    control: control and zero-width characters dropped, except joiners after a character that is not
    ASCII; tabs and line breaks to spaces.
    urls, users: placeholders for web addresses and for names such as `@name`.
    repeats: the longest run of one character that is kept; runs of digits are left alone.
    """

    unicode: Literal["NFC", "NFKC"] | None = None
    full_width: bool = False
    html: bool = False
    control: bool = False
    urls: str | None = None
    users: str | None = None
    repeats: int | None = None

    def __post_init__(self) -> None:
        if self.repeats is not None and self.repeats < 1:
            raise ConfigError(f"repeats: expected a number of at least 1, got {self.repeats}.")


@dataclass(frozen=True, slots=True)
class Cleaned:
    """A clean text, and for each of its characters the span of the original it came from.

    starts, ends: (characters,), neither ever falls. changes: how often each option had an effect.
    """

    text: str
    starts: "array[int]"
    ends: "array[int]"
    changes: Counter[str] = field(default_factory=Counter)

    def original_span(self, start: int, end: int) -> tuple[int, int]:
        """Where characters `start` to `end` (exclusive) of the clean text stand in the original."""
        if start < end:
            return self.starts[start], self.ends[end - 1]
        position = self.starts[start] if start < len(self.text) else (self.ends or [0])[-1]
        return position, position


_Edit = tuple[int, int, str]
"""A span of the current text and what takes its place."""

_Step = Callable[[str], Iterator[_Edit]]


def clean(text: str, options: Cleaning) -> Cleaned:
    """A text cleaned as asked for, with the way back to the original."""
    whole = range(len(text))
    result = Cleaned(text, array("q", whole), array("q", (i + 1 for i in whole)))
    for name, step in _steps(options):
        edits = list(step(result.text))
        if edits:
            result = _edited(result, edits, name)
    return result


def _steps(options: Cleaning) -> Iterator[tuple[str, _Step]]:
    if options.html:
        yield "html", _replace(_TAG_OR_ENTITY, _plain)
    if options.unicode is not None:
        yield "unicode", _normalise(options.unicode)
    if options.full_width:
        yield "full_width", _replace(_FULL_WIDTH, _narrow)
    if options.control:
        yield "control", _replace(_CONTROL, _visible)
    if options.urls is not None:
        yield "urls", _replace(_URL, _always(options.urls))
    if options.users is not None:
        yield "users", _replace(_USER, _always(options.users))
    if options.repeats is not None:
        run = re.compile(rf"([^\d])\1{{{options.repeats},}}", re.DOTALL)
        yield "repeats", _replace(run, _first(options.repeats))


def _edited(before: Cleaned, edits: list[_Edit], name: str) -> Cleaned:
    pieces: list[str] = []
    starts, ends = array("q"), array("q")
    position = 0
    for start, end, new in [*edits, (len(before.text), len(before.text), "")]:
        pieces += (before.text[position:start], new)
        starts += before.starts[position:start]
        ends += before.ends[position:start]
        if new:
            first, last = before.original_span(start, end)
            starts.extend([first] * len(new))
            ends.extend([last] * len(new))
        position = end
    return Cleaned("".join(pieces), starts, ends, before.changes + Counter({name: len(edits)}))


def _replace(pattern: re.Pattern[str], new: Callable[[str], str]) -> _Step:
    def step(text: str) -> Iterator[_Edit]:
        for match in pattern.finditer(text):
            replacement = new(match[0])
            if replacement != match[0]:
                yield match.start(), match.end(), replacement

    return step


def _normalise(form: Literal["NFC", "NFKC"]) -> _Step:
    def step(text: str) -> Iterator[_Edit]:
        if unicodedata.is_normalized(form, text):
            return
        start = 0
        for end in [*filter(lambda i: _stands_alone(text[i]), range(1, len(text))), len(text)]:
            new = unicodedata.normalize(form, text[start:end])
            if new != text[start:end]:
                yield start, end, new
            start = end

    return step


def _stands_alone(character: str) -> bool:
    """Whether normalising a text up to this character and from it on gives the same as at once."""
    if character.isascii():
        return True
    return unicodedata.category(character)[0] != "M" and not _JOINING.match(character)


def _plain(markup: str) -> str:
    if markup[0] == "&":
        return html.unescape(markup)
    return " " if _BREAKING_TAG.match(markup) else ""


def _narrow(character: str) -> str:
    return " " if character == "\u3000" else chr(ord(character) - 0xFEE0)


def _visible(control: str) -> str:
    return " " if re.fullmatch(_LINE_BREAK, control) else ""


def _always(placeholder: str) -> Callable[[str], str]:
    return lambda _: placeholder


def _first(length: int) -> Callable[[str], str]:
    return lambda run: run[:length]
