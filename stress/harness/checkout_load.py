"""The clients that check out the orders of the fixtures, each order once, in interleaved runs."""

import re
import time
from collections.abc import Callable
from typing import Any

from tools.servers import process
from tools.servers.console import Failure
from tools.servers.postgres import sql

from . import clients, pgbench, programs
from .backends import Database
from .clients import SLACK, Sample
from .comparison import Variant
from .fixtures import Fixtures
from .targets import Server

# Orders kept ready for a run: what the fastest run so far would need, times this.
MARGIN = 1.5
_UNFINISHED = re.compile(rb"^storefront_cart_unfinished_attempts (\d+)$", re.MULTILINE)
_SETTLE_SECONDS = 600.0
# The same planner settings as the store's connection for checkouts.
_PLANS = "&options=-c%20plan_cache_mode%3Dforce_generic_plan%20-c%20enable_seqscan%3Doff"
_LAST_PAID = "SELECT max(order_id::bigint) FROM cart_orders WHERE paid AND order_id ~ '^[0-9]+$'"

# Given the first and the last order that there are, and the seconds.
Checkouts = Callable[[int, int, float], Sample]


class CheckoutLoad:
    """One client, and how many of the orders it needs for a run."""

    def __init__(self, fixtures: Fixtures, seconds: float, checkouts: Checkouts) -> None:
        self.fixtures, self.seconds, self.checkouts = fixtures, seconds, checkouts
        self.rate = 0.0

    def probe(self) -> None:
        """Runs for a second, only to learn how many orders a run needs."""
        self.prepare()
        self.run(1.0)

    def prepare(self) -> None:
        """Makes sure that there are enough orders for the next run."""
        wanted = self.rate * self.seconds * MARGIN if self.rate else self.fixtures.size / 2
        self.fixtures.ensure_orders(round(wanted))

    def run(self, seconds: float) -> Sample:
        """Checks out from where the last run stopped; for less time if there are few orders."""
        first, last = self.fixtures.next, self.fixtures.size - 1
        if self.rate:
            seconds = max(1.0, min(seconds, (last - first) / (self.rate * MARGIN) // 1))
        sample = self.checkouts(first, last, seconds)
        if sample.last_id >= last:
            raise Failure(f"{self.fixtures.size:,} orders were used up within {seconds:g} s: use "
                          "a larger --fixtures")
        self.fixtures.next = sample.last_id + 1
        self.rate = max(self.rate, sample.achieved)
        return sample


def store(server: Server) -> Checkouts:
    """Over HTTP, by wrk."""
    def run(first: int, last: int, seconds: float) -> Sample:
        child = clients.wrk(server, "checkout", seconds, [first, last])
        return clients.finish(server, {"checkout": child}, seconds)["checkout"]
    return run


def trait_alone(url: str) -> Checkouts:
    """By stress/cart.rs: the same code on the same database in another process, without HTTP."""
    def run(first: int, last: int, seconds: float) -> Sample:
        return clients.parse("cart", process.run("cart", [
            programs.example("cart"), "--url", url, "--first", str(first), "--rows", str(last + 1),
            "--seconds", str(seconds), "--in-flight", str(clients.CONNECTIONS)], seconds + SLACK))
    return run


def plain_sql(url: str) -> Checkouts:
    """By pgbench: the store's function, one order a call."""
    def run(first: int, _last: int, seconds: float) -> Sample:
        sample = pgbench.run("checkout", url + _PLANS, pgbench.checkout(first), seconds, 1,
                             "-D", "turn=-1")
        # Its clients progress at different speeds, so the database is asked for the last order.
        sample.last_id = int(sql(url, _LAST_PAID))
        return sample
    return run


def variants(what: str, database: Database, server: Server, fixtures: Fixtures, seconds: float,
             settled: list[float]) -> list[Variant]:
    """The store first; then what it is measured against, where its database can be reached."""
    def variant(name: str, checkouts: Checkouts, **more: Any) -> Variant:
        load = CheckoutLoad(fixtures, seconds, checkouts)
        load.probe()
        return Variant(f"{name}, {what}", load.run, prepare=load.prepare, **more)

    http = variant(f"store, {clients.CONNECTIONS} connections", store(server),
                   settle=lambda: settled.append(seconds_until_settled(server)))
    every = [http]
    if database.url:
        every.append(variant(f"trait alone, {clients.CONNECTIONS} at once",
                             trait_alone(database.url), reference=http.name))
    if database.url and database.name == "postgres":
        every.append(variant("pgbench, one order a call", plain_sql(database.url),
                             reference=http.name))
    return every


def seconds_until_settled(server: Server) -> float:
    """Seconds until the store has finished all checkouts that it has answered."""
    began = time.monotonic()
    while unfinished(server.ask("GET", "/metrics")[1]):
        if time.monotonic() - began > _SETTLE_SECONDS:
            raise Failure(f"{server.base} has unfinished checkouts after {_SETTLE_SECONDS:.0f} s")
        time.sleep(0.02)
    return time.monotonic() - began


def unfinished(metrics: bytes) -> int:
    """The gauge's value in the text of /metrics."""
    found = _UNFINISHED.search(metrics)
    if not found:
        raise Failure("/metrics has no storefront_cart_unfinished_attempts: this is another server")
    return int(found[1])
