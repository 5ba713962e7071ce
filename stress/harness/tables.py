"""Results as Markdown and JSON, in dated files."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from .clients import Sample
from .places import ensure
from .rounds import Row

HEAD = ("DBMS", "ROUTE", "RPS offered", "achieved", "dropped", "mean", "p50", "p95", "p99",
        "ERROR RATE", "client", "notes")
FLOOR = "bare floor"


def number(value: float) -> str:
    """Three digits that matter, thousands apart: 43,210 / 12.3 / 0.482."""
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


def both(dbms: str, row: Row) -> list[list[str]]:
    """The product's line and the floor's."""
    said = row.notes()
    if row.ratio is not None:
        said.insert(0, f"{row.ratio:.0%} of the floor")
    return [cells(dbms, row, row.product, "; ".join(said)), cells(FLOOR, row, row.floor, "")]


def table(head: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """A Markdown table."""
    rule = ["---"] * len(head)
    return "\n".join("| " + " | ".join(line) + " |" for line in (head, rule, *lines))


def ratios(rows: Sequence[Row]) -> str:
    """Product beside floor at full speed: the figures that carry over to other machines."""
    head = ("ROUTE", "product/s", "floor/s", "product/floor", "min to max of the rounds",
            "server CPU per request", "floor's", "server memory")
    lines = []
    for row in rows:
        if row.ratio is None or row.spread is None:
            continue
        cpu = [f"{sample.cpu_us_per_request:.0f} µs" if sample.cpu_us_per_request else "unknown"
               for sample in (row.product, row.floor)]
        memory = f"{row.product.rss_mb:.0f} MB" if row.product.rss_mb else "unknown"
        lines.append([row.route, number(row.product.achieved), number(row.floor.achieved),
                      f"{row.ratio:.1%}", f"{row.spread[0]:.1%} to {row.spread[1]:.1%}", *cpu,
                      memory])
    return table(head, lines)


def recipe_table(recipe: dict[str, object]) -> str:
    """The recipe, one line an entry."""
    def text(value: object) -> str:
        if isinstance(value, dict):
            return ", ".join(f"{key} {text(entry)}" for key, entry in value.items())
        return f"{value:,}" if isinstance(value, int) else str(value)

    lines = [[key.replace("_", " "), text(value)] for key, value in recipe.items()]
    return table(("recipe", ""), lines)


def markdown(title: str, recipe: dict[str, object], dbms: str, rows: Sequence[Row],
             picture: str) -> str:
    """The whole result of `stress/run` as a page."""
    lines = [line for row in rows for line in both(dbms, row)]
    return "\n\n".join([
        f"# {title}",
        "Latencies in ms. `k6` and `openloop` offer a fixed rate: openloop's latency runs from "
        "when a request was due, k6's from when it was started, and what k6 could not start is "
        "`dropped`. At full speed `wrk` keeps 64 connections busy with one request each, so its "
        "latency says how long each waited at that load. Every line is followed by the same load "
        "on the bare floor.",
        table(HEAD, lines),
        "## Full speed, product beside floor", ratios(rows),
        f"![latency by offered rate]({picture})",
        "## Recipe", recipe_table(recipe),
    ]) + "\n"


def document(recipe: dict[str, object], dbms: str, rows: Sequence[Row]) -> dict[str, object]:
    """The whole result of `stress/run` as data."""
    return {"recipe": recipe, "dbms": dbms, "rows": [
        {**asdict(row), "ratio": row.ratio, "notes": row.notes()} for row in rows]}


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
