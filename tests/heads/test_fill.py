import json
import math
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from safetensors import safe_open

from local_tokenizers import wordpiece
from polytask.api import evaluate, load, train
from polytask.build import read_experiment
from polytask.data.batching import Inputs, pad
from polytask.data.feed import ragged, token_rows
from polytask.data.masking import hide
from polytask.data.records import Record
from polytask.data.tokeniser import Tokeniser
from polytask.heads.fill import Fill
from polytask.heads.head import IGNORE

TOKENISER = Tokeniser(wordpiece().backend_tokenizer, max_tokens=12, pad_id=0)
RECORDS: list[Record] = [{"text": "please help"}, {"text": "打印机坏了，请帮忙。" * 2}]


def hidden_inputs(head: Fill, records: Sequence[Record] = RECORDS) -> Inputs:
    rows = token_rows(list(records), head.view, TOKENISER, None)
    return hide(pad(ragged(rows), pad_id=0, segment=1), TOKENISER, None)[1]


def test_a_long_text_is_read_in_windows_without_overlap() -> None:
    inputs = hidden_inputs(Fill(text="text"))

    assert inputs.owners.tolist() == [0, 1, 1]
    places = (inputs.word_starts >= 0).sum(0)
    assert set(places[places > 0].tolist()) <= {1, 2}  # words of two texts share columns
    assert inputs.mask.sum().item() > 12


def test_targets_are_the_hidden_tokens() -> None:
    head = Fill(text="text")
    inputs = hidden_inputs(head)
    assert inputs.is_hidden is not None

    targets = head.targets(RECORDS, inputs)

    assert torch.equal(targets["tokens"] != IGNORE, inputs.is_hidden)
    assert torch.equal(targets["tokens"][inputs.is_hidden], inputs.token_ids[inputs.is_hidden])
    assert head.count(targets) == int(inputs.is_hidden.sum())


def test_perplexity_and_accuracy_are_over_all_hidden_tokens() -> None:
    head = Fill(text="text")
    one = {"accuracy": 1.0, "perplexity": 2.0, "hidden": 1}
    other = {"accuracy": 0.5, "perplexity": 8.0, "hidden": 2}

    scores = head.score([True, True], [one, other])

    expected = math.exp((math.log(2) + 2 * math.log(8)) / 3)
    assert scores.metrics == {
        "accuracy": pytest.approx(2 / 3),
        "perplexity": pytest.approx(expected),
    }


def test_a_guess_is_right_where_the_hidden_token_is_likeliest() -> None:
    head = Fill(text="text")
    inputs = hidden_inputs(head)
    assert inputs.is_hidden is not None
    tokens = inputs.token_ids[inputs.is_hidden]
    logits = torch.zeros(len(tokens), TOKENISER.num_tokens)
    logits[torch.arange(len(tokens)), tokens] = 50.0
    logits[0] = 0.0
    logits[0, int(tokens[0]) - 1] = 50.0

    found = head.decode(logits, RECORDS, inputs)

    assert found[0]["accuracy"] < 1.0
    assert found[1] == {"accuracy": 1.0, "perplexity": 1.0, "hidden": found[1]["hidden"]}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    rows = [{"text": f"please send the lamp {n} to Oslo", "label": "ab"[n % 2]} for n in range(24)]
    text = "".join(json.dumps(row) + "\n" for row in rows)
    (tmp_path / "rows.jsonl").write_text(text, encoding="utf-8")
    return tmp_path


def experiment(folder: Path, tasks: str) -> Path:
    file = folder / "service.yaml"
    file.write_text(
        "encoder: {kind: scratch, layers: 1, width: 16, vocabulary: 128, max_tokens: 16}\n"
        f"data: {{texts: {{train: rows.jsonl, dev: rows.jsonl}}}}\ntasks: {{{tasks}}}\n"
        "train: {max_steps: 3, device: cpu}\n",
        encoding="utf-8",
    )
    return file


FILL = "guess: {kind: fill, data: texts, text: text}"
LABEL = "label: {kind: classify, data: texts, text: text}"


def test_beside_other_tasks_it_is_an_auxiliary_and_alone_it_is_the_task(folder: Path) -> None:
    both = read_experiment(experiment(folder, f"{LABEL}, {FILL}")).tasks
    alone = read_experiment(experiment(folder, FILL)).tasks
    told = read_experiment(experiment(folder, f"{LABEL}, {FILL[:-1]}, auxiliary: false}}")).tasks

    assert [task.is_auxiliary for task in both] == [False, True]
    assert [task.is_auxiliary for task in alone] == [False]
    assert [task.is_auxiliary for task in told] == [False, False]


def test_the_embeddings_are_saved_once_and_shared_after_loading(folder: Path) -> None:
    run = folder / "run"
    train(experiment(folder, f"{LABEL}, {FILL}"), out=run)

    with safe_open(run / "model" / "heads.safetensors", "pt") as weights:
        names = list(weights.keys())
    assert not any("embeddings" in name for name in names)
    model = load(run).model
    head = model.head("guess")
    assert isinstance(head, Fill)
    assert head._embeddings[0] is model.encoder.token_embeddings()
    answer = load(run)("please send the lamp")
    assert set(answer["guess"]) == {"accuracy", "perplexity", "hidden"}
    assert answer["label"] == load(run)("please send the lamp", tasks=["label"])["label"]
    assert list(evaluate(run, split="dev").scores["guess"].metrics) == ["accuracy", "perplexity"]
