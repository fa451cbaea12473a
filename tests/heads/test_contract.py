"""What every head must do, however it reads its records."""

import copy
import json
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import cast

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from polytask.data.batching import Pass
from polytask.data.feed import LiveRows
from polytask.data.records import Record
from polytask.encoders import Encoder
from polytask.encoders.scratch import Scratch
from polytask.heads import HEADS, Head, Prediction, ProbableHead, raw
from polytask.heads.answer import AnswerSpan
from polytask.heads.choose import Choose
from polytask.heads.classify import Classify
from polytask.heads.extract import Extract
from polytask.heads.fill import Fill
from polytask.heads.lemma import Lemma
from polytask.heads.match import Match
from polytask.heads.multilabel import Multilabel
from polytask.heads.ordinal import Ordinal
from polytask.heads.parse import Parse
from polytask.heads.probable import TemperedHead
from polytask.heads.rank import Rank
from polytask.heads.regress import Regress
from polytask.heads.relate import Relate
from polytask.heads.spans import Spans
from polytask.heads.tag import Tag
from polytask.model import MultiTaskModel
from polytask.tasks import Task, make_pass

TEXT_COLUMNS = ("text", "words", "other", "e1", "e2", "candidates")
TEXTS = [
    ("please send the lamp", "help", "ask", 4.0, "V V D N", "O O O B-thing"),
    ("the lamp broke", "it is lost", "moan", 1.5, "D N V", "O B-thing O"),
    ("where is Bob Lee", "thanks a lot", "ask", 3.0, "A V N N", "O O B-who I-who"),
    ("thanks Ann", "great", "praise", 5.0, "V N", "O B-who"),
    ("订 单 在 哪 里", "请 帮 忙", "ask", 2.5, "N N V A A", "B-thing I-thing O O O"),
    ("谢 谢 你", "好", "praise", 4.5, "V V N", "O O B-who"),
    ("👍🏽 great 👍🏽", "👩‍👩‍👧", "praise", 3.5, "X A X", "O O O"),
    ("灯 坏 了 help", "lamp", "moan", 1.0, "N V X V", "B-thing O O O"),
]
RECORDS: list[Record] = [
    {
        "text": text,
        "words": text.split(),
        "other": other,
        "label": label,
        "e1": {"start": 0, "end": text.index(" "), "label": "first", "text": None},
        "e2": {"start": text.rindex(" ") + 1, "end": len(text), "label": None, "text": None},
        "labels": [label, *(["long"] if len(text) > 15 else [])] if label != "moan" else [],
        "stars": str(round(score)),
        "score": score,
        "other_score": None if label == "moan" else 10 - score,
        "pos": pos.split(),
        "bio": bio.split(),
        "head": [str(place) for place in range(len(text.split()))],
        "dep": ["root", *(f"{tag.lower()}mod" for tag in pos.split()[1:])],
        "candidates": sorted({other, *text.split()}),
        "right": str(len(text) % len({other, *text.split()})),
        "grades": [float((place * len(text)) % 7) for place in range(len({other, *text.split()}))],
        "ends": [
            {"start": 0, "end": text.index(" "), "label": "first", "text": None},
            {"start": text.rindex(" ") + 1, "end": len(text), "label": "last", "text": None},
        ],
        "relations": [{"head": 0, "tail": 1, "label": label}] if label != "moan" else [],
        "answers": [
            {"start": place, "end": place + len(word), "label": None, "text": word}
            for word in ("lamp", "Bob", "谢", "坏")
            if (place := text.find(word)) >= 0
        ][:1],
        "spans": [
            {"start": text.index(word), "end": end, "label": name, "text": None}
            for word, name in (("lamp", "thing"), ("Ann", "who"), ("在", "verb"), ("灯", "thing"))
            if word in text
            for end in (text.index(word) + len(word), len(text))
        ],
        "lemma": [word.lower().removesuffix("s") for word in text.split()],
    }
    for text, other, label, score, pos, bio in TEXTS
]
BOTH = ["text", "other"]
CASES: Mapping[str, Callable[[], Head]] = {
    "answer to a question": lambda: AnswerSpan(passage="text", question="other", dropout=0.0),
    "choice of a candidate": lambda: Choose(label="right"),
    "classify a text": lambda: Classify(text="text"),
    "classify words": lambda: Classify(words="words"),
    "classify a pair in one row": lambda: Classify(text=BOTH),
    "classify a pair in towers": lambda: Classify(text=BOTH, pair="towers"),
    "classify, balanced": lambda: Classify(text="text", class_weights="balanced"),
    "classify, focal and adjusted": lambda: Classify(
        text="text", focal=1.0, logit_adjustment=1.0, label_smoothing=0.1
    ),
    "entities and relations": lambda: Extract(entities="ends", dropout=0.0),
    "hidden words of a text": lambda: Fill(text="text", dropout=0.0),
    "hidden words": lambda: Fill(words="words", dropout=0.0),
    "lemmas of words": lambda: Lemma(words="words", min_count=1),
    "nearest text of a label": lambda: Match(text="text", label="label"),
    "nearest text of a pair": lambda: Match(text=BOTH, negatives="candidates", sizes=[8]),
    "nearness of a pair by scores": lambda: Match(text=BOTH, score="score"),
    "labels of a text": lambda: Multilabel(text="text"),
    "labels of words": lambda: Multilabel(words="words"),
    "labels of a pair in one row": lambda: Multilabel(text=BOTH),
    "labels of a pair in towers": lambda: Multilabel(text=BOTH, pair="towers"),
    "level of a text": lambda: Ordinal(text="text", label="stars"),
    "level of a text by CORAL": lambda: Ordinal(text="text", label="stars", method="coral"),
    "level of words": lambda: Ordinal(words="words", label="stars"),
    "level of a pair in one row": lambda: Ordinal(text=BOTH, label="stars"),
    "level of a pair in towers": lambda: Ordinal(text=BOTH, label="stars", pair="towers"),
    "band of a text": lambda: Ordinal(text="text", label="score", bands=3),
    "trees of words": lambda: Parse(words="words", dropout=0.0),
    "order of candidates": Rank,
    "order of candidates by pairs": lambda: Rank(loss="pairwise"),
    "regress a text": lambda: Regress(text="text", value="score"),
    "regress words": lambda: Regress(words="words", value="score"),
    "regress a pair in one row": lambda: Regress(text=BOTH, value="score"),
    "regress a pair in towers": lambda: Regress(text=BOTH, pair="towers", value="score"),
    "regress a pair by its cosine": lambda: Regress(text=BOTH, pair="cosine", value="score"),
    "regress two numbers": lambda: Regress(text="text", value=["score", "other_score"]),
    "regress a bounded number": lambda: Regress(text="text", value="score", bounds=[1, 5]),
    "regress by Huber": lambda: Regress(text="text", value="score", loss="huber"),
    "regress with a spread": lambda: Regress(
        text="text", value=["score", "other_score"], loss="gaussian"
    ),
    "relation of two spans": lambda: Relate(none="ask"),
    "spans of a text": lambda: Spans(text="text"),
    "spans of words": lambda: Spans(words="words", tags="bio"),
    "tag words": lambda: Tag(words="words", tags="pos"),
    "tag entities": lambda: Tag(words="words", tags="bio"),
    "tag several columns": lambda: Tag(words="words", tags=["pos", "bio"]),
    "tag words, balanced": lambda: Tag(words="words", tags="pos", class_weights="balanced"),
    "tag words by CRF": lambda: Tag(words="words", tags="pos", decoder="crf"),
    "tag entities by CRF": lambda: Tag(words="words", tags="bio", decoder="crf"),
}
EVERY_CASE = pytest.mark.parametrize("case", CASES)
LABELLED = pytest.mark.parametrize("case", [case for case, make in CASES.items() if make().needs])
"""Those that read labels: others learn from texts alone."""

