"""Those who take turns at checking out the orders of a bed, each order once."""

import re
import time
from collections.abc import Callable
from typing import Any

from . import clients, pgbench, postgres, processes, tools
from .backends import Database
from .beds import Bed
from .clients import SLACK, Sample
from .contests import Contestant
from .servers import Server
from .talk import Refusal

# Orders that are kept ready for a turn, by what the fastest turn so far would need.
MARGIN = 1.5
_UNFINISHED = re.compile(rb"^storefront_cart_unfinished_attempts (\d+)$", re.MULTILINE)
_SETTLE_SECONDS = 600.0
# As the store's connection for checkouts has it.
_PLANS = "&options=-c%20plan_cache_mode%3Dforce_generic_plan%20-c%20enable_seqscan%3Doff"
_LAST_PAID = "SELECT max(order_id::bigint) FROM cart_orders WHERE paid AND order_id ~ '^[0-9]+$'"

# Given the first and the last order that there are, and the seconds.
Checkouts = Callable[[int, int, float], Sample]


class Walk:
    """A client's way through the orders of a bed."""

    def __init__(self, bed: Bed, seconds: float, checkouts: Checkouts) -> None:
        self.bed, self.seconds, self.checkouts = bed, seconds, checkouts
        self.rate = 0.0

    def probe(self) -> None:
        """A second that only tells how many orders a turn needs."""
        self.ready()
        self.turn(1.0)

    def ready(self) -> None:
        """Orders for the next turn."""
        wanted = self.rate * self.seconds * MARGIN if self.rate else self.bed.size / 2
        self.bed.need(round(wanted))

    def turn(self, seconds: float) -> Sample:
        """Checks out from where the last one stopped; for less time where the orders are few."""
        first, last = self.bed.next, self.bed.size - 1
        if self.rate:
            seconds = max(1.0, min(seconds, (last - first) / (self.rate * MARGIN) // 1))
        sample = self.checkouts(first, last, seconds)
        if sample.last_id >= last:
            raise Refusal(f"{self.bed.size:,} orders were used up within {seconds:g} s: use a "
                          "larger --bed")
        self.bed.next = sample.last_id + 1
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
        return clients.parse("cart", processes.run("cart", [
            tools.example("cart"), "--url", url, "--first", str(first), "--rows", str(last + 1),
            "--seconds", str(seconds), "--in-flight", str(clients.CONNECTIONS)], seconds + SLACK))
    return run


def plain_sql(url: str) -> Checkouts:
    """By pgbench: the store's function, one order a call."""
    def run(first: int, _last: int, seconds: float) -> Sample:
        sample = pgbench.run("checkout", url + _PLANS, pgbench.checkout(first), seconds, 1,
                             "-D", "turn=-1")
        # Each of its clients walks at its own speed.
        sample.last_id = int(postgres.sql(url, _LAST_PAID))
        return sample
    return run


def contestants(what: str, database: Database, server: Server, bed: Bed, seconds: float,
                settled: list[float]) -> list[Contestant]:
    """The store first; then what it is measured against, where its database can be reached."""
    def one(name: str, walk: Walk, **more: Any) -> Contestant:
        walk.probe()
        return Contestant(f"{name}, {what}", walk.turn, ready=walk.ready, **more)

    http = one(f"store, {clients.CONNECTIONS} connections", Walk(bed, seconds, store(server)),
               settle=lambda: settled.append(seconds_until_settled(server)))
    every = [http]
    if database.url:
        every.append(one(f"trait alone, {clients.CONNECTIONS} at once",
                         Walk(bed, seconds, trait_alone(database.url)), beside=http.name))
    if database.url and database.name == "postgres":
        every.append(one("pgbench, one order a call",
                         Walk(bed, seconds, plain_sql(database.url)), beside=http.name))
    return every


def seconds_until_settled(server: Server) -> float:
    """How long the store still has checkouts under way that it has answered."""
    began = time.monotonic()
    while unfinished(server.ask("GET", "/metrics")[1]):
        if time.monotonic() - began > _SETTLE_SECONDS:
            raise Refusal(f"{server.base} has unfinished checkouts after {_SETTLE_SECONDS:.0f} s")
        time.sleep(0.02)
    return time.monotonic() - began


def unfinished(metrics: bytes) -> int:
    """The gauge in the words of /metrics."""
    found = _UNFINISHED.search(metrics)
    if not found:
        raise Refusal("/metrics has no storefront_cart_unfinished_attempts: this is another server")
    return int(found[1])
