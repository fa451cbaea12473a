"""Word boundaries of raw text, for tasks that label words."""

import re
from collections.abc import Sequence

# Scripts written without spaces stand one character a word, as their tagging data sets do.
_UNSPACED = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003134f"
_MARKS = (
    r"\u0300-\u036f\u0483-\u0487\u0591-\u05bd\u05bf-\u05c7\u0610-\u061a\u064b-\u065f\u0670"
    r"\u06d6-\u06ed\u0900-\u0963\u0980-\u0dff\u0e31-\u0e3a\u0e47-\u0e4e\u200c\u200d"
)
_LETTER = rf"[^\W_{_UNSPACED}]"
_RUN = rf"{_LETTER}(?:{_LETTER}|[{_MARKS}])*"
_WORD = re.compile(
    rf"[{_UNSPACED}]|['’]s\b|[0-9#*]\ufe0f?\u20e3|[\U0001f1e6-\U0001f1ff]{{2}}"
    rf"|{_RUN}(?:(?!['’]s\b)(?:[,:](?=\d)|['’_.@/\-]+){_RUN})*"
    r"|\S(?:[\ufe0f\U0001f3fb-\U0001f3ff]|\u200d\S)*"
)
_FINE = re.compile(rf"[{_UNSPACED}]|{_RUN}|\S")
# ASCII only, and no address starts inside another: the time taken must grow with the text alone.
_URL = re.compile(r"https?://[!-~]*[\w/=&%#~+-]|(?<![\w.+-])[\w.+-]+@[\w-]+(?:\.[\w-]+)+", re.ASCII)


def split_words(text: str) -> list[tuple[int, int]]:
    """Character spans of the words of a text: runs of letters and digits, single marks, single Han.

    A mark between two letters or digits stays inside (`don't`, `3.5`, `0x80-07`, `e-mail`); a
    possessive or short `'s` stands apart. Web and mail addresses are one word.
    """
    spans: list[tuple[int, int]] = []
    position = 0
    for link in _URL.finditer(text):
        spans += _plain(text, position, link.start())
        spans.append(link.span())
        position = link.end()
    return spans + _plain(text, position, len(text))


def split_finely(text: str) -> list[tuple[int, int]]:
    """Character spans of runs of letters and digits, and of every other mark alone.

    Of every answer to a question that begins and ends with a letter, a digit or a mark there are
    first and last words.
    """
    return [match.span() for match in _FINE.finditer(text)]


def _plain(text: str, start: int, end: int) -> list[tuple[int, int]]:
    return [match.span() for match in _WORD.finditer(text, start, end)]


def joined_spans(words: Sequence[str]) -> list[tuple[int, int]]:
    """Character spans of words in the text that joins them with single spaces."""
    spans, position = [], 0
    for word in words:
        spans.append((position, position + len(word)))
        position += len(word) + 1
    return spans
