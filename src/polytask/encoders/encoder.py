"""The contracts of encoders: where one comes from, and what it does with tokens."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import Tensor, nn

from polytask.data.batching import Inputs
from polytask.data.tokeniser import Tokeniser
from polytask.errors import ConfigError

Texts = Callable[[], Iterator[str]]
"""The training texts of all tasks, word by word or whole, to learn a tokeniser from."""

Note = Callable[[str], None]
"""Takes a plain sentence for the journal."""


class Encoder(nn.Module, ABC):
    """Tokens to hidden states: the part that all tasks share."""

    tokeniser: Tokeniser
    width: int

    @abstractmethod
    def forward(self, inputs: Inputs) -> Tensor:
        """Hidden states of shape (rows, tokens, width)."""

    def layer_modules(self) -> Sequence[nn.Module]:
        """The modules that data passes one after the other, where their weights can be spread."""
        return ()

    def recompute_activations(self) -> None:
        """From now on backwards compute again what a forward would keep: slower, and smaller.

        Raises ConfigError where the encoder cannot.
        """
        raise ConfigError("train.gradient_checkpointing: not with this kind of encoder")

    @abstractmethod
    def blocks(self) -> Sequence[Sequence[nn.Parameter]]:
        """The parameters in use, from the embeddings up, in the order that data passes them."""

    @abstractmethod
    def token_embeddings(self) -> nn.Parameter:
        """The embeddings of all tokens: (tokens, width of embeddings)."""

    @contextmanager
    def adding_up(self) -> Iterator[None]:
        """Meanwhile backwards add to the `.grad` of embeddings the rows of their tokens alone.

        A backward of a pass otherwise fills and adds a matrix of the whole vocabulary. Only on a
        processor: a GPU would add rows in an order of its own.
        """
        is_spread = hasattr(self, "set_requires_gradient_sync")  # what FSDP2 adds
        tables = [
            module
            for module in (() if is_spread else self.modules())
            if isinstance(module, nn.Embedding)
            and module.weight.requires_grad
            and module.weight.device.type == "cpu"
            and not module.sparse
        ]
        made: list[tuple[Tensor, Tensor, int]] = []
        for table in tables:
            table.sparse = True
            if table.weight.grad is None:
                gradient = torch.zeros_like(table.weight)
                table.weight.grad = gradient
                made.append((table.weight, gradient, gradient._version))
        try:
            yield
        finally:
            for table in tables:
                table.sparse = False
            for weight, gradient, version in made:
                if gradient._version == version:  # no backward has added to it
                    weight.grad = None

    @abstractmethod
    def save(self, folder: Path) -> None:
        """Weights as safetensors, configuration and tokeniser as JSON, into an existing folder."""


class EncoderSource(ABC):
    """An `encoder:` section: makes an encoder for training, or opens one that was saved.

    is_pretrained: whether the encoder knows something of language before it is trained here.
    """

    is_pretrained = False

    @abstractmethod
    def create(self, texts: Texts, *, base: Path, note: Note) -> Encoder:
        """The encoder to start training from. `base` is the folder of the experiment file."""

    @abstractmethod
    def open(self, folder: Path) -> Encoder:
        """The encoder that `Encoder.save` wrote into `folder`."""
