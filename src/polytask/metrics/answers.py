"""How well answers to questions meet gold answers; an empty text is no answer."""

import math
import re
import string
import unicodedata
from collections import Counter
from collections.abc import Sequence

_ARTICLES = re.compile(r"\b(a|an|the)\b")
_PUNCTUATION = str.maketrans("", "", string.punctuation)
_UNSPACED = r"\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
_CHARACTER = re.compile(f"[{_UNSPACED}]")
_TOKEN = re.compile(rf"[{_UNSPACED}]|[^\W{_UNSPACED}]+")


def answer_metrics(gold: Sequence[Sequence[str]], predicted: Sequence[str]) -> dict[str, float]:
    """Mean F1 and exact match, each the best over the gold answers of a question; nan without any.

    A question without gold answers is answered right by the empty text alone. By the rules of
    SQuAD (Rajpurkar et al., EMNLP 2016, and ACL 2018): case, ASCII punctuation and articles do not
    count, F1 is that of words. Where gold answers hold Chinese or Japanese characters by those of
    CMRC 2018 (Cui et al., EMNLP 2019): punctuation does not count, and F1 is that of the longest
    common run of characters (words of other scripts).
    """
    scores = [_best(golds, answer) for golds, answer in zip(gold, predicted, strict=True)]
    if not scores:
        return {"f1": math.nan, "exact_match": math.nan}
    return {
        "f1": math.fsum(f1 for f1, _ in scores) / len(scores),
        "exact_match": math.fsum(exact for _, exact in scores) / len(scores),
    }


def _best(golds: Sequence[str], answer: str) -> tuple[float, float]:
    if not golds or not answer:
        is_right = float(not golds and not answer)
        return is_right, is_right
    measure = _by_characters if any(map(_CHARACTER.search, golds)) else _by_words
    found = [measure(gold, answer) for gold in golds]
    return max(f1 for f1, _ in found), max(exact for _, exact in found)


def _by_words(gold: str, answer: str) -> tuple[float, float]:
    one, other = _words(gold), _words(answer)
    if not one or not other:  # only articles or punctuation
        return float(one == other), float(one == other)
    num_shared = (Counter(one) & Counter(other)).total()
    return 2 * num_shared / (len(one) + len(other)), float(one == other)


def _words(text: str) -> list[str]:
    return _ARTICLES.sub(" ", text.lower().translate(_PUNCTUATION)).split()


def _by_characters(gold: str, answer: str) -> tuple[float, float]:
    one, other = _TOKEN.findall(_bare(gold)), _TOKEN.findall(_bare(answer))
    if not one or not other:
        return float(one == other), float(one == other)
    longest, lengths = 0, [0] * (len(other) + 1)
    for token in one:
        before = lengths
        lengths = [0] + [
            before[i] + 1 if token == candidate else 0 for i, candidate in enumerate(other)
        ]
        longest = max(longest, *lengths)
    return 2 * longest / (len(one) + len(other)), float(_bare(gold) == _bare(answer))


def _bare(text: str) -> str:
    """Lower case, without punctuation, symbols and spaces around them."""
    kept = [c for c in text.lower() if unicodedata.category(c)[0] not in "PS"]
    return " ".join("".join(kept).split())
