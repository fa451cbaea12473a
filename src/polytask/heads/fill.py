"""`kind: fill`: words that were hidden in a text, guessed; no labels are needed."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Annotated, cast

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as nnf

from polytask.data.batching import Inputs
from polytask.data.columns import Need
from polytask.data.records import Record
from polytask.data.views import text_view
from polytask.heads.head import IGNORE, Gold, PlainHead, Prediction, Scores, TokenHead


class Fill(PlainHead, TokenHead):
    """Masked language modelling: an auxiliary for other tasks, or alone to adapt an encoder.

    15 % of the words are hidden, others each time while training. Long texts are read in windows.
    The output layer is the encoder's own token embeddings. Source: Devlin et al., "BERT" (NAACL
    2019).
    """

    is_self_supervised = True

    def __init__(
        self,
        *,
        text: str | None = None,
        words: str | None = None,
        dropout: Annotated[float, Field(ge=0, lt=1)] = 0.1,
    ) -> None:
        super().__init__()
        view = text_view(text, words, split=True)
        self.view = replace(view, long="windows", stride=0, is_masked=True)
        self.dropout = nn.Dropout(dropout)
        self._embeddings: list[nn.Parameter] = []  # in a list: they are the encoder's to save

    @property
    def needs(self) -> Mapping[str, Need]:
        """None: the text is its own label."""
        return {}

    @property
    def headline(self) -> str:
        """Share of hidden tokens that were guessed."""
        return "accuracy"

    def fit(self, records: Iterable[Record]) -> list[str]:
        """Nothing to learn."""
        return []

    def facts(self) -> dict[str, object]:
        """Nothing."""
        return {}

    def restore(self, facts: Mapping[str, object]) -> None:
        """Nothing to take back."""

    def attach(self, width: int) -> None:
        """A hidden layer; the output layer comes with `tie`."""
        self.width = width

    @property
    def num_classes(self) -> int:
        """The tokens."""
        return len(self.bias)

    def tie(self, embeddings: nn.Parameter) -> None:
        """The output layer: the encoder's token embeddings, and a bias of its own."""
        num_tokens, width = embeddings.shape
        self._embeddings = [embeddings]
        self.hidden = nn.Linear(self.width, width)
        self.norm = nn.LayerNorm(width)
        self.bias = nn.Parameter(torch.zeros(num_tokens))

    def problem(self, record: Record) -> str | None:
        """None."""
        return None

    def gold(self, record: Record) -> Gold | None:
        """True: every text is its own label."""
        return True

    def targets(self, records: Sequence[Record], inputs: Inputs) -> dict[str, Tensor]:
        """tokens: (rows, tokens), those that are hidden."""
        assert inputs.is_hidden is not None  # noqa: S101
        return {"tokens": inputs.token_ids.masked_fill(~inputs.is_hidden, IGNORE)}

    def count(self, targets: Mapping[str, Tensor]) -> int:
        """Hidden tokens."""
        return int((targets["tokens"] != IGNORE).sum())

    def forward(self, hidden: Tensor, inputs: Inputs) -> Tensor:
        """Logits of all tokens at the hidden places, row by row: (hidden, vocabulary)."""
        assert inputs.is_hidden is not None  # noqa: S101
        states = self.hidden(self.dropout(hidden[inputs.is_hidden]))  # (hidden, width)
        return nnf.linear(self.norm(nnf.gelu(states)), self._embeddings[0], self.bias)

    def loss(self, logits: Tensor, targets: Mapping[str, Tensor]) -> Tensor:
        """Cross-entropy of the hidden tokens."""
        tokens = targets["tokens"]
        return nnf.cross_entropy(logits.float(), tokens[tokens != IGNORE], reduction="sum")

    def decode(self, logits: Tensor, records: Sequence[Record], inputs: Inputs) -> list[Prediction]:
        """`{"accuracy", "perplexity", "hidden"}`: how well hidden tokens of a text were guessed.

        Which tokens are hidden depends on the text alone.
        """
        assert inputs.is_hidden is not None  # noqa: S101
        tokens = inputs.token_ids[inputs.is_hidden]  # (hidden,)
        rows = inputs.is_hidden.nonzero()[:, 0]  # (hidden,)
        owners = inputs.owners[rows]  # (hidden,)
        scores = logits.float()  # (hidden, vocabulary)
        own = scores.gather(1, tokens.unsqueeze(1)).squeeze(1)  # (hidden,)
        errors = scores.logsumexp(1) - own  # (hidden,)
        right = (scores.argmax(1) == tokens).float()  # (hidden,)
        num = torch.bincount(owners, minlength=len(records)).tolist()
        sums = [torch.bincount(owners, some, len(records)).tolist() for some in (right, errors)]
        return [
            {
                "accuracy": round(one / max(count, 1), 6),
                "perplexity": round(math.exp(min(other / max(count, 1), 100.0)), 6),
                "hidden": count,
            }
            for one, other, count in zip(*sums, num, strict=True)
        ]

    def score(self, gold: Sequence[Gold], predicted: Sequence[Prediction]) -> Scores:
        """Accuracy and perplexity over all hidden tokens."""
        numbers = cast(Sequence[Mapping[str, float]], predicted)
        num = sum(one["hidden"] for one in numbers)
        if not num:
            return Scores({"accuracy": math.nan, "perplexity": math.nan}, len(gold))
        right = math.fsum(one["accuracy"] * one["hidden"] for one in numbers)
        errors = math.fsum(math.log(one["perplexity"]) * one["hidden"] for one in numbers)
        return Scores({"accuracy": right / num, "perplexity": math.exp(errors / num)}, len(gold))

    def label_counts(self, records: Iterable[Record]) -> tuple[dict[str, int], int, float]:
        """Texts, none of which lacks its label; no constant answer is known."""
        return {"texts": sum(1 for _ in records)}, 0, math.nan
