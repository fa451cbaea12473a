"""Label sequences scored as a whole: what follows what, beside what each word looks like."""

from collections.abc import Sequence
from typing import final

import torch
from torch import Tensor, nn

from polytask.heads.head import IGNORE
from polytask.metrics.entities import is_entity_scheme, may_follow

_ILLEGAL = -1e4


@final
class CRF(nn.Module):
    """A linear-chain conditional random field over the labels of the words of a sentence.

    The score of labels y1 .. yn is start[y1] + sum of emission[i, yi] + sum of
    transition[yi, yi+1] + end[yn]; their probability is exp(score) over the sum of exp(score) of
    all sequences of n labels. If the labels spell entities (BIO; BIOES if both E- and S- occur),
    what breaks their rules scores -10000 more, for good. Scores are float32, sums of their
    exponentials float64: exact while the labels of a word lie within a score of 700.

    Everywhere `mask` is (batch, words), true at words; those on both sides of a gap are neighbours,
    and a sentence may be empty. Source: Lafferty, McCallum and Pereira, "Conditional Random Fields:
    Probabilistic Models for Segmenting and Labeling Sequence Data" (ICML 2001).
    """

    penalties: Tensor

    def __init__(self, labels: Sequence[str]) -> None:
        super().__init__()
        num_labels = len(labels)
        self.starts = nn.Parameter(torch.zeros(num_labels))  # (labels,)
        self.transitions = nn.Parameter(torch.zeros(num_labels, num_labels))  # (from, to)
        self.ends = nn.Parameter(torch.zeros(num_labels))  # (labels,)
        self.register_buffer("penalties", _penalties(labels), persistent=False)

    def log_likelihood(
        self, emissions: Tensor, tags: Tensor, mask: Tensor, temperature: float = 1.0
    ) -> Tensor:
        """Log probability of the labels of each sentence: (batch,), 0 where it is empty.

        emissions: (batch, words, labels); tags: (batch, words), anything outside the mask. All
        scores are divided by the temperature.
        """
        order = _words_first(mask)  # (batch, words)
        emissions = _ordered(emissions, mask, order)  # (batch, words, labels)
        if not emissions.shape[1]:
            return emissions.sum((1, 2))  # (batch,)
        tags = tags.masked_fill(~mask, 0).gather(1, order)  # (batch, words)
        mask = mask.gather(1, order)  # (batch, words)
        score = self._score(emissions, tags, mask) / temperature
        difference = score - self._log_total(emissions, mask, temperature)
        return difference.masked_fill(~mask[:, 0], 0.0)  # (batch,)

    @torch.no_grad()
    def viterbi(self, emissions: Tensor, mask: Tensor) -> Tensor:
        """The labels of highest score: (batch, words), `IGNORE` outside the mask.

        Of equal sequences the one with the lowest label at the first word where they differ.
        """
        order = _words_first(mask)  # (batch, words)
        emissions = _ordered(emissions, mask, order)  # (batch, words, labels)
        mask = mask.gather(1, order)  # (batch, words)
        starts, transitions, ends = self._scores()
        rest = ends.expand(len(emissions), -1)  # (batch, labels): best score of what follows
        followers: list[Tensor] = []  # (batch, labels) each, from the last word to the second
        for word in reversed(range(1, emissions.shape[1])):
            onward = transitions + (emissions[:, word] + rest).unsqueeze(1)  # (batch, from, to)
            best, follower = onward.max(dim=2)  # (batch, labels)
            rest = torch.where(mask[:, word, None], best, rest)  # (batch, labels)
            followers.append(follower)
        path = [(starts + emissions[:, 0] + rest).argmax(dim=1)] if emissions.shape[1] else []
        for follower in reversed(followers):
            path.append(follower.gather(1, path[-1].unsqueeze(1)).squeeze(1))  # (batch,)
        found = torch.stack(path, dim=1) if path else mask.long()  # (batch, words)
        found = found.masked_fill(~mask, IGNORE)  # (batch, words)
        return found.scatter(1, order, found)  # (batch, words)

    def marginals(self, emissions: Tensor, mask: Tensor, temperature: float = 1.0) -> Tensor:
        """Probability of each label at each word: (batch, words, labels), 0 outside the mask.

        It is the gradient of the log total of all sequences by the emissions.
        """
        order = _words_first(mask)  # (batch, words)
        ordered = _ordered(emissions.detach(), mask, order)  # (batch, words, labels)
        if not ordered.shape[1]:
            return ordered
        with torch.inference_mode(mode=False), torch.enable_grad():
            ordered = ordered.clone().requires_grad_()
            total = self._log_total(ordered, mask.gather(1, order).clone(), temperature).sum()
            [found] = torch.autograd.grad(total * temperature, ordered)
        found = found.masked_fill(~mask.gather(1, order).unsqueeze(2), 0.0)
        places = order.unsqueeze(2).expand_as(found)
        return torch.zeros_like(found).scatter(1, places, found)

    def _scores(self) -> tuple[Tensor, Tensor, Tensor]:
        penalties = self.penalties.float()  # (labels + 1, labels + 1)
        return (
            self.starts.float() + penalties[-1, :-1],  # (labels,)
            self.transitions.float() + penalties[:-1, :-1],  # (from, to)
            self.ends.float() + penalties[:-1, -1],  # (labels,)
        )

    def _score(self, emissions: Tensor, tags: Tensor, mask: Tensor) -> Tensor:
        starts, transitions, ends = self._scores()
        emitted = emissions.gather(2, tags.unsqueeze(2)).squeeze(2)  # (batch, words)
        passed = transitions[tags[:, :-1], tags[:, 1:]].masked_fill(~mask[:, 1:], 0.0)
        last = (mask.sum(1, keepdim=True) - 1).clamp(min=0)  # (batch, 1)
        first_tag, last_tag = tags[:, 0], tags.gather(1, last).squeeze(1)  # (batch,)
        return starts[first_tag] + emitted.sum(1) + passed.sum(1) + ends[last_tag]  # (batch,)

    def _log_total(self, emissions: Tensor, mask: Tensor, temperature: float) -> Tensor:
        starts, transitions, ends = (scores.double() / temperature for scores in self._scores())
        emissions = emissions.double() / temperature  # (batch, words, labels)
        onward = transitions.exp().T  # (to, from)
        rest = ends.expand(len(emissions), -1)  # (batch, labels): log total of what follows
        for word in reversed(range(1, emissions.shape[1])):
            ahead = emissions[:, word] + rest  # (batch, labels)
            top = ahead.detach().amax(1, keepdim=True)  # (batch, 1)
            total = (ahead - top).exp() @ onward  # (batch, labels)
            log_total = total.clamp(min=torch.finfo(total.dtype).tiny).log() + top
            rest = torch.where(mask[:, word, None], log_total, rest)  # (batch, labels)
        return (starts + emissions[:, 0] + rest).logsumexp(1).float()  # (batch,)


def _words_first(mask: Tensor) -> Tensor:
    """Places of the words of each sentence, those of gaps behind them: (batch, words)."""
    return mask.to(torch.uint8).argsort(dim=1, descending=True, stable=True)


def _ordered(emissions: Tensor, mask: Tensor, order: Tensor) -> Tensor:
    """Emissions of words in this order, 0 elsewhere: (batch, words, labels)."""
    shown = emissions.float().masked_fill(~mask.unsqueeze(2), 0.0)
    return shown.gather(1, order.unsqueeze(2).expand_as(shown))


def _penalties(labels: Sequence[str]) -> Tensor:
    """What a label (column) loses behind another (row); the last of both is where sentences end."""
    places = [*labels, "O"]
    if not is_entity_scheme(labels):
        return torch.zeros(len(places), len(places))
    closes = {"E", "S"} <= {label[0] for label in labels}
    return torch.tensor(
        [
            [0.0 if may_follow(before, after, closes=closes) else _ILLEGAL for after in places]
            for before in places
        ]
    )
