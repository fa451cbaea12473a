"""What a task gives without training an encoder: the scores that no model should lose to."""

import math
import re
import warnings
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from scipy.sparse import csr_matrix, hstack, issparse
from sklearn.exceptions import ConvergenceWarning
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.multiclass import OneVsRestClassifier
from sklearn.neighbors import KNeighborsClassifier

from polytask.build import task_records
from polytask.data.cleaning import Cleaning
from polytask.data.dataset import Splits
from polytask.data.feed import LiveRows
from polytask.data.records import Records
from polytask.data.views import text_view
from polytask.encoders import Encoder
from polytask.evaluation.predict import embed
from polytask.heads import Head, Plain
from polytask.tasks import Task

STRENGTHS = (1.0, 10.0, 100.0)
"""Inverse strengths of regularisation that are tried; dev chooses."""
_CHINESE = re.compile(r"[\u3040-\u30ff\u3400-\u9fff]")
_MOSTLY = 0.3

Segments = tuple[str, ...]
Matrix = Any
"""Features by record, (records, features), dense or sparse."""
Features = Callable[[Sequence[Segments]], Matrix]


class _Model(Protocol):
    """What scikit-learn's models have."""

    def fit(self, inputs: Matrix, values: Matrix) -> object: ...
    def predict(self, inputs: Matrix) -> np.ndarray: ...


@dataclass(frozen=True, slots=True)
class Floor:
    """The headline of a simple model on test."""

    name: str
    score: float


@dataclass(frozen=True, slots=True)
class _Part:
    """The records of a split that have gold labels: their texts, words, and labels."""

    texts: Sequence[Segments]
    words: Sequence[Sequence[str]]
    golds: Sequence[object]


def floors(
    task: Task, splits: Splits, cleaning: Cleaning | None, encoder: Encoder | None
) -> list[Floor]:
    """Simple models of a task, trained on train, chosen on dev, scored on test.

    TF-IDF over words, or over one and two characters of Chinese and Japanese, with logistic or
    ridge regression; the most frequent label of each word; and of an `encoder` that is not trained
    for the task, unless that is None, the nearest neighbour, the cosine of a pair, and a linear
    probe of mean states. Nothing for tasks that these cannot do, nor where train has one label
    alone, or dev no score. The head must know its labels.
    """
    plain = task.head.plain
    if plain is None or splits.test is None:
        return []
    train, dev, test = (
        _read(task, one, cleaning) for one in (splits.train, splits.dev, splits.test)
    )
    if not train.golds or not dev.golds or not test.golds:
        return []
    if plain.shape == "words":
        return [Floor("most frequent label", _of_words(task.head, plain, train, test))]
    if not _can_be_learned(plain, np.array([plain.value(gold) for gold in train.golds])):
        return []
    features: dict[str, Features] = {"TF-IDF": _tfidf(train.texts)}
    if encoder is not None:
        features["untrained encoder"] = _states(encoder)
    scores = {
        name: _best(task.head, plain, made, (train, dev, test)) for name, made in features.items()
    }
    return [Floor(name, score) for name, score in scores.items() if math.isfinite(score)]


def _read(task: Task, records: Records, cleaning: Cleaning | None) -> _Part:
    texts: list[Segments] = []
    words: list[list[str]] = []
    golds: list[object] = []
    for record in task_records(task, records):
        gold = task.head.gold(record)
        plain = task.head.plain
        if gold is None or (plain is not None and plain.value(gold) is None):
            continue
        segments = [part for row in task.head.view.rows(record, cleaning) for part in row]
        texts.append(tuple(one if isinstance(one, str) else " ".join(one) for one in segments))
        words.append([] if isinstance(segments[0], str) else list(segments[0]))
        golds.append(gold)
    return _Part(texts, words, golds)


def _can_be_learned(plain: Plain, values: np.ndarray) -> bool:
    """Whether there are two labels, or each number is somewhere."""
    if plain.shape == "numbers":
        return not np.isnan(values).all(axis=0).any()
    return plain.shape != "label" or len(set(values.tolist())) > 1


def _of_words(head: Head, plain: Plain, train: _Part, test: _Part) -> float:
    """Each word gets its most frequent label in train, a new one that of all words."""
    counts: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for words, gold in zip(train.words, train.golds, strict=True):
        for word, label in zip(words, plain.value(gold), strict=True):
            counts[word][label] += 1
    most: Counter[str] = Counter()
    for found in counts.values():
        most += found
    [(usual, _)] = most.most_common(1)
    best = {word: found.most_common(1)[0][0] for word, found in counts.items()}
    answers = [plain.answer([best.get(word, usual) for word in words]) for words in test.words]
    return head.score(test.golds, answers).headline[1]


