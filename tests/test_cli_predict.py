"""The command `predict`: texts, lines and records in, JSON lines out, each fault with its place."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
import torch

from commands import Command, Done, command_in
from toys import read_rows, write_rows


@pytest.fixture
def command(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> Command:
    """Runs a command in an empty folder, with a terminal of 120 columns."""
    return command_in(tmp_path, monkeypatch, capfd)


def answers(done: Done) -> list[dict[str, Any]]:
    return [json.loads(line) for line in done.out.split("\n") if line]


def test_predict_answers_the_texts_of_the_command_line(toy_run: Path, command: Command) -> None:
    done = command("predict", toy_run, "send me the lamp", "请把台灯送到上海")

    assert (done.code, done.err) == (0, "")
    first, second = answers(done)
    assert first["text"] == "send me the lamp"
    assert set(first["predictions"]) == {"intent", "items", "stars"}
    assert second["text"] == "请把台灯送到上海"
    assert "请把台灯送到上海" in done.out


def test_predict_answers_lines_of_standard_input_and_passes_over_blank_ones(
    toy_run: Path, command: Command
) -> None:
    done = command("predict", toy_run, stdin="a lamp\n\n  \nthe clock\n")

    assert [row["text"] for row in answers(done)] == ["a lamp", "the clock"]


def test_predict_reads_records_from_a_file_and_writes_another(
    toy: Path, toy_run: Path, command: Command, tmp_path: Path
) -> None:
    rows = [{"words": ["red lamp", "Oslo"], "id": 7}, {"text": "the clock", "id": 8}]
    write_rows(tmp_path / "in.jsonl", rows)

    done = command("predict", toy_run, "--file", "in.jsonl", "--out", "out.jsonl")

    assert (done.code, done.out) == (0, "")
    first, second = read_rows(tmp_path / "out.jsonl")
    assert (first["id"], set(first["predictions"])) == (7, {"items"})
    assert (second["id"], second["text"]) == (8, "the clock")


def test_predict_answers_only_the_task_asked_for(toy_run: Path, command: Command) -> None:
    done = command("predict", toy_run, "a lamp", "--task", "stars")

    assert set(answers(done)[0]["predictions"]) == {"stars"}


@pytest.mark.parametrize(
    ("arguments", "stdin", "message"),
    [
        (["--task", "star", "a lamp"], "", "no task 'star'. Did you mean 'stars'? "),
        (["--file", "none.txt"], "", "none.txt: no such file\n"),
        ([], 'a lamp\n{"text": \n', "standard input:2: not JSON: "),
        ([], '{"title": "a"}\n', "standard input:1: no task reads a record with title\n"),
        (["a lamp", " "], "", "item 2: the text is empty\n"),
        (
            [],
            b"a lamp\ncaf\xe9\n",
            "standard input:2: byte 4 of the line is not valid UTF-8 (0xe9). Save it as UTF-8.\n",
        ),
        ([], "{" + '"a":[' * 9999, "standard input:1: not JSON: "),
        (
            [],
            '\n{"text": "\\ud800"}\n',
            "standard input:2: the text holds half a surrogate pair: \\ud800\n",
        ),
        (
            [],
            'a lamp\n{"text": "a\\u0000"}\n',
            "standard input:2: the text holds a NUL character at position 2\n",
        ),
        (
            ["--out", "none/out.jsonl", "a lamp"],
            "",
            "none/out.jsonl: cannot be written: No such file or directory\n",
        ),
        (
            ["--out", ".", "a lamp"],
            "",
            ".: cannot be written: Is a directory\n",
        ),
    ],
)
def test_predict_says_what_is_wrong_with_its_input(
    toy_run: Path, command: Command, arguments: list[str], stdin: str | bytes, message: str
) -> None:
    done = command("predict", toy_run, *arguments, stdin=stdin)

    assert done.code == 2
    assert done.err.startswith(message)


def test_predict_names_the_line_of_a_file_that_is_not_utf8(toy_run: Path, command: Command) -> None:
    Path("in.txt").write_bytes(b"a lamp\n" * 300 + b"\xff\n")

    done = command("predict", toy_run, "--file", "in.txt", "--out", "out.jsonl")

    assert (done.code, done.err) == (
        2,
        "in.txt:301: byte 1 of the line is not valid UTF-8 (0xff). Save it as UTF-8.\n",
    )


def test_predict_names_a_line_beyond_the_first_chunk(toy_run: Path, command: Command) -> None:
    stdin = "a lamp\n" * 300 + '{"title": "a"}\n'

    done = command("predict", toy_run, "--task", "stars", stdin=stdin)

    assert done.code == 2
    assert done.err == ("standard input:301: task stars reads one text, not a record with title\n")


def test_predict_reads_json_after_a_byte_order_mark(toy_run: Path, command: Command) -> None:
    line = b'\xef\xbb\xbf{"text": "a lamp", "id": 7}\n'
    Path("in.jsonl").write_bytes(line)

    for done in (
        command("predict", toy_run, stdin=line),
        command("predict", toy_run, "--file", "in.jsonl"),
    ):
        assert done.err == ""
        assert [(row["text"], row["id"]) for row in answers(done)] == [("a lamp", 7)]


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write")
def test_predict_does_not_write_into_a_read_only_folder(toy_run: Path, command: Command) -> None:
    Path("shut").mkdir(mode=0o500)

    done = command("predict", toy_run, "a lamp", "--out", "shut/out.jsonl")

    assert (done.code, done.err) == (
        2,
        "shut/out.jsonl: cannot be written: Permission denied\n",
    )


def test_predict_gives_back_half_a_surrogate_pair_as_json_escapes_it(
    toy_run: Path, command: Command
) -> None:
    done = command("predict", toy_run, stdin='{"text": "a lamp", "note": "\\ud800"}\n')

    assert answers(done)[0]["note"] == "\ud800"


def test_predict_computes_where_it_is_told(toy_run: Path, command: Command) -> None:
    assert command("predict", toy_run, "a lamp", "--device", "cpu").code == 0
    assert command("predict", toy_run, "a lamp", "--device", "abacus").code == 2


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without a GPU")
def test_predict_without_a_gpu_says_so(toy_run: Path, command: Command) -> None:
    done = command("predict", toy_run, "a lamp", "--device", "cuda")

    assert done.code == 2
    assert done.err.startswith("device: cannot use 'cuda': ")