APART = pytest.mark.parametrize(
    "case", [case for case, make in CASES.items() if make().needs and "near" not in case]
)
"""Those to whom the other records of a batch mean nothing."""

PROBABLE = pytest.mark.parametrize(
    "case",
    [c for c, make in CASES.items() if isinstance(h := make(), ProbableHead) and h.is_probable],
)
"""Those whose predictions hold probabilities."""


@pytest.fixture
def encoder(tiny_encoder: Scratch) -> Encoder:
    torch.manual_seed(0)
    texts = [str(record[column]) for record in RECORDS for column in BOTH]
    return tiny_encoder.create(lambda: iter(texts * 2), base=Path(), note=lambda _: None)


def model_of(case: str, encoder: Encoder) -> MultiTaskModel:
    head = CASES[case]()
    assert not any("different" in warning for warning in head.fit(RECORDS))
    head.attach(encoder.width)
    return MultiTaskModel(encoder, {"task": head}).eval()


def unlabelled(record: Record) -> Record:
    return {column: value for column, value in record.items() if column in TEXT_COLUMNS}


def pass_of(model: MultiTaskModel, records: Sequence[Record], *, with_targets: bool = True) -> Pass:
    head, tokeniser = model.head("task"), model.encoder.tokeniser
    rows = LiveRows("feed", records, head.view, tokeniser=tokeniser, cleaning=None)
    return make_pass(
        [(rows, np.arange(len(records)))],
        {"feed": [Task("task", "feed", head)]},
        tokeniser=tokeniser,
        is_training=with_targets,
    )


