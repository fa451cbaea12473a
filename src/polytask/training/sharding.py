"""An encoder whose weights are spread over the processes, as FSDP2 does it."""

import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FSDPModule, MixedPrecisionPolicy, fully_shard
from torch.distributed.tensor import DTensor, distribute_tensor

from polytask.build import Experiment
from polytask.encoders import Encoder
from polytask.errors import ConfigError
from polytask.heads import TokenHead
from polytask.model import MultiTaskModel
from polytask.processes import is_first, num


def is_asked() -> bool:
    """Whether the launcher was told to (`accelerate launch --use_fsdp --fsdp_version 2`)."""
    return num() > 1 and os.environ.get("ACCELERATE_USE_FSDP", "").lower() in ("1", "true")


def check(experiment: Experiment) -> None:
    """Raises ConfigError if an experiment cannot be trained with its weights spread."""
    if experiment.balancer.is_apart:
        raise ConfigError(
            "balancing: methods of gradients need whole gradients, which FSDP does not have: "
            "use several processes without it, or weigh tasks by their losses"
        )
    if experiment.train.look_ahead:
        raise ConfigError("train.look_ahead: needs whole gradients, which FSDP does not have")
    if experiment.train.precision == "fp16":
        raise ConfigError("train.precision: fp16 does not go with FSDP: say bf16, or float32")
    tied = [task.name for task in experiment.tasks if isinstance(task.head, TokenHead)]
    if tied:
        raise ConfigError(
            f"tasks.{tied[0]}: shares the embeddings of the encoder, which FSDP spreads over "
            "processes: use several processes without it"
        )


def is_sharded(encoder: Encoder) -> bool:
    """Whether the weights are spread."""
    return isinstance(encoder, FSDPModule)


def shard(model: MultiTaskModel, device: torch.device) -> None:
    """Spreads the encoder, layer by layer, with the options of the launcher. Heads stay whole.

    `state_dict` and `load_state_dict` of the model deal in whole tensors all the same; all
    processes must call them. Raises ConfigError if the encoder or an option does not suit.
    """
    from accelerate import FullyShardedDataParallelPlugin

    encoder, plugin = model.encoder, FullyShardedDataParallelPlugin()
    if plugin.fsdp_version != 2:
        raise ConfigError("FSDP: only its second version. Launch with --fsdp_version 2")
    if not encoder.layer_modules():
        raise ConfigError("encoder: FSDP cannot spread one of this kind")
    if plugin.activation_checkpointing:
        encoder.recompute_activations()
    options = {
        "mesh": init_device_mesh(device.type, (num(),)),
        "reshard_after_forward": plugin.reshard_after_forward,
        "offload_policy": plugin.cpu_offload,
        "mp_policy": plugin.mixed_precision_policy or MixedPrecisionPolicy(),
    }
    for layer in encoder.layer_modules():
        fully_shard(layer, **options)
    fully_shard(encoder, **options)
    for module in encoder.modules():
        if isinstance(module, FSDPModule):
            module.set_gradient_divide_factor(1.0)  # losses are divided by the targets of all
            module.set_force_sum_reduction_for_comms(True)
        module.register_state_dict_post_hook(_gather)
        module.register_load_state_dict_pre_hook(_spread)


def whole(tensor: Tensor) -> Tensor:
    """A tensor with all its parts on the CPU of the first process; all must ask, others get none.

    One that is not spread stays as it is.
    """
    if not isinstance(tensor, DTensor):
        return tensor
    found = tensor.full_tensor()
    return found.cpu() if is_first() else found.new_zeros(0, device="cpu")


def parts(tensors: Iterable[Tensor]) -> Iterator[Tensor]:
    """What this process has of each."""
    return (one.to_local() if isinstance(one, DTensor) else one for one in tensors)


def spread_like(tensor: Tensor, like: Tensor) -> Tensor:
    """A whole tensor, spread as another of its shape is."""
    if not isinstance(like, DTensor):
        return tensor
    if tensor.shape == like.shape:
        tensor = distribute_tensor(tensor, like.device_mesh, like.placements)
    return tensor.to(like.to_local().device)


class _Held:
    """Whole tensors by where their local parts begin, while files are written."""

    whole: ClassVar[dict[int, Tensor]] = {}


@contextmanager
def whole_model(model: MultiTaskModel) -> Iterator[None]:
    """Meanwhile the first process alone can ask for whole tensors of an encoder that is spread."""
    for module in model.encoder.modules():
        if isinstance(module, FSDPModule):
            module.reshard()
    for parameter in model.encoder.parameters():
        if isinstance(parameter, DTensor):
            gathered = whole(parameter.detach())
            if is_first():
                _Held.whole[parameter.to_local().data_ptr()] = gathered
    try:
        yield
    finally:
        _Held.whole.clear()


def _gather(
    _module: nn.Module, found: dict[str, Tensor], prefix: str, _metadata: Mapping[str, object]
) -> None:
    for name, tensor in found.items():
        if name.startswith(prefix) and isinstance(tensor, DTensor):
            held = _Held.whole.get(tensor.to_local().data_ptr())
            found[name] = whole(tensor) if held is None else held


def _spread(module: nn.Module, found: dict[str, Tensor], prefix: str, *_rest: object) -> None:
    for name, parameter in module.named_parameters(prefix.removesuffix("."), recurse=False):
        if name in found:
            found[name] = spread_like(found[name], parameter)
