"""polytask: one shared text encoder, one head per task, one pass for all."""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from polytask.api import (
        Comparison,
        Evaluation,
        Predictor,
        Trained,
        affinity,
        check,
        compare,
        curve,
        evaluate,
        group,
        info,
        load,
        mistakes,
        predict,
        quickstart,
        report,
        sample,
        schema,
        sweep,
        train,
    )
    from polytask.errors import (
        ConfigError,
        DataError,
        Interrupted,
        MissingExtra,
        PolytaskError,
        RunError,
        TrainingError,
    )

__all__ = [
    "Comparison",
    "ConfigError",
    "DataError",
    "Evaluation",
    "Interrupted",
    "MissingExtra",
    "PolytaskError",
    "Predictor",
    "RunError",
    "Trained",
    "TrainingError",
    "affinity",
    "check",
    "compare",
    "curve",
    "evaluate",
    "group",
    "info",
    "load",
    "mistakes",
    "predict",
    "quickstart",
    "report",
    "sample",
    "schema",
    "sweep",
    "train",
]


def __getattr__(name: str) -> object:
    """Loads a name when it is first asked for: `import polytask` waits for no torch."""
    if name not in __all__:
        raise AttributeError(f"module 'polytask' has no attribute '{name}'")
    home = "polytask.errors" if name.endswith(("Error", "Extra", "Interrupted")) else "polytask.api"
    return getattr(import_module(home), name)


def __dir__() -> list[str]:
    return __all__
