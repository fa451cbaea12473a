"""The numbers that forwards and backwards are computed in, and what fp16 needs beside."""

import math
from collections.abc import Iterable, Mapping
from typing import cast

import torch
from torch import Tensor, nn

from polytask.config.options import Precision

_FIRST = 2.0**16
_PATIENCE = 2000
"""Steps in a row without an overflow before the scale is doubled."""


class MixedPrecision:
    """Weights in float32; products in 16 bits where the precision says so.

    In fp16 what goes back from a loss is multiplied by `scale`, so that small gradients are not
    rounded to 0, and divided by it where it reaches one of `parameters`: whoever reads gradients
    finds them as they are. The scale is halved when a gradient overflows, and doubled after 2,000
    steps without. Source: Micikevicius et al., "Mixed Precision Training" (ICLR 2018).
    """

    def __init__(
        self, precision: Precision, device: torch.device, parameters: Iterable[nn.Parameter]
    ) -> None:
        dtype = torch.float16 if precision == "fp16" else torch.bfloat16
        self.autocast = torch.autocast(device.type, dtype, enabled=precision in ("bf16", "fp16"))
        self.scale = _FIRST if precision == "fp16" else 1.0
        self._is_scaled = precision == "fp16"
        self._num_good = 0
        if self._is_scaled:
            for parameter in parameters:
                if parameter.requires_grad:
                    parameter.register_hook(lambda gradient: gradient / self.scale)

    def scaled(self, loss: Tensor) -> Tensor:
        """The same loss, whose backward is multiplied by the scale."""
        if self._is_scaled and loss.requires_grad:
            loss.register_hook(lambda gradient: gradient * self.scale)
        return loss

    def lower(self, losses: Mapping[str, float]) -> bool:
        """Halves the scale after gradients that are not finite; whether that may help."""
        may_help = self.scale > 1 and all(map(math.isfinite, losses.values()))
        if may_help:
            self.scale, self._num_good = self.scale / 2, 0
        return may_help

    def keep(self) -> None:
        """Counts a step without an overflow."""
        self._num_good += 1
        if self._is_scaled and self._num_good % _PATIENCE == 0:
            self.scale *= 2

    def state_dict(self) -> dict[str, object]:
        """The scale, and how long it has held."""
        return {"scale": self.scale, "num_good": self._num_good}

    def load_state_dict(self, state: Mapping[str, object]) -> None:
        """Takes them back."""
        self.scale = cast(float, state["scale"])
        self._num_good = cast(int, state["num_good"])
