"""Where the gradients of tasks are compared: on which parameters of the encoder."""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Literal

import torch
from torch import Tensor, nn

from polytask.encoders import Encoder
from polytask.errors import ConfigError

SpaceName = Literal["all", "last_block", "lora", "shared"]
"""All that is trained of the encoder; its last block; its LoRA parameters; its output, which is a
bias of 0 added to it, the only thing there that tasks with rows of their own have in common."""


class Space:
    """Parameters of an encoder on which gradients are compared.

    shared: all parameters of the encoder that are trained. Raises ConfigError if none of those
    asked for is.
    """

    def __init__(self, encoder: Encoder, name: SpaceName) -> None:
        self.name = name
        self.shared = [p for p in encoder.parameters() if p.requires_grad]
        self._encoder = encoder
        device = next(encoder.parameters()).device
        self._bias = nn.Parameter(torch.zeros(encoder.width, device=device))
        self.parameters = self._chosen()
        if not self.parameters and self.shared:
            raise ConfigError(f"balancing.space: {name}: the encoder trains no such parameters")

    @property
    def is_all(self) -> bool:
        """Whether nothing of the encoder is left out."""
        return self.name == "all"

    def _chosen(self) -> Sequence[nn.Parameter]:
        if self.name == "last_block":
            return [p for p in self._encoder.blocks()[-1] if p.requires_grad]
        if self.name == "lora":
            named = self._encoder.named_parameters()
            return [p for name, p in named if "lora_" in name and p.requires_grad]
        return [self._bias] if self.name == "shared" else self.shared

    def adding_up(self) -> AbstractContextManager[None]:
        """While backwards of several passes add to the encoder's `.grad`."""
        return self._encoder.adding_up()

    @contextmanager
    def open(self) -> Iterator[None]:
        """While it is open, what the encoder gives depends on the bias at its output."""
        if self.name != "shared":
            yield
            return

        def add(_module: nn.Module, _args: object, hidden: Tensor) -> Tensor:
            return hidden + self._bias.to(hidden)

        hook = self._encoder.register_forward_hook(add)
        try:
            yield
        finally:
            hook.remove()
            self._bias.grad = None
