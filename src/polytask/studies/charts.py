"""Charts as SVG that stands in a page by itself: lines, a heat map, stacked bars."""

import math
from collections.abc import Mapping, Sequence
from statistics import fmean

from markupsafe import Markup

Points = Sequence[tuple[float, float]]

WIDTH, HEIGHT = 720, 240
_LEFT, _RIGHT, _TOP, _BOTTOM = 56, 12, 10, 34
_NUM_COLOURS = 8
_MAX_POINTS = 240
_NUM_TICKS = 5


def line_chart(lines: Mapping[str, Points]) -> Markup:
    """Lines by name over steps; many points become means of neighbours.

    Numbers that are not finite are left out.
    """
    shown = {name: _thinned(points) for name, points in lines.items()}
    all_points = [point for points in shown.values() for point in points]
    if not all_points:
        return Markup('<p class="none">nothing to draw</p>')
    x_low, x_high = _range([x for x, _ in all_points])
    y_ticks = _ticks(*_range([y for _, y in all_points]))
    y_low, y_high = y_ticks[0], y_ticks[-1]

    def place(x: float, y: float) -> tuple[float, float]:
        across = (x - x_low) / (x_high - x_low) * (WIDTH - _LEFT - _RIGHT)
        up = (y - y_low) / (y_high - y_low) * (HEIGHT - _TOP - _BOTTOM)
        return _LEFT + across, HEIGHT - _BOTTOM - up

    parts = [_frame(x_low, x_high, y_ticks, place)]
    for number, (name, points) in enumerate(shown.items()):
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in (place(*point) for point in points))
        style = f"c{number % _NUM_COLOURS}" + " dashed" * (number >= _NUM_COLOURS)
        title = Markup("<title>{}</title>").format(name)
        if len(points) == 1:
            x, y = place(*points[0])
            parts.append(_format('<circle class="{}" cx="{}" cy="{}" r="3">', style, x, y))
            parts.append(title + Markup("</circle>"))
        else:
            parts.append(_format('<polyline class="line {}" points="{}">', style, path))
            parts.append(title + Markup("</polyline>"))
    return _svg(HEIGHT, parts) + legend(list(shown))


