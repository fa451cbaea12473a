"""Short vectors whose scalar products are, on average, those of gradients."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

SIZE = 4096
"""Numbers of a sketch. The error of a cosine has a standard deviation of about 1 / sqrt(SIZE)."""

_ROWS_IN_CACHE = 32
_ROWS = 512
"""Rows of SIZE numbers that are taken at a time, on a processor and elsewhere."""

_ROTATIONS = torch.arange(SIZE).repeat(2).unfold(0, SIZE, 1)
"""Row i counts from i on: (SIZE + 1, SIZE), a view."""


class Sketch:
    """A CountSketch: each number of a gradient gets a random sign and is added to one of SIZE sums.

    It is linear: the sketch of a sum is the sum of the sketches, until it is drawn anew, so that
    the errors of steps average out. A stretch of rows has signs that all stretches share, and a
    sign and a rotation of its own. Gradients of at most SIZE numbers stay as they are.
    Source: Charikar, Chen and Farach-Colton, "Finding Frequent Items in Data Streams" (ICALP 2002).
    """

    def __init__(self, parameters: Sequence[nn.Parameter]) -> None:
        self._sizes = [parameter.numel() for parameter in parameters]
        first = parameters[0] if parameters else torch.zeros(0)
        self._device, self._dtype = first.device, torch.promote_types(first.dtype, torch.float32)
        self._rows = _ROWS_IN_CACHE if self._device.type == "cpu" else _ROWS
        self._stretch = self._rows * SIZE
        num_rest = sum(size % self._stretch for size in self._sizes)
        self._num_rest = -(-num_rest // self._stretch)
        self._num = sum(size // self._stretch for size in self._sizes) + self._num_rest
        self.redraw(0)

    def redraw(self, seed: int) -> None:
        """New signs and rotations."""
        generator = torch.Generator().manual_seed(seed)
        signs, outer = (
            torch.randint(2, shape, generator=generator, dtype=torch.int8) * 2 - 1
            for shape in ((self._rows, SIZE), (self._num,))
        )
        turns = torch.randint(SIZE, (self._num,), generator=generator)
        self._signs = signs.to(self._device, self._dtype)  # (rows, SIZE)
        self._outer = outer.to(self._device, self._dtype)  # (stretches,)
        self._places = _ROTATIONS[turns].to(self._device)  # (stretches, SIZE)

    @torch.no_grad()
    def __call__(self, gradients: Sequence[Tensor | None]) -> Tensor:
        """The sketch of gradients by parameter, None being 0: (SIZE,), float64 on the CPU."""
        if sum(self._sizes) <= SIZE:
            return self._as_they_are(gradients)
        sums = self._outer.new_zeros(self._num, SIZE)
        held = torch.empty_like(self._signs)
        rest = self._outer.new_zeros(self._num_rest * self._stretch)

        def add(place: int, numbers: Tensor) -> None:
            torch.mul(numbers.view(self._rows, SIZE), self._signs, out=held)
            torch.sum(held, 0, out=sums[place])

        place = begin = 0
        for size, gradient in zip(self._sizes, gradients, strict=True):
            num_whole, num_rest = divmod(size, self._stretch)
            if gradient is not None:
                flat = gradient.reshape(-1).to(self._dtype)
                for i in range(num_whole):
                    add(place + i, flat[i * self._stretch : (i + 1) * self._stretch])
                rest[begin : begin + num_rest] = flat[size - num_rest :]
            place, begin = place + num_whole, begin + num_rest
        for i, numbers in enumerate(rest.split(self._stretch)):
            add(place + i, numbers)
        return (self._outer @ sums.gather(1, self._places)).double().cpu()

    def _as_they_are(self, gradients: Sequence[Tensor | None]) -> Tensor:
        pieces = [
            torch.zeros(size).double() if one is None else one.reshape(-1).double().cpu()
            for size, one in zip(self._sizes, gradients, strict=True)
        ]
        return torch.cat([*pieces, torch.zeros(SIZE - sum(self._sizes)).double()])
