"""The golden file of options, and the samples by name."""

import io
import json
import shutil
from pathlib import Path

import pytest
from rich.console import Console

import polytask
from polytask.training.folder import RunFolder
from toys import train_toy

GOLDEN = Path(__file__).parent / "schema.json"


def test_the_json_schema_is_that_of_the_golden_file() -> None:
    text = json.dumps(polytask.schema(), indent=2, ensure_ascii=False) + "\n"

    assert text == GOLDEN.read_text(encoding="utf-8"), (
        "The options of experiment files have changed. If that is meant, say so in the change log "
        "and write the golden file anew: python -m polytask schema > tests/schema.json"
    )


def test_an_unknown_sample_is_refused() -> None:
    with pytest.raises(polytask.RunError) as caught:
        polytask.sample("klingon")

    assert str(caught.value) == "no sample 'klingon'. Known: english, chinese."


def test_every_name_of_the_flat_namespace_is_there_and_named_once() -> None:
    assert len(set(polytask.__all__)) == len(polytask.__all__)
    for name in polytask.__all__:
        assert getattr(polytask, name) is not None
    assert {"Interrupted", "predict"} <= set(polytask.__all__)


def test_predict_is_load_and_ask(toy_run: Path) -> None:
    texts = ["send me the lamp", "where is the table"]
    model = polytask.load(toy_run, device="cpu")

    assert polytask.predict(toy_run, texts, device="cpu") == model(texts)
    assert polytask.predict(toy_run, texts[0], ["stars"], "cpu") == model(texts[0], tasks=["stars"])


def quickstart(out: Path) -> tuple[polytask.Evaluation, polytask.Comparison]:
    return polytask.quickstart(out=out, console=Console(file=io.StringIO()))


def status(out: Path) -> str:
    found: str = json.loads((out / "run.json").read_text(encoding="utf-8"))["status"]
    return found


@pytest.fixture
def sample_is_toy(toy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The toy experiment stands for the sample."""
    monkeypatch.setattr("polytask.api.samples.sample", lambda: toy)


@pytest.mark.usefixtures("sample_is_toy")
def test_quickstart_over_its_own_finished_run_trains_anew(toy_run: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    shutil.copytree(toy_run, out)
    (out / "mine.txt").write_text("of the run before", encoding="utf-8")

    assert set(quickstart(out)[0].scores) == {"intent", "items", "stars"}
    assert status(out) == "finished"
    assert not (out / "mine.txt").exists()


@pytest.mark.usefixtures("sample_is_toy")
def test_quickstart_goes_on_with_its_own_unfinished_run(
    toy_run: Path, toy: Path, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    shutil.copytree(toy_run, out)
    before = json.loads((out / "run.json").read_text(encoding="utf-8"))["experiment"]
    RunFolder(out).mark("unfinished", before)
    (out / "mine.txt").write_text("of the same run", encoding="utf-8")

    quickstart(out)

    assert status(out) == "finished"
    assert (out / "mine.txt").exists()


@pytest.mark.usefixtures("sample_is_toy")
def test_quickstart_leaves_a_run_of_another_experiment_alone(toy: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    train_toy(toy, out, "train.max_steps=1")
    before = {file: file.stat().st_mtime_ns for file in out.rglob("*")}

    with pytest.raises(polytask.RunError) as caught:
        quickstart(out)

    assert str(caught.value) == f"{out}: holds a run of another experiment. Use another --out."
    assert {file: file.stat().st_mtime_ns for file in out.rglob("*")} == before


@pytest.mark.usefixtures("sample_is_toy")
def test_quickstart_leaves_a_folder_that_is_no_run_alone(tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("dear", encoding="utf-8")

    with pytest.raises(polytask.RunError) as caught:
        quickstart(tmp_path)

    assert str(caught.value) == (
        f"{tmp_path}: is not empty and not a run folder. Use another --out."
    )
