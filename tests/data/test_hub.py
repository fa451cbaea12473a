from pathlib import Path

import datasets
import pytest

from polytask.data.columns import LABEL, TEXT, WORDS, Need
from polytask.data.hub import open_split
from polytask.data.tables import read_records
from polytask.errors import DataError

FEATURES = datasets.Features(
    {
        "text": datasets.Value("string"),
        "label": datasets.ClassLabel(names=["bad", "good"]),
        "tags": datasets.List(datasets.ClassLabel(names=["O", "B"])),
    }
)
NEEDS = {"text": Need(TEXT, True), "label": Need(LABEL, False), "tags": Need(WORDS, False)}


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    rows = {"text": ["a", "b", "c"], "label": [0, 1, -1], "tags": [[0], [1, 0], [0]]}
    train = datasets.Dataset.from_dict(rows, features=FEATURES)
    datasets.DatasetDict({"train": train}).save_to_disk(tmp_path / "saved")
    return tmp_path


def test_class_numbers_become_names_and_minus_one_a_missing_label(saved: Path) -> None:
    records = read_records(open_split("saved", "train", base=saved), NEEDS, cache=saved / "cache")

    assert records.take([0, 1, 2]) == [
        {"text": "a", "label": "bad", "tags": ["O"]},
        {"text": "b", "label": "good", "tags": ["B", "O"]},
        {"text": "c", "label": None, "tags": ["O"]},
    ]
    assert records.where(1) == "saved[train], row 2"


def test_the_digest_follows_the_content(saved: Path) -> None:
    before = open_split("saved", "train", base=saved).digest()

    changed = datasets.Dataset.from_dict({"text": ["x"], "label": [0], "tags": [[0]]}, FEATURES)
    datasets.DatasetDict({"train": changed}).save_to_disk(saved / "other")

    assert open_split("saved", "train", base=saved).digest() == before
    assert open_split("other", "train", base=saved).digest() != before


def test_an_unknown_split_is_named_with_the_nearest(saved: Path) -> None:
    with pytest.raises(DataError) as fault:
        open_split("saved", "trian", base=saved)

    assert str(fault.value) == "saved: no split 'trian'. Did you mean 'train'? Known: train."


def test_another_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"Expected a folder written by datasets\.save_to_disk\.$"):
        open_split(".", "train", base=tmp_path)


def test_without_a_network_the_message_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)

    with pytest.raises(DataError) as fault:
        open_split("nobody/nothing", "train", base=tmp_path)

    assert str(fault.value).startswith(
        "nobody/nothing: no such folder, and the split 'train' could not be fetched from the "
        "Hugging Face hub: "
    )
    assert str(fault.value).endswith(
        " Check the names. Without a network, write the data set with datasets.save_to_disk where "
        "there is one, and name that folder."
    )
