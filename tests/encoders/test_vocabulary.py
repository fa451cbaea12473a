import json
import os
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local_tokenizers import SENTENCES, ours
from polytask.encoders import vocabulary
from polytask.encoders.vocabulary import SPECIAL, train_tokenizer

# Every letter pair of both scripts is as frequent as every other: all merges are ties.
PAIRS = [f"{one}{two} {two}{one}" for one in [*"abcdefgh"] for two in [*"abcdefgh"]]
TIES = [f"{pair} {han}" for pair in PAIRS for han in ("北京", "上海")]
TOKENIZER = ours()
PROGRAM = """\
import json, runpy, sys
train = runpy.run_path(sys.argv[1])["train_tokenizer"]  # alone: the package loads torch
texts = json.loads(sys.stdin.read())
tokenizer = train(lambda: iter(texts), 120, lowercase=True)
sys.stdout.write(tokenizer.backend_tokenizer.to_str())
"""


@pytest.mark.parametrize("seed", ["0", "1"])
def test_texts_give_the_same_tokeniser_in_every_process_even_at_ties(seed: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, vocabulary.__file__],
        input=json.dumps(TIES),
        env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONUTF8": "1"},
        capture_output=True,
        check=True,
        text=True,
        encoding="utf-8",
    )

    here = train_tokenizer(lambda: iter(TIES), 120, lowercase=True)
    assert done.stdout == here.backend_tokenizer.to_str()


def test_special_tokens_come_first_and_the_vocabulary_keeps_to_its_size() -> None:
    tokenizer = train_tokenizer(lambda: iter(SENTENCES), 100, lowercase=True)

    assert tokenizer.convert_ids_to_tokens(list(range(5))) == list(SPECIAL)
    assert len(tokenizer) == 100
    assert tokenizer.pad_token_id == 0


@given(st.text(st.sampled_from("我的订单北京ab .，"), min_size=1))
def test_a_han_character_is_the_same_token_in_raw_text_and_in_split_words(text: str) -> None:
    tokenizer = TOKENIZER
    han = [character for character in text if "\u4e00" <= character <= "\u9fff"]

    of_text = tokenizer.tokenize(text)
    of_words = tokenizer(han, is_split_into_words=True, add_special_tokens=False).tokens()

    assert [token for token in of_text if token in han] == han
    assert of_words == han


def test_letters_are_lowered_unless_asked_not_to() -> None:
    lowered = train_tokenizer(lambda: iter(SENTENCES), 200, lowercase=True)
    kept = train_tokenizer(lambda: iter(SENTENCES), 200, lowercase=False)

    assert lowered.tokenize("BERLIN Please") == lowered.tokenize("berlin please")
    assert kept.tokenize("Please") != kept.tokenize("please")
    assert "P" in "".join(kept.tokenize("Please"))


def test_composed_and_decomposed_letters_are_the_same_token() -> None:
    tokenizer = train_tokenizer(lambda: iter(["é é"] * 3), 100, lowercase=True)

    assert tokenizer.tokenize("e\u0301") == tokenizer.tokenize("é") == ["▁é"]


def test_a_character_seen_once_is_unknown_and_one_seen_twice_is_not() -> None:
    tokenizer = train_tokenizer(lambda: iter(["aa bb", "aa ☃ ☂ ☂"]), 100, lowercase=True)

    tokens = [tokenizer.tokenize(f"a{mark}")[-1] for mark in "☃☂"]
    assert tokens == ["[UNK]", "☂"]


def test_words_can_be_read_back_from_their_tokens() -> None:
    tokenizer = ours()

    ids = tokenizer("please send the invoice", add_special_tokens=False).input_ids

    assert tokenizer.decode(ids) == "please send the invoice"
