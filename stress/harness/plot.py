"""The latency plot: percentiles by offered rate, both axes logarithmic, as an SVG."""

import math
from collections.abc import Sequence

from .rounds import Part, Row
from .svg import Scale, circle, is_power, line, picture, step_down, step_up, text, ticks

# Light to dark blue for the product's percentiles, grey for the floor.
SERIES = (("p50_ms", "p50", "#7fb3d5"), ("p95_ms", "p95", "#2e86c1"), ("p99_ms", "p99", "#154360"))
FLOOR_SERIES = (("p50_ms", "p50", "#b3b3b3"), ("p99_ms", "p99", "#7a7a7a"))
WIDTH, HEIGHT = 460, 340
# Height of the title, which is there once for all rows of panels.
HEAD = 46
LEFT, RIGHT, TOP, BOTTOM = 56, 84, 74, 52
GAP = 14.0


def latency(title: str, subtitle: str, parts: Sequence[Part]) -> str:
    """A panel for each route of each server that was measured at rates, on one latency axis.

    The routes of one server are side by side; several servers are side by side, with a row for each
    route.
    """
    panels = [(part, route, rows) for part in parts for route, rows in _by_route(part).items()]
    values = [getattr(sample, key) for _, _, rows in panels for row in rows
              for sample in (row.product, row.floor) for key in ("p50_ms", "p99_ms")
              if getattr(sample, key) > 0]
    if not values:
        return ""
    low = step_down(min(values))
    high = max(step_up(max(values)), low * 10)
    routes = list(dict.fromkeys(route for _, route, _ in panels))
    columns, panels_down = (len(parts), len(routes)) if len(parts) > 1 else (len(routes), 1)
    width, height = WIDTH * columns, HEAD + (HEIGHT - HEAD) * panels_down
    svg = []
    for part, route, rows in panels:
        several = len(parts) > 1
        column, down = (parts.index(part), routes.index(route)) if several else \
            (routes.index(route), 0)
        name = f"{part.dbms}, {route}" if several else route
        body = _panel(column * WIDTH, name, rows, low, high, part.under.split()[-1])
        svg += [f'<g transform="translate(0 {down * (HEIGHT - HEAD)})">', *body, "</g>"]
    return picture(width, height, title, subtitle, svg)


def _by_route(part: Part) -> dict[str, list[Row]]:
    rated = _one_client_a_rate([row for row in part.rows
                                if row.offered and row.product.p50_ms > 0])
    routes = dict.fromkeys(row.route for row in rated)
    return {route: sorted((row for row in rated if row.route == route), key=_offered)
            for route in routes}


def _offered(row: Row) -> int:
    return row.offered or 0


def _one_client_a_rate(rows: Sequence[Row]) -> list[Row]:
    # If both clients offered a rate, the one whose clock starts when a request is due.
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
    parts = [text(x + LEFT, TOP - 10, route, weight="bold")]
    for value in ticks(low, high):
        y, strong = up.at(value), is_power(value)
        parts.append(line(x + LEFT, y, x + WIDTH - RIGHT, y, "#ddd" if strong else "#f0f0f0"))
        parts.append(text(x + LEFT - 6, y + 4, f"{value:g}" + (" ms" if strong else ""),
                          anchor="end", fill="#666" if strong else "#aaa",
                          size=12 if strong else 10))
    for row in rows:
        parts.append(text(across.at(_offered(row)), HEIGHT - BOTTOM + 18, f"{row.offered:,}",
                          anchor="middle", fill="#666"))
    parts.append(text((across.start + across.end) / 2, HEIGHT - 14, "requests offered a second",
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
    """A line through the points of each client: a step between clients is not the server's."""
    dash = ' stroke-dasharray="4 3"' if dashed else ""
    parts = []
    for client in dict.fromkeys(client for _, _, client in points):
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y, who in points if who == client)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" '
                     f'stroke-width="2"{dash}/>')
    for x, y, client in points:
        fill = "#fff" if client == "openloop" else colour
        parts.append(circle(x, y, colour, fill))
    return parts


def _labels(labels: Sequence[tuple[float, str, str]], x: float) -> list[str]:
    """Names at the ends of their curves, moved apart if they would overlap."""
    parts, last = [], -math.inf
    for y, name, colour in sorted(labels):
        last = max(y, last + GAP)
        parts.append(text(x, last + 4, name, fill=colour, weight="bold"))
    return parts
