"""Predictions in the order of the records, scores that count every labelled row."""

import json
import math
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from polytask import api
from polytask.build import load_data, make_feeds, open_model, read_experiment, split_records
from polytask.data.feed import Feed
from polytask.data.tables import default_cache
from polytask.errors import DataError, RunError
from polytask.evaluation import predict as loop
from polytask.evaluation.score import score_tasks
from toys import read_rows, train_toy, write_rows


def rows_of(toy: Path, name: str) -> list[dict[str, Any]]:
    return read_rows(toy.parent / name)


def predicted(run: Path, task: str, split: str = "test") -> list[dict[str, Any]]:
    return read_rows(run / "predictions" / f"{split}.{task}.jsonl")


def test_predictions_stand_in_the_order_of_the_records_with_their_place(
    toy: Path, toy_run: Path
) -> None:
    for task, name in (("intent", "messages"), ("items", "messages"), ("stars", "reviews")):
        places = [row["where"] for row in predicted(toy_run, task)]
        assert places == [f"{toy.parent / name}.test.jsonl:{i}" for i in range(1, 13)]
    words = [row["words"] for row in rows_of(toy, "messages.test.jsonl")]
    assert [row["words"] for row in predicted(toy_run, "items")] == words


@pytest.mark.parametrize("budget", [16, 64, 4096])
def test_predictions_are_the_same_whatever_the_batching(
    toy_run: Path, monkeypatch: pytest.MonkeyPatch, budget: int
) -> None:
    model, experiment = open_model(toy_run / "model")
    records = split_records(load_data(experiment, cache=default_cache()))["test"]
    feeds = make_feeds(experiment, model, records, cache=default_cache())
    monkeypatch.setattr(loop, "BATCH_TOKENS", budget)

    results = score_tasks(model, feeds, experiment.tasks_by_feed())

    for task in ("intent", "items"):
        key = "label" if task == "intent" else "tags"
        found = [one[key] for one in results[task].predictions]
        assert found == [row[key] for row in predicted(toy_run, task)]
    values = [one["value"] for one in results["stars"].predictions]
    assert values == pytest.approx([row["value"] for row in predicted(toy_run, "stars")], abs=1e-5)


def test_prediction_leaves_the_model_in_the_mode_it_was_in(toy_run: Path) -> None:
    model, experiment = open_model(toy_run / "model")
    records = split_records(load_data(experiment, cache=default_cache()))["test"]
    feeds = make_feeds(experiment, model, records, cache=default_cache())
    model.train()

    score_tasks(model, feeds, experiment.tasks_by_feed())

    assert model.training


def test_rows_without_a_label_have_a_prediction_and_no_score(toy: Path, toy_run: Path) -> None:
    labelled = [row for row in rows_of(toy, "messages.test.jsonl") if "intent" in row]

    metrics = json.loads((toy_run / "metrics.json").read_text(encoding="utf-8"))["test"]

    assert len(predicted(toy_run, "intent")) == 12
    assert metrics["intent"]["records"] == len(labelled) < 12


def test_accuracy_is_that_of_the_predictions_file(toy: Path, toy_run: Path) -> None:
    gold = [row.get("intent") for row in rows_of(toy, "messages.test.jsonl")]
    pairs = [
        (one, row["label"]) for one, row in zip(gold, predicted(toy_run, "intent"), strict=True)
    ]
    metrics = json.loads((toy_run / "metrics.json").read_text(encoding="utf-8"))["test"]

    right = [one == other for one, other in pairs if one is not None]
    assert metrics["intent"]["metrics"]["accuracy"] == sum(right) / len(right)


def test_texts_that_train_holds_too_are_scored_and_also_left_out(toy_run: Path) -> None:
    metrics = json.loads((toy_run / "metrics.json").read_text(encoding="utf-8"))["test"]

    for task in ("intent", "items", "stars"):
        one = metrics[task]
        assert one["seen_in_train"] == 2
        assert one["without_seen_in_train"]["records"] == one["records"] - 2


def test_only_the_rows_that_were_seen_are_left_out(toy_run: Path) -> None:
    model, experiment = open_model(toy_run / "model")
    records = split_records(load_data(experiment, cache=default_cache()))["test"]
    feeds = make_feeds(experiment, model, records, cache=default_cache())

    def first_two(feed: Feed) -> np.ndarray:
        return np.arange(len(feed)) < 2

    results = score_tasks(model, feeds, experiment.tasks_by_feed(), seen=first_two)

    for task in experiment.tasks:
        one = results[task.name]
        read = [*task.head.needs, *task.head.view.needs]
        golds = [task.head.gold(r) for some in one.feed.records.batches(read) for r in some]
        kept = [i for i in range(2, 12) if golds[i] is not None]
        assert one.unseen is not None
        assert one.unseen == task.head.score(
            [golds[i] for i in kept], [one.predictions[i] for i in kept]
        )


