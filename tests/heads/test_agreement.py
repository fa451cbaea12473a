"""Tasks that are to agree with others about the same text."""

import json
from pathlib import Path

import pytest
import torch
from torch.nn.functional import kl_div

from polytask.errors import ConfigError, DataError
from polytask.heads.classify import Classify
from polytask.heads.multilabel import Multilabel
from toys import NO_HOOKS, events, toy_loop, train_toy, write_rows

EXPERIMENT = """\
encoder: {{kind: scratch, layers: 1, width: 16, vocabulary: 100, max_tokens: 16}}
data: {{texts: {{train: rows.jsonl, dev: rows.jsonl}}}}
tasks:
  one: {{kind: classify, data: texts, label: one, {one}}}
  other: {{kind: classify, data: texts, label: other, {other}}}
train: {{epochs: 30, batch_tokens: 64, device: cpu, precision: float32, look_every: null}}
optimizer: {{lr: 0.003, head_lr: 0.01}}
"""


def rows() -> list[dict[str, object]]:
    """Texts of which each task knows another half, and says the opposite."""
    words = {"good": ("fine", "great", "nice"), "bad": ("poor", "weak", "sad")}
    made = [
        {"text": f"{word} {thing}", "mood": mood}
        for mood, some in words.items()
        for word in some
        for thing in ("灯", "table", "clock", "shelf")
    ]
    return [
        {"text": row["text"], "one": row["mood"]}
        if place % 2
        else {"text": row["text"], "other": "bad" if row["mood"] == "good" else "good"}
        for place, row in enumerate(made)
    ]


def write(folder: Path, *, one: str = "text: text", other: str = "text: text") -> Path:
    write_rows(folder / "rows.jsonl", rows())
    file = folder / "agree.yaml"
    file.write_text(EXPERIMENT.format(one=one, other=other), encoding="utf-8")
    return file


def test_the_divergence_is_the_sum_of_both_directions() -> None:
    chances, others = torch.rand(2, 3, 5, 4).softmax(-1)
    both = kl_div(others.log(), chances, reduction="sum") + kl_div(
        chances.log(), others, reduction="sum"
    )

    assert float(Classify(text="text").divergence(chances, others).sum()) == pytest.approx(
        float(both), 1e-5
    )
    assert float(Classify(text="text").divergence(chances, chances).abs().sum()) == 0


def test_of_labels_that_do_not_exclude_each_other_absence_counts_too() -> None:
    one, other = torch.tensor([[[0.9]]]), torch.tensor([[[0.5]]])
    pairs = [torch.cat([x, 1 - x], dim=-1) for x in (one, other)]

    found = Multilabel(text="text").divergence(one, other).sum()

    assert float(found) == pytest.approx(float(Classify(text="text").divergence(*pairs).sum()))


def losses(folder: Path, agreement: str, *options: str) -> dict[str, float]:
    quiet = ("encoder.dropout=0.0", "tasks.one.dropout=0.0", "tasks.other.dropout=0.0")
    out = folder / str(len(list(folder.iterdir())))
    train_toy(write(folder, one=agreement), out, "train.max_steps=1", *quiet, *options)
    return events(out, "step")[0]["losses"]


def test_it_is_added_to_the_loss_alike_in_one_pass_and_in_many(tmp_path: Path) -> None:
    large, small = ("train.batch_tokens=4096",), ("train.batch_tokens=32", "train.accumulate=99")

    alone = losses(tmp_path, "text: text", *large)
    double = losses(tmp_path, "text: text, agrees_with: [other], agreement: 2.0", *large)
    single = losses(tmp_path, "text: text, agrees_with: [other]", *large)
    parted = losses(tmp_path, "text: text, agrees_with: [other]", *small)

    assert single["other"] == alone["other"]
    assert single["one"] > alone["one"]
    assert double["one"] - alone["one"] == pytest.approx(2 * (single["one"] - alone["one"]), 1e-3)
    assert parted == pytest.approx(single, rel=1e-5)


def distance(folder: Path, agreement: str) -> float:
    """How far the tasks are apart after training: the mean difference of their chances."""
    loop = toy_loop(write(folder, one=agreement))
    loop.run(NO_HOOKS)
    batch = loop._batches.make([("texts", torch.arange(24).numpy())])
    loop.model.eval()
    with torch.no_grad():
        logits = loop.model(batch, {"texts": ["one", "other"]})
    chances = [logits[task].softmax(-1) for task in ("one", "other")]
    return float((chances[0] - chances[1]).abs().mean())


def test_heads_that_are_to_agree_come_closer(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()

    apart = distance(tmp_path / "a", "text: text")
    together = distance(tmp_path / "b", "text: text, agrees_with: [other], agreement: 5.0")

    assert together < 0.5 * apart


def test_a_task_may_agree_with_what_it_reads(tmp_path: Path) -> None:
    reading = "text: text, reads: [other], agrees_with: [other]"
    loop = toy_loop(write(tmp_path, one=reading))
    batch = loop._batches.make([("texts", torch.arange(24).numpy())])
    loop.model.eval()
    hidden = loop.model.encoder(batch.inputs)

    def apart() -> float:
        logits = loop.model.read(hidden, batch, {"texts": ["one", "other"]})
        return float(loop.model.disagreement("one", hidden, batch.parts[0], logits).detach())

    assert apart() == 0  # what is read has no weight yet
    torch.nn.init.normal_(loop.model.head("one").get_submodule("reader").project.weight)
    assert apart() > 0


@pytest.mark.parametrize(
    ("one", "other", "told"),
    [
        (
            "text: text, agrees_with: [nobody]",
            "text: text",
            "tasks.one.agrees_with: no task 'nobody'",
        ),
        (
            "text: text, agrees_with: [one]",
            "text: text",
            "tasks.one.agrees_with: a task agrees with itself",
        ),
        ("text: text, agrees_with: [other]", "text: title", "does not read the same columns"),
    ],
)
def test_what_cannot_agree_is_told(tmp_path: Path, one: str, other: str, told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        toy_loop(write(tmp_path, one=one, other=other))


def test_other_labels_are_told(tmp_path: Path) -> None:
    file = write(tmp_path, one="text: text, agrees_with: [other]")
    made = [json.loads(line) for line in (tmp_path / "rows.jsonl").read_text().splitlines()]
    write_rows(tmp_path / "rows.jsonl", [*made, {"text": "so so", "other": "fair"}])

    with pytest.raises(DataError, match=r"tasks\.one\.agrees_with: other has other labels"):
        toy_loop(file)
