"""Scores of ordered pairs of words: what parses and spans are read from."""

import torch
from torch import Tensor, nn


class Biaffine(nn.Module):
    """Each word as the left and as the right side of a pair, and a score for each pair and label.

    Source: Dozat and Manning, "Deep Biaffine Attention for Neural Dependency Parsing" (ICLR 2017).
    """

    def __init__(self, width: int, *, inner: int, labels: int, dropout: float) -> None:
        super().__init__()
        self.left = nn.Sequential(nn.Linear(width, inner), nn.GELU(), nn.Dropout(dropout))
        self.right = nn.Sequential(nn.Linear(width, inner), nn.GELU(), nn.Dropout(dropout))
        self.weight = nn.Parameter(torch.zeros(inner + 1, labels, inner + 1))

    def forward(self, lefts: Tensor, rights: Tensor) -> Tensor:
        """(records, m, width) and (records, n, width) to scores: (records, m, n, labels)."""
        one = nn.functional.pad(self.left(lefts), (0, 1), value=1.0)  # (records, m, inner + 1)
        other = nn.functional.pad(self.right(rights), (0, 1), value=1.0)  # (records, n, inner + 1)
        turned = torch.einsum("bmi,ilj->bmlj", one, self.weight)
        return torch.einsum("bmlj,bnj->bmnl", turned, other)
