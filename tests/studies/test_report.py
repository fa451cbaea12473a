"""`polytask report`: a run as one page that needs nothing beside it."""

import json
import math
import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import pytest

from polytask import api
from polytask.errors import ConfigError, RunError
from polytask.studies.charts import intervals, line_chart, stacked_bars
from polytask.studies.comparison_report import _over_passes
from polytask.studies.maps import matrix, over_steps
from toys import events, train_toy

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")


@pytest.fixture(scope="module")
def run(toy: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run with a look at every second step."""
    out = tmp_path_factory.mktemp("report") / "运行"
    train_toy(toy, out, "train.look_every=2", "balancing={kind: upgrad}")
    return out


class Page(HTMLParser):
    """The headings of a page, how often each tag occurs, and what it would load."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.headings: list[str] = []
        self.counts: dict[str, int] = {}
        self.loaded: list[str] = []
        self._in_heading = False
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.counts[tag] = self.counts.get(tag, 0) + 1
        self._in_heading = tag in ("h1", "h2")
        self.loaded += [str(v) for k, v in attrs if k in ("src", "href", "xlink:href")]

    def handle_data(self, data: str) -> None:
        if self._in_heading:
            self.headings.append(data)
            self._in_heading = False


def test_the_page_draws_a_finished_run_and_loads_nothing(run: Path, tmp_path: Path) -> None:
    out = tmp_path / "page.html"

    assert api.report(run, out=out) == out

    html = out.read_text(encoding="utf-8")
    page = Page(html)
    assert page.headings == [
        "Run 运行",
        "Scores",
        "Losses",
        "Scores on dev",
        "Weights",
        "Share of each task",
        "Cosines of gradients",
        "Lengths of gradients",
        "Progress",
        "How far the scores on dev can be trusted",
        "How often each data set was seen",
        "What the journal says",
        "How it was made",
    ]
    assert page.loaded == []
    assert "script" not in page.counts
    assert page.counts["svg"] == 7 + 2 + 2  # two tasks state probabilities and have few labels
    assert "url(" not in html
    assert "The run is finished." in html


def browse(*arguments: str) -> str:
    """What a browser without a window prints."""
    options = ("--headless", "--no-sandbox", "--disable-gpu", "--window-size=860,2400")
    command = [str(CHROMIUM), *options, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    return done.stdout


@pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed: no page is opened")
def test_a_browser_shows_the_page(run: Path, tmp_path: Path) -> None:
    page = api.report(run, out=tmp_path / "page.html").as_uri()
    shown, blank = tmp_path / "page.png", tmp_path / "blank.png"

    browse(f"--screenshot={shown}", page)
    browse(f"--screenshot={blank}", "about:blank")
    dom = browse("--dump-dom", page)

    assert shown.stat().st_size > 5 * blank.stat().st_size
    assert dom.count("<polyline") >= 12
    assert dom.count("<rect") >= 12


def test_a_run_on_its_way_is_drawn_to_where_it_is(run: Path, tmp_path: Path) -> None:
    other = tmp_path / "run"
    other.mkdir()
    lines = (run / "journal.jsonl").read_text(encoding="utf-8").splitlines()
    first = next(i for i, line in enumerate(lines) if '"step"' in line)
    torn = "\n".join([*lines[: first + 1], lines[first + 1][:30]])
    (other / "journal.jsonl").write_text(torn, encoding="utf-8")

    page = api.report(other).read_text(encoding="utf-8")

    assert ">1 steps, " in page
    assert "The run is not finished." in page


def test_names_and_notes_of_a_run_are_text(tmp_path: Path) -> None:
    evil = '<script>alert("1")</script>'
    step = {
        "event": "step",
        "step": 1,
        "losses": {evil: None, "意图": 1.0},
        "weights": {evil: 1.0},
        "counts": {evil: 2},
        "examples": 2,
        "seconds": 0.1,
        "look": {
            "norms": {evil: 1.0, "意图": 2.0},
            "cosines": {f"{evil} 意图": -0.5},
            "progress": {},
        },
    }
    events = [{"event": "note", "text": evil}, step]
    text = "".join(json.dumps(event) + "\n" for event in events)
    (tmp_path / "journal.jsonl").write_text(text, encoding="utf-8")

    page = api.report(tmp_path).read_text(encoding="utf-8")

    assert evil not in page
    assert "&lt;script&gt;" in page
    assert "意图" in page


def test_a_folder_without_a_journal_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="has no journal, so it is no run folder"):
        api.report(tmp_path)


def test_a_damaged_journal_is_told_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "journal.jsonl").write_text('{"event"\n{"event": "end"}\n', encoding="utf-8")

    with pytest.raises(RunError, match=r"journal\.jsonl:1: is damaged"):
        api.report(tmp_path)


