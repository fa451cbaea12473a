"""One score for each candidate of a record: what choices and rankings are made of."""

import torch
from torch import Tensor, nn

from polytask.data.batching import Inputs
from polytask.heads.head import NEVER, pool_mean


class CandidateScores(nn.Module):
    """Scores of rows of a text and one candidate, whatever the others are: (rows,)."""

    def __init__(self, width: int, dropout: float) -> None:
        super().__init__()
        self.hidden = nn.Linear(width, width)
        self.dropout = nn.Dropout(dropout)
        self.project = nn.Linear(width, 1)

    def forward(self, hidden: Tensor, inputs: Inputs) -> Tensor:
        """From hidden states of shape (rows, tokens, width)."""
        pooled = self.dropout(pool_mean(hidden, inputs.mask))  # (rows, width)
        inner = self.dropout(nn.functional.gelu(self.hidden(pooled)))  # (rows, width)
        scores: Tensor = self.project(inner).squeeze(1)  # (rows,)
        return scores


def candidate_rows(owners: Tensor) -> Tensor:
    """The row of each candidate, -1 where a record has no more: (records, candidates)."""
    counts = torch.bincount(owners)  # (records,)
    first = counts.cumsum(0) - counts  # (records,)
    places = torch.arange(int(counts.max()), device=owners.device)  # (candidates,)
    return (first.unsqueeze(1) + places).masked_fill(places >= counts.unsqueeze(1), -1)


def by_record(scores: Tensor, rows: Tensor) -> Tensor:
    """Scores of rows in float32, those of each record side by side: (records, candidates)."""
    return scores.float()[rows.clamp(min=0)].masked_fill(rows < 0, NEVER)
