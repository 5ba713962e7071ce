"""Loading a server before it is measured: a JVM compiles what it runs often."""

from . import clients
from .backends import Database
from .servers import Server
from .talk import say

# Of each step, after which the rate is said: it stops rising when the JVM is warm.
STEP_SECONDS = 10.0


def seconds(asked: float | None, quick: bool, database: Database) -> float:
    """How long: a server in another language than Java needs none."""
    if database.name != "cassandra":
        return 0.0
    return (5.0 if quick else 60.0) if asked is None else asked


def warm(server: Server, rows: int, seed: int, for_seconds: float) -> dict[str, object]:
    """Reads for two thirds of the time, then creates; what the recipe says of it."""
    if not for_seconds:
        return {}
    rates = {}
    for route, share in (("get", 2 / 3), ("post", 1 / 3)):
        left, rates[route] = for_seconds * share, [0.0]
        while left > 0.5:
            step = min(left, STEP_SECONDS)
            child = clients.wrk(server, route, step, [rows, seed])
            sample = clients.finish(server, {route: child}, step)[route]
            rates[route].append(sample.achieved)
            say(f"    warming by {route.upper()}: {sample.achieved:,.0f}/s")
            left -= max(1, round(step))
    said = ", ".join(f"{route.upper()} last {found[-1]:,.0f}/s" for route, found in rates.items())
    return {"warmed": f"{for_seconds:g} s at full speed before anything was measured ({said})"}
