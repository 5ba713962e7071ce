"""What is measured in `stress/run`, in which order, and the notes on each row."""

import argparse
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from tools.servers.console import Failure, say
from tools.servers.process import Child

from . import clients
from .clients import Sample
from .machine import Quietness
from .progress import Progress
from .targets import Server

# Up to this rate k6 offers the load; above it, k6 itself would be the limit.
K6_LIMIT = 1_000
# A client that reaches less than this share of the rate on the floor is the limit itself.
REACHED = 0.99
NOISY = 0.10
LATE_MS = 5.0
# Seconds that a client needs to start and to end.
STARTING = 0.4
FLAT_OUT: tuple[tuple[str, ...], ...] = (
    ("get",), ("post",), ("get", "post"), ("put",), ("delete",))
_LAST_ID = 2_000_000_000
BARE_FLOOR = "bare floor"


def add_flags(parser: argparse.ArgumentParser) -> None:
    """The flag for the rates."""
    parser.add_argument("--rates", default="1,10,100,1000,10000", metavar="R,R,...",
                        help="requests a second to offer [1,10,100,1000,10000]")


def rates(args: argparse.Namespace) -> list[int]:
    """The rates of the flag, in ascending order."""
    try:
        found = sorted({int(rate) for rate in args.rates.split(",")})
    except ValueError:
        raise Failure("--rates must be a list of whole numbers such as 1,10,100") from None
    if not all(1 <= rate <= 1_000_000 for rate in found):
        raise Failure("--rates must be from 1 to 1000000")
    return found


@dataclass
class Row:
    """One line of the table: the product, and the floor for comparison."""

    route: str
    # Requests a second, None at full speed.
    offered: int | None
    product: Sample
    floor: Sample
    # Of each round at full speed; empty at a fixed rate.
    rounds: list[dict[str, float]] = field(default_factory=list)

    @property
    def ratio(self) -> float | None:
        """Product over floor at full speed, of the medians."""
        return None if self.offered else self.product.achieved / self.floor.achieved

    @property
    def spread(self) -> tuple[float, float] | None:
        """Smallest and largest ratio of the rounds."""
        ratios = [entry["ratio"] for entry in self.rounds]
        return (min(ratios), max(ratios)) if ratios else None

    def notes(self, under: str = BARE_FLOOR) -> list[str]:
        """What a reader must know before using the row; `under` names the floor."""
        notes = []
        if self.offered and self.floor.achieved < REACHED * self.offered:
            notes.append("client-bound: the floor was not reached either" if under == BARE_FLOOR
                         else f"short of the rate, {under} too")
        elif self.offered and self.product.achieved < REACHED * self.offered:
            notes.append("short of the rate")
        both = (self.product, self.floor)
        others = max(sample.others_busy or 0.0 for sample in both)
        if others > NOISY:
            notes.append(f"noisy: others used {others:.0%} of the machine")
        late = max(sample.client_late_p99_ms or 0.0 for sample in both)
        if late > LATE_MS:
            notes.append(f"the client itself was {late:.0f} ms late (p99), not in the latency")
        return notes


@dataclass(frozen=True)
class Part:
    """The rows of one server under test."""

    dbms: str
    rows: Sequence[Row]
    # The recipe of its database: version, settings, how it was seeded and warmed.
    database: dict[str, object] = field(default_factory=dict)
    # The name of what was measured in turn with it as `floor`.
    under: str = BARE_FLOOR


@dataclass
class Plan:
    """Sizes of a measurement."""

    rows: int
    seed: int
    seconds: float
    rounds: int
    rates: Sequence[int]
    writes: bool
    # All work is done by children of this run, so any other load is a disturbance.
    alone: bool = True
    # The open loop at every rate, in addition to k6.
    both_clients: bool = False
    # At full speed; two names are two clients at once. Reading must come first.
    full_speed: tuple[tuple[str, ...], ...] = FLAT_OUT

    def at_rates(self, route: str) -> Iterator[tuple[int, str]]:
        """Rates of a route, each with the client that offers it."""
        for rate in self.rates:
            if rate <= K6_LIMIT:
                yield rate, "k6"
            if rate > K6_LIMIT or self.both_clients:
                yield rate, "openloop"

    def routes(self) -> tuple[str, ...]:
        """Routes that are measured at fixed rates."""
        return ("get", "post") if self.writes else ("get",)

    def flat_out(self) -> tuple[tuple[str, ...], ...]:
        """Routes at full speed, as far as writes are allowed."""
        return self.full_speed if self.writes else self.full_speed[:1]

    def steps(self) -> int:
        """Number of runs of clients, without warm-ups."""
        rated = sum(1 for route in self.routes() for _ in self.at_rates(route))
        return 2 * (rated + self.rounds * len(self.flat_out()))

    def duration(self) -> float:
        """Seconds that all of it takes, approximately."""
        return self.steps() * (self.seconds + STARTING)


