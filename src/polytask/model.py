"""The model: one shared encoder, one head per task."""

from collections.abc import Mapping, Sequence

from torch import Tensor, nn

from polytask.data.batching import Pass
from polytask.encoders import Encoder
from polytask.heads import Head, TokenHead


class MultiTaskModel(nn.Module):
    """One shared encoder and a head by task name: one pass of the encoder serves every task."""

    def __init__(self, encoder: Encoder, heads: Mapping[str, Head]) -> None:
        super().__init__()
        self.encoder = encoder
        self.tasks = list(heads)
        for head in heads.values():
            if isinstance(head, TokenHead):
                head.tie(encoder.token_embeddings())
        self.heads = nn.ModuleDict({_key(task): head for task, head in heads.items()})

    def forward(self, batch: Pass, tasks: Mapping[str, Sequence[str]]) -> dict[str, Tensor]:
        """Logits by task, from a single forward of the encoder.

        `tasks` names, for each feed, the tasks that read it. Several parts of one pass must not
        come from the same feed.
        """
        hidden = self.encoder(batch.inputs)  # (rows, tokens, width)
        return {
            task: self.head(task)(hidden[part.rows], part.inputs)
            for part in batch.parts
            for task in tasks[part.feed]
        }

    def head(self, task: str) -> Head:
        """The head of a task."""
        found = self.heads[_key(task)]
        assert isinstance(found, Head)  # noqa: S101
        return found


def _key(task: str) -> str:
    """Under its bare name a task `items` or `type` would hide an attribute of ModuleDict."""
    return f"{task}-head"
