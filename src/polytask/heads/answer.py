"""`kind: answer`: the words of a passage that answer a question, or none."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, cast

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as nnf

from polytask.data.batching import NO_WORD, Inputs
from polytask.data.columns import SPANS, Need
from polytask.data.part_views import PassageView
from polytask.data.records import Record
from polytask.errors import DataError
from polytask.heads.head import IGNORE, NEVER, Gold, Prediction, Scores, word_states
from polytask.heads.probable import Chance, TemperedHead
from polytask.heads.span_pairs import inside_words, is_of_words, span_fault, words_of
from polytask.metrics.answers import answer_metrics
from polytask.metrics.entities import Span

_CANDIDATES = 20
"""How many starts, ends and spans of a window are looked at; and spans share the probability."""


class AnswerSpan(TemperedHead):
    """The span of a passage that answers a question, in windows unless told otherwise.

    Sources: Devlin et al., "BERT" (NAACL 2019), for starts, ends and windows, and for the score of
    no answer, which is compared with that of the best span.
    """

    view: PassageView
    answers_once = True

    def __init__(
        self,
        *,
        passage: str = "context",
        question: str = "question",
        answers: str = "answers",
        max_words: Annotated[int, Field(ge=1)] = 30,
        n_best: Annotated[int, Field(ge=1, le=20)] = 3,
        dropout: Annotated[float, Field(ge=0, lt=1)] = 0.1,
    ) -> None:
        super().__init__()
        self.view = PassageView(passage, question, long="windows")
        self.column = answers
        self.max_words = max_words
        self.n_best = n_best
        self.dropout = nn.Dropout(dropout)
        self.may_be_none = False
        self.threshold = 0.0

    @property
    def needs(self) -> Mapping[str, Need]:
        """The column of answers."""
        return {self.column: Need(SPANS, required=False)}

    @property
    def headline(self) -> str:
        """F1 of words, of characters in Chinese."""
        return "f1"

    def fit(self, records: Iterable[Record]) -> list[str]:
        """Learns whether a question may have no answer."""
        num_cut = num_answers = num_none = 0
        for record in records:
            spans = self._spans(record)
            if spans is None:
                continue
            num_answers += bool(spans)
            num_none += not spans
            _, offsets = self.view.words(record)
            num_cut += any(not is_of_words(span, offsets) for span in spans)
        if not num_answers:
            raise DataError(f"column '{self.column}' holds no answer")
        self.may_be_none = num_none > 0
        return inside_words(num_cut, "answers")

    def facts(self) -> dict[str, object]:
        """Whether there may be no answer, and by how much its score must be beaten."""
        return {"may_be_none": self.may_be_none, "threshold": self.threshold}

    def restore(self, facts: Mapping[str, object]) -> None:
        """Takes back what was learned."""
        self.may_be_none = bool(facts["may_be_none"])
        self.threshold = cast(float, facts["threshold"])

    def attach(self, width: int) -> None:
        """A linear layer for starts and ends, one for no answer."""
        self.project = nn.Linear(width, 2)
        self.nothing = nn.Linear(width, 2)

    def problem(self, record: Record) -> str | None:
        """An answer outside of the passage, or one that is not the text it says it is."""
        given = cast(Sequence[Mapping[str, object]] | None, record.get(self.column))
        if given is None:
            return None
        answers = [{**one, "label": ""} for one in given]
        fault = span_fault(cast(str, record[self.view.passage]), answers)
        return fault and fault.replace("span", "answer", 1)

    def repairs(self, record: Record) -> int:
        """None: nothing is mended."""
        return 0

    def gold(self, record: Record) -> list[str] | None:
        """The texts of the answers, none for a question without one."""
        spans = self._spans(record)
        text = cast(str, record[self.view.passage])
        return None if spans is None else [text[span.start : span.end] for span in spans]

    def targets(self, records: Sequence[Record], inputs: Inputs) -> dict[str, Tensor]:
        """ends: (windows, 2), first and last word of the first answer, counted from 1; 0 for none.

        A window that does not hold the whole answer has none.
        """
        ends = torch.full((len(inputs.owners), 2), IGNORE)  # (windows, 2)
        there = inputs.word_starts != NO_WORD  # (windows, words)
        for row, owner in enumerate(inputs.owners.tolist()):
            spans = self._spans(records[owner])
            if spans is None:
                continue
            ends[row] = 0
            if spans:
                first, last = words_of(spans[0], self.view.words(records[owner])[1])
                if last < there.shape[1] and there[row, first] and there[row, last]:
                    ends[row] = torch.tensor([first + 1, last + 1])
        return {"ends": ends}

    def count(self, targets: Mapping[str, Tensor]) -> int:
        """Windows of questions with an answer or known to have none."""
        return int((targets["ends"][:, 0] != IGNORE).sum())

    def forward(self, hidden: Tensor, inputs: Inputs) -> Tensor:
        """Scores of starts and ends: (windows, 1 + words, 2); place 0 is that of no answer."""
        words = self.project(self.dropout(word_states(hidden, inputs)))  # (windows, words, 2)
        there = (inputs.word_starts != NO_WORD).unsqueeze(2)  # (windows, words, 1)
        nothing = self.nothing(self.dropout(hidden[:, :1]))  # (windows, 1, 2)
        return torch.cat([nothing, words.masked_fill(~there, NEVER)], dim=1)

    def loss(self, logits: Tensor, targets: Mapping[str, Tensor]) -> Tensor:
        """Cross-entropy of starts and of ends, their mean."""
        scores, ends = logits.float().transpose(1, 2).flatten(0, 1), targets["ends"].flatten()
        return nnf.cross_entropy(scores, ends, ignore_index=IGNORE, reduction="sum") / 2

    def decode(self, logits: Tensor, records: Sequence[Record], inputs: Inputs) -> list[Prediction]:
        """`{"answer", "start", "end", "probability", "margin", "n_best": [...]}`.

        `answer`, `start` and `end` are None where the `margin`, by how much the best span outscores
        no answer in the window that is least against one, is not above the fitted threshold. Where
        train has an answer to every question the best span is always given.
        """
        owners = inputs.owners.tolist()
        by_record: list[list[np.ndarray]] = [[] for _ in records]
        for owner, scores in zip(owners, logits.float().cpu().numpy(), strict=True):
            by_record[owner].append(scores)
        return list(map(self._prediction, records, by_record))

    def _prediction(self, record: Record, windows: Sequence[np.ndarray]) -> Prediction:
        text, offsets = self.view.words(record)
        found: dict[tuple[int, int], float] = {}
        for scores in windows:
            for (first, last), score in self._best_of(scores).items():
                if last < len(offsets):
                    place = offsets[first][0], offsets[last][1]
                    found[place] = max(score, found.get(place, score))
        nothing = min(float(scores[0].sum()) for scores in windows)
        best = sorted(found, key=lambda place: (-found[place], place))[:_CANDIDATES]
        scored = torch.tensor([found[place] for place in best] + [nothing])  # (candidates + 1,)
        chances = (scored / self.temperature).softmax(0).tolist()
        n_best: list[Prediction] = [
            {"answer": text[start:end], "start": start, "end": end, "probability": round(chance, 6)}
            for (start, end), chance in zip(best[: self.n_best], chances, strict=False)
        ]
        margin = found[best[0]] - nothing if best else NEVER
        return self._answered({"margin": round(margin, 6), "n_best": n_best})

    def _best_of(self, scores: np.ndarray) -> dict[tuple[int, int], float]:
        """The best spans of a window by first and last word, from 0, with their scores."""
        starts, ends = (
            np.argsort(-side, kind="stable")[:_CANDIDATES] for side in scores[1:].T
        )  # (candidates,)
        first, last = scores[starts + 1, 0][:, None], scores[ends + 1, 1]
        length = ends - starts[:, None]  # (starts, ends)
        may_be = (length >= 0) & (length < self.max_words) & (np.minimum(first, last) > NEVER / 2)
        both = np.where(may_be, first + last, -np.inf)  # (starts, ends)
        best = np.argsort(-both, axis=None, kind="stable")[:_CANDIDATES]
        return {
            (int(starts[i]), int(ends[j])): float(both[i, j])
            for i, j in zip(*np.unravel_index(best, both.shape), strict=True)
            if may_be[i, j]
        }

    def _answered(self, prediction: Prediction) -> Prediction:
        """The prediction with the best span as its answer, or with none."""
        n_best = cast(list[Prediction], prediction["n_best"])
        margin = cast(float, prediction["margin"])
        is_answered = bool(n_best) and (not self.may_be_none or margin > self.threshold)
        keys = ("answer", "start", "end", "probability")
        answer = {key: n_best[0][key] if is_answered else None for key in keys}
        return {**answer, "margin": margin, "n_best": n_best}

    def surprise(self, logits: Tensor, targets: Mapping[str, Tensor], temperature: float) -> Tensor:
        """That of starts and ends in all windows."""
        return 2 * self.loss(logits.float() / temperature, targets)

    def chances(self, gold: Gold, prediction: Prediction) -> list[Chance]:
        """That of the answer given, right if it is word for word one of the gold ones."""
        if prediction["answer"] is None:
            return []
        match = answer_metrics([cast(Sequence[str], gold)], [cast(str, prediction["answer"])])
        return [(cast(float, prediction["probability"]), match["exact_match"] == 1)]

    def tune(
        self, gold: Sequence[Gold | None], predicted: Sequence[Prediction]
    ) -> Sequence[Prediction]:
        """Fits the threshold to the best mean F1 where questions may have no answer."""
        pairs = [
            (cast(Sequence[str], golds), prediction)
            for golds, prediction in zip(gold, predicted, strict=True)
            if golds is not None
        ]
        if self.may_be_none and pairs:
            margins = np.array([cast(float, prediction["margin"]) for _, prediction in pairs])
            gains = np.array([_gain(golds, prediction) for golds, prediction in pairs])
            order = np.argsort(-margins, kind="stable")
            totals = np.append(0.0, np.cumsum(gains[order]))  # by how many are answered
            edges = np.append(margins[order], margins.min() - 1)
            is_edge = np.append(edges[:-1] != edges[1:], True)
            is_edge = np.append(True, is_edge[:-1])  # equal margins cannot be told apart
            num = int(np.argmax(np.where(is_edge, totals, -np.inf)))
            above = edges[num - 1] if num else edges[0] + 1
            self.threshold = round(float((above + edges[num]) / 2), 6)
        return [self._answered(prediction) for prediction in predicted]

    def score(self, gold: Sequence[Gold], predicted: Sequence[Prediction]) -> Scores:
        """Mean F1 and exact match; with questions that have no answer also those apart."""
        truth = cast(Sequence[Sequence[str]], gold)
        answers = [cast(str | None, prediction["answer"]) or "" for prediction in predicted]
        metrics = answer_metrics(truth, answers)
        if self.may_be_none:
            for name, has_answer in (("f1_with_answer", True), ("f1_without_answer", False)):
                kept = [i for i, golds in enumerate(truth) if bool(golds) is has_answer]
                part = answer_metrics([truth[i] for i in kept], [answers[i] for i in kept])
                metrics[name] = part["f1"]
        return Scores(metrics, len(truth))

    def label_counts(self, records: Iterable[Record]) -> tuple[dict[str, int], int, float]:
        """Questions with and without an answer, those with none given, the share without one."""
        found = [self._spans(record) for record in records]
        missing = sum(spans is None for spans in found)
        num_none = sum(spans == [] for spans in found)
        num_known = len(found) - missing
        counts = {"with an answer": num_known - num_none, "without": num_none}
        return counts, missing, num_none / num_known if num_known else float("nan")

    def _spans(self, record: Record) -> list[Span] | None:
        given = cast(Sequence[Mapping[str, int]] | None, record.get(self.column))
        return None if given is None else [Span("", one["start"], one["end"]) for one in given]


def _gain(golds: Sequence[str], prediction: Prediction) -> float:
    """The F1 of answering instead of saying that there is no answer."""
    n_best = cast(list[Mapping[str, str]], prediction["n_best"])
    best = n_best[0]["answer"] if n_best else ""
    return answer_metrics([golds], [best])["f1"] - answer_metrics([golds], [""])["f1"]
