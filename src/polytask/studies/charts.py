"""Charts as SVG that stands in a page by itself: lines, intervals, stacked bars, a square."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from statistics import fmean

from markupsafe import Markup

Points = Sequence[tuple[float, float]]

WIDTH, HEIGHT = 720, 240
_NARROW = 480
RIGHT = 12
"""Room at the right of a drawing."""
_LEFT, _TOP, _BOTTOM = 56, 10, 34
_NUM_COLOURS = 8
_MAX_POINTS = 240
_NUM_TICKS = 5
_CHARACTER = 7
"""How wide one is, about; one of Chinese is twice as wide."""


def line_chart(
    lines: Mapping[str, Points], across: str, label: Callable[[float], str] = "{:,.0f}".format
) -> Markup:
    """Lines by name over what `across` names; many points become means of neighbours.

    Numbers that are not finite are left out; without any there is no chart. label: how numbers
    across are written.
    """
    shown = {name: _thinned(points) for name, points in lines.items()}
    all_points = [point for points in shown.values() for point in points]
    if not all_points:
        return Markup("")
    x_low, x_high = _range([x for x, _ in all_points])
    ticks = _ticks(*_range([y for _, y in all_points]))

    def place(x: float, y: float) -> tuple[float, float]:
        right = (x - x_low) / (x_high - x_low) * (WIDTH - _LEFT - RIGHT)
        return _LEFT + right, _height_of(y, ticks)

    parts = [_rulers(ticks), _ends(across, label, x_low, x_high)]
    for number, (name, points) in enumerate(shown.items()):
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in (place(*point) for point in points))
        style = f"c{number % _NUM_COLOURS}" + " dashed" * (number >= _NUM_COLOURS)
        title = Markup("<title>{}</title>").format(name)
        if len(points) == 1:
            x, y = place(*points[0])
            parts.append(form('<circle class="{}" cx="{}" cy="{}" r="3">', style, x, y))
            parts.append(title + Markup("</circle>"))
        else:
            parts.append(form('<polyline class="line {}" points="{}">', style, path))
            parts.append(title + Markup("</polyline>"))
    return svg(HEIGHT, parts) + legend(list(shown))


Interval = tuple[float, float, float, str]
"""Lowest, middle, highest, and `good`, `bad`, `same` or `even`."""


def intervals(rows: Mapping[str, Interval], margin: float) -> Markup:
    """For each name a point in its interval, beside 0 and the margin around it."""
    left, row_height = room(rows) + 8, 26
    known = [one for low, middle, high, _ in rows.values() for one in (low, middle, high)]
    ticks = _ticks(*_range([one for one in (*known, -margin, margin) if math.isfinite(one)]))
    bottom = 8 + len(rows) * row_height

    def place(value: float) -> float:
        share = (value - ticks[0]) / (ticks[-1] - ticks[0])
        return left + share * (_NARROW - left - 2 * RIGHT)

    band = '<rect class="band" x="{:.1f}" y="4" width="{:.1f}" height="{}"/>'
    parts = [form(band, place(-margin), place(margin) - place(-margin), bottom - 4)]
    for tick in ticks:
        line = '<line class="{}" x1="{:.1f}" x2="{:.1f}" y1="4" y2="{}"/>'
        text = '<text class="tick" x="{:.1f}" y="{}" text-anchor="middle">{}</text>'
        style = "axis" if tick == 0 else "grid"
        parts.append(form(line, style, place(tick), place(tick), bottom))
        parts.append(form(text, place(tick), bottom + 15, f"{tick:+g}" if tick else "0"))
    for number, (name, (low, middle, high, style)) in enumerate(rows.items()):
        y = 8 + (number + 0.5) * row_height
        label = '<text class="label" x="{}" y="{:.1f}" text-anchor="end">{}</text>'
        line = '<line class="interval {}" x1="{:.1f}" x2="{:.1f}" y1="{:.1f}" y2="{:.1f}"/>'
        dot = '<circle class="{}" cx="{:.1f}" cy="{:.1f}" r="4.5"><title>{}</title></circle>'
        parts.append(form(label, left - 10, y + 4, cut(name, left)))
        if math.isfinite(low) and math.isfinite(high):
            parts.append(form(line, style, place(low), place(high), y, y))
        parts.append(form(dot, style, place(middle), y, f"{name}: {middle:+.4f}"))
    return svg(bottom + 22, parts, _NARROW)


def stacked_bars(bars: Mapping[str, Mapping[str, float]]) -> Markup:
    """For each bar the shares of the names in it, which sum up to 1."""
    names = list(dict.fromkeys(name for shares in bars.values() for name in shares))
    left, height = room(bars) + 8, 26
    parts = []
    for row, (title, shares) in enumerate(bars.items()):
        x, y = float(left), 4 + row * (height + 6)
        label = '<text class="label" x="{}" y="{}" text-anchor="end">{}</text>'
        parts.append(form(label, left - 8, y + 17, cut(title, left)))
        for name, share in shares.items():
            width = share * (WIDTH - left - RIGHT)
            colour = _filled(names.index(name))
            parts.append(
                form(
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
                parts.append(form(text, x + 6, y + 17, share))
            x += width
    return svg(4 + len(bars) * (height + 6), parts) + legend(names)


_SIDE, _MARGIN = 260.0, 40.0
"""Of the square of `unit_square`, and left of it."""


def unit_square(lines: Mapping[str, Points]) -> Markup:
    """Lines by name from 0 to 1 both ways, beside the diagonal, with a dot at each point."""
    parts = [_unit_frame()]
    for number, (name, points) in enumerate(lines.items()):
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in (_in_square(*point) for point in points))
        line = '<polyline class="line c{}" points="{}"><title>{}</title></polyline>'
        dot = '<circle class="c{}" cx="{:.1f}" cy="{:.1f}" r="2.5"/>'
        parts.append(form(line, number, path, name))
        parts += [form(dot, number, *_in_square(*point)) for point in points]
    opening = '<svg class="square" viewBox="0 0 {:.0f} {:.0f}" role="img">'
    drawn = Markup("").join([form(opening, _MARGIN + _SIDE + 10, _SIDE + 30), *parts])
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
            form(grid, "grid", _MARGIN, _MARGIN + _SIDE, y, y),
            form(text, _MARGIN - 6, y + 4, "end", tick),
            form(text, x, 22 + _SIDE, "middle", tick),
        ]
    (x1, y1), (x2, y2) = _in_square(0, 0), _in_square(1, 1)
    return Markup("").join([*parts, form(grid, "diagonal", x1, x2, y1, y2)])


def legend(names: Sequence[str]) -> Markup:
    """The names beside their colours."""
    entry = '<span><i class="{}"></i>{}</span>'
    return Markup('<p class="legend">{}</p>').format(
        Markup("").join(form(entry, _filled(place), name) for place, name in enumerate(names))
    )


def _filled(place: int) -> str:
    """The class of an area: paler for the second eight."""
    return f"f{place % _NUM_COLOURS}" + " paler" * (place >= _NUM_COLOURS)


def _height_of(y: float, ticks: Sequence[float]) -> float:
    share = (y - ticks[0]) / (ticks[-1] - ticks[0])
    return HEIGHT - _BOTTOM - share * (HEIGHT - _TOP - _BOTTOM)


def _rulers(ticks: Sequence[float]) -> Markup:
    """A line across at each tick."""
    line = '<line class="grid" x1="{}" x2="{}" y1="{:.1f}" y2="{:.1f}"/>'
    text = '<text class="tick" x="{}" y="{:.1f}" text-anchor="end">{:g}</text>'
    parts = []
    for tick in ticks:
        y = _height_of(tick, ticks)
        parts += [
            form(line, _LEFT, WIDTH - RIGHT, y, y),
            form(text, _LEFT - 6, y + 4, tick),
        ]
    return Markup("").join(parts)


def _ends(across: str, label: Callable[[float], str], low: float, high: float) -> Markup:
    """What is left, in the middle and right below a chart."""
    text = '<text class="tick" x="{:.1f}" y="{}" text-anchor="{}">{}{}</text>'
    return Markup("").join(
        form(
            text,
            _LEFT + share * (WIDTH - _LEFT - RIGHT),
            HEIGHT - 12,
            anchor,
            f"{across} " if share == 0 else "",
            label(low + share * (high - low)),
        )
        for share, anchor in ((0.0, "start"), (0.5, "middle"), (1.0, "end"))
    )


def form(pattern: str, *values: object) -> Markup:
    """Markup with values in it as text."""
    return Markup(pattern).format(*values)  # noqa: S704


def room(names: Iterable[str]) -> int:
    """How wide the longest is, but at most a third of the drawing."""
    return min(8 + max(map(_width, names)), WIDTH // 3)


def _width(name: str) -> int:
    return sum(_CHARACTER if ord(one) < 0x2E80 else 2 * _CHARACTER for one in name)


def cut(name: str, room: float) -> str:
    """The name, shortened where it is too wide."""
    if _width(name) < room:
        return name
    while name and _width(name) + _CHARACTER >= room:
        name = name[:-1]
    return name + "…"


def svg(height: float, parts: Sequence[Markup], width: float = WIDTH) -> Markup:
    """A drawing as wide as a page, or of a width of its own where that is less."""
    style = "" if width == WIDTH else f"max-width: {1.25 * width:.0f}px"
    opening = form(
        '<svg class="{}" style="{}" viewBox="0 0 {:.0f} {:.0f}" role="img">',
        "" if style else "full",
        style,
        width,
        height,
    )
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
