"""The processes that train one model together; where there is one alone, nothing here does a thing.

A launcher (`torchrun`, `accelerate launch`) starts them, `joined` makes them a group. Each takes a
share of the rows of every pass; what they find is added up, so that all of them know the same.
"""

import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import TypeVar, cast

import torch
import torch.distributed as dist
from torch import Tensor

from polytask.errors import ConfigError, MissingExtra, PolytaskError

Value = TypeVar("Value")

_BUCKET = 1 << 23
"""Numbers that are sent at a time; a longer tensor goes alone."""
_TOLD = "is_told"
"""The mark of a fault that the first process tells."""
_PATIENCE = timedelta(hours=2)
"""How long a process waits for the others: the first may have a large data set to read."""


class _Group:
    """rank: of this process, from 0; num: of all."""

    rank = 0
    num = 1


def place() -> int:
    """Which of the processes this is, from 0."""
    return _Group.rank


def num() -> int:
    """How many train together."""
    return _Group.num


def is_first() -> bool:
    """Whether this process is the one that writes files and talks."""
    return _Group.rank == 0


@contextmanager
def joined(*, use_gpu: bool) -> Iterator[None]:
    """Joins the processes of a launcher, if one started this process.

    Raises MissingExtra without Accelerate, ConfigError where the launcher left something out.
    """
    wanted = int(os.environ.get("WORLD_SIZE", "1"))
    if wanted == 1:
        yield
        return
    try:
        from accelerate import PartialState
    except ImportError as error:
        raise MissingExtra("accelerate", "dist") from error
    was_there = dist.is_initialized()
    os.environ["FSDP_CPU_RAM_EFFICIENT_LOADING"] = "false"  # every process loads the whole encoder
    state = PartialState(cpu=not use_gpu, timeout=_PATIENCE)
    if state.num_processes != wanted:
        raise ConfigError(
            f"WORLD_SIZE is {wanted}, but {state.num_processes} processes found each other. The "
            "launcher must set RANK, LOCAL_RANK, WORLD_SIZE, MASTER_ADDR and MASTER_PORT."
        )
    _Group.rank, _Group.num = state.process_index, state.num_processes
    try:
        yield
    except PolytaskError as error:
        if not is_first() and not hasattr(error, _TOLD):
            print(f"Process {place()}: {error}", file=sys.stderr)
        raise
    finally:
        is_clean = sys.exc_info()[0] is None
        _Group.rank, _Group.num = 0, 1
        if is_clean and not was_there:  # after a fault the others may wait for this process
            state.destroy_process_group()
            PartialState._reset_state()


@contextmanager
def alone() -> Iterator[None]:
    """Meanwhile this process asks no other."""
    held = _Group.rank, _Group.num
    _Group.rank, _Group.num = 0, 1
    try:
        yield
    finally:
        _Group.rank, _Group.num = held


def sums(values: Mapping[str, float], names: Sequence[str]) -> dict[str, float]:
    """By name, in the order given, the sum of what each process has; a name may be missing."""
    if num() == 1:
        return {name: values.get(name, 0.0) for name in names}
    total = torch.tensor([values.get(name, 0.0) for name in names], dtype=torch.float64)
    return dict(zip(names, summed(total).tolist(), strict=True))


def summed(tensor: Tensor) -> Tensor:
    """The sum of a tensor on the CPU over all processes, in place."""
    if num() > 1 and tensor.numel():
        held = tensor.to(_device())
        dist.all_reduce(held)
        tensor.copy_(held)
    return tensor


def sum_gradients(
    gradients: Sequence[Tensor | None], parameters: Sequence[Tensor]
) -> list[Tensor | None]:
    """Sums over all processes by parameter, None where no process has a gradient."""
    found = list(gradients)
    if num() == 1:
        return found
    there = summed(torch.tensor([float(one is not None) for one in found])).tolist()
    for i, (parameter, count) in enumerate(zip(parameters, there, strict=True)):
        if count and found[i] is None:
            found[i] = torch.zeros_like(parameter)
    bucket: list[Tensor] = []
    size = 0
    for one in found:
        if one is not None:
            bucket.append(one)
            size += one.numel()
            if size >= _BUCKET:
                _add_up(bucket)
                bucket, size = [], 0
    _add_up(bucket)
    return found


def _add_up(bucket: Sequence[Tensor]) -> None:
    if not bucket:
        return
    if len(bucket) == 1 and bucket[0].is_contiguous():
        dist.all_reduce(bucket[0])
        return
    for dtype in dict.fromkeys(one.dtype for one in bucket):
        some = [one for one in bucket if one.dtype == dtype]
        flat = torch.cat([one.reshape(-1) for one in some])
        dist.all_reduce(flat)
        for one, piece in zip(some, flat.split([one.numel() for one in some]), strict=True):
            one.copy_(piece.view_as(one))


def any_of(flags: Sequence[bool]) -> list[bool]:
    """Each flag, raised if any process raises it."""
    return [bool(count) for count in summed(torch.tensor(flags, dtype=torch.float64)).tolist()]


def make_same(tensors: Sequence[Tensor]) -> None:
    """Gives every process the numbers of the first, in place."""
    if num() > 1:
        for one in tensors:
            dist.broadcast(one, 0)


def of_first(value: Value) -> Value:
    """What the first process has."""
    if num() == 1:
        return value
    held = [value]
    dist.broadcast_object_list(held, 0, device=_device())
    return held[0]


def gathered(value: Value) -> list[Value]:
    """What each process has, in their order."""
    if num() == 1:
        return [value]
    held: list[Value | None] = [None] * num()
    dist.all_gather_object(held, value)
    return cast(list[Value], held)


def first_does(action: Callable[[], Value]) -> Value:
    """What `action` gives, run by the first process alone. Raises in all what it raises there.

    That is for faults that are told to the user; other errors end the first process, and so all.
    """
    if num() == 1:
        return action()
    found: tuple[Value | None, type[PolytaskError] | None, str] = (None, None, "")
    if is_first():
        try:
            found = (action(), None, "")
        except PolytaskError as error:
            found = (None, type(error), str(error))
    value, kind, text = of_first(found)
    if kind is not None:
        fault = kind.__new__(kind, text)
        setattr(fault, _TOLD, True)
        raise fault
    return cast(Value, value)


@contextmanager
def first_before_others() -> Iterator[None]:
    """The first process runs what is inside before the others, who find what it left on disk."""
    if num() > 1 and not is_first():
        dist.barrier()
    try:
        yield
    finally:
        if num() > 1 and is_first():
            dist.barrier()


def share(items: Sequence[Value]) -> Sequence[Value]:
    """This process's part of some items; equally many for each, the last ones maybe twice."""
    missing = -len(items) % num()
    filled = [*items, *([items[-1]] * missing)] if missing else items
    return filled[place() :: num()]


def _device() -> torch.device:
    return torch.device("cuda" if dist.get_backend() == "nccl" else "cpu")
