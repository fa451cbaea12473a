"""Heat maps as SVG: of pairs over the steps of a run, and of names against names."""

import math
from collections.abc import Mapping, Sequence

from markupsafe import Markup

from polytask.studies.charts import RIGHT, WIDTH, Points, cut, form, room, svg

Cells = Mapping[tuple[str, str], float]
"""By name of the row and name of the column."""

_AT_MOST = 28, 18
"""How wide a cell of a matrix is at most: this, and so much for each digit."""
_WITH_NUMBER = 24.0
"""How wide it must be for its number to stand in it."""


def over_steps(rows: Mapping[str, Points], across: str) -> Markup:
    """A row of cells for each name, a column for each step: blue below 0, red above."""
    columns = sorted({x for points in rows.values() for x, _ in points})
    if not columns:
        return Markup("")
    left = room(rows)
    width, cell = (WIDTH - left - RIGHT) / len(columns), 18
    parts = []
    for row, (name, points) in enumerate(rows.items()):
        y = 4 + row * cell
        label = '<text class="label" x="{}" y="{}" text-anchor="end">{}</text>'
        parts.append(form(label, left - 6, y + 12, cut(name, left)))
        values = dict(points)
        for place, x in enumerate(columns):
            value = values.get(x)
            if value is None or not math.isfinite(value):
                continue
            share = max(-1.0, min(1.0, value))
            parts.append(
                form(
                    '<rect class="{}" x="{:.1f}" y="{}" width="{:.1f}" height="{}" '
                    'fill-opacity="{:.2f}"><title>{}, {} {:g}: {:.2f}</title></rect>',
                    "warm" if share > 0 else "cold",
                    left + place * width,
                    y,
                    max(width - 0.5, 0.5),
                    cell - 2,
                    abs(share),
                    name,
                    across,
                    x,
                    value,
                )
            )
    bottom = 4 + len(rows) * cell
    ends = '<text class="tick" x="{}" y="{}" text-anchor="{}">{} {:g}</text>'
    parts.append(form(ends, left, bottom + 14, "start", across, columns[0]))
    if len(columns) > 1:
        parts.append(form(ends, WIDTH - RIGHT, bottom + 14, "end", across, columns[-1]))
    return svg(bottom + 20, parts)


def matrix(rows: Sequence[str], columns: Sequence[str], cells: Cells, digits: int = 2) -> Markup:
    """A row and a column of cells for each name: blue below 0, red above, in shares of the largest.

    digits: behind the point of the numbers in the cells.
    """
    largest = max((abs(one) for one in cells.values() if math.isfinite(one)), default=0.0)
    if not largest:
        return Markup("")
    left, top = room(rows), room(columns) * 0.6 + 8
    beside = room(columns[-1:]) * 0.8
    most = _AT_MOST[0] + _AT_MOST[1] * digits
    width = min((WIDTH - left - beside) / len(columns), most)
    height = min(width, 28.0)
    parts = []
    for place, name in enumerate(columns):
        x = left + (place + 0.5) * width
        label = '<text class="label" transform="translate({:.1f} {:.1f}) rotate(-36)">{}</text>'
        parts.append(form(label, x, top - 6, cut(name, WIDTH / 3)))
    for line, row in enumerate(rows):
        y = top + line * height
        label = '<text class="label" x="{}" y="{:.1f}" text-anchor="end">{}</text>'
        parts.append(form(label, left - 6, y + height / 2 + 4, cut(row, left)))
        for place, column in enumerate(columns):
            value = cells.get((row, column), math.nan)
            if math.isfinite(value):
                box = left + place * width, y, width - 1, height - 1
                shown = f"{value:.{digits}f}" if width >= _WITH_NUMBER + 6 * digits else ""
                parts.append(_cell(box, value / largest, f"{row}, {column}: {value:.4g}", shown))
    whole = left + len(columns) * width + beside
    return svg(top + len(rows) * height + 4, parts, min(whole, WIDTH - 1))


def _cell(box: tuple[float, float, float, float], share: float, told: str, shown: str) -> Markup:
    x, y, width, height = box
    rect = form(
        '<rect class="{}" x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{:.1f}" '
        'fill-opacity="{:.2f}"><title>{}</title></rect>',
        "warm" if share > 0 else "cold",
        x,
        y,
        max(width, 0.5),
        max(height, 0.5),
        0.75 * abs(share),
        told,
    )
    text = '<text class="label" x="{:.1f}" y="{:.1f}" text-anchor="middle">{}</text>'
    return rect + form(text, x + width / 2, y + height / 2 + 4, shown) if shown else rect
