from collections.abc import Sequence
from functools import cache

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Encoding
from transformers import PreTrainedTokenizerFast

import polytask.data.tokeniser as module
from local_tokenizers import KINDS
from polytask.data.batching import pad
from polytask.data.feed import ragged
from polytask.data.tokeniser import Tokeniser, TokenRow
from polytask.data.views import Row, Segment

PIECES = [
    "the",
    " ",
    "  ",
    "printer",
    "Berlin",
    "我",
    "订单",
    "的",
    "👍🏽",
    "é",
    ".",
    "12",
    "[SEP]",
    "'s",
]
TEXTS = st.lists(st.sampled_from(PIECES), min_size=1, max_size=12).map("".join)
EVERY_KIND = pytest.mark.parametrize("kind", KINDS)


@cache
def tokenizer_of(kind: str) -> PreTrainedTokenizerFast:
    return KINDS[kind]()


@cache
def tokeniser_of(kind: str, max_tokens: int = 32) -> Tokeniser:
    tokenizer = tokenizer_of(kind)
    pad_id = tokenizer.pad_token_id
    return Tokeniser(tokenizer.backend_tokenizer, max_tokens=max_tokens, pad_id=pad_id)


def encode(kind: str, *row: str | list[str], max_tokens: int = 32) -> TokenRow:
    return next(tokeniser_of(kind, max_tokens).encode([tuple(row)]))[0]


def pieces_of(kind: str, row: TokenRow) -> list[str]:
    """Text of the tokens that each word begins with, up to the next word's or the end mark."""
    tokenizer = tokenizer_of(kind)
    ends = [*row.word_starts[1:], len(row.token_ids) - 1]
    pairs = zip(row.word_starts, ends, strict=True)
    return [tokenizer.decode(row.token_ids[start:end]).strip() for start, end in pairs]


def ids_and_segments(kind: str, row: Row, max_tokens: int) -> tuple[list[int], list[int]]:
    tokeniser = tokeniser_of(kind, max_tokens)
    rows = ragged(tokeniser.encode([row]))
    inputs = pad(rows, pad_id=tokeniser.pad_id, segment=tokeniser.second_segment)
    return inputs.token_ids[0].tolist(), inputs.segment_ids[0].tolist()


@EVERY_KIND
@given(text=TEXTS, other=st.none() | TEXTS, max_tokens=st.sampled_from([8, 9, 12, 32]))
def test_texts_and_pairs_are_assembled_and_cut_as_transformers_does(
    kind: str, text: str, other: str | None, max_tokens: int
) -> None:
    row = (text,) if other is None else (text, other)

    expected = tokenizer_of(kind)(
        *row,
        truncation=True,
        max_length=max_tokens,
        return_token_type_ids=True,
        split_special_tokens=True,
    )

    ids, segments = ids_and_segments(kind, row, max_tokens)
    assert ids == expected["input_ids"]
    assert segments == expected["token_type_ids"]


@EVERY_KIND
def test_each_word_starts_at_its_own_first_token(kind: str) -> None:
    words = ["the", "printer", "order", "please", "arrived"]

    row = encode(kind, words)

    assert pieces_of(kind, row) == words


@EVERY_KIND
def test_chinese_words_are_aligned_too(kind: str) -> None:
    row = encode(kind, ["我", "的", "订单", "👍🏽", "help"])

    pieces = [piece.replace(" ", "") for piece in pieces_of(kind, row)]
    assert [pieces[0], pieces[2], pieces[4]] == ["我", "订单", "help"]


@EVERY_KIND
@given(words=st.lists(st.sampled_from([p for p in PIECES if p.strip()]), min_size=1, max_size=8))
def test_split_words_become_the_tokens_of_the_words_with_a_space_before_each(
    kind: str, words: list[str]
) -> None:
    tokeniser = tokeniser_of(kind, 128)

    together = next(tokeniser.encode([(words,)]))[0]

    each = [next(tokeniser.encode([([word],)]))[0] for word in words]
    num_before = together.word_starts[0]
    inner = [row.token_ids[num_before:-1] for row in each]
    assert together.token_ids[num_before:-1] == [i for ids in inner for i in ids]
    starts = [num_before + sum(map(len, inner[:place])) for place in range(len(words))]
    assert together.word_starts == starts


def test_byte_level_words_carry_the_space_that_the_first_word_of_a_text_lacks() -> None:
    tokenizer = tokenizer_of("byte_level")

    row = encode("byte_level", ["printer", "printer"])

    of_text = tokenizer("x printer printer", add_special_tokens=False).input_ids[1:]
    assert row.token_ids[1:-1] == of_text


