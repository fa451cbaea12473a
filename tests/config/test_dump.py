"""Plain data to YAML and back."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polytask.config.document import read_document
from polytask.config.experiment import dump_yaml

texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12)
yaml_traps = st.sampled_from(
    ["no", "y", "~", "3e-5", "010", "1:30", "0o7", "2024-01-01", "<<", "=", "${A}", "$${", "", " "]
)
plain_data = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | texts | yaml_traps,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts | yaml_traps, inner),
    max_leaves=12,
)


@given(st.dictionaries(texts | yaml_traps, plain_data, min_size=1))
def test_dumped_data_reads_back_the_same(
    tmp_path_factory: pytest.TempPathFactory, data: dict[str, object]
) -> None:
    file = tmp_path_factory.getbasetemp() / "dump.yaml"

    file.write_text(dump_yaml(data), encoding="utf-8", newline="")

    assert read_document(file).data == data


def test_texts_that_some_reader_of_yaml_mistakes_are_dumped_in_quotes() -> None:
    shared = ["no", "y", "3e-5", "0o7", "1_0", "café ${X}"]

    assert dump_yaml({"b": shared, "a": shared, "c": Path("x/y"), "lr": 3e-5}) == (
        "b:\n- 'no'\n- 'y'\n- '3e-5'\n- '0o7'\n- '1_0'\n- café $${X}\n"
        "a:\n- 'no'\n- 'y'\n- '3e-5'\n- '0o7'\n- '1_0'\n- café $${X}\n"
        "c: x/y\nlr: 3.0e-05\n"
    )


def test_what_yaml_cannot_hold_is_not_dumped() -> None:
    with pytest.raises(TypeError, match="cannot be written to an experiment file"):
        dump_yaml({"a": object()})
