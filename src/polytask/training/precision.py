"""In which precision a device trains: decided from what it is, never by timing."""

from typing import cast

import torch

from polytask.build import Experiment
from polytask.config.options import Precision
from polytask.errors import ConfigError
from polytask.processes import num


def choose_device(name: str) -> torch.device:
    """The device of that name; `auto` takes a GPU if there is one. Raises ConfigError."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise ConfigError(
            f"train.device: cannot use '{name}': {str(error).splitlines()[0]}"
        ) from error
    return device


def own_device(device: torch.device) -> torch.device:
    """Of several GPUs the one of this process. Raises ConfigError if all are to share one."""
    if device.type != "cuda" or num() == 1:
        return device
    if device.index is not None:
        raise ConfigError(
            f"train.device: {device} is one GPU for {num()} processes. "
            "Say `cuda`, and each gets its own."
        )
    return torch.device("cuda", torch.cuda.current_device())


def choose_precision(asked: Precision, device: torch.device) -> Precision:
    """`auto` is bf16 where the processor or card multiplies it in hardware, else float32."""
    if asked != "auto":
        return asked
    return "bf16" if _multiplies_bf16(device) else "float32"


def _multiplies_bf16(device: torch.device) -> bool:
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)
    if device.type == "cpu":
        capabilities = torch.cpu.get_capabilities()
        return any(capabilities.get(name) for name in ("avx512_bf16", "amx_bf16", "arm_bf16"))
    return False


def settle_device(experiment: Experiment) -> torch.device:
    """Where to train; the experiment's `plain` gets the precision that `auto` stands for there."""
    device = choose_device(experiment.train.device)
    precision = choose_precision(experiment.train.precision, device)
    cast(dict[str, object], experiment.plain["train"])["precision"] = precision
    return device
