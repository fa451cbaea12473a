from local_records import records_of
from polytask.data.checks import num_duplicates, occur_in, text_keys
from polytask.data.views import TextView

TEXT = TextView(("text",))


def test_texts_that_differ_in_case_or_spaces_only_are_the_same() -> None:
    texts = ["Good day", "good  DAY ", "goodday", "good night", "好 的", "好的"]

    keys = text_keys(records_of([{"text": text} for text in texts]), TEXT)

    assert keys[0] == keys[1] == keys[2]
    assert keys[4] == keys[5]
    assert len(set(keys.tolist())) == 3
    assert num_duplicates(keys) == 3


def test_pairs_are_the_same_only_if_both_texts_are_in_order() -> None:
    pairs = [("a", "bc"), ("ab", "c"), ("bc", "a"), ("A", "b c")]
    records = records_of([{"text": one, "other": two} for one, two in pairs])

    keys = text_keys(records, TextView(("text", "other"), has_towers=True))

    assert num_duplicates(keys) == 1
    assert keys[0] == keys[3]


def test_words_are_compared_as_the_text_they_spell() -> None:
    words = text_keys(records_of([{"words": ["Good", "day"]}]), TextView(("words",), is_split=True))
    text = text_keys(records_of([{"text": "good day"}]), TEXT)

    assert words.tolist() == text.tolist()


def test_leaks_are_the_texts_that_stand_in_the_other_split_too() -> None:
    train = text_keys(records_of([{"text": text} for text in ("one", "two", "three")]), TEXT)
    test = text_keys(records_of([{"text": text} for text in ("Two", "four", "ONE", "two")]), TEXT)

    assert occur_in(test, train).tolist() == [True, False, True, True]


def test_nothing_repeats_in_different_texts() -> None:
    keys = text_keys(records_of([{"text": str(i)} for i in range(1000)]), TEXT)

    assert num_duplicates(keys) == 0