def loss_and_count(model: MultiTaskModel, records: Sequence[Record]) -> tuple[Tensor, int]:
    """Loss and count; what a view masks is drawn from torch's generator."""
    head, batch = model.head("task"), pass_of(model, records)
    logits = model(batch, {"feed": ["task"]})["task"]
    targets = batch.parts[0].targets["task"]
    return head.loss(logits, targets), head.count(targets)


@torch.no_grad()
def predict(model: MultiTaskModel, records: Sequence[Record]) -> list[Prediction]:
    plain = [unlabelled(record) for record in records]
    batch = pass_of(model, plain, with_targets=False)
    logits = model(batch, {"feed": ["task"]})["task"]
    return model.head("task").decode(logits, plain, batch.parts[0].inputs)


def train(model: MultiTaskModel, *, num_steps: int) -> None:
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    model.train()
    for _ in range(num_steps):
        loss, count = loss_and_count(model, RECORDS)
        optimizer.zero_grad()
        (loss / count).backward()
        optimizer.step()
    model.eval()


def assert_alike(one: object, other: object) -> None:
    """Equal, but for the rounding of numbers."""
    if isinstance(one, dict) and isinstance(other, dict):
        assert one.keys() == other.keys()
        for key in one:
            assert_alike(one[key], other[key])
    elif isinstance(one, float):
        assert one == pytest.approx(other, abs=1e-4)
    else:
        assert one == other


def test_every_kind_of_task_is_held_to_the_contract() -> None:
    assert {type(make()) for make in CASES.values()} == set(HEADS.values())


@EVERY_CASE
def test_eight_records_are_learned_by_heart(case: str, encoder: Encoder) -> None:
    model = model_of(case, encoder)
    head = model.head("task")

    for _ in range(12):
        train(model, num_steps=15)
        scores = head.score([head.gold(record) for record in RECORDS], predict(model, RECORDS))
        if scores.headline[1] > 0.999:
            break

    assert scores.headline == (head.headline, pytest.approx(1.0, abs=1e-3))
    assert scores.count == 8


@LABELLED
def test_a_record_without_a_label_does_not_change_the_loss(case: str, encoder: Encoder) -> None:
    model = model_of(case, encoder)
    extra = unlabelled({**RECORDS[0]})

    loss, count = loss_and_count(model, RECORDS)
    with_extra, same_count = loss_and_count(model, [extra, *RECORDS[:4], extra, *RECORDS[4:]])

    assert count == same_count > 0
    torch.testing.assert_close(with_extra, loss)


