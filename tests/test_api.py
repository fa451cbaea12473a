"""The golden file of options, and the samples by name."""

import json
from pathlib import Path

import pytest

import polytask

GOLDEN = Path(__file__).parent / "schema.json"


def test_the_json_schema_is_that_of_the_golden_file() -> None:
    text = json.dumps(polytask.schema(), indent=2, ensure_ascii=False) + "\n"

    assert text == GOLDEN.read_text(encoding="utf-8"), (
        "The options of experiment files have changed. If that is meant, say so in the change log "
        "and write the golden file anew: python -m polytask schema > tests/schema.json"
    )


def test_an_unknown_sample_is_refused() -> None:
    with pytest.raises(polytask.RunError) as caught:
        polytask.sample("klingon")

    assert str(caught.value) == "no sample 'klingon'. Known: english, chinese."
