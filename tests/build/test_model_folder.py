"""A model folder is checked before it is used, and holds no pickle."""

import json
import shutil
import zipfile
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModel

from polytask import load
from polytask.build import open_model, read_experiment
from polytask.errors import ConfigError, RunError
from toys import train_toy, write_toy


@pytest.fixture
def model(toy_run: Path, tmp_path: Path) -> Path:
    """A copy of a model folder, to damage."""
    return Path(shutil.copytree(toy_run / "model", tmp_path / "model"))


def test_a_model_folder_of_another_format_is_refused_with_its_version(model: Path) -> None:
    facts = json.loads((model / "polytask.json").read_text(encoding="utf-8"))
    facts["format"], facts["versions"]["polytask"] = 7, "9.1"
    (model / "polytask.json").write_text(json.dumps(facts), encoding="utf-8")

    with pytest.raises(RunError) as caught:
        load(model)

    assert str(caught.value) == (
        f"{model / 'polytask.json'}: has format 7, but this version of polytask reads format 2. "
        "It was written by polytask 9.1."
    )


@pytest.mark.parametrize("name", ["heads.safetensors", "model.safetensors", "tokenizer.json"])
def test_a_missing_file_is_named(model: Path, name: str) -> None:
    (model / name).unlink()

    with pytest.raises(RunError) as caught:
        load(model)

    assert str(caught.value) == f"{model / name}: is missing. Copy the whole folder again."


@pytest.mark.parametrize(
    "name", ["heads.safetensors", "model.safetensors", "tokenizer.json", "experiment.yaml"]
)
def test_a_flipped_bit_is_found(model: Path, name: str) -> None:
    content = bytearray((model / name).read_bytes())
    content[len(content) // 2] ^= 1
    (model / name).write_bytes(content)

    with pytest.raises(RunError) as caught:
        load(model)

    assert str(caught.value) == (
        f"{model / name}: is damaged: not the file that was written. Copy it again."
    )


@pytest.mark.parametrize("text", ["", "[]", '{"format": 1}', '{"format": 1, "files": 3}'])
def test_a_damaged_facts_file_is_refused(model: Path, text: str) -> None:
    (model / "polytask.json").write_text(text, encoding="utf-8")

    with pytest.raises(RunError, match=r"polytask\.json: is damaged: "):
        load(model)


def test_a_folder_without_facts_is_no_model_folder(model: Path) -> None:
    (model / "polytask.json").unlink()

    with pytest.raises(RunError) as caught:
        load(model)

    assert str(caught.value) == f"{model}: no polytask.json: not the model folder of a run"


def test_a_file_list_cannot_point_outside_the_folder(model: Path) -> None:
    facts = json.loads((model / "polytask.json").read_text(encoding="utf-8"))
    facts["files"]["../../etc/passwd"] = "0" * 64
    (model / "polytask.json").write_text(json.dumps(facts), encoding="utf-8")

    with pytest.raises(RunError) as caught:
        load(model)

    assert str(caught.value) == f"{model / 'passwd'}: is missing. Copy the whole folder again."


def test_heads_that_do_not_fit_the_tasks_are_refused(toy_run: Path, model: Path) -> None:
    with pytest.raises(RunError, match=r"heads\.safetensors: does not fit the tasks"):
        open_model(model, ["tasks.intent.text=[text, words]", "tasks.intent.pair=towers"])


def test_the_encoder_of_a_run_loads_with_transformers(toy_run: Path) -> None:
    theirs = AutoModel.from_pretrained(toy_run / "model")
    ours, _ = open_model(toy_run / "model")

    for name, tensor in theirs.state_dict().items():
        assert torch.equal(tensor, ours.encoder.state_dict()[f"model.{name}"])


def test_the_heads_are_stored_by_task_name(toy_run: Path) -> None:
    names = {name.split(".")[0] for name in load_file(toy_run / "model" / "heads.safetensors")}

    assert names == {"intent-head", "items-head", "stars-head"}


def test_no_file_of_a_run_is_a_pickle(toy_run: Path) -> None:
    files = [file for file in toy_run.rglob("*") if file.is_file()]

    assert {file.suffix for file in files} <= {".json", ".jsonl", ".yaml", ".md", ".safetensors"}
    assert not any(zipfile.is_zipfile(file) for file in files)
    assert not any(file.read_bytes()[:1] == b"\x80" for file in files)


def test_a_task_may_bear_the_name_of_any_attribute(tmp_path: Path) -> None:
    toy = write_toy(tmp_path)
    text = toy.read_text(encoding="utf-8")
    for old, new in (("intent:", "type:"), ("items:", "forward:"), ("stars:", "values:")):
        text = text.replace(f"  {old} {{kind", f"  {new} {{kind")
    toy.write_text(text, encoding="utf-8")

    train_toy(toy, tmp_path / "run", "train.max_steps=1")

    assert load(tmp_path / "run").tasks == ["type", "forward", "values"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            "tasks.intent.data=mesages",
            "tasks.intent.data: no data set 'mesages'. Did you mean 'messages'? "
            "Known: messages, reviews.",
        ),
        (
            "train.select=intnt",
            "train.select: no task 'intnt'. Did you mean 'intent'? "
            "Known: mean, worst, intent, items, stars.",
        ),
        (
            "balancing.weights={stras: 2.0}",
            "balancing.weights: no task 'stras'. Did you mean 'stars'? "
            "Known: intent, items, stars.",
        ),
    ],
)
def test_a_name_that_does_not_exist_is_refused_with_the_nearest(
    toy: Path, change: str, message: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        read_experiment(toy, [change])

    assert str(caught.value).endswith(message)


def test_an_experiment_of_auxiliary_tasks_only_is_refused(toy: Path) -> None:
    all_three = [f"tasks.{task}.auxiliary=true" for task in ("intent", "items", "stars")]

    with pytest.raises(ConfigError, match="every task is auxiliary, so none can choose a model"):
        read_experiment(toy, all_three)


def test_tasks_of_one_view_share_a_feed_and_others_have_their_own(toy: Path) -> None:
    feeds = read_experiment(toy).tasks_by_feed()

    assert {name: [task.name for task in tasks] for name, tasks in feeds.items()} == {
        "messages/text": ["intent"],
        "messages/words": ["items"],
        "reviews": ["stars"],
    }
