"""Heads that read what other heads say of the same text."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from polytask.data.batching import NO_WORD, Inputs
from polytask.heads.head import Head


@dataclass(frozen=True, slots=True)
class Reads:
    """The tasks that a task reads, and whether its loss trains them too."""

    tasks: tuple[str, ...] = ()
    has_gradient: bool = False


@dataclass(frozen=True, slots=True)
class Agrees:
    """The tasks that a task is to agree with, and how much that counts beside its loss.

    With a task of the same labels its answers agree; with one that it reads, its answers with and
    without what it reads.
    """

    tasks: tuple[str, ...] = ()
    weight: float = 1.0


_LEAST = 1e-6
"""The least a probability is taken for where its logarithm is."""

NOTHING = Reads()
"""No task is read."""

ALONE = Agrees()
"""It agrees with no task."""


class ReadableHead(Head, ABC):
    """A head whose probabilities others can read."""

    @property
    @abstractmethod
    def signal_names(self) -> Sequence[str]:
        """What each number means that it says of a token."""

    @abstractmethod
    def signals(self, logits: Tensor, inputs: Inputs) -> Tensor:
        """Its probabilities at each token: (rows, tokens, signals)."""

    def divergence(self, one: Tensor, other: Tensor) -> Tensor:
        """Symmetric Kullback-Leibler divergence of two answers: (rows, tokens, signals)."""
        logs = [signals.clamp(min=_LEAST).log() for signals in (one, other)]
        return (one - other) * (logs[0] - logs[1])


class Reader(nn.Module):
    """Adds what other heads say to the hidden states; at first nothing: its weights begin as 0."""

    def __init__(self, num_signals: int, width: int) -> None:
        super().__init__()
        self.project = nn.Linear(num_signals, width, bias=False)
        nn.init.zeros_(self.project.weight)

    def forward(self, hidden: Tensor, signals: Sequence[Tensor]) -> Tensor:
        """Hidden states of the same shape: (rows, tokens, width)."""
        read: Tensor = self.project(torch.cat(list(signals), dim=-1).to(hidden.dtype))
        return hidden + read


def signals_of_records(numbers: Tensor, inputs: Inputs) -> Tensor:
    """Numbers of records, (records, signals), at every token: (rows, tokens, signals)."""
    return numbers[inputs.owners].unsqueeze(1).expand(-1, inputs.token_ids.shape[1], -1)


def signals_of_words(numbers: Tensor, inputs: Inputs) -> Tensor:
    """Numbers of words, (rows, words, signals), at the tokens of each; 0 elsewhere."""
    starts = inputs.word_starts  # (rows, words)
    if not starts.shape[1]:
        return numbers.new_zeros(*inputs.token_ids.shape, numbers.shape[2])
    order = torch.arange(1, starts.shape[1] + 1, device=starts.device)  # (words,), from 1
    marks = torch.zeros_like(inputs.token_ids)
    marks.scatter_reduce_(1, starts.clamp(min=0), order * (starts != NO_WORD), "amax")
    words = marks.cummax(1).values - 1  # (rows, tokens), -1 before the first
    rows = torch.arange(len(starts), device=starts.device).unsqueeze(1)
    there = (words >= 0) & inputs.mask  # (rows, tokens)
    return numbers[rows, words.clamp(min=0)] * there.unsqueeze(2)
