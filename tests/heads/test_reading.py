"""Tasks that read what others say of the same text."""

import json
from pathlib import Path

import pytest
import torch

from local_tokenizers import wordpiece
from polytask.api import load, train
from polytask.build import load_data, make_feeds, make_model, read_experiment, split_records
from polytask.build.data import fit_heads
from polytask.data.batching import NO_WORD, pad
from polytask.data.feed import ragged, token_rows
from polytask.data.tokeniser import Tokeniser
from polytask.data.views import TextView
from polytask.errors import ConfigError
from polytask.heads.reading import signals_of_records, signals_of_words
from polytask.model import MultiTaskModel
from polytask.tasks import make_pass

ROWS = [
    {"words": ["send", "the", "lamp"], "tags": ["O", "O", "B-item"], "label": "ask"},
    {"words": ["lamp", "broke"], "tags": ["B-item", "O"], "label": "moan"},
    {"words": ["thanks", "Ann"], "tags": ["O", "B-who"], "label": "praise"},
    {"words": ["灯", "坏", "了"], "tags": ["B-item", "O", "O"], "label": "moan"},
]
INTENT = "intent: {kind: classify, data: texts, words: words"
SLOTS = "slots: {kind: tag, data: texts, words: words"


def experiment(folder: Path, *tasks: str) -> Path:
    text = "".join(json.dumps(row) + "\n" for row in ROWS * 4)
    (folder / "rows.jsonl").write_text(text, encoding="utf-8")
    file = folder / "service.yaml"
    listed = "".join(f"  {task}}}\n" for task in tasks)
    file.write_text(
        "encoder: {kind: scratch, layers: 1, width: 16, vocabulary: 128, max_tokens: 16}\n"
        "data: {texts: {train: rows.jsonl, dev: rows.jsonl}}\n"
        f"tasks:\n{listed}"
        "train: {max_steps: 3, device: cpu, precision: float32}\noptimizer: {head_lr: 0.01}\n",
        encoding="utf-8",
    )
    return file


def fault_of(folder: Path, *tasks: str) -> str:
    with pytest.raises(ConfigError) as found:
        read_experiment(experiment(folder, *tasks))
    return str(found.value).removeprefix(f"{folder / 'service.yaml'}:")


def gradients(folder: Path, *, has_gradient: bool) -> dict[str, bool]:
    """Which weights the loss of intent reaches, once reading has weight."""
    through = ", reads_gradient: true" if has_gradient else ""
    plan = read_experiment(experiment(folder, f"{INTENT}, reads: [slots]{through}", SLOTS))
    data = load_data(plan, cache=folder / "cache")
    fit_heads(plan, data, lambda _: None)
    torch.manual_seed(0)
    model = make_model(plan, data, lambda _: None)
    torch.nn.init.ones_(model.get_parameter("heads.intent-head.reader.project.weight"))
    tasks = plan.tasks_by_feed()
    ((name, feed),) = make_feeds(
        plan, model, split_records(data)["train"], cache=folder / "cache"
    ).items()
    batch = make_pass([(feed, [0, 1, 2])], tasks, tokeniser=model.encoder.tokeniser)  # type: ignore[list-item]
    logits = model(batch, {name: ["intent"]})
    model.head("intent").loss(logits["intent"], batch.parts[0].targets["intent"]).backward()
    return {
        part: any(p.grad is not None for n, p in model.named_parameters() if n.startswith(part))
        for part in ("encoder.", "heads.intent-head.reader.", "heads.slots-head.")
    }


@pytest.mark.parametrize("has_gradient", [False, True])
def test_what_is_read_is_trained_by_its_reader_only_if_asked(
    tmp_path: Path, has_gradient: bool
) -> None:
    assert gradients(tmp_path, has_gradient=has_gradient) == {
        "encoder.": True,
        "heads.intent-head.reader.": True,
        "heads.slots-head.": has_gradient,
    }