def _best(
    head: Head,
    plain: Plain,
    features: Features,
    parts: tuple[_Part, _Part, _Part],
) -> float:
    """The score on test of the model that is best on dev; nan counts as the least."""
    train, dev, test = parts
    inputs, to_choose, to_score = (features(part.texts) for part in parts)
    values = np.array([plain.value(gold) for gold in train.golds])
    best: tuple[float, Callable[[], float]] = (-math.inf, lambda: math.nan)
    for columns, model in _models(plain, inputs, len(train.texts[0])):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            warnings.simplefilter("ignore", UserWarning)  # a label that train never has
            model.fit(inputs[:, columns], values)

        def score(part: _Part, rows: Matrix, model: _Model = model, at: slice = columns) -> float:
            answers = [plain.answer(one) for one in _said(plain, model, rows[:, at])]
            if part is dev:
                answers = list(head.tune(dev.golds, answers))
            return head.score(part.golds, answers).headline[1]

        def on_test(score: Callable[[_Part, Matrix], float] = score) -> float:
            score(dev, to_choose)  # what the head fits to dev is that of this model again
            return score(test, to_score)

        found = score(dev, to_choose)
        if found > best[0]:
            best = (found, on_test)
    return best[1]()


def _models(plain: Plain, inputs: Matrix, num_segments: int) -> Iterator[tuple[slice, _Model]]:
    """Models with the columns that they see; the last column of a pair is its cosine."""
    width = inputs.shape[1]
    everything = slice(0, width)
    for strength in STRENGTHS:
        logistic = LogisticRegression(C=strength, max_iter=1000)
        yield (
            everything,
            {
                "label": logistic,
                "labels": OneVsRestClassifier(logistic),
                "numbers": _Numbers(1 / strength),
            }[plain.shape],
        )
    if plain.shape == "label" and not issparse(inputs):
        yield everything, KNeighborsClassifier(1, metric="cosine")
    if num_segments == 2 and plain.shape == "numbers":
        yield slice(width - 1, width), _Numbers(1e-6)


class _Numbers:
    """A ridge regression for each number, on the rows that have it."""

    def __init__(self, alpha: float) -> None:
        self._alpha = alpha

    def fit(self, inputs: Matrix, values: np.ndarray) -> None:
        self._models = []
        for column in values.T:
            known = ~np.isnan(column)
            self._models.append(Ridge(alpha=self._alpha).fit(inputs[known], column[known]))

    def predict(self, inputs: Matrix) -> np.ndarray:
        return np.stack([model.predict(inputs) for model in self._models], axis=1)


def _said(plain: Plain, model: Any, inputs: Matrix) -> list[Any]:
    if plain.shape == "labels":
        return list(model.predict_proba(inputs)[:, -len(model.estimators_) :].tolist())
    return list(model.predict(inputs).tolist())


def _tfidf(train: Sequence[Segments]) -> Features:
    texts = [text for segments in train for text in segments]
    num_chinese = sum(len(_CHINESE.findall(text)) for text in texts)
    if num_chinese > _MOSTLY * sum(map(len, texts)):
        vectoriser = TfidfVectorizer(analyzer="char", ngram_range=(1, 2))
    else:
        words = re.compile(r"\b\w\w+\b")
        has_words = any(words.search(text) for text in texts)
        vectoriser = TfidfVectorizer(
            sublinear_tf=True, token_pattern=words.pattern if has_words else r"\S"
        )
    vectoriser.fit(texts)

    def features(texts: Sequence[Segments]) -> Matrix:
        sides = [vectoriser.transform(one) for one in zip(*texts, strict=True)]
        if len(sides) == 1:
            return sides[0].tocsr()
        left, right = sides
        product = left.multiply(right)
        return hstack([abs(left - right), product, csr_matrix(product.sum(axis=1))]).tocsr()

    return features


def _states(encoder: Encoder) -> Features:
    view = text_view("text", None)

    def side(texts: Sequence[str]) -> np.ndarray:
        rows = LiveRows(
            "texts",
            [{"text": text} for text in texts],
            view,
            tokeniser=encoder.tokeniser,
            cleaning=None,
        )
        return embed(encoder, rows)

    def features(texts: Sequence[Segments]) -> Matrix:
        sides = [side(one) for one in zip(*texts, strict=True)]
        if len(sides) == 1:
            return sides[0]
        left, right = sides
        product = left * right
        return np.hstack([abs(left - right), product, product.sum(axis=1, keepdims=True)])

    return features
