"""The model: one shared encoder, one head per task."""

from collections.abc import Mapping, Sequence
from typing import cast

import torch
from torch import Tensor, nn

from polytask.data.batching import Inputs, Part, Pass
from polytask.data.windows import gather
from polytask.encoders import Encoder
from polytask.heads import Agrees, Head, ReadableHead, Reader, Reads, TokenHead

_READER = "reader"


class MultiTaskModel(nn.Module):
    """One shared encoder and a head by task name: one pass of the encoder serves every task."""

    def __init__(
        self,
        encoder: Encoder,
        heads: Mapping[str, Head],
        reads: Mapping[str, Reads] | None = None,
        agrees: Mapping[str, Agrees] | None = None,
    ) -> None:
        super().__init__()
        self.encoder = encoder
        self.tasks = list(heads)
        self.agrees = {task: one for task, one in (agrees or {}).items() if one.tasks}
        self.reads = {task: reading for task, reading in (reads or {}).items() if reading.tasks}
        for head in heads.values():
            if isinstance(head, TokenHead):
                head.tie(encoder.token_embeddings())
        for task, reading in self.reads.items():
            num = sum(len(cast(ReadableHead, heads[other]).signal_names) for other in reading.tasks)
            heads[task].add_module(_READER, Reader(num, encoder.width))
        self.heads = nn.ModuleDict({_key(task): head for task, head in heads.items()})

    @property
    def device(self) -> torch.device:
        """Where it computes; weights of an encoder that is spread may lie elsewhere meanwhile."""
        of_heads = next(self.heads.parameters(), None)
        return next(self.parameters()).device if of_heads is None else of_heads.device

    def forward(self, batch: Pass, tasks: Mapping[str, Sequence[str]]) -> dict[str, Tensor]:
        """Logits by task, from a single forward of the encoder.

        `tasks` names, for each feed, the tasks that read it; those that they read are run too.
        Several parts of one pass must not come from the same feed.
        """
        return self.read(self.encoder(batch.inputs), batch, tasks)

    def read(
        self, hidden: Tensor, batch: Pass, tasks: Mapping[str, Sequence[str]]
    ) -> dict[str, Tensor]:
        """Logits by task from hidden states of shape (rows, tokens, width)."""
        found: dict[str, Tensor] = {}
        for part in batch.parts:
            for task in tasks[part.feed]:
                self._run(task, gather(hidden[part.rows], part.places), part.inputs, found)
        return found

    def _run(self, task: str, hidden: Tensor, inputs: Inputs, found: dict[str, Tensor]) -> None:
        """Puts the logits of a task into `found`, after those of the tasks that it reads."""
        if task in found:
            return
        head, reading = self.head(task), self.reads.get(task)
        if reading is not None:
            signals: list[Tensor] = []
            for other in reading.tasks:
                self._run(other, hidden, inputs, found)
                logits = found[other] if reading.has_gradient else found[other].detach()
                signals.append(cast(ReadableHead, self.head(other)).signals(logits, inputs))
            hidden = head.get_submodule(_READER)(hidden, signals)
        found[task] = head(hidden, inputs)

    def disagreement(
        self, task: str, hidden: Tensor, part: Part, logits: Mapping[str, Tensor]
    ) -> Tensor:
        """How far a task is from those that it is to agree with: a sum over the rows of a part.

        Of each row the mean over its tokens, of the symmetric Kullback-Leibler divergence.
        """
        head, total = cast(ReadableHead, self.head(task)), hidden.new_zeros(())
        answers = head.signals(logits[task], part.inputs)  # (rows, tokens, signals)
        mask = part.inputs.mask
        for other in self.agrees[task].tasks:
            if task in self.reads and other in self.reads[task].tasks:
                plain = head(gather(hidden[part.rows], part.places), part.inputs)
                others = head.signals(plain, part.inputs)
            else:
                others = cast(ReadableHead, self.head(other)).signals(logits[other], part.inputs)
            apart = head.divergence(answers, others).sum(-1)  # (rows, tokens)
            total = total + ((apart * mask).sum(1) / mask.sum(1).clamp(min=1)).sum()
        return total

    def head(self, task: str) -> Head:
        """The head of a task."""
        found = self.heads[_key(task)]
        assert isinstance(found, Head)  # noqa: S101
        return found


def _key(task: str) -> str:
    """Under its bare name a task `items` or `type` would hide an attribute of ModuleDict."""
    return f"{task}-head"