@pytest.mark.parametrize("line", ["3", '{"nope": 1}', '{"event": "step", "step": 1}'])
def test_a_journal_of_something_else_is_told(tmp_path: Path, line: str) -> None:
    (tmp_path / "journal.jsonl").write_text(line + "\n", encoding="utf-8")

    with pytest.raises(RunError, match=r"journal\.jsonl: is damaged"):
        api.report(tmp_path)


def test_a_note_may_hold_any_character(tmp_path: Path) -> None:
    note = json.dumps({"event": "note", "text": "a\u2028b\u0085c"}, ensure_ascii=False)
    (tmp_path / "journal.jsonl").write_text(note + "\n", encoding="utf-8")

    assert "a\u2028b\u0085c" in api.report(tmp_path).read_text(encoding="utf-8")


def test_one_huge_number_can_be_drawn() -> None:
    assert "<circle" in line_chart({"a": [(1, 1e20)]}, "step")


def coordinates(svg: str) -> list[tuple[float, float]]:
    (points,) = re.findall(r'points="([^"]+)"', svg)
    return [(float(x), float(y)) for x, y in (pair.split(",") for pair in points.split())]


def test_a_line_goes_where_its_numbers_are() -> None:
    points = coordinates(line_chart({"a": [(0, 0.0), (5, 10.0), (10, 0.0)]}, "step"))

    (x0, y0), (x1, y1), (x2, y2) = points
    assert x0 < x1 < x2
    assert x1 - x0 == pytest.approx(x2 - x1)
    assert y1 < y0 == y2


def test_many_points_become_means_and_gaps_are_left_out() -> None:
    values = [(float(i), math.nan if i % 2 else 1.0) for i in range(10_000)]

    points = coordinates(line_chart({"a": values}, "step"))

    assert 100 < len(points) <= 240
    assert len({y for _, y in points}) == 1


@pytest.mark.parametrize("nothing", [{}, {"a": []}, {"a": [(1.0, math.nan)]}])
def test_without_numbers_there_is_no_chart(nothing: dict[str, list[tuple[float, float]]]) -> None:
    assert line_chart(nothing, "step") == ""


def test_a_cell_is_as_strong_as_its_number() -> None:
    svg = over_steps({"a · b": [(1, 0.5), (2, -1.0)], "a · c": [(2, math.nan)]}, "step")

    assert re.findall(r'rect class="(\w+)".*?fill-opacity="([\d.]+)"', svg) == [
        ("warm", "0.50"),
        ("cold", "1.00"),
    ]


def test_a_matrix_is_as_strong_as_its_largest_number() -> None:
    cells = {("a", "b"): -0.02, ("b", "a"): 0.01, ("b", "b"): math.nan}

    svg = matrix(["a", "b"], ["a", "b"], cells, digits=3)

    assert re.findall(r'rect class="(\w+)".*?fill-opacity="([\d.]+)"', svg) == [
        ("cold", "0.75"),
        ("warm", "0.38"),
    ]
    assert ">-0.020<" in svg
    assert matrix(["a"], ["a"], {("a", "a"): math.nan}) == ""