def test_a_word_that_was_cut_off_is_scored_as_wrong(toy: Path, tmp_path: Path) -> None:
    train_toy(toy, tmp_path / "run", "encoder.max_tokens=8", "train.max_steps=1")

    scores = api.evaluate(tmp_path / "run").scores["items"]

    kept, cut, right = 0, 0, 0
    golds = [row.get("tags") for row in rows_of(toy, "messages.test.jsonl")]
    for gold, row in zip(golds, predicted(tmp_path / "run", "items"), strict=True):
        for one, other in zip(gold or (), row["tags"], strict=False):
            kept += 1
            cut += other is None
            right += one == other
    assert cut > 0
    assert scores.metrics["accuracy"] == right / kept


def test_a_split_of_nan_scores_is_written_as_null(toy: Path, tmp_path: Path) -> None:
    unlabelled = [
        {key: value for key, value in row.items() if key != "stars"}
        for row in rows_of(toy, "reviews.test.jsonl")
    ]
    unlabelled[0]["stars"] = None
    file = write_rows(tmp_path / "unlabelled.jsonl", unlabelled)
    train_toy(toy, tmp_path / "run", "train.max_steps=1", f"data.reviews.test={file}")

    found = api.evaluate(tmp_path / "run")

    assert math.isnan(found.scores["stars"].headline[1])
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text(encoding="utf-8"))
    assert metrics["test"]["stars"]["metrics"]["pearson"] is None
    assert "| stars | regress | reviews | pearson |" in (tmp_path / "run" / "README.md").read_text(
        encoding="utf-8"
    )


def test_evaluating_again_writes_the_same_and_leaves_no_draft(
    toy_run: Path, tmp_path: Path
) -> None:
    run = tmp_path / "copy"
    shutil.copytree(toy_run, run)
    before = {p: p.read_bytes() for p in run.rglob("*.json*") if p.is_file()}

    api.evaluate(run)

    assert {p: p.read_bytes() for p in run.rglob("*.json*") if p.is_file()} == before
    assert [p for p in run.rglob("*") if p.name.startswith(".")] == []


def test_a_run_without_a_test_split_says_so(toy: Path, tmp_path: Path) -> None:
    lines = toy.read_text(encoding="utf-8")
    for name in ("messages", "reviews"):
        lines = lines.replace(f", test: {name}.test.jsonl", "")
    file = toy.parent / "no_test.yaml"
    file.write_text(lines, encoding="utf-8")
    train_toy(file, tmp_path / "run", "train.max_steps=1")

    with pytest.raises(RunError) as caught:
        api.evaluate(tmp_path / "run")

    assert str(caught.value) == f"{tmp_path / 'run'}: no data set names a test split"


def test_check_counts_rows_labels_lengths_duplicates_and_leaks(toy: Path) -> None:
    found = api.check(toy)

    by_split = {one.split: one for one in found.tasks["intent"]}
    train, test = by_split["train"], by_split["test"]
    # labels by n % 3, none where n % 7 == 6: of 0..39 those are 6, 13, 20, 27, 34
    assert (train.num_rows, train.num_missing) == (40, 5)
    assert dict(train.label_counts) == {"order": 12, "refund": 11, "track": 12}
    assert train.majority == pytest.approx(12 / 35)
    assert train.num_duplicates == 0
    assert (dict(train.leaks), test.leaks["messages/text"]) == ({}, 2)
    assert list(train.lengths) == sorted(train.lengths)
    assert "task intent, test: 2 texts also stand in the training data of messages/text." in (
        found.warnings
    )


def test_check_trains_nothing_and_writes_nothing_beside_the_data(toy: Path) -> None:
    before = sorted(toy.parent.rglob("*"))

    api.check(toy)

    assert sorted(toy.parent.rglob("*")) == before


def test_the_experiment_of_a_run_reads_back_as_the_same(toy_run: Path, toy: Path) -> None:
    again = read_experiment(toy_run / "experiment.yaml")
    inner = read_experiment(toy_run / "model" / "experiment.yaml")

    assert again.plain == inner.plain
    assert again.plain["tasks"] == read_experiment(toy).plain["tasks"]


def test_scores_of_other_data_are_not_written_into_the_run(
    toy: Path, toy_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_rows(tmp_path / "few.jsonl", rows_of(toy, "reviews.test.jsonl")[:3])
    before = (toy_run / "metrics.json").read_bytes()
    monkeypatch.chdir(tmp_path)

    found = api.evaluate(toy_run.resolve(), overrides=["data.reviews.test=few.jsonl"])

    assert found.scores["stars"].count <= 3
    assert (toy_run / "metrics.json").read_bytes() == before


def test_a_fault_in_the_labels_of_the_scored_split_names_file_line_and_task(
    toy: Path, toy_run: Path, tmp_path: Path
) -> None:
    rows = rows_of(toy, "messages.test.jsonl")
    rows[1]["intent"] = "ordr"
    file = write_rows(tmp_path / "odd.jsonl", rows)

    with pytest.raises(DataError, match=r"odd\.jsonl:2: task intent: label 'ordr' is not one"):
        api.evaluate(toy_run, overrides=[f"data.messages.test={file}"])
