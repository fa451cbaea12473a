"""`kind: lemma`: the dictionary form of each word."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, cast

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as nnf

from polytask.data.batching import NO_WORD, Inputs
from polytask.data.columns import LABELS, Need
from polytask.data.records import Record
from polytask.data.views import text_view, word_spans, word_texts
from polytask.errors import DataError
from polytask.heads.edits import apply_script, script_of
from polytask.heads.head import IGNORE, Gold, PlainHead, Prediction, Scores, word_states
from polytask.heads.probable import Chance, TemperedHead, word_chances
from polytask.metrics.classes import accuracy

_TRIES = 8
"""How many scripts, the likeliest first, are tried on a word before it stays as it is."""


class Lemma(PlainHead, TemperedHead):
    """The lemma of each word, by a script of edits learned from train: a classification."""

    def __init__(
        self,
        *,
        words: str,
        lemmas: str = "lemma",
        min_count: Annotated[int, Field(ge=1)] = 2,
        dropout: Annotated[float, Field(ge=0, lt=1)] = 0.1,
    ) -> None:
        super().__init__()
        self.view = text_view(None, words)
        self.words = words
        self.column = lemmas
        self.min_count = min_count
        self.dropout = nn.Dropout(dropout)
        self.scripts: list[str] = []

    @property
    def needs(self) -> Mapping[str, Need]:
        """The column of lemmas."""
        return {self.column: Need(LABELS, required=False)}

    @property
    def headline(self) -> str:
        """Accuracy."""
        return "accuracy"

    @property
    def num_classes(self) -> int:
        """The scripts."""
        return len(self.scripts)

    def fit(self, records: Iterable[Record]) -> list[str]:
        """Learns the scripts that occur often enough, the most frequent first."""
        counts: Counter[str] = Counter()
        for record in records:
            counts.update(self._scripts(record))
        kept = {script: num for script, num in counts.items() if num >= self.min_count}
        if not kept:
            raise DataError(
                f"column '{self.column}' holds no lemma that is made like {self.min_count} of its "
                "words"
            )
        self.scripts = sorted(kept, key=lambda script: (-kept[script], script))
        rare = counts.total() - sum(kept.values())
        return [f"{rare} lemmas are made in too rare a way to be learned"] if rare else []

    def facts(self) -> dict[str, object]:
        """The scripts."""
        return {"scripts": self.scripts}

    def restore(self, facts: Mapping[str, object]) -> None:
        """Takes back the scripts."""
        self.scripts = list(cast(list[str], facts["scripts"]))

    def attach(self, width: int) -> None:
        """One linear layer."""
        self.project = nn.Linear(width, len(self.scripts))
        self.index = {script: i for i, script in enumerate(self.scripts)}

    def problem(self, record: Record) -> str | None:
        """Not one lemma a word."""
        lemmas, num_words = self.gold(record), len(word_texts(record[self.words]))
        if lemmas is None or len(lemmas) == num_words:
            return None
        return f"{num_words} words but {len(lemmas)} lemmas in column '{self.column}'"

    def gold(self, record: Record) -> list[str] | None:
        """One lemma a word."""
        return cast(list[str] | None, record.get(self.column))

    def targets(self, records: Sequence[Record], inputs: Inputs) -> dict[str, Tensor]:
        """scripts: (records, words)."""
        scripts = torch.full_like(inputs.word_starts, IGNORE)  # (records, words)
        for row, record in enumerate(records):
            places = [self.index.get(script, IGNORE) for script in self._scripts(record)]
            scripts[row, : len(places)] = torch.tensor(places, dtype=torch.long)
        return {"scripts": scripts.masked_fill(inputs.word_starts == NO_WORD, IGNORE)}

    def count(self, targets: Mapping[str, Tensor]) -> int:
        """Words with a lemma that can be learned, and that were not cut off."""
        return int((targets["scripts"] != IGNORE).sum())

    def forward(self, hidden: Tensor, inputs: Inputs) -> Tensor:
        """Logits of the scripts: (records, words, scripts)."""
        words = self.dropout(word_states(hidden, inputs))  # (records, words, width)
        logits: Tensor = self.project(words)
        return logits

    def loss(self, logits: Tensor, targets: Mapping[str, Tensor]) -> Tensor:
        """Cross-entropy of each word."""
        return nnf.cross_entropy(
            logits.float().flatten(0, 1),
            targets["scripts"].flatten(),
            ignore_index=IGNORE,
            reduction="sum",
        )

    def decode(self, logits: Tensor, records: Sequence[Record], inputs: Inputs) -> list[Prediction]:
        """`{"lemmas": [...], "probabilities": [...], "words": [...]}`.

        The probability is that of the script; a word that was cut off has None and 0.
        """
        best = logits.topk(min(_TRIES, len(self.scripts)), dim=-1).indices  # (records, words, k)
        top = (logits.float() / self.temperature).softmax(-1).gather(-1, best)
        has_word = (inputs.word_starts != NO_WORD).tolist()
        return [
            self._prediction(record, row, there)
            for record, row, there in zip(
                records, map(_paired, best.tolist(), top.tolist()), has_word, strict=True
            )
        ]

    def _prediction(
        self,
        record: Record,
        best: Sequence[Sequence[tuple[int, float]]],
        has_word: Sequence[bool],
    ) -> Prediction:
        text, offsets = word_spans(record[self.words])
        words = [text[start:end] for start, end in offsets]
        lemmas: list[str | None] = [None] * len(words)
        probabilities = [0.0] * len(words)
        for place, word in enumerate(words[: len(best)]):
            if has_word[place]:
                made = ((apply_script(self.scripts[i], word), p) for i, p in best[place])
                found = next((one for one in made if one[0]), (word, 0.0))
                lemmas[place], probabilities[place] = found[0], round(found[1], 6)
        return {"lemmas": lemmas, "probabilities": probabilities, "words": words}

    def surprise(self, logits: Tensor, targets: Mapping[str, Tensor], temperature: float) -> Tensor:
        """That of the scripts."""
        return self.loss(logits.float() / temperature, targets)

    def chances(self, gold: Gold, prediction: Prediction) -> list[Chance]:
        """Those of the words that were not cut off."""
        return word_chances(gold, prediction["lemmas"], prediction["probabilities"])

    def score(self, gold: Sequence[Gold], predicted: Sequence[Prediction]) -> Scores:
        """Accuracy of words; a cut word counts as wrong."""
        truth = [lemma for lemmas in cast(Sequence[list[str]], gold) for lemma in lemmas]
        answers = [
            lemma
            for prediction in predicted
            for lemma in cast(list[str | None], prediction["lemmas"])
        ]
        return Scores(metrics={"accuracy": accuracy(truth, answers)}, count=len(gold))

    def label_counts(self, records: Iterable[Record]) -> tuple[dict[str, int], int, float]:
        """Counts of scripts, records without lemmas, the share of words left as they are."""
        counts: Counter[str] = Counter()
        missing = num_same = 0
        for record in records:
            lemmas = self.gold(record)
            missing += lemmas is None
            counts.update(self._scripts(record))
            pairs = zip(word_texts(record[self.words]), lemmas or (), strict=False)
            num_same += sum(word == lemma for word, lemma in pairs)
        return dict(counts.most_common()), missing, num_same / max(counts.total(), 1)

    def _scripts(self, record: Record) -> list[str]:
        lemmas = self.gold(record)
        if lemmas is None:
            return []
        return list(map(script_of, word_texts(record[self.words]), lemmas))


def _paired(
    places: Sequence[Sequence[int]], chances: Sequence[Sequence[float]]
) -> list[list[tuple[int, float]]]:
    return [list(zip(*both, strict=True)) for both in zip(places, chances, strict=True)]
