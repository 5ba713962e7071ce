"""The latency plot: percentiles by offered rate, both axes logarithmic, as an SVG."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from .rounds import Part, Row

# One hue from light to dark for the product's percentiles, grey for the floor.
SERIES = (("p50_ms", "p50", "#7fb3d5"), ("p95_ms", "p95", "#2e86c1"), ("p99_ms", "p99", "#154360"))
FLOOR_SERIES = (("p50_ms", "p50", "#b3b3b3"), ("p99_ms", "p99", "#7a7a7a"))
WIDTH, HEIGHT = 460, 340
# Of which the title has so much, once however many lines of panels there are.
HEAD = 46
LEFT, RIGHT, TOP, BOTTOM = 56, 84, 74, 52
GAP = 14.0


@dataclass(frozen=True)
class Scale:
    """A logarithmic axis from pixel to pixel."""

    low: float
    high: float
    start: float
    end: float

    def at(self, value: float) -> float:
        """Pixel of a value."""
        share = math.log(value / self.low) / math.log(self.high / self.low)
        return self.start + share * (self.end - self.start)


def latency(title: str, subtitle: str, parts: Sequence[Part]) -> str:
    """A panel for each route of each server that was offered rates, on one latency axis.

    Of one server the routes are side by side; of several the servers are, a line for each route.
    """
    panels = [(part, route, rows) for part in parts for route, rows in _by_route(part).items()]
    values = [getattr(sample, key) for _, _, rows in panels for row in rows
              for sample in (row.product, row.floor) for key in ("p50_ms", "p99_ms")
              if getattr(sample, key) > 0]
    if not values:
        return ""
    low = _step_down(min(values))
    high = max(_step_up(max(values)), low * 10)
    routes = list(dict.fromkeys(route for _, route, _ in panels))
    columns, lines = (len(parts), len(routes)) if len(parts) > 1 else (len(routes), 1)
    width, height = WIDTH * columns, HEAD + (HEIGHT - HEAD) * lines
    svg = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" '
        f'height="{height}" font-family="Helvetica, Arial, sans-serif" font-size="12" fill="#222">',
        f'<rect width="{width}" height="{height}" fill="#fff"/>',
        _text(16, 24, title, size=15, weight="bold"),
        _text(16, 42, subtitle, fill="#666"),
    ]
    for part, route, rows in panels:
        several = len(parts) > 1
        column, line = (parts.index(part), routes.index(route)) if several else \
            (routes.index(route), 0)
        name = f"{part.dbms}, {route}" if several else route
        body = _panel(column * WIDTH, name, rows, low, high, part.under.split()[-1])
        svg += [f'<g transform="translate(0 {line * (HEIGHT - HEAD)})">', *body, "</g>"]
    return "\n".join([*svg, "</svg>"]) + "\n"


def _by_route(part: Part) -> dict[str, list[Row]]:
    rated = _one_client_a_rate([row for row in part.rows
                                if row.offered and row.product.p50_ms > 0])
    routes = dict.fromkeys(row.route for row in rated)
    return {route: sorted((row for row in rated if row.route == route), key=_offered)
            for route in routes}


def _offered(row: Row) -> int:
    return row.offered or 0


def _one_client_a_rate(rows: Sequence[Row]) -> list[Row]:
    # Where both clients offered a rate, the one whose clock starts when a request is due.
    best: dict[tuple[str, int | None], Row] = {}
    for row in rows:
        key = (row.route, row.offered)
        if key not in best or row.product.client == "openloop":
            best[key] = row
    return list(best.values())


def _panel(x: float, route: str, rows: Sequence[Row], low: float, high: float, under: str
           ) -> list[str]:
    across = Scale(min(map(_offered, rows)) / 1.5, max(map(_offered, rows)) * 1.5,
                   x + LEFT, x + WIDTH - RIGHT)
    up = Scale(low, high, HEIGHT - BOTTOM, TOP)
    parts = [_text(x + LEFT, TOP - 10, route, weight="bold")]
    for value in _ticks(low, high):
        y, strong = up.at(value), _is_power(value)
        parts.append(_line(x + LEFT, y, x + WIDTH - RIGHT, y, "#ddd" if strong else "#f0f0f0"))
        parts.append(_text(x + LEFT - 6, y + 4, f"{value:g}" + (" ms" if strong else ""),
                           anchor="end", fill="#666" if strong else "#aaa",
                           size=12 if strong else 10))
    for row in rows:
        parts.append(_text(across.at(_offered(row)), HEIGHT - BOTTOM + 18, f"{row.offered:,}",
                           anchor="middle", fill="#666"))
    parts.append(_text((across.start + across.end) / 2, HEIGHT - 14, "requests offered a second",
                       anchor="middle", fill="#666"))
    labels = []
    for side, series in (("floor", FLOOR_SERIES), ("product", SERIES)):
        for key, name, colour in series:
            points = [(across.at(_offered(row)), up.at(getattr(getattr(row, side), key)),
                       row.product.client) for row in rows]
            parts += _curve(points, colour, dashed=side == "floor")
            labels.append((points[-1][1], name if side == "product" else f"{under} {name}",
                           colour))
    return parts + _labels(labels, across.end + 8)


def _curve(points: Sequence[tuple[float, float, str]], colour: str, dashed: bool) -> list[str]:
    """A line through the points of each client: a step from one client to another is no effect."""
    dash = ' stroke-dasharray="4 3"' if dashed else ""
    parts = []
    for client in dict.fromkeys(client for _, _, client in points):
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y, who in points if who == client)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" '
                     f'stroke-width="2"{dash}/>')
    for x, y, client in points:
        fill = "#fff" if client == "openloop" else colour
        parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.2" fill="{fill}" '
                     f'stroke="{colour}" stroke-width="1.6"/>')
    return parts


def _labels(labels: Sequence[tuple[float, str, str]], x: float) -> list[str]:
    """Names at the ends of their curves, moved apart where they would overlap."""
    parts, last = [], -math.inf
    for y, name, colour in sorted(labels):
        last = max(y, last + GAP)
        parts.append(_text(x, last + 4, name, fill=colour, weight="bold"))
    return parts


def _text(x: float, y: float, text: str, *, size: int = 12, anchor: str = "start",
          fill: str = "#222", weight: str = "normal") -> str:
    return (f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" text-anchor="{anchor}" '
            f'fill="{fill}" font-weight="{weight}">{escape(text)}</text>')


def _line(x1: float, y1: float, x2: float, y2: float, colour: str) -> str:
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{colour}"/>'


def _is_power(value: float) -> bool:
    return abs(math.log10(value) - round(math.log10(value))) < 1e-9


def _ticks(low: float, high: float) -> list[float]:
    steps = [mantissa * 10.0 ** power for power in range(-4, 7) for mantissa in (1, 2, 5)]
    return [step for step in steps if low * 0.999 <= step <= high * 1.001]


def _step_down(value: float) -> float:
    return max(step for step in _ticks(1e-4, 1e6) if step <= value)


def _step_up(value: float) -> float:
    return min(step for step in _ticks(1e-4, 1e6) if step >= value)
