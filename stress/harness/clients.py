"""wrk, k6 and openloop, all with one kind of sample."""

import json
import os
import statistics
import uuid
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from tools.servers.console import Failure
from tools.servers.process import Child, start

from . import programs, usage
from .machine import Quietness
from .paths import LOGS, STRESS
from .targets import Server

CONNECTIONS = 64
LATENCIES = ("mean_ms", "p50_ms", "p95_ms", "p99_ms", "max_ms")
# Time beyond its own duration that a client may take to start and to end.
SLACK = 60.0


@dataclass
class Sample:
    """What one run of one client saw. Latencies in ms, rates a second."""

    client: str
    seconds: float
    achieved: float
    sent: int
    ok: int
    dropped: int
    errors: dict[str, int]
    mean_ms: float
    p50_ms: float
    p95_ms: float
    p99_ms: float
    max_ms: float
    # Of wrk only.
    p999_ms: float | None = None
    # Last id that was used, of clients that use ids in ascending order.
    last_id: int = 0
    # Answers in a warm-up, which no other figure includes.
    unmeasured: int = 0
    client_late_p99_ms: float | None = None
    # Of the server's process; None if that is unknown.
    cpu_us_per_request: float | None = None
    rss_mb: float | None = None
    # Of the database's processes; None if there are none.
    database_cpu_us_per_request: float | None = None
    # Share of the machine that other processes used; None if some of them may work for the server,
    # such as an unknown database.
    others_busy: float | None = None

    @property
    def error_rate(self) -> float:
        """Share of the requests sent that failed."""
        return sum(self.errors.values()) / max(1, self.sent)


def report_of(name: str, output: str) -> dict[str, Any]:
    """The last line of a client's output that is a JSON object."""
    lines = [line for line in output.splitlines() if line.startswith("{")]
    if not lines:
        raise Failure(f"{name} printed no result")
    found: dict[str, Any] = json.loads(lines[-1])
    return found


def parse(name: str, output: str) -> Sample:
    """The sample in a client's output."""
    report = report_of(name, output)
    known = {key: report[key] for key in Sample.__dataclass_fields__ if key in report}
    known["errors"] = {kind: count for kind, count in report["errors"].items() if count}
    return Sample(**known)


def wrk(server: Server, route: str, seconds: float, arguments: Sequence[object],
        connections: int = CONNECTIONS, key_header: str | None = None) -> Child:
    """Full speed over persistent connections, each with one request in flight. With `key_header`
    each write has a value of its own in that header."""
    keys = {"STRESS_KEY_HEADER": key_header, "STRESS_KEY_PREFIX": uuid.uuid4().hex[:16]}
    return start(f"wrk {route}", [
        programs.wrk(), "-t1", f"-c{connections}", f"-d{max(1, round(seconds))}s",
        "--latency", "--timeout", "10s", "-s", STRESS / "wrk" / f"{route}.lua", server.base,
        "--", *[str(argument) for argument in arguments]], LOGS,
        {**os.environ, **keys} if key_header else None)


def k6(server: Server, route: str, rate: int, seconds: float, rows: int, seed: int) -> Child:
    """A fixed rate, offered by k6."""
    settings = {"BASE": server.base, "ROUTE": route, "RATE": rate, "SECONDS": seconds,
                "ROWS": rows, "SEED": seed, "USERS": CONNECTIONS}
    named = [part for key, value in settings.items() for part in ("-e", f"{key}={value}")]
    # No usage report, no control port, no search for extensions: its only traffic is the load.
    return start(f"k6 {route}", [
        programs.k6(), "run", "--quiet", "--no-usage-report", "--address", "", *named,
        STRESS / "k6" / "overview.js"], LOGS,
        {**os.environ, "K6_AUTO_EXTENSION_RESOLUTION": "false"})


def openloop(server: Server, route: str, rate: int, seconds: float, rows: int,
             seed: int, warmup: float = 1.0) -> Child:
    """A fixed rate, offered by the repository's own open loop."""
    return start(f"openloop {route}", [
        programs.example("openloop"), "--base", server.base, "--route", route,
        "--rate", str(rate), "--seconds", str(seconds), "--warmup", str(warmup),
        "--connections", str(CONNECTIONS), "--ids", f"1..{rows}", "--seed", str(seed)], LOGS)


def finish(server: Server, running: dict[str, Child], seconds: float,
           quiet: Quietness | None = None) -> dict[str, Sample]:
    """Waits for clients that load one server together, and adds what the server used meanwhile.

    The server's figures cover the whole of the clients' runs, warm-up included, so where several
    clients ran at once each sample has the mean over all of their requests.
    """
    before = usage.cpu_seconds(server.pid) if server.pid else 0.0
    helped = usage.family_seconds(server.helpers)
    samples = {name: parse(name, child.finish(seconds + SLACK))
               for name, child in running.items()}
    requests = sum(sample.sent + sample.unmeasured for sample in samples.values())
    others = round(quiet.others(), 3) if quiet else None
    for sample in samples.values():
        sample.others_busy = others
        if server.pid:
            used = usage.cpu_seconds(server.pid) - before
            sample.cpu_us_per_request = round(used / max(1, requests) * 1e6, 1)
            sample.rss_mb = round(usage.memory_mb(server.pid) or 0.0, 1)
        if server.helpers:
            used = usage.family_seconds(server.helpers) - helped
            sample.database_cpu_us_per_request = round(used / max(1, requests) * 1e6, 1)
    return samples


def middle(samples: Sequence[Sample]) -> Sample:
    """The medians of several runs; the sums of counts and errors; the maximum of all maxima."""
    median = {key: statistics.median(getattr(sample, key) for sample in samples)
              for key in ("achieved", *LATENCIES)}
    median["max_ms"] = max(sample.max_ms for sample in samples)
    spent = {key: [getattr(one, key) for one in samples if getattr(one, key) is not None]
             for key in ("p999_ms", "cpu_us_per_request", "database_cpu_us_per_request")}
    total: dict[str, int] = {}
    for sample in samples:
        for kind, count in sample.errors.items():
            total[kind] = total.get(kind, 0) + count
    sums = {key: sum(getattr(sample, key) for sample in samples)
            for key in ("sent", "ok", "dropped", "seconds")}
    return Sample(**{**asdict(samples[-1]), **median, **sums, "errors": total,
                     **{key: statistics.median(values) if values else None
                        for key, values in spent.items()},
                     "others_busy": max((sample.others_busy for sample in samples
                                         if sample.others_busy is not None), default=None)})
