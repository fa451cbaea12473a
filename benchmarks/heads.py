"""What each kind of task costs beside the encoder: MiniLM, 32 rows of 32 tokens, warmed up.

For each kind: forward, loss and backward of the head over forward and backward of the encoder,
and decoding over forward of the encoder; then eight heads on one text over one. Contestants take
turns; ratios are taken within a round, figures are medians over rounds.

    python benchmarks/heads.py
"""

import argparse
import random
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import median

import numpy as np
import torch
from _common import RECIPES, Target, print_closing_line
from torch import Tensor

from polytask.build import read_experiment
from polytask.data.feed import LiveRows
from polytask.data.records import Record
from polytask.encoders import Encoder
from polytask.heads import HEADS, Head
from polytask.model import MultiTaskModel
from polytask.tasks import Task, make_pass

NUM_ROWS, NUM_TOKENS = 32, 32
OPTIONS: Mapping[str, tuple[str, dict[str, object], int]] = {
    "answer": ("answer", {"passage": "short", "question": "short_too"}, 1),
    "choose": ("choose", {"text": "short", "label": "right"}, 4),
    "classify": ("classify", {"text": "text"}, 1),
    "extract": ("extract", {}, 1),
    "fill": ("fill", {"text": "text"}, 1),
    "lemma": ("lemma", {"words": "words", "lemmas": "words"}, 1),
    "match": ("match", {"text": "text", "label": "label"}, 1),
    "multilabel": ("multilabel", {"text": "text"}, 1),
    "ordinal": ("ordinal", {"text": "text", "label": "stars"}, 1),
    "parse": ("parse", {"words": "words"}, 1),
    "rank": ("rank", {"text": "short"}, 4),
    "regress": ("regress", {"text": "text", "value": "score"}, 1),
    "relate": ("relate", {"text": "text"}, 1),
    "spans": ("spans", {"words": "words"}, 1),
    "tag": ("tag", {"words": "words"}, 1),
    "tag_crf": ("tag", {"words": "words", "decoder": "crf"}, 1),
}
"""By contestant: its kind, its options, the encoder rows of a record."""

DEAR = ("parse", "extract", "tag_crf", "fill")
TOGETHER: Mapping[str, tuple[str, dict[str, object]]] = {
    "tag": ("tag", {}),
    "upos": ("tag", {"tags": "upos"}),
    "spans": ("spans", {}),
    "lemma": ("lemma", {"lemmas": "words"}),
    "classify": ("classify", {}),
    "multilabel": ("multilabel", {}),
    "ordinal": ("ordinal", {"label": "stars"}),
    "regress": ("regress", {"value": "score"}),
}
VOCABULARY = "the printer on floor three eats every page please help me with my new screen"
NUM_LEARNED = 40
"""Steps by which a head learns the records first: decoding is that of a trained head."""


