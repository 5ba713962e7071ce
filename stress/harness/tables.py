"""Results as Markdown and JSON, in dated files."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from .clients import Sample
from .paths import ensure
from .rounds import BARE_FLOOR, Part, Row

HEAD = ("DBMS", "ROUTE", "RPS offered", "achieved", "dropped", "mean", "p50", "p95", "p99",
        "ERROR RATE", "client", "notes")


def number(value: float) -> str:
    """Three significant digits, separated thousands: 43,210 / 12.3 / 0.482."""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.3f}" if value < 1 else f"{value:.2f}"


def cells(dbms: str, row: Row, sample: Sample, notes: str) -> list[str]:
    """One line of the table."""
    offered = f"{row.offered:,}" if row.offered else "full speed"
    latency = [number(sample.mean_ms), number(sample.p50_ms), number(sample.p95_ms),
               number(sample.p99_ms)]
    return [dbms, row.route, offered, number(sample.achieved), f"{sample.dropped:,}", *latency,
            f"{sample.error_rate:.2%}", sample.client, notes]


def both(part: Part, row: Row) -> list[list[str]]:
    """The product's line, and that of the floor."""
    said = row.notes(part.under)
    if row.ratio is not None:
        said.insert(0, f"{row.ratio:.0%} of "
                       + ("the floor" if part.under == BARE_FLOOR else part.under))
    return [cells(part.dbms, row, row.product, "; ".join(said)),
            cells(part.under, row, row.floor, "")]


def table(head: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """A Markdown table."""
    rule = ["---"] * len(head)
    return "\n".join("| " + " | ".join(line) + " |" for line in (head, rule, *lines))


def ratios(parts: Sequence[Part]) -> str:
    """Product and floor at full speed: the ratios are comparable between machines."""
    lines = [[part.dbms, *_ratio(row)] for part in parts for row in part.rows
             if row.ratio is not None and row.spread is not None]
    under = "floor" if all(part.under == BARE_FLOOR for part in parts) else parts[0].under
    head = ("DBMS", "ROUTE", "product/s", f"{under}/s", f"product/{under}",
            "min to max of the rounds", "server CPU per request", "its helpers' (database, proxy)",
            f"{under}'s", "server memory")
    return table(head, lines)


def _ratio(row: Row) -> list[str]:
    def micros(value: float | None) -> str:
        return f"{value:.0f} µs" if value else "unknown"

    product, floor, spread = row.product, row.floor, row.spread or (0.0, 0.0)
    database = product.database_cpu_us_per_request
    memory = f"{product.rss_mb:.0f} MB" if product.rss_mb else "unknown"
    return [row.route, number(product.achieved), number(floor.achieved), f"{row.ratio:.1%}",
            f"{spread[0]:.1%} to {spread[1]:.1%}", micros(product.cpu_us_per_request),
            "none" if database is None else micros(database), micros(floor.cpu_us_per_request),
            memory]


def recipe_table(recipe: dict[str, object]) -> str:
    """The recipe, one line an entry."""
    def text(value: object) -> str:
        if isinstance(value, dict):
            return ", ".join(f"{key} {text(entry)}" for key, entry in value.items())
        return f"{value:,}" if isinstance(value, int) else str(value)

    lines = [[key.replace("_", " "), text(value)] for key, value in recipe.items()]
    return table(("recipe", ""), lines)


def markdown(title: str, recipe: dict[str, object], parts: Sequence[Part], picture: str) -> str:
    """The result of `stress/run` as a page."""
    lines = [line for part in parts for row in part.rows for line in both(part, row)]
    under = " and ".join(dict.fromkeys(part.under for part in parts))
    databases = [text for part in parts if part.database
                 for text in (f"### {part.dbms}", recipe_table(part.database))]
    return "\n\n".join([
        f"# {title}",
        "Latencies in ms. `k6` and `openloop` offer a fixed rate: openloop's latency runs from "
        "when a request was due, k6's from when it was started, and what k6 could not start is "
        "`dropped`. At full speed `wrk` keeps 64 connections busy with one request each, so its "
        "latency is that of 64 concurrent callers. Every line is followed by the same load "
        f"on the {under}.",
        *[text for part in parts if (text := caveat(part))],
        table(HEAD, lines),
        "## Full speed, side by side", ratios(parts),
        f"![latency by offered rate]({picture})",
        "## Recipe", recipe_table(recipe), *databases,
    ]) + "\n"


def caveat(part: Part) -> str:
    """The note that every write figure of a database needs."""
    said = part.database.get("writes")
    return f"Writes on {part.dbms}: {said}." if said else ""


def document(recipe: dict[str, object], parts: Sequence[Part]) -> dict[str, object]:
    """The result of `stress/run` as data."""
    return {"recipe": recipe, "parts": [
        {"dbms": part.dbms, "under": part.under, "database": part.database, "rows": [
            {**asdict(row), "ratio": row.ratio, "notes": row.notes(part.under)}
            for row in part.rows]} for part in parts]}


def write(folder: Path, name: str, data: Mapping[str, object], page: str) -> Path:
    """Writes NAME.json and NAME.md; returns the path of the page."""
    ensure(folder)
    (folder / f"{name}.json").write_text(json.dumps(data, indent=1, ensure_ascii=False) + "\n")
    path = folder / f"{name}.md"
    path.write_text(page)
    return path


def dated(recipe: dict[str, object], what: str) -> str:
    """Name of a result: date, time and what was measured."""
    moment = str(recipe["date"])[:16].replace("T", "-").replace(":", "")
    return f"{moment}-{what}"
