import json
from pathlib import Path

import pytest
import torch

from head_inputs import inputs_of
from polytask.api import load, train
from polytask.data.part_views import OPENING
from polytask.data.records import Record
from polytask.errors import ConfigError, DataError
from polytask.heads.head import IGNORE
from polytask.heads.relate import Relate


def span(start: int, end: int, text: str | None = None) -> dict[str, object]:
    return {"start": start, "end": end, "label": None, "text": text}


ORDER: Record = {"text": "my order in Berlin", "e1": span(3, 8), "e2": span(12, 18), "label": "in"}
ROOM: Record = {"text": "Berlin room", "e1": span(7, 11), "e2": span(0, 6), "label": "of"}


def fitted() -> Relate:
    head = Relate()
    head.fit([ORDER, ROOM])
    head.attach(4)
    return head.eval()


def test_the_head_reads_the_marks_before_the_spans_and_nothing_else() -> None:
    head = fitted()
    inputs = inputs_of(head, ORDER, ROOM)
    hidden = torch.randn(*inputs.token_ids.shape, 4)
    is_mark = torch.zeros(inputs.token_ids.shape, dtype=torch.bool)
    is_mark[torch.arange(2).unsqueeze(1), inputs.word_starts[:, OPENING]] = True

    logits = head(hidden, inputs)

    assert torch.equal(head(hidden.masked_fill(~is_mark.unsqueeze(2), 9.0), inputs), logits)
    assert not torch.equal(head(hidden.masked_fill(is_mark.unsqueeze(2), 9.0), inputs), logits)


def test_a_record_whose_mark_was_cut_off_is_not_learned_and_has_no_answer() -> None:
    head = fitted()
    record: Record = {"text": "打印机坏了请帮忙", "e1": span(0, 1), "e2": span(6, 8), "label": "in"}
    inputs = inputs_of(head, record, max_tokens=8)

    targets = head.targets([record], inputs)

    assert targets["labels"].tolist() == [IGNORE]
    answer = head.decode(torch.zeros(1, 2), [record], inputs)
    assert answer == [{"label": None, "probability": 0.0}]
    assert head.score(["in"], answer).metrics["accuracy"] == 0.0


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"e1": span(3, 40)}, "column 'e1': no text stands from 3 to 40"),
        ({"e2": span(8, 9)}, "column 'e2': no text stands from 8 to 9"),
        ({"e1": span(3, 8, "ordre")}, "column 'e1': characters 3 to 8 are 'order'"),
    ],
)
def test_what_is_wrong_with_spans_is_told(changed: dict[str, object], message: str) -> None:
    assert fitted().problem({**ORDER, **changed}) == message


def test_an_unknown_relation_is_told() -> None:
    fault = fitted().problem({**ORDER, "label": "inn"})

    assert fault is not None
    assert fault.startswith("label 'inn' is not one of the labels. Did you mean 'in'?")


def test_options_that_make_no_sense_are_refused() -> None:
    with pytest.raises(ConfigError) as spans:
        Relate(spans=["e1"])
    with pytest.raises(ConfigError) as none:
        Relate(none="nothing").fit([ORDER, ROOM])

    assert str(spans.value) == "`spans:` takes two columns, such as [e1, e2]"
    assert str(none.value) == "`none: nothing` is no label of column 'label'"


def test_a_span_outside_of_its_text_is_told_when_asked_too(tmp_path: Path) -> None:
    text = "".join(json.dumps(row) + "\n" for row in (ORDER, ROOM))
    (tmp_path / "rows.jsonl").write_text(text, encoding="utf-8")
    (tmp_path / "relate.yaml").write_text(
        "encoder: {kind: scratch, layers: 1, width: 16, vocabulary: 128, max_tokens: 32}\n"
        "data: {texts: {train: rows.jsonl, dev: rows.jsonl}}\n"
        "tasks: {place: {kind: relate, data: texts}}\ntrain: {max_steps: 1, device: cpu}\n",
        encoding="utf-8",
    )
    train(tmp_path / "relate.yaml", out=tmp_path / "run")
    model = load(tmp_path / "run")
    fine = {"text": "书在桌上", "e1": {"start": 0, "end": 1}, "e2": {"start": 2, "end": 4}}

    with pytest.raises(DataError) as fault:
        model([fine, {**fine, "e2": {"start": 2, "end": 9}}])

    assert set(model(fine)["place"]) == {"label", "probability"}
    assert str(fault.value) == "item 2: task place: column 'e2': no text stands from 2 to 9"