@EVERY_KIND
def test_a_word_without_tokens_stands_at_the_word_before(kind: str) -> None:
    nothing = (
        "\x01"  # the BERT normaliser drops control characters; the others know them as unknown
    )

    row = encode(kind, [nothing, "help", nothing, "please"])

    assert len(row.word_starts) == 4
    if kind == "wordpiece":
        # [CLS] help please [SEP]
        assert row.word_starts == [1, 1, 1, row.word_starts[3]]
    assert pieces_of(kind, row)[3] == "please"


def test_a_text_of_nothing_but_words_without_tokens_points_inside_the_row() -> None:
    row = encode("wordpiece", ["\x01", "\x02"])

    assert (len(row.token_ids), row.word_starts) == (2, [1, 1])


@EVERY_KIND
@pytest.mark.parametrize("mark", ["[SEP]", "[CLS]", "</s>", "<s>", "<pad>", "[MASK]", "<mask>"])
def test_text_that_spells_a_special_token_does_not_become_one(kind: str, mark: str) -> None:
    tokenizer = tokenizer_of(kind)
    special = set(tokenizer.all_special_ids) - {tokenizer.unk_token_id}
    frame = [i for i in encode(kind, "a").token_ids if i in special]

    for segment in (f"a {mark} b{mark}", ["a", mark, f"b{mark}"]):
        row = encode(kind, segment)
        assert [i for i in row.token_ids if i in special] == frame


@EVERY_KIND
def test_words_beyond_the_limit_are_marked_as_cut(kind: str) -> None:
    row = encode(kind, ["help"] * 40, max_tokens=12)

    assert len(row.token_ids) == 12
    kept = [start for start in row.word_starts if start != -1]
    assert len(row.word_starts) == 40
    assert row.word_starts == kept + [-1] * (40 - len(kept))
    assert max(kept) < 11
    assert row.full_length > 40


def test_of_a_pair_the_longer_text_is_cut_first() -> None:
    # 12 tokens, 3 of them marks: 9 are left; "help" x 2 stays whole, 7 of the other 20 stay.
    row = encode("ours", "help help", "please " * 20, max_tokens=12)

    tokens = tokenizer_of("ours").convert_ids_to_tokens(row.token_ids)
    marked = [token for token in tokens if token.startswith("[")]
    assert marked == ["[CLS]", "[SEP]", "[SEP]"]
    assert tokens.index("[SEP]") == 3
    assert (row.num_first, len(tokens), row.full_length) == (4, 12, 2 + 20 + 3)


@pytest.mark.parametrize("segment", ["字" * 1_000_000, ["字"] * 1_000_000, ["字" * 1_000_000]])
def test_a_million_characters_are_cut_before_they_are_tokenised(segment: str | list[str]) -> None:
    row = encode("ours", segment)

    assert len(row.token_ids) == 32
    assert row.full_length <= 32 * 16 + 2  # 16 characters a token of the limit, and two marks
    assert row.full_length > 32
    if isinstance(segment, list):
        assert len(row.word_starts) == len(segment)


@EVERY_KIND
def test_a_word_that_was_never_tokenised_is_marked_as_cut(kind: str) -> None:
    # 32 tokens are 512 characters: the second word is beyond them, though the first is 1 token long
    # where a long word is one unknown.
    row = encode(kind, ["字" * 600, "help"])

    assert row.word_starts[1] == -1
    assert row.full_length > 32