def heat_map(rows: Mapping[str, Points]) -> Markup:
    """A row of cells for each name, a column for each step: blue below 0, red above."""
    columns = sorted({x for points in rows.values() for x, _ in points})
    if not columns:
        return Markup('<p class="none">nothing to draw</p>')
    left = min(8 + 7 * max(map(len, rows)), WIDTH // 3)
    width, cell = (WIDTH - left - _RIGHT) / len(columns), 18
    parts = []
    for row, (name, points) in enumerate(rows.items()):
        y = 4 + row * cell
        shown = name if 7 * len(name) < left else name[: left // 7 - 1] + "…"
        label = '<text class="label" x="{}" y="{}" text-anchor="end">{}</text>'
        parts.append(_format(label, left - 6, y + 12, shown))
        values = dict(points)
        for place, x in enumerate(columns):
            value = values.get(x)
            if value is None or not math.isfinite(value):
                continue
            share = max(-1.0, min(1.0, value))
            parts.append(
                _format(
                    '<rect class="{}" x="{:.1f}" y="{}" width="{:.1f}" height="{}" '
                    'fill-opacity="{:.2f}"><title>{}, step {:g}: {:.2f}</title></rect>',
                    "warm" if share > 0 else "cold",
                    left + place * width,
                    y,
                    max(width - 0.5, 0.5),
                    cell - 2,
                    abs(share),
                    name,
                    x,
                    value,
                )
            )
    bottom = 4 + len(rows) * cell
    ends = '<text class="tick" x="{}" y="{}" text-anchor="{}">step {:g}</text>'
    parts.append(_format(ends, left, bottom + 14, "start", columns[0]))
    if len(columns) > 1:
        parts.append(_format(ends, WIDTH - _RIGHT, bottom + 14, "end", columns[-1]))
    return _svg(bottom + 20, parts)


def stacked_bars(bars: Mapping[str, Mapping[str, float]]) -> Markup:
    """For each bar the shares of the names in it, which sum up to 1."""
    names = list(dict.fromkeys(name for shares in bars.values() for name in shares))
    left, height = 170, 26
    parts = []
    for row, (title, shares) in enumerate(bars.items()):
        x, y = float(left), 4 + row * (height + 6)
        label = '<text class="label" x="{}" y="{}" text-anchor="end">{}</text>'
        parts.append(_format(label, left - 8, y + 17, title))
        for name, share in shares.items():
            width = share * (WIDTH - left - _RIGHT)
            colour = _filled(names.index(name))
            parts.append(
                _format(
                    '<rect class="{}" x="{:.1f}" y="{}" width="{:.1f}" height="{}">'
                    "<title>{}: {:.1%}</title></rect>",
                    colour,
                    x,
                    y,
                    max(width - 1, 0),
                    height,
                    name,
                    share,
                )
            )
            if width > 46:
                text = '<text class="inside" x="{:.1f}" y="{}">{:.0%}</text>'
                parts.append(_format(text, x + 6, y + 17, share))
            x += width
    return _svg(4 + len(bars) * (height + 6), parts) + legend(names)


_SIDE, _MARGIN = 260.0, 40.0
"""Of the square of `unit_square`, and left of it."""


def unit_square(lines: Mapping[str, Points]) -> Markup:
    """Lines by name from 0 to 1 both ways, beside the diagonal, with a dot at each point."""
    parts = [_unit_frame()]
    for number, (name, points) in enumerate(lines.items()):
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in (_in_square(*point) for point in points))
        line = '<polyline class="line c{}" points="{}"><title>{}</title></polyline>'
        dot = '<circle class="c{}" cx="{:.1f}" cy="{:.1f}" r="2.5"/>'
        parts.append(_format(line, number, path, name))
        parts += [_format(dot, number, *_in_square(*point)) for point in points]
    opening = '<svg class="square" viewBox="0 0 {:.0f} {:.0f}" role="img">'
    drawn = Markup("").join([_format(opening, _MARGIN + _SIDE + 10, _SIDE + 30), *parts])
    return drawn + Markup("</svg>") + legend(list(lines))


def _in_square(x: float, y: float) -> tuple[float, float]:
    return _MARGIN + x * _SIDE, 6 + (1 - y) * _SIDE


def _unit_frame() -> Markup:
    grid = '<line class="{}" x1="{}" x2="{}" y1="{}" y2="{}"/>'
    text = '<text class="tick" x="{}" y="{}" text-anchor="{}">{:g}</text>'
    parts = []
    for tick in (0.0, 0.25, 0.5, 0.75, 1.0):
        x, y = _in_square(tick, tick)
        parts += [
            _format(grid, "grid", _MARGIN, _MARGIN + _SIDE, y, y),
            _format(text, _MARGIN - 6, y + 4, "end", tick),
            _format(text, x, 22 + _SIDE, "middle", tick),
        ]
    (x1, y1), (x2, y2) = _in_square(0, 0), _in_square(1, 1)
    return Markup("").join([*parts, _format(grid, "diagonal", x1, x2, y1, y2)])


def legend(names: Sequence[str]) -> Markup:
    """The names beside their colours."""
    entry = '<span><i class="{}"></i>{}</span>'
    return Markup('<p class="legend">{}</p>').format(
        Markup("").join(_format(entry, _filled(place), name) for place, name in enumerate(names))
    )


def _filled(place: int) -> str:
    """The class of an area: paler for the second eight."""
    return f"f{place % _NUM_COLOURS}" + " paler" * (place >= _NUM_COLOURS)


def _frame(
    x_low: float,
    x_high: float,
    y_ticks: Sequence[float],
    place: object,
) -> Markup:
    assert callable(place)  # noqa: S101
    parts = []
    for tick in y_ticks:
        _, y = place(x_low, tick)
        line = '<line class="grid" x1="{}" x2="{}" y1="{:.1f}" y2="{:.1f}"/>'
        parts.append(_format(line, _LEFT, WIDTH - _RIGHT, y, y))
        text = '<text class="tick" x="{}" y="{:.1f}" text-anchor="end">{:g}</text>'
        parts.append(_format(text, _LEFT - 6, y + 4, tick))
    for share, anchor in ((0.0, "start"), (0.5, "middle"), (1.0, "end")):
        x = x_low + share * (x_high - x_low)
        across, _ = place(x, y_ticks[0])
        text = '<text class="tick" x="{:.1f}" y="{}" text-anchor="{}">{}{:.0f}</text>'
        word = "step " if share == 0 else ""
        parts.append(_format(text, across, HEIGHT - 12, anchor, word, x))
    return Markup("").join(parts)


def _format(pattern: str, *values: object) -> Markup:
    return Markup(pattern).format(*values)  # noqa: S704


def _svg(height: float, parts: Sequence[Markup]) -> Markup:
    opening = _format('<svg viewBox="0 0 {} {}" role="img">', WIDTH, f"{height:.0f}")
    return opening + Markup("").join(parts) + Markup("</svg>")


def _thinned(points: Points) -> list[tuple[float, float]]:
    kept = [(x, y) for x, y in points if math.isfinite(y)]
    size = -(-len(kept) // _MAX_POINTS)
    groups = [kept[i : i + size] for i in range(0, len(kept), max(size, 1))]
    return [(fmean(x for x, _ in some), fmean(y for _, y in some)) for some in groups]


def _range(values: Sequence[float]) -> tuple[float, float]:
    low, high = min(values), max(values)
    margin = max(0.5, 1e-6 * abs(low))
    return (low, high) if high - low > 1e-9 * abs(low) else (low - margin, high + margin)


def _ticks(low: float, high: float) -> list[float]:
    rough = (high - low) / _NUM_TICKS
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * nice for nice in (1, 2, 2.5, 5, 10) if power * nice >= rough)
    first = math.floor(low / step)
    last = math.ceil(high / step)
    return [round(i * step, 12) for i in range(first, last + 1)]