def test_a_reader_comes_back_with_its_run_and_needs_no_second_pass(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = tmp_path / "run"
    train(experiment(tmp_path, f"{INTENT}, reads: [slots]", SLOTS), out=run)
    model = load(run)
    weight = model.model.get_parameter("heads.intent-head.reader.project.weight")
    assert weight.abs().sum() > 0

    passes: list[int] = []
    forward = MultiTaskModel.forward
    monkeypatch.setattr(MultiTaskModel, "forward", lambda *args: passes.append(1) or forward(*args))
    both = model("send the lamp")
    alone = model("send the lamp", tasks=["intent"])

    assert alone == {"intent": both["intent"]}
    assert passes == [1, 1]
    torch.nn.init.constant_(weight, 3.0)
    assert model("send the lamp")["slots"] == both["slots"]
    assert model("send the lamp")["intent"] != both["intent"]


def test_a_chain_is_read_in_order(tmp_path: Path) -> None:
    mood = "mood: {kind: classify, data: texts, words: words, reads: [intent]"
    run = tmp_path / "run"

    train(experiment(tmp_path, mood, f"{INTENT}, reads: [slots]", SLOTS), out=run)

    assert list(load(run)("send the lamp")) == ["mood", "intent", "slots"]


def test_what_cannot_be_read_is_told(tmp_path: Path) -> None:
    number = "urgency: {kind: lemma, data: texts, words: words, lemmas: tags"
    single = "topic: {kind: classify, data: texts, text: text"

    assert fault_of(tmp_path, f"{INTENT}, reads: [slotz]", SLOTS).startswith(
        "4: tasks.intent.reads: no task 'slotz'. Did you mean 'slots'?"
    )
    assert fault_of(tmp_path, f"{INTENT}, reads: [urgency]", number) == (
        "4: tasks.intent.reads: task urgency is of a kind that gives no probabilities to read"
    )
    assert fault_of(tmp_path, f"{INTENT}, reads: [topic]", single) == (
        "4: tasks.intent.reads: task topic does not read the same columns of the same data"
    )
    assert fault_of(tmp_path, f"{INTENT}, reads: [intent]") == (
        "4: tasks.intent.reads: intent -> intent is a circle"
    )


def test_a_circle_is_told_from_where_it_begins(tmp_path: Path) -> None:
    found = fault_of(tmp_path, f"{INTENT}, reads: [slots]", f"{SLOTS}, reads: [intent]")

    assert found.splitlines()[0] == ("4: tasks.intent.reads: intent -> slots -> intent is a circle")
    assert found.splitlines()[1].endswith(
        "5: tasks.slots.reads: slots -> intent -> slots is a circle"
    )


def test_signals_stand_at_the_tokens_of_their_words() -> None:
    view = TextView(("words",), is_split=True)
    tokeniser = Tokeniser(wordpiece().backend_tokenizer, max_tokens=16, pad_id=0)
    records = [{"words": ["打", "invoice"]}, {"words": ["印"]}]
    inputs = pad(ragged(token_rows(records, view, tokeniser, None)), pad_id=0, segment=1)
    of_words = torch.tensor([[[0.1], [0.9]], [[0.5], [7.0]]])

    found = signals_of_words(of_words, inputs)

    second = int(inputs.word_starts[0, 1])
    assert found[0, 1:second].unique().tolist() == pytest.approx([0.1])
    assert found[0, second].tolist() == pytest.approx([0.9])
    assert found[0, 0].tolist() == [0.0]
    assert found[1, 1].tolist() == [0.5]
    assert found[1, int(inputs.mask[1].sum()) :].abs().sum() == 0
    inputs.word_starts[0, 0] = NO_WORD
    cut = signals_of_words(of_words, inputs)
    assert cut[0, 1:second].abs().sum() == 0
    assert cut[0, second].tolist() == pytest.approx([0.9])
    same = signals_of_records(torch.tensor([[1.0], [2.0]]), inputs)
    assert same[:, :, 0].unique(dim=1).flatten().tolist() == [1.0, 2.0]