def test_text_becomes_tokens_in_portions_and_no_row_is_lost(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rows: list[Row] = [("help " * 3, "me"), ("the",), (["order"] * 40,), ("",), ("printer",)] * 2
    tokeniser = tokeniser_of("wordpiece", 8)
    whole = list(tokeniser.encode(rows, "windows"))
    portions: list[int] = []
    encode_segments = Tokeniser._encode_segments

    def counted(self: Tokeniser, cut: Sequence[Segment]) -> list[Encoding]:
        portions.append(len(cut))
        return encode_segments(self, cut)

    monkeypatch.setattr(module, "_CHARACTERS_AT_ONCE", 30)
    monkeypatch.setattr(Tokeniser, "_encode_segments", counted)

    assert list(tokeniser.encode(rows, "windows")) == whole
    assert portions == [3, 1, 5, 1, 2]


def test_a_window_tells_only_of_the_words_it_holds() -> None:
    (rows,) = tokeniser_of("wordpiece", 12).encode([(["help"] * 24,)], "windows", 0)

    assert [(row.first_word, len(row.word_starts)) for row in rows] == [(0, 10), (10, 10), (20, 4)]


def test_unknown_tokens_are_counted_before_anything_is_cut() -> None:
    row = encode("wordpiece", "help ☃ " * 10, max_tokens=8)

    assert (row.num_unknown, row.full_length, len(row.token_ids)) == (10, 22, 8)
    assert encode("byte_level", "☃☃").num_unknown == 0


def test_rows_of_texts_and_of_words_come_back_in_the_order_given() -> None:
    rows: list[Row] = [("help",), (["please", "help"],), ("the", "order"), (["printer"],)]
    tokeniser = tokeniser_of("ours")

    assert list(tokeniser.encode(rows)) == [next(tokeniser.encode([row])) for row in rows]
    assert list(tokeniser.encode([])) == []


def test_the_fingerprint_changes_with_everything_that_changes_tokens() -> None:
    backend = tokenizer_of("ours").backend_tokenizer
    options = [(backend, 32, 0), (backend, 33, 0), (backend, 32, 1)]
    options.append((tokenizer_of("wordpiece").backend_tokenizer, 32, 0))

    fingerprints = {Tokeniser(b, max_tokens=m, pad_id=p).fingerprint for b, m, p in options}

    assert len(fingerprints) == 4
    assert Tokeniser(backend, max_tokens=32, pad_id=0).fingerprint in fingerprints


def test_truncation_and_padding_of_the_tokenizer_given_have_no_effect() -> None:
    tokenizer = KINDS["ours"]()
    tokenizer.backend_tokenizer.enable_truncation(4)
    tokenizer.backend_tokenizer.enable_padding(length=50)

    tokeniser = Tokeniser(tokenizer.backend_tokenizer, max_tokens=32, pad_id=0)

    assert tokeniser.fingerprint == tokeniser_of("ours").fingerprint
    assert next(tokeniser.encode([("help " * 10,)]))[0].full_length == 12


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("stride", [0, 3, 100])
def test_windows_hold_every_word_once_or_more_and_the_whole_second_segment(
    kind: str, stride: int
) -> None:
    tokeniser, words = tokeniser_of(kind, 16), [*"打印机坏了请帮忙我的订单还没有到" * 2]
    whole = next(tokeniser_of(kind, 512).encode([(words, "help")]))[0]

    (rows,) = tokeniser.encode([(words, "help")], "windows", stride)

    inputs = pad(ragged([rows]), pad_id=tokeniser.pad_id, segment=tokeniser.second_segment)
    starts = inputs.word_starts.numpy()
    assert len(rows) > 1
    assert starts.shape == (len(rows), len(words))
    assert (starts >= 0).any(0).all()
    for row in rows:
        assert len(row.token_ids) <= 16
        assert row.full_length <= 16
        assert row.token_ids[row.num_first :] == whole.token_ids[whole.num_first :]
        for word, place in enumerate(row.word_starts, row.first_word):
            assert place < 0 or row.token_ids[place] == whole.token_ids[whole.word_starts[word]]


def test_a_short_text_is_one_window_equal_to_its_row() -> None:
    tokeniser = tokeniser_of("wordpiece", 64)
    rows: list[Row] = [(["please", "help"], "now"), (["打"], "印")]

    assert list(tokeniser.encode(rows, "windows")) == list(tokeniser.encode(rows))
    assert list(tokeniser.encode(rows, "head_tail")) == list(tokeniser.encode(rows))


def test_a_second_segment_takes_half_of_a_window_and_is_reported_as_cut() -> None:
    row: Row = (["please", "help"], "打印机坏了" * 9)

    (rows,) = tokeniser_of("wordpiece", 16).encode([row], "windows", 2)

    assert all(len(row.token_ids) <= 16 and row.full_length == 17 for row in rows)
    assert all((np.array(row.word_starts) >= 0).any() for row in rows)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("second", [(), ("help",)])
def test_of_a_long_text_the_first_quarter_and_the_end_are_kept(
    kind: str, second: tuple[str, ...]
) -> None:
    words = [*"打印机坏了请帮忙我的订单还没有到" * 3]
    whole = next(tokeniser_of(kind, 512).encode([(words, *second)]))[0]

    row = next(tokeniser_of(kind, 20).encode([(words, *second)], "head_tail"))[0]

    same = [one == other for one, other in zip(row.token_ids, whole.token_ids, strict=False)]
    num_head, num_tail = same.index(False), 20 - same.index(False)
    is_kept = [place >= 0 for place in row.word_starts]
    num_first, num_last = is_kept.index(False), is_kept[::-1].index(False)
    assert row.token_ids[num_head:] == whole.token_ids[-num_tail:]
    assert 0 < num_first < num_last == sum(is_kept) - num_first
    assert (len(row.token_ids), row.full_length) == (20, whole.full_length)
    for word, place in enumerate(row.word_starts):
        assert place < 0 or row.token_ids[place] == whole.token_ids[whole.word_starts[word]]
    assert row.token_ids[row.num_first :] == whole.token_ids[whole.num_first :]


def test_the_tail_of_a_very_long_text_is_its_own_tail() -> None:
    text = "printer " * 5000 + "refund"

    row = next(tokeniser_of("wordpiece", 16).encode([(text,)], "head_tail"))[0]
    other = next(tokeniser_of("wordpiece", 16).encode([("printer refund",)]))[0]

    assert row.token_ids[-2:] == other.token_ids[-2:]
    assert row.token_ids[1] == other.token_ids[1]
