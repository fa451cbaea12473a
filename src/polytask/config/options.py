"""The fixed sections of an experiment file: how to train. Each field is a key, with its default."""

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field

Precision = Literal["auto", "float32", "bf16", "fp16"]
Tracker = Literal["tensorboard", "wandb", "mlflow"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainOptions:
    """How long to train, on what, and which model to keep.

    batch_tokens bounds the padded tokens of one pass; a step holds `accumulate` passes. select:
    `mean` of the headline metrics on dev, `worst` of them, or the name of one task. patience: stop
    after so many evaluations without a better model. on_nan: what to do when a loss, gradient or
    weight is not finite; more than max_skipped steps skipped in a row stop the run in any case.
    look_every: every so many steps the journal gets norms and cosines of the tasks' gradients.
    look_ahead: at these steps also what a step on one task alone does to the losses of all.
    gradient_checkpointing: the backward computes again what each layer of the encoder gave, which
    saves memory and takes time.
    """

    epochs: Annotated[int, Field(ge=1)] = 4
    max_steps: Annotated[int, Field(ge=1)] | None = None
    batch_tokens: Annotated[int, Field(ge=16)] = 1024
    accumulate: Annotated[int, Field(ge=1)] = 1
    precision: Precision = "auto"
    device: str = "auto"
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 7
    select: str = "mean"
    patience: Annotated[int, Field(ge=1)] | None = None
    on_nan: Literal["raise", "skip", "rollback"] = "raise"
    max_skipped: Annotated[int, Field(ge=1)] = 10
    look_every: Annotated[int, Field(ge=1)] | None = 100
    look_ahead: bool = False
    gradient_checkpointing: bool = False
    trackers: list[Tracker] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OptimizerOptions:
    """AdamW (Loshchilov and Hutter, ICLR 2019).

    lr is the learning rate of the encoder's top block, head_lr that of the heads; each block below
    gets layer_decay times the rate of the one above. Biases and norms are not decayed. Gradients
    are clipped to max_norm, the encoder's and each head's apart.
    """

    lr: Annotated[float, Field(gt=0)] = 1e-4
    head_lr: Annotated[float, Field(gt=0)] = 1e-3
    weight_decay: Annotated[float, Field(ge=0)] = 0.01
    layer_decay: Annotated[float, Field(gt=0, le=1)] = 1.0
    beta1: Annotated[float, Field(ge=0, lt=1)] = 0.9
    beta2: Annotated[float, Field(ge=0, lt=1)] = 0.999
    eps: Annotated[float, Field(gt=0)] = 1e-8
    max_norm: Annotated[float, Field(gt=0)] | None = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleOptions:
    """How the learning rate changes: up over the share `warmup` of all steps, then down to 0."""

    shape: Literal["linear", "cosine", "constant"] = "linear"
    warmup: Annotated[float, Field(ge=0, lt=1)] = 0.06


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckpointOptions:
    """How often the full state of training is saved, and how many of these states are kept."""

    every_minutes: Annotated[float, Field(gt=0)] = 10.0
    every_steps: Annotated[int, Field(ge=1)] | None = None
    keep: Annotated[int, Field(ge=1)] = 2
