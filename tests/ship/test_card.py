"""The model card of a run."""

from pathlib import Path

import yaml

from polytask import train


def parts(card: str) -> tuple[dict[str, object], str]:
    _, front, body = card.split("---\n", 2)
    return yaml.safe_load(front), body


def test_the_card_names_tasks_data_licences_scores_and_how_to_load(toy_run: Path) -> None:
    front, body = parts((toy_run / "README.md").read_text(encoding="utf-8"))

    assert front["language"] == ["en"]
    assert front["library_name"] == "polytask"
    rows = [line for line in body.splitlines() if line.startswith("| ")]
    intent = next(row for row in rows if row.startswith("| intent |"))
    cells = [cell.strip() for cell in intent.strip("|").split("|")]
    assert cells[:4] == ["intent", "classify", "messages", "accuracy"]
    assert all(0 <= float(score) <= 1 for score in cells[4:6])
    assert "| messages | en | CC0-1.0 | toy orders |" in rows
    assert "| reviews | not stated | not stated |  |" in rows
    assert 'model = polytask.load("toy")' in body
    assert "AutoModel.from_pretrained" in body
    assert "seed 7" in body


def test_before_test_is_scored_its_column_says_so(toy: Path, tmp_path: Path) -> None:
    train(toy, out=tmp_path / "run", overrides=["train.max_steps=1"])

    _, body = parts((tmp_path / "run" / "README.md").read_text(encoding="utf-8"))

    row = next(line for line in body.splitlines() if line.startswith("| items |"))
    assert row.endswith("| n/a |")


def test_the_card_holds_no_path_of_the_machine(toy: Path, toy_run: Path) -> None:
    card = (toy_run / "README.md").read_text(encoding="utf-8")

    assert str(toy.parent) not in card
    assert str(toy_run.parent) not in card