@LABELLED
def test_a_batch_without_any_label_costs_nothing(case: str, encoder: Encoder) -> None:
    model = model_of(case, encoder)

    loss, count = loss_and_count(model, [unlabelled(record) for record in RECORDS])
    loss.backward()

    assert (loss.item(), count) == (0.0, 0)
    gradients = [p.grad for p in model.parameters() if p.grad is not None]
    assert all(gradient.abs().max() == 0 for gradient in gradients)


@EVERY_CASE
def test_a_record_alone_is_predicted_as_in_a_batch(case: str, encoder: Encoder) -> None:
    model = model_of(case, encoder)

    together = predict(model, RECORDS)

    for record, prediction in zip(RECORDS, together, strict=True):
        assert_alike(predict(model, [record])[0], prediction)


@EVERY_CASE
def test_predictions_stand_in_the_order_of_the_batch(case: str, encoder: Encoder) -> None:
    model = model_of(case, encoder)
    order = [5, 0, 7, 3, 1, 6, 2, 4]

    shuffled = predict(model, [RECORDS[i] for i in order])

    straight = predict(model, RECORDS)
    for place, prediction in zip(order, shuffled, strict=True):
        assert_alike(prediction, straight[place])


@APART
def test_the_losses_of_two_half_batches_add_up_to_that_of_the_whole(
    case: str, encoder: Encoder
) -> None:
    model = model_of(case, encoder)

    whole, count = loss_and_count(model, RECORDS)
    halves = [loss_and_count(model, RECORDS[:3]), loss_and_count(model, RECORDS[3:])]

    torch.testing.assert_close(halves[0][0] + halves[1][0], whole)
    assert halves[0][1] + halves[1][1] == count


@EVERY_CASE
def test_a_head_comes_back_from_its_facts_and_weights(
    case: str, encoder: Encoder, tmp_path: Path
) -> None:
    model = model_of(case, encoder)
    train(model, num_steps=5)
    facts = json.dumps(model.head("task").facts())
    save_file(model.heads.state_dict(), tmp_path / "heads.safetensors")

    head = CASES[case]()
    head.restore(json.loads(facts))
    head.attach(encoder.width)
    again = MultiTaskModel(encoder, {"task": head}).eval()
    again.heads.load_state_dict(load_file(tmp_path / "heads.safetensors"))

    assert predict(again, RECORDS) == predict(model, RECORDS)
    assert head.facts() == json.loads(facts)
    assert head.headline == model.head("task").headline
    losses = []
    for one in (again, model):
        torch.manual_seed(1)
        losses.append(loss_and_count(one, RECORDS)[0].item())
    assert_alike(*losses)


@EVERY_CASE
def test_what_is_fitted_to_dev_stays_with_the_head(case: str, encoder: Encoder) -> None:
    model = model_of(case, encoder)
    head = model.head("task")
    golds = [head.gold(record) for record in [*RECORDS[:6], *map(unlabelled, RECORDS[6:])]]

    tuned = head.tune(golds, predict(model, RECORDS))

    assert tuned == predict(model, RECORDS)
    again = CASES[case]()
    again.restore(json.loads(json.dumps(head.facts())))
    assert again.facts() == head.facts()


@EVERY_CASE
def test_predictions_are_plain_json(case: str, encoder: Encoder) -> None:
    predictions = predict(model_of(case, encoder), RECORDS)

    text = json.dumps(predictions, ensure_ascii=False, allow_nan=False)
    assert json.loads(text) == predictions


@EVERY_CASE
def test_every_weight_of_a_head_gets_a_gradient(case: str, encoder: Encoder) -> None:
    model = model_of(case, encoder)

    loss_and_count(model, RECORDS)[0].backward()

    assert [n for n, p in model.heads.named_parameters() if p.grad is None] == []


@EVERY_CASE
def test_the_loss_of_coarse_logits_is_computed_in_float32(case: str, encoder: Encoder) -> None:
    model = model_of(case, encoder)
    batch = pass_of(model, RECORDS)
    logits = model(batch, {"feed": ["task"]})["task"]

    loss = model.head("task").loss(logits.bfloat16(), batch.parts[0].targets["task"])

    assert loss.dtype == torch.float32
    assert loss.isfinite()


