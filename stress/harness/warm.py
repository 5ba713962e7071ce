"""Load before a measurement: a JVM compiles code only after it has run often."""

from collections.abc import Callable

from tools.servers.console import say

from . import clients
from .backends import Database
from .clients import Sample
from .targets import Server

# Length of a step, after which the rate is printed: it stops rising when the JVM is warm.
STEP_SECONDS = 10.0


def seconds(asked: float | None, quick: bool, database: Database) -> float:
    """Seconds of warm-up; only Cassandra needs one."""
    if database.name != "cassandra":
        return 0.0
    return (5.0 if quick else 60.0) if asked is None else asked


def warm(server: Server, rows: int, seed: int, for_seconds: float) -> dict[str, object]:
    """Reads for two thirds of the time, then creates; the entry for the recipe."""
    if not for_seconds:
        return {}
    rates = {}
    for route, share in (("get", 2 / 3), ("post", 1 / 3)):
        def load(step: float, route: str = route) -> Sample:
            child = clients.wrk(server, route, step, [rows, seed])
            return clients.finish(server, {route: child}, step)[route]

        rates[route.upper()] = step_by_step(route.upper(), load, for_seconds * share)
    return said(for_seconds, rates)


def step_by_step(name: str, load: Callable[[float], Sample], for_seconds: float) -> float:
    """Loads for so long; returns the rate of the last step."""
    left, rate = for_seconds, 0.0
    while left > 0.5:
        step = min(left, STEP_SECONDS)
        rate = load(step).achieved
        say(f"    warm-up by {name}: {rate:,.0f}/s")
        left -= max(1, round(step))
    return rate


def said(for_seconds: float, rates: dict[str, float]) -> dict[str, object]:
    """The entry for the recipe."""
    last = ", ".join(f"{name} last {rate:,.0f}/s" for name, rate in rates.items())
    return {"warmed": f"{for_seconds:g} s at full speed before anything was measured ({last})"}
