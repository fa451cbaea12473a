"""Fine-tuning one task with the Hugging Face Trainer over given batches, timed step by step."""

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import final

import torch
from torch.utils.data import DataLoader
from transformers import (
    AutoModelForSequenceClassification,
    AutoModelForTokenClassification,
    AutoTokenizer,
    DataCollatorForTokenClassification,
    DataCollatorWithPadding,
    PreTrainedModel,
    PrinterCallback,
    Trainer,
    TrainerCallback,
    TrainingArguments,
)

from polytask.config.options import OptimizerOptions, Precision
from polytask.data.batching import NO_WORD, Pass
from polytask.data.feed import Feed
from polytask.heads.head import IGNORE

Features = list[dict[str, object]]
"""One example as the Trainer takes it: token ids, mask, and a label or one a token."""

Batches = list[list[int]]
"""Places of the examples of each batch."""


@final
class Ticks(TrainerCallback):
    """When each step ended."""

    def __init__(self) -> None:
        self.times: list[float] = []

    def on_step_end(self, *args: object, **kwargs: object) -> None:
        """The Trainer calls this after the optimizer's step."""
        self.times.append(time.perf_counter())


@final
class FixedBatches(Trainer):
    """The Trainer over given batches, in the given order."""

    def __init__(
        self,
        features: Features,
        batches: Batches,
        *,
        model: PreTrainedModel,
        settings: TrainingArguments,
        collate: DataCollatorForTokenClassification | DataCollatorWithPadding,
        ticks: Ticks,
    ) -> None:
        super().__init__(model=model, args=settings, data_collator=collate, callbacks=[ticks])
        self.features = features
        self.batches = batches
        self.remove_callback(PrinterCallback)

    def get_train_dataloader(self) -> DataLoader[dict[str, object]]:
        """The Trainer's own place to say how batches are made."""
        return DataLoader(
            self.features,  # type: ignore[arg-type]  # a list does, though it is no Dataset
            batch_sampler=self.batches,
            collate_fn=self.data_collator,
        )


def trainer_maker(
    features: Features,
    batches: Batches,
    *,
    num_labels: int,
    encoder: Path,
    options: OptimizerOptions,
    precision: Precision,
) -> Callable[[Ticks], FixedBatches]:
    """Makes Trainers that go on with one and the same model of one task."""
    is_tagging = isinstance(features[0]["labels"], list)
    kind = AutoModelForTokenClassification if is_tagging else AutoModelForSequenceClassification
    model: PreTrainedModel = kind.from_pretrained(encoder, num_labels=num_labels)
    tokenizer = AutoTokenizer.from_pretrained(encoder)
    collate = DataCollatorForTokenClassification if is_tagging else DataCollatorWithPadding
    settings = TrainingArguments(
        output_dir=str(encoder.parent / "trainer"),
        max_steps=len(batches),
        learning_rate=options.lr,
        weight_decay=options.weight_decay,
        max_grad_norm=options.max_norm or 0.0,
        optim="adamw_torch_fused",
        bf16=precision == "bf16",
        use_cpu=True,
        logging_strategy="no",
        save_strategy="no",
        report_to=[],
        disable_tqdm=True,
    )
    return lambda ticks: FixedBatches(
        features,
        batches,
        model=model,
        settings=settings,
        collate=collate(tokenizer),
        ticks=ticks,
    )


def trainer_lap(make: Callable[[Ticks], FixedBatches]) -> float:
    """Seconds of the Trainer, its start and first step not timed."""
    ticks = Ticks()
    make(ticks).train()
    return ticks.times[-1] - ticks.times[0]


def features_of(feed: Feed, passes: Sequence[Pass], task: str) -> tuple[Features, Batches]:
    """The examples of the passes with the labels of one task, and the passes as batches."""
    features: Features = []
    batches: Batches = []
    for batch in passes:
        (part,) = batch.parts
        labels = part.targets[task]["labels"]  # (records,) or (records, words, 1)
        batches.append(list(range(len(features), len(features) + len(labels))))
        for row, ids in enumerate(feed.rows(part.indices).token_ids):
            target = labels[row].squeeze(-1)  # () or (words,)
            if target.ndim:
                starts = part.inputs.word_starts[row]  # (words,)
                on_tokens = torch.full((len(ids),), IGNORE)  # (tokens,)
                on_tokens[starts[starts != NO_WORD]] = target[starts != NO_WORD]
                target = on_tokens
            features.append(
                {
                    "input_ids": ids.tolist(),
                    "attention_mask": [1] * len(ids),
                    "labels": target.tolist(),
                }
            )
    return features, batches
