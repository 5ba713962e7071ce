"""Interleaved runs of several variants, the processor time each process group used, and goals."""

import os
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field

from tools.servers.console import say

from . import clients, tables, usage
from .clients import Sample
from .machine import Quietness
from .progress import Progress
from .targets import Server

HEAD = ("DBMS", "what", "median /s", "min to max", "of the store's", "mean ms", "p50 ms", "p99 ms",
        "errors", "store", "database", "clients", "others", "idle")


@dataclass
class Variant:
    """One load, run once in every round."""

    name: str
    run: Callable[[float], Sample]
    # The variant that its ratio is relative to; empty for the store itself.
    reference: str = ""
    # The server under load, if that is not the store.
    server: Server | None = None
    # Called before and after each of its runs, outside of the measured time.
    prepare: Callable[[], object] | None = None
    settle: Callable[[], object] | None = None
    samples: list[Sample] = field(default_factory=list)
    shares: list[dict[str, float]] = field(default_factory=list)

    @property
    def rate(self) -> float:
        """Median of the rounds."""
        return statistics.median(sample.achieved for sample in self.samples)


class Shares:
    """Processor time used from now on, as shares of all cores: shows which part is the limit."""

    def __init__(self, server: Server) -> None:
        self.server, self.quiet = server, Quietness(server.helpers)
        self.began, self.before = time.monotonic(), self._used()

    def seen(self) -> dict[str, float]:
        """Shares until now; `clients` are the client processes that have ended."""
        all_of_it = max(0.01, time.monotonic() - self.began) * len(os.sched_getaffinity(0))
        shares = {name: (used - self.before[name]) / all_of_it
                  for name, used in self._used().items()}
        shares["others"] = self.quiet.others()
        shares["idle"] = max(0.0, 1.0 - sum(shares.values()))
        return {name: round(share, 3) for name, share in shares.items()}

    def _used(self) -> dict[str, float]:
        times = os.times()
        return {"store": usage.cpu_seconds(self.server.pid) if self.server.pid else 0.0,
                "database": usage.family_seconds(self.server.helpers),
                "clients": times.children_user + times.children_system}


def interleave(variants: Sequence[Variant], server: Server, rounds: int, seconds: float
               ) -> None:
    """Runs every variant once in every round, so that a disturbance hits all of them."""
    progress = Progress(rounds * len(variants), seconds + 0.4)
    for number in range(rounds):
        for one in variants:
            progress.step(f"{one.name}, round {number + 1}", seconds)
            if one.prepare:
                one.prepare()
            shares = Shares(one.server or server)
            one.samples.append(one.run(seconds))
            one.shares.append(shares.seen())
            if one.settle:
                one.settle()
            say(f"    {one.samples[-1].achieved:,.0f}/s")


def lines(dbms: str, variants: Sequence[Variant]) -> list[list[str]]:
    """The lines of a comparison's table."""
    rates = {one.name: one.rate for one in variants}
    return [_line(dbms, one, rates) for one in variants]


def _line(dbms: str, one: Variant, rates: dict[str, float]) -> list[str]:
    middle, all_rates = clients.middle(one.samples), [s.achieved for s in one.samples]
    shares = {name: statistics.median(share[name] for share in one.shares)
              for name in one.shares[0]}
    ratio = f"{one.rate / rates[one.reference]:.0%}" if one.reference in rates else ""
    return [dbms, one.name, tables.number(one.rate),
            f"{tables.number(min(all_rates))} to {tables.number(max(all_rates))}", ratio,
            tables.number(middle.mean_ms), *[tables.number(value) if value else ""
                                             for value in (middle.p50_ms, middle.p99_ms)],
            f"{sum(middle.errors.values())}",
            *[f"{shares[name]:.0%}" for name in ("store", "database", "clients", "others",
                                                 "idle")]]


def data(variants: Sequence[Variant]) -> list[dict[str, object]]:
    """The same for the JSON."""
    return [{"name": one.name, "beside": one.reference, "rate": one.rate, "shares": one.shares,
             "samples": [asdict(sample) for sample in one.samples]} for one in variants]


@dataclass(frozen=True)
class Goal:
    """A required figure, and what was measured."""

    what: str
    value: float
    wanted: float
    unit: str = ""
    # Whether less is better.
    at_most: bool = False
    # What a reader must know before using it.
    note: str = ""

    @property
    def met(self) -> bool:
        """Whether it was reached."""
        return self.value <= self.wanted if self.at_most else self.value >= self.wanted

    def line(self) -> list[str]:
        """Its line in the table of goals."""
        value, wanted = (f"{figure:,}" if isinstance(figure, int) else tables.number(figure)
                         for figure in (self.value, self.wanted))
        return [self.what, f"{value}{self.unit}",
                f"{'at most' if self.at_most else 'at least'} {wanted}{self.unit}",
                "yes" if self.met else "NO", self.note]


def goals_table(goals: Sequence[Goal]) -> str:
    """Goals and whether they were met."""
    return tables.table(("goal", "measured", "wanted", "met", ""), [goal.line() for goal in goals])


def round_ratio(upper: Variant, lower: Variant) -> float:
    """Median of the ratios of the rounds: a round that others disturbed disturbs both."""
    return statistics.median(a.achieved / b.achieved
                             for a, b in zip(upper.samples, lower.samples, strict=True))
