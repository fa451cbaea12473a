"""The languages of reports: every sentence is written in English, and looked up for another."""

import json
from importlib.resources import files

LANGUAGES = ("en", "zh")


class Language:
    """Says a sentence in a language; names of tasks, metrics and labels stay as they are."""

    def __init__(self, code: str) -> None:
        held = files("polytask.studies") / f"{code}.json"
        self.code = code
        self._texts: dict[str, str] = (
            {} if code == "en" else json.loads(held.read_text(encoding="utf-8"))
        )

    def __call__(self, text: str, **values: object) -> str:
        """The sentence with values in its braces."""
        return (self._texts[text] if self._texts else text).format(**values)

    def each(self, *texts: str) -> list[str]:
        """Several, such as the heads of a table."""
        return [self(text) for text in texts]


ENGLISH = Language("en")