@LABELLED
def test_sound_records_have_no_problem_nor_do_records_without_labels(case: str) -> None:
    head = CASES[case]()
    head.fit(RECORDS)

    for record in RECORDS:
        assert head.problem(record) is None
        assert head.problem(unlabelled(record)) is None
        assert head.gold(unlabelled(record)) is None
        assert head.gold(record) is not None


@EVERY_CASE
def test_what_a_simple_model_learns_from_gold_labels_answers_them(case: str) -> None:
    head = CASES[case]()
    head.fit(RECORDS)
    golds = [head.gold(record) for record in RECORDS]
    if head.plain is None:
        return

    answers = [head.plain.answer(head.plain.value(gold)) for gold in golds]

    assert head.score(golds, answers).headline[1] == pytest.approx(1.0)


@LABELLED
def test_the_columns_a_head_needs_are_those_it_reads(case: str) -> None:
    head = CASES[case]()
    names = [*head.view.needs, *head.needs]
    head.fit([{name: record[name] for name in names} for record in RECORDS])

    assert any(need.required for need in head.view.needs.values())
    assert not any(need.required for need in head.needs.values())
    counts, num_missing, best = head.label_counts([*RECORDS, unlabelled(RECORDS[0])])
    assert num_missing == 1
    assert sum(counts.values()) > 0
    assert best < 1 or np.isnan(best)


@EVERY_CASE
def test_a_head_reads_records_without_changing_them(case: str, encoder: Encoder) -> None:
    before = copy.deepcopy(RECORDS)

    predict(model_of(case, encoder), RECORDS)

    assert before == RECORDS


NUMBERS = ("probability", "probabilities", "spread", "spreads", "is_sure")


def without_numbers(value: object) -> object:
    """What a prediction decides, without how sure it is."""
    if isinstance(value, dict):
        return {key: without_numbers(one) for key, one in value.items() if key not in NUMBERS}
    return [without_numbers(one) for one in value] if isinstance(value, list) else value


@PROBABLE
def test_being_calibrated_changes_how_sure_a_head_is_and_nothing_else(
    case: str, encoder: Encoder
) -> None:
    model = model_of(case, encoder)
    train(model, num_steps=20)
    head = cast(ProbableHead, model.head("task"))
    batch = pass_of(model, RECORDS)
    inputs, targets = batch.parts[0].inputs, batch.parts[0].targets["task"]
    with torch.inference_mode():
        logits = model(batch, {"feed": ["task"]})["task"]
        before = head.decode(logits, RECORDS, inputs)
        told = head.calibrate([head.evidence(logits, targets)] * 50)
        after, without = head.decode(logits, RECORDS, inputs), raw(head)(logits, RECORDS, inputs)

    assert told
    assert without == before != after
    assert without_numbers(after) == without_numbers(before)
    for record, prediction in zip(RECORDS, after, strict=True):
        gold = head.gold(record)
        chances = [] if gold is None else head.chances(gold, prediction)
        assert all(0 <= chance <= 1 and isinstance(right, bool) for chance, right in chances)


@PROBABLE
def test_no_temperature_makes_gold_labels_likelier_than_the_one_found(
    case: str, encoder: Encoder
) -> None:
    model = model_of(case, encoder)
    train(model, num_steps=20)
    head = model.head("task")
    if not isinstance(head, TemperedHead):
        return
    batch = pass_of(model, RECORDS)
    targets = batch.parts[0].targets["task"]
    with torch.inference_mode():
        logits = model(batch, {"feed": ["task"]})["task"]
        head.calibrate([head.evidence(logits, targets)] * 1000)
        tried = [times * head.temperature for times in (0.8, 1.0, 1.25)]
        surprises = [
            1000 * head.surprise(logits, targets, one).item() + math.log(one) ** 2 / 2
            for one in tried
        ]

    is_at_the_edge = not 0.13 < head.temperature < 7.9
    assert is_at_the_edge or surprises[1] == min(surprises)