class Measurement:
    """Runs a plan against the product and the floor."""

    def __init__(self, plan: Plan, product: Server, floor: Server) -> None:
        self.plan, self.product, self.floor = plan, product, floor
        self.progress = Progress(plan.steps(), plan.seconds + STARTING)
        # DELETE has removed the rows below this id.
        self.next_delete = 1

    def run(self, show: Callable[[Row], None]) -> list[Row]:
        """All rows; DELETE comes last, because it removes the rows that the others read."""
        rows: list[Row] = []

        def keep(done: Sequence[Row]) -> None:
            rows.extend(done)
            for row in done:
                show(row)

        for server in (self.product, self.floor):
            self._full_speed(server, ("get",), min(2.0, self.plan.seconds))
        flat_out = list(self.plan.flat_out())
        for route in self.plan.routes():
            for rate, client in self.plan.at_rates(route):
                keep([self._at_rate(route, rate, client)])
            flat_out.remove((route,))
            keep(self._flat_out((route,)))
        for routes in flat_out:
            keep(self._flat_out(routes))
        return rows

    def _at_rate(self, route: str, rate: int, client: str) -> Row:
        samples: list[Sample] = []
        for server in (self.product, self.floor):
            self.progress.step(f"{route.upper()} at {rate:,}/s, {server.name}, {client}",
                               self.plan.seconds)
            launch = clients.k6 if client == "k6" else clients.openloop
            child = launch(server, route, rate, self.plan.seconds, self.plan.rows, self.plan.seed)
            samples.append(self._finish(server, {route: child}, self.plan.seconds)[route])
        return Row(route.upper(), rate, samples[0], samples[1])

    def _flat_out(self, routes: tuple[str, ...]) -> list[Row]:
        seconds = self.plan.seconds
        if routes == ("delete",):
            seconds = self._delete_seconds()
            if seconds < 1:
                say("DELETE is skipped: it has too few rows, use a larger --rows")
                return []
        seen: dict[str, list[tuple[Sample, Sample]]] = {route: [] for route in routes}
        for number in range(self.plan.rounds):
            pair: list[dict[str, Sample]] = []
            for server in (self.product, self.floor):
                self.progress.step(f"{' with '.join(map(str.upper, routes))} at full speed, "
                                   f"{server.name}, round {number + 1}", seconds)
                pair.append(self._full_speed(server, routes, seconds))
            if routes == ("delete",) and self.next_delete > self.plan.rows:
                raise Failure("DELETE ran out of rows: use a larger --rows or fewer --seconds")
            for route in routes:
                seen[route].append((pair[0][route], pair[1][route]))
        return [self._row(route, routes, pairs) for route, pairs in seen.items()]

    def _row(self, route: str, routes: Sequence[str], pairs: Sequence[tuple[Sample, Sample]]
             ) -> Row:
        beside = [other.upper() for other in routes if other != route]
        name = f"{route.upper()} during {beside[0]}" if beside else route.upper()
        rounds = [{"product": product.achieved, "floor": floor.achieved,
                   "ratio": product.achieved / floor.achieved} for product, floor in pairs]
        product, floor = (clients.middle([pair[side] for pair in pairs]) for side in (0, 1))
        return Row(name, None, product, floor, rounds)

    def _full_speed(self, server: Server, routes: Sequence[str], seconds: float
                    ) -> dict[str, Sample]:
        running = {route: clients.wrk(server, route, seconds, self._arguments(server, route))
                   for route in routes}
        samples = self._finish(server, running, seconds)
        if server is self.product and "delete" in samples:
            self.next_delete = samples["delete"].last_id + 1
        return samples

    def _arguments(self, server: Server, route: str) -> list[int]:
        if route != "delete":
            return [self.plan.rows, self.plan.seed]
        return [self.next_delete, self.plan.rows] if server is self.product else [1, _LAST_ID]

    def _delete_seconds(self) -> float:
        """Seconds of each round of DELETE, so that every request finds its row."""
        probe = self._full_speed(self.product, ("delete",), 1.0)["delete"]
        left = self.plan.rows - self.next_delete
        return min(self.plan.seconds, left / (probe.achieved * 1.3 * self.plan.rounds) // 1)

    def _finish(self, server: Server, running: dict[str, Child], seconds: float
                ) -> dict[str, Sample]:
        helpers = self.product.helpers | self.floor.helpers
        quiet = Quietness(helpers) if self.plan.alone else None
        return clients.finish(server, running, seconds, quiet)
