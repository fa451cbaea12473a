"""A report before it is a page: sentences, tables and charts, which give HTML, Markdown or JSON."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.resources import files

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from polytask.studies.language import Language
from polytask.studies.listed import Listed
from polytask.training.journal import finite


@dataclass(frozen=True, slots=True)
class Chart:
    """A drawing, and the numbers in it."""

    drawing: Markup
    data: object
    title: str = ""


@dataclass(frozen=True, slots=True)
class Section:
    """A part of a report. items: a list. small: charts stand side by side where there is room."""

    title: str
    about: str = ""
    told: Sequence[str] = ()
    items: Sequence[str] = ()
    charts: Sequence[Chart] = ()
    tables: Sequence[Listed] = ()
    parts: Sequence["Section"] = ()
    small: bool = False

    def as_json(self) -> dict[str, object]:
        """All of it as plain values."""
        return {
            "title": self.title,
            "about": self.about,
            "told": [*self.told, *self.items],
            "charts": [{"title": one.title, "data": one.data} for one in self.charts],
            "tables": [
                {"title": one.title, "heads": one.heads, "rows": one.rows} for one in self.tables
            ],
            "parts": [one.as_json() for one in self.parts],
        }

    def markdown(self, level: int = 2) -> Iterator[str]:
        """Paragraphs; charts are drawings, so they are left to the page and to JSON."""
        body = list(self.told)
        for one in self.tables:
            body += [*([f"**{one.title}**"] if one.title else []), one.markdown().rstrip()]
        body += ["\n".join(f"- {one}" for one in self.items)] if self.items else []
        body += [line for one in self.parts for line in one.markdown(level + 1)]
        if body:
            about = [self.about] if self.about else []
            yield from (f"{'#' * level} {self.title}", *about, *body)


@dataclass(frozen=True, slots=True)
class Document:
    """A report. verdict: what was found, in sentences, before everything else."""

    title: str
    about: str
    verdict: Sequence[str]
    sections: Sequence[Section]

    def html(self, say: Language) -> str:
        """One page that asks for nothing beside it."""
        page = (files("polytask.studies") / "report.html.j2").read_text(encoding="utf-8")
        environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True)
        return environment.from_string(page).render(document=self, say=say)

    def markdown(self) -> str:
        """The sentences and the tables."""
        parts = [f"# {self.title}", self.about, *self.verdict]
        parts += [line for section in self.sections for line in section.markdown()]
        return "\n\n".join(part for part in parts if part) + "\n"

    def as_json(self) -> str:
        """The sentences, the tables as they are shown, and the numbers of the charts."""
        whole = {
            "title": self.title,
            "about": self.about,
            "verdict": self.verdict,
            "sections": [section.as_json() for section in self.sections],
        }
        return json.dumps(finite(whole), ensure_ascii=False, indent=1)