def test_an_interval_lies_around_its_middle_and_one_that_is_unknown_is_a_point() -> None:
    svg = intervals(
        {"a": (-0.01, 0.02, 0.05, "good"), "b": (math.nan, -0.03, math.nan, "even")}, 0.01
    )

    low, high = (
        float(re.search(rf'class="interval good".*? {side}="([\d.]+)"', svg)[1])
        for side in ("x1", "x2")
    )
    zero = float(re.search(r'class="axis" x1="([\d.]+)"', svg)[1])
    first, second = (float(x) for x in re.findall(r'circle class="\w+" cx="([\d.]+)"', svg))
    assert low < zero < first < high
    assert first == pytest.approx((low + high) / 2, abs=0.1)
    assert second < zero
    assert svg.count('class="interval') == 1


def test_bars_are_as_long_as_their_shares() -> None:
    svg = stacked_bars({"targets": {"a": 0.25, "b": 0.75}})

    one, other = (float(width) + 1 for width in re.findall(r'<rect.*?width="([\d.]+)"', svg))
    assert other == pytest.approx(3 * one, rel=0.01)


def test_a_report_shows_how_true_probabilities_are_and_what_goes_wrong(
    run: Path, tmp_path: Path
) -> None:
    api.evaluate(run)
    before = api.report(run, out=tmp_path / "before.html").read_text(encoding="utf-8")
    api.mistakes(run)
    after = api.report(run, out=tmp_path / "after.html").read_text(encoding="utf-8")

    assert "How far the scores on test can be trusted" in before
    assert "Expected calibration error" in before
    assert "The surest mistakes" not in before
    assert "By words in the text" in after
    assert "The surest mistakes" in after


def test_markdown_and_json_hold_the_same_numbers(run: Path, tmp_path: Path) -> None:
    text = api.report(run, out=tmp_path / "page.md").read_text(encoding="utf-8")
    held = json.loads(api.report(run, out=tmp_path / "page.json").read_text(encoding="utf-8"))

    metrics = json.loads((run / "metrics.json").read_text(encoding="utf-8"))["dev"]
    score = f"{metrics['intent']['metrics']['accuracy']:.4f}"
    assert f"| intent | accuracy | {score} |" in text
    sections = {one["title"]: one for one in held["sections"]}
    assert ["intent", "accuracy", score] in [
        row[:3] for row in sections["Scores"]["tables"][0]["rows"]
    ]
    losses = sections["Losses"]["charts"][0]["data"]["intent"]
    steps = [event for event in events(run, "step") if event["losses"].get("intent") is not None]
    assert losses == [[event["step"], event["losses"]["intent"]] for event in steps]
    assert "<svg" not in text


def test_a_report_speaks_chinese(run: Path, tmp_path: Path) -> None:
    html = api.report(run, out=tmp_path / "page.html", lang="zh").read_text(encoding="utf-8")

    assert '<html lang="zh">' in html
    assert {"得分", "损失", "梯度余弦", "日志摘要"} <= set(Page(html).headings)


def test_other_forms_and_languages_are_refused(run: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"a report is one of \.html, \.md, \.json"):
        api.report(run, out=tmp_path / "page.pdf")
    with pytest.raises(ConfigError, match=r"no language 'zn'\. Known: en, zh"):
        api.report(run, lang="zn")

    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("text", ["{", "{}", "[]", '{"tasks": {"a": 1}}'])
@pytest.mark.parametrize("name", ["compare", "curve", "affinity", "group"])
def test_a_damaged_study_is_told_with_its_file(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / f"{name}.json").write_text(text, encoding="utf-8")

    with pytest.raises(RunError, match=rf"{name}\.json: is damaged"):
        api.report(tmp_path)


def test_training_is_drawn_over_the_passes_through_the_data_of_a_task() -> None:
    runs = [
        [
            {
                "event": "evaluation",
                "seen": {"small": 5.0 * n, "large": 0.5 * n},
                "metrics": {"a": {"f1": 0.1 * n}},
            }
            for n in (1, 2)
        ]
    ]

    assert _over_passes(runs, "a", "large") == [(0.5, 0.1), (1.0, 0.2)]
    assert _over_passes([[]], "a", "large") == []
