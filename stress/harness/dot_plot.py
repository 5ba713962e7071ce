"""A dot plot of several backends side by side: a row for each figure, logarithmic axes."""

from collections.abc import Sequence
from dataclasses import dataclass

from .svg import Scale, circle, is_power, line, picture, step_down, step_up, text, ticks

WIDTH, ROW, HEAD = 520, 22, 62
# Margins left and right of the axis, for the names; above and below it.
LEFT, RIGHT, ABOVE, BELOW = 250, 62, 30, 40
STORE, OTHERS, GOAL = "#154360", "#9a9a9a", "#c0392b"


@dataclass(frozen=True)
class Dot:
    """A figure with its minimum and maximum."""

    name: str
    low: float
    middle: float
    high: float
    goal: float | None = None
    # Whether it is the store's own figure.
    own: bool = True


@dataclass(frozen=True)
class Panel:
    """Figures of one unit, the same kind for each backend, on the same axis."""

    unit: str
    # By backend.
    dots: dict[str, list[Dot]]


def side_by_side(title: str, subtitle: str, panels: Sequence[Panel]) -> str:
    """A column for each backend, its panels one below the other."""
    names = list(dict.fromkeys(name for panel in panels for name in panel.dots))
    parts: list[str] = []
    y = float(HEAD)
    for panel in panels:
        values = [value for dots in panel.dots.values() for dot in dots
                  for value in (dot.low, dot.high, dot.goal) if value]
        if not values:
            continue
        low, high = step_down(min(values)), step_up(max(values) * 1.01)
        rows = max(map(len, panel.dots.values()))
        for column, name in enumerate(names):
            x = column * WIDTH
            across = Scale(low, max(high, low * 10), x + LEFT, x + WIDTH - RIGHT)
            parts += _axis(across, y, rows, f"{name}, {panel.unit}")
            for row, dot in enumerate(panel.dots.get(name, ())):
                parts += _row(dot, across, x + LEFT - 10, y + ABOVE + ROW * (row + 0.5))
        y += ABOVE + ROW * rows + BELOW
    return picture(WIDTH * len(names), y, title, subtitle, parts)


def _axis(across: Scale, y: float, rows: int, name: str) -> list[str]:
    top, bottom = y + ABOVE, y + ABOVE + ROW * rows
    parts = [text(across.start, y + ABOVE - 10, name, weight="bold")]
    for value in ticks(across.low, across.high):
        x, strong = across.at(value), is_power(value)
        parts.append(line(x, top, x, bottom, "#ddd" if strong else "#f0f0f0"))
        if strong:
            parts.append(text(x, bottom + 16, f"{value:,g}", anchor="middle", fill="#666"))
    return parts


def _row(dot: Dot, across: Scale, names_end: float, y: float) -> list[str]:
    colour = STORE if dot.own else OTHERS
    parts = [text(names_end, y + 4, dot.name, anchor="end", fill="#222" if dot.own else "#666")]
    if dot.goal:
        x = across.at(dot.goal)
        parts.append(line(x, y - ROW * 0.4, x, y + ROW * 0.4, GOAL, 2))
    if dot.middle <= 0:
        return parts
    parts += [line(across.at(dot.low), y, across.at(dot.high), y, colour, 2),
              circle(across.at(dot.middle), y, colour, colour),
              text(across.end + 8, y + 4, f"{dot.middle:,.0f}" if dot.middle >= 10
                   else f"{dot.middle:.2g}", fill=colour)]
    return parts
