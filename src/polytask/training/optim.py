"""The optimizer and the learning rate at each step."""

import math
from collections.abc import Iterable, Sequence

import torch
from torch import nn
from torch.distributed.tensor import DTensor
from torch.optim import AdamW

from polytask.config.options import OptimizerOptions, ScheduleOptions
from polytask.errors import ConfigError
from polytask.model import MultiTaskModel
from polytask.processes import sum_gradients
from polytask.tasks import Task
from polytask.training.sharding import is_sharded


def make_optimizer(
    model: MultiTaskModel, options: OptimizerOptions, tasks: Sequence[Task]
) -> AdamW:
    """AdamW with a rate per block of the encoder and one for the heads, which may decay apart.

    `peak_lr` of each group is its rate at the top of the schedule. Raises ConfigError for a decay
    of a head without weights.
    """
    groups: list[dict[str, object]] = []

    def add(parameters: Iterable[nn.Parameter], lr: float, weight_decay: float) -> None:
        trained = [p for p in parameters if p.requires_grad]
        for decayed in (True, False):
            members = [p for p in trained if (p.ndim >= 2) is decayed]
            if members:
                decay = weight_decay if decayed else 0.0
                groups.append({"params": members, "lr": lr, "peak_lr": lr, "weight_decay": decay})

    blocks = model.encoder.blocks()
    for height, block in enumerate(blocks):
        lr = options.lr * options.layer_decay ** (len(blocks) - 1 - height)
        add(block, lr, options.weight_decay)
    own = {task.name: task.weight_decay for task in tasks if task.weight_decay is not None}
    heads = {name: list(model.head(name).parameters()) for name in model.tasks}
    for name in own:
        if not heads[name]:
            raise ConfigError(
                f"tasks.{name}.weight_decay: a head of this kind has no weights to decay"
            )
    add(
        (p for name, head in heads.items() if name not in own for p in head),
        options.head_lr,
        options.weight_decay,
    )
    for name, decay in own.items():
        add(heads[name], options.head_lr, decay)
    return AdamW(groups, betas=(options.beta1, options.beta2), eps=options.eps, fused=True)


def set_learning_rate(optimizer: AdamW, factor: float) -> None:
    """Every group's rate: its peak times a factor of 0 to 1."""
    for group in optimizer.param_groups:
        group["lr"] = group["peak_lr"] * factor


def schedule_factor(step: int, num_steps: int, options: ScheduleOptions) -> float:
    """Share of the peak rate for step `step` (from 0) of `num_steps`."""
    num_warmup = math.ceil(options.warmup * num_steps)
    if step < num_warmup:
        return (step + 1) / num_warmup
    if options.shape == "constant":
        return 1.0
    progress = min((step - num_warmup) / max(num_steps - num_warmup, 1), 1.0)
    return 1 - progress if options.shape == "linear" else (1 + math.cos(math.pi * progress)) / 2


def sum_up_gradients(model: MultiTaskModel) -> None:
    """Adds up what the processes have; FSDP has done so for an encoder that is spread."""
    trained = model.heads if is_sharded(model.encoder) else model
    parameters = [p for p in trained.parameters() if p.requires_grad]
    gradients = sum_gradients([p.grad for p in parameters], parameters)
    for parameter, gradient in zip(parameters, gradients, strict=True):
        parameter.grad = gradient


def clip_gradients(groups: Sequence[Sequence[nn.Parameter]], max_norm: float | None) -> list[float]:
    """The gradient norm of each group of parameters; each is scaled down to `max_norm`."""
    norms: list[float] = []
    for group in groups:
        gradients = [p.grad for p in group if p.grad is not None]
        norm = nn.utils.get_total_norm(gradients) if gradients else torch.zeros(())
        norm = norm.full_tensor() if isinstance(norm, DTensor) else norm
        if max_norm is not None and gradients:
            nn.utils.clip_grads_with_norm_(group, max_norm, norm)
        norms.append(float(norm))
    return norms