def main() -> None:
    """Prints a Markdown table and the closing line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=9)
    rounds = parser.parse_args().rounds
    torch.manual_seed(0)
    source = read_experiment(RECIPES / "snips.yaml").source
    encoder = source.create(lambda: iter(()), base=Path(), note=print)
    figures: dict[str, float] = {}
    print("| kind | training | decoding |\n| --- | ---: | ---: |")
    for name, (kind, options, num_rows) in OPTIONS.items():
        found = costs(encoder, HEADS[kind](**options), num_rows, rounds)
        figures |= {f"{name}.{part}": ratio for part, ratio in found.items()}
        print(f"| {name} | {found['training']:.3f} | {found['decoding']:.3f} |")
    figures["eight_heads"] = eight(encoder, rounds)
    print(f"| eight on one text over one | {figures['eight_heads']:.3f} | |")
    targets = {
        name: Target("<=", 0.25 if name.partition(".")[0] in DEAR else 0.10) for name in figures
    }
    targets["eight_heads"] = Target("<=", 1.25)
    print_closing_line(figures, targets)


def made(num: int) -> list[Record]:
    """Records with labels of every kind, the same each time."""
    draw = random.Random(0)  # noqa: S311
    records: list[Record] = []
    for _ in range(num):
        words = [draw.choice(VOCABULARY.split()) for _ in range(NUM_TOKENS - 2)]
        short = " ".join(words[: NUM_TOKENS // 2 - 2])
        ends = [{"start": 0, "end": len(words[0]), "label": "a", "text": None}]
        last = len(" ".join(words))
        ends.append({"start": last - len(words[-1]), "end": last, "label": "b", "text": None})
        tags = [draw.choice(["O", "O", "B-a", "B-b", "B-c"]) for _ in words]
        records.append(
            {
                "text": " ".join(words[: NUM_TOKENS - 2]),
                "words": words,
                "short": short,
                "short_too": short,
                "candidates": [" ".join(draw.sample(words, NUM_TOKENS // 2 - 2)) for _ in range(4)],
                "label": draw.choice("abcdefgh"),
                "right": str(draw.randrange(4)),
                "labels": draw.sample("abcdefgh", 2),
                "stars": str(draw.randrange(1, 6)),
                "score": draw.random(),
                "grades": [draw.random() for _ in range(4)],
                "tags": tags,
                "upos": [draw.choice(["NOUN", "VERB", "ADJ"]) for _ in words],
                "head": [str(int(place > 0)) for place in range(len(words))],
                "dep": ["root", *(draw.choice(["obj", "nmod"]) for _ in words[1:])],
                "answers": [{**ends[0], "label": None}],
                "e1": ends[0],
                "e2": ends[1],
                "entities": ends,
                "relations": [{"head": 0, "tail": 1, "label": draw.choice("xyz")}],
            }
        )
    return records


def costs(encoder: Encoder, head: Head, num_rows: int, rounds: int) -> dict[str, float]:
    """Training and decoding of a head, over those of the encoder."""
    records = made(NUM_ROWS // num_rows)
    head.fit(records)
    head.attach(encoder.width)
    MultiTaskModel(encoder, {"task": head})
    rows = LiveRows("feed", records, head.view, tokeniser=encoder.tokeniser, cleaning=None)
    tasks = {"feed": [Task("task", "feed", head)]}
    batch = make_pass([(rows, np.arange(len(records)))], tasks, tokeniser=encoder.tokeniser)
    part = batch.parts[0]
    with torch.no_grad():
        hidden = encoder(batch.inputs)
    start = hidden.detach().requires_grad_()

    def encode() -> None:
        encoder(batch.inputs).square().mean().backward()
        encoder.zero_grad()

    def train() -> None:
        logits = head(start, part.inputs)
        head.loss(logits, part.targets["task"]).backward()
        head.zero_grad()

    @torch.no_grad()
    def read() -> None:
        encoder(batch.inputs)

    @torch.no_grad()
    def decode() -> None:
        head.decode(head(hidden, part.inputs), part.records, part.inputs)

    weights = list(head.parameters())
    if weights:
        optimizer = torch.optim.Adam(weights, lr=0.01)
        for _ in range(NUM_LEARNED):
            head.loss(head(hidden, part.inputs), part.targets["task"]).backward()
            optimizer.step()
            optimizer.zero_grad()
    laps = {"encode": encode, "train": train, "read": read, "decode": decode}
    seconds = take_turns(laps, rounds)
    return {
        "training": median(one["train"] / one["encode"] for one in seconds),
        "decoding": median(one["decode"] / one["read"] for one in seconds),
    }


def eight(encoder: Encoder, rounds: int) -> float:
    """A training step's forward and backward with eight heads on the same words, over one head."""
    records = made(NUM_ROWS)
    tasks: list[Task] = []
    for name, (kind, options) in TOGETHER.items():
        head = HEADS[kind](words="words", **options)
        head.fit(records)
        head.attach(encoder.width)
        tasks.append(Task(name, "feed", head))
    rows = LiveRows("feed", records, tasks[0].head.view, tokeniser=encoder.tokeniser, cleaning=None)

    def lap(some: Sequence[Task]) -> Callable[[], None]:
        model = MultiTaskModel(encoder, {task.name: task.head for task in some})
        batch = make_pass(
            [(rows, np.arange(NUM_ROWS))], {"feed": some}, tokeniser=encoder.tokeniser
        )
        names = {"feed": [task.name for task in some]}

        def step() -> None:
            logits: dict[str, Tensor] = model(batch, names)
            targets = batch.parts[0].targets
            losses = [task.head.loss(logits[task.name], targets[task.name]) for task in some]
            torch.stack(losses).sum().backward()
            model.zero_grad()

        return step

    laps = {"one": lap(tasks[:1]), "eight": lap(tasks)}
    return median(one["eight"] / one["one"] for one in take_turns(laps, rounds))


def take_turns(laps: Mapping[str, Callable[[], None]], rounds: int) -> list[dict[str, float]]:
    """Seconds by contestant for each round after the first."""
    found: list[dict[str, float]] = []
    for number in range(rounds + 1):
        seconds: dict[str, float] = {}
        for name in list(laps)[:: 1 if number % 2 else -1]:
            started = time.perf_counter()
            laps[name]()
            seconds[name] = time.perf_counter() - started
        found.append(seconds)
    return found[1:]


if __name__ == "__main__":
    main()
