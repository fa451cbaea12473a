"""Reports: a run, or the studies in a folder, as one page, as Markdown or as JSON."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from polytask.errors import ConfigError, RunError, did_you_mean
from polytask.studies import affinity, comparison, curve, group
from polytask.studies.affinity import Affinity
from polytask.studies.comparison import Comparison
from polytask.studies.comparison_report import comparison_sections, comparison_verdict
from polytask.studies.curve import Curve
from polytask.studies.document import Document, Section
from polytask.studies.group import Grouping
from polytask.studies.language import LANGUAGES, Language
from polytask.studies.run_report import run_document
from polytask.studies.study_report import affinity_section, curve_section, group_section
from polytask.training.checkpoint import write_synced, writing
from polytask.training.folder import RunFolder

REPORT = "report.html"
"""Of a run or of studies, in their folder."""
_FORMATS = (".html", ".md", ".json")
_READ: Mapping[str, Callable[[str], Comparison | Grouping | Curve | Affinity]] = {
    comparison.FILE: Comparison.from_json,
    group.FILE: Grouping.from_json,
    curve.FILE: Curve.from_json,
    affinity.FILE: Affinity.from_json,
}


def write_report(folder: Path, out: Path, language: str = "en") -> None:
    """Writes what a run, or the studies in a folder and right below it, found.

    The name of `out` says how: `.html`, `.md` or `.json`. Raises ConfigError for another name or a
    language that is not known, RunError for a folder that holds neither run nor study or whose
    files are damaged, DiskError if the file cannot be written.
    """
    if out.suffix not in _FORMATS:
        raise ConfigError(f"{out}: a report is one of {', '.join(_FORMATS)}, by its name")
    if language not in LANGUAGES:
        raise ConfigError(f"no language '{language}'. {did_you_mean(language, LANGUAGES)}")
    say = Language(language)
    if files := list(_files(folder)):
        document = _of_studies(folder, files, say)
    else:
        with _reading(RunFolder(folder).journal):
            document = run_document(RunFolder(folder), say)
    forms: dict[str, Callable[[], str]] = {
        ".html": lambda: document.html(say),
        ".md": document.markdown,
        ".json": document.as_json,
    }
    with writing(out):
        write_synced(out, forms[out.suffix]())


@contextmanager
def _reading(place: Path) -> Iterator[None]:
    """Tells of a file, or of a folder in which one is not what it should be."""
    try:
        yield
    except (KeyError, TypeError, AttributeError, StopIteration, ValueError) as error:
        raise RunError(f"{place}: is damaged: {error!r}") from error


def _files(folder: Path) -> Iterator[tuple[str, Path]]:
    """The studies in a folder and right below it, by the names of their files."""
    for name in _READ:
        below = [] if name == comparison.FILE else sorted(folder.glob(f"*/{name}"))
        yield from ((name, file) for file in [folder / name, *below] if file.is_file())


def _of_studies(folder: Path, files: Sequence[tuple[str, Path]], say: Language) -> Document:
    verdict: list[str] = []
    sections: list[Section] = []
    origins: list[str] = []
    for name, file in files:
        with _reading(file):
            found = _READ[name](file.read_text(encoding="utf-8"))
        with _reading(folder):
            if isinstance(found, Comparison):
                verdict += comparison_verdict(found, say)
                sections += comparison_sections(found, folder, say)
            elif isinstance(found, Grouping):
                sections.append(group_section(found, say))
            elif isinstance(found, Curve):
                sections.append(curve_section(found, say))
            else:
                sections.append(affinity_section(found, say))
        origins += [one for one in found.origin.told(say) if one not in origins]
    name = folder.resolve().name
    title = say("Did sharing help? {name}", name=name) if verdict else name
    made = Section(say("How it was made"), told=origins)
    return Document(title, "", verdict, [*sections, made])
