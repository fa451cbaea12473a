from typing import cast

import pytest
import torch

from head_inputs import inputs_of
from polytask.data.records import Record
from polytask.errors import DataError
from polytask.heads.head import IGNORE
from polytask.heads.parse import Parse

THE_LAMP_BROKE: Record = {
    "words": ["the", "lamp", "broke"],
    "head": ["2", "3", "0"],
    "dep": ["det", "nsubj", "root"],
}
HELP_ANN: Record = {"words": ["help", "Ann"], "head": ["0", "1"], "dep": ["root", "obj"]}
RELATIONS = ["det", "nsubj", "obj", "root"]


def fitted() -> Parse:
    head = Parse(words="words")
    head.fit([THE_LAMP_BROKE, HELP_ANN, {"words": ["oh"], "head": None, "dep": None}])
    head.attach(4)
    return head.eval()


def logits_for(
    num_words: int, arcs: dict[tuple[int, int], float], kinds: dict[int, str]
) -> torch.Tensor:
    """Scores of arcs (word, head), and of each word the relation that is likeliest to any head."""
    logits = torch.zeros(1, num_words, num_words + 1, 1 + len(RELATIONS))
    for (word, head), score in arcs.items():
        logits[0, word, head, 0] = score
    for word, relation in kinds.items():
        logits[0, word, :, 1 + RELATIONS.index(relation)] = 5.0
    return logits


def test_targets_are_the_heads_and_relations_of_words() -> None:
    head = fitted()
    targets = head.targets([HELP_ANN, THE_LAMP_BROKE], inputs_of(head, HELP_ANN, THE_LAMP_BROKE))

    assert targets["heads"].tolist() == [[0, 1, IGNORE], [2, 3, 0]]
    assert targets["relations"].tolist() == [[3, 2, IGNORE], [0, 1, 3]]
    assert head.count(targets) == 5


def test_an_arc_to_a_word_that_was_cut_off_is_not_learned() -> None:
    head = fitted()
    record: Record = {
        "words": ["打", "印", "机", "坏"],
        "head": ["2", "4", "2", "0"],
        "dep": ["det", "nsubj", "obj", "root"],
    }

    targets = head.targets([record], inputs_of(head, record, max_tokens=5))

    assert targets["heads"].tolist() == [[2, IGNORE, 2, IGNORE]]


def test_the_loss_is_that_of_heads_and_of_relations_to_the_gold_heads() -> None:
    head = fitted()
    logits = torch.zeros(1, 2, 3, 1 + len(RELATIONS))
    targets = head.targets([HELP_ANN], inputs_of(head, HELP_ANN))

    loss = head.loss(logits, targets)

    # Two words, each with three heads to choose from (no arc is ruled out here) and four relations.
    assert loss.item() == pytest.approx(2 * (torch.tensor(3.0).log() + torch.tensor(4.0).log()))


def test_decoding_gives_a_tree_and_the_relation_of_the_root_to_the_root_alone() -> None:
    head = fitted()
    # Each word likes the other best, and both like the relation root, which only a root has.
    logits = logits_for(
        2, {(0, 1): 0.0, (0, 2): 9.0, (0, 0): 1.0, (1, 1): 9.0}, {0: "root", 1: "root"}
    )
    logits[0, 1, 1, 1 + RELATIONS.index("obj")] = 1.0

    (prediction,) = head.decode(logits, [HELP_ANN], inputs_of(head, HELP_ANN))

    assert prediction["heads"] == [0, 1]
    assert prediction["relations"] == ["root", "obj"]
    arcs = torch.tensor([[1.0, 0.0, 9.0], [0.0, 9.0, 0.0]]).softmax(1)
    obj = torch.tensor([1.0] + [0.0] * (len(head.elsewhere) - 1)).softmax(0)[0]
    chances = [arcs[0, 0].item(), (arcs[1, 1] * obj).item()]
    assert prediction["probabilities"] == pytest.approx(chances, abs=1e-6)


def test_a_word_that_was_cut_off_has_no_head() -> None:
    head = fitted()
    words: Record = {"words": ["打", "印", "机", "坏"]}
    inputs = inputs_of(head, words, max_tokens=5)
    logits = head(torch.zeros(1, 5, 4), inputs).detach()

    (prediction,) = head.decode(logits, [words], inputs)

    is_cut = [head is None for head in cast(list[int | None], prediction["heads"])]
    assert is_cut == [relation is None for relation in cast(list[str], prediction["relations"])]
    assert is_cut == [False, False, False, True]


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"dep": None}, "3 words but none values in column 'dep'"),
        ({"head": ["2", "0"]}, "3 words but 2 values in column 'head'"),
        ({"head": ["2", "x", "0"]}, "word 2: 'x' in column 'head' is none of 0 to 3"),
        ({"head": ["2", "4", "0"]}, "word 2: '4' in column 'head' is none of 0 to 3"),
        ({"head": ["0", "3", "0"]}, "column 'head' has 2 roots (head 0), but a tree has one"),
        ({"head": ["2", "1", "0"]}, "word 1: its heads in column 'head' go round in a circle"),
    ],
)
def test_what_is_no_tree_is_told(changed: dict[str, object], message: str) -> None:
    assert fitted().problem({**THE_LAMP_BROKE, **changed}) == message


def test_a_relation_that_train_does_not_have_is_wrong_but_no_fault() -> None:
    head = fitted()
    record = {**HELP_ANN, "dep": ["root", "vocative"]}

    assert head.problem(record) is None
    answer = {"heads": [0, 1], "relations": ["root", "obj"], "words": ["help", "Ann"]}
    assert head.score([head.gold(record)], [answer]).metrics["las"] == 0.5


def test_two_relations_are_needed() -> None:
    with pytest.raises(DataError) as fault:
        Parse(words="words").fit([{"words": ["oh"], "head": ["0"], "dep": ["root"]}])

    assert str(fault.value) == "column 'dep' holds 1 different relations, but 2 are needed"
