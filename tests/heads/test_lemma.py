import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from head_inputs import inputs_of
from polytask.data.records import Record
from polytask.errors import DataError
from polytask.heads.edits import apply_script, script_of
from polytask.heads.head import IGNORE
from polytask.heads.lemma import Lemma

RECORDS: list[Record] = [
    {"words": ["Lamps", "broke"], "lemma": ["lamp", "break"]},
    {"words": ["two", "Lamps"], "lemma": ["two", "lamp"]},
    {"words": ["three"], "lemma": ["three"]},
    {"words": ["help"], "lemma": None},
]


def fitted(min_count: int = 2) -> Lemma:
    head = Lemma(words="words", min_count=min_count)
    head.fit(RECORDS)
    head.attach(4)
    return head.eval()


@pytest.mark.parametrize(
    ("form", "lemma", "other", "made"),
    [
        ("failing", "fail", "Printing", "print"),
        ("Printers", "printer", "lamps", "lamp"),
        ("NASA", "NASA", "Oslo", "Oslo"),
        ("was", "be", "were", "be"),
        ("unlocked", "lock", "unpacked", "pack"),
        ("london", "London", "oslo", "Oslo"),
        ("nato", "NATO", "fifa", "FIFA"),
        ("坏了", "坏", "好了", "好"),
        ("", "x", "y", "x"),
    ],
)
def test_a_script_does_to_another_word_what_it_did_to_the_first(
    form: str, lemma: str, other: str, made: str
) -> None:
    assert apply_script(script_of(form, lemma), other) == made


@given(st.text(max_size=8), st.text(min_size=1, max_size=8))
def test_every_lemma_is_made_by_its_script(form: str, lemma: str) -> None:
    assert apply_script(script_of(form, lemma), form) == lemma


def test_a_script_that_drops_too_much_makes_nothing() -> None:
    script = script_of("failing", "fail")

    assert apply_script(script, "ox") is None
    assert apply_script(script, "ing") is None


def test_scripts_are_learned_if_they_occur_often_enough() -> None:
    head = Lemma(words="words")

    warnings = head.fit(RECORDS)

    same, shorter = script_of("two", "two"), script_of("lamps", "lamp")
    assert head.scripts == sorted([same, shorter])
    assert warnings == ["1 lemmas are made in too rare a way to be learned"]
    assert len(fitted(min_count=1).scripts) == 3
    with pytest.raises(DataError, match="holds no lemma that is made like 9 of its words"):
        Lemma(words="words", min_count=9).fit(RECORDS)


def test_targets_leave_out_rare_scripts_and_missing_lemmas() -> None:
    head = fitted()

    targets = head.targets(RECORDS[:1], inputs_of(head, RECORDS[0], max_tokens=8))

    assert targets["scripts"].tolist() == [[head.index[script_of("lamps", "lamp")], IGNORE]]
    assert head.count(targets) == 1
    assert head.count(head.targets(RECORDS[3:], inputs_of(head, RECORDS[3], max_tokens=8))) == 0


def test_a_script_that_does_not_fit_a_word_gives_way_to_the_next() -> None:
    head = Lemma(words="words")
    head.scripts = [script_of("failing", "fail"), script_of("two", "two")]
    record: Record = {"words": "Printing ox"}
    logits = torch.tensor([[[5.0, 1.0], [5.0, 1.0]]])

    (found,) = head.decode(logits, [record], inputs_of(head, record, max_tokens=8))

    assert found["lemmas"] == ["print", "ox"]
    assert found["words"] == ["Printing", "ox"]
    first, second = torch.tensor([5.0, 1.0]).softmax(0).tolist()
    assert found["probabilities"] == pytest.approx([first, second], abs=1e-6)


def test_a_cut_word_has_no_lemma_and_counts_as_wrong() -> None:
    head = fitted()
    record: Record = {"words": ["help"] * 9, "lemma": ["help"] * 9}

    found = head.decode(torch.zeros(1, 9, 2), [record], inputs_of(head, record, max_tokens=8))

    lemmas = found[0]["lemmas"]
    assert isinstance(lemmas, list)
    assert lemmas[6:] == [None] * 3
    assert head.score([head.gold(record)], found).headline[1] <= 6 / 9


def test_one_lemma_a_word_is_asked_for() -> None:
    record: Record = {"words": ["a", "b"], "lemma": ["a"]}

    assert fitted().problem(record) == "2 words but 1 lemmas in column 'lemma'"
    assert fitted().label_counts(RECORDS)[1:] == (1, pytest.approx(2 / 5))
