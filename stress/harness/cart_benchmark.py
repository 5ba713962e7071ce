"""All that is measured of a backend's cart, its goals, and how they are plotted."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field

from tools.servers.console import say

from . import checkout_load, comparison, tables, user_simulation, warm
from .audits import Audit
from .backends import Database
from .baselines import bottleneck
from .checkout_load import CheckoutLoad
from .clients import Sample, middle
from .comparison import Goal, Variant
from .dot_plot import Dot, Panel
from .fixtures import Fixtures, Init
from .targets import Server
from .user_simulation import Simulation

TWO_ITEMS, HOT_ITEM = "two items", "the hot item"
INIT_HEAD = ("DBMS", "batch_init", "users, s", "items, s", "orders, s")
# Goals: seconds of each batch_init, checkouts a second, latency of a user in ms.
INIT_SECONDS = {"embedded": 5.0, "postgres": 5.0, "cassandra": 60.0}
CHECKOUTS = {"embedded": 12_000.0, "postgres": 5_000.0}
HOT = {"embedded": 8_000.0, "postgres": 2_500.0, "cassandra": 400.0}
P99_MS = {"embedded": 100.0, "postgres": 100.0, "cassandra": 1_000.0}
OF_THE_TRAIT, SETTLED_SECONDS, FIXTURES = 0.75, 30.0, 100_000


@dataclass(frozen=True)
class Sizes:
    """Sizes of the measurement."""

    fixtures: int
    rounds: int
    seconds: float
    users: int
    pause: float
    # Seconds for which the users with a pause run.
    shopping: float
    seed: int


@dataclass
class CartResult:
    """What was measured of one backend."""

    database: Database
    sizes: Sizes
    first_init: Init
    two_items: list[Variant]
    hot_item: list[Variant]
    simulations: list[Simulation]
    second_init: Init
    # Seconds until answered checkouts were settled, after each run of the store.
    settled: list[float]
    audit: Audit | None = None
    recipe: dict[str, object] = field(default_factory=dict)

    @property
    def dbms(self) -> str:
        """Its name in the tables."""
        return self.database.name

    def goals(self) -> list[Goal]:
        """The goals of the backend; for an unknown one only that nothing fails."""
        return [*self._init_goals(), *self._checkout_goals(), *self._user_goals()]

    def _init_goals(self) -> list[Goal]:
        if self.dbms not in INIT_SECONDS:
            return []
        note = "the slowest of users, items and orders"
        if self.sizes.fixtures != FIXTURES:
            note += f"; {self.sizes.fixtures:,} of each, not {FIXTURES:,}"
        return [Goal(f"{self.dbms}: batch_init, {when}", init.worst, INIT_SECONDS[self.dbms], " s",
                     at_most=True, note=note)
                for when, init in (("the first", self.first_init),
                                   ("after traffic", self.second_init))]

    def _checkout_goals(self) -> list[Goal]:
        two, hot = self.two_items, self.hot_item
        goals = []
        for name, wanted, (store, *_) in ((TWO_ITEMS, CHECKOUTS, two), (HOT_ITEM, HOT, hot)):
            if self.dbms in wanted:
                goals.append(Goal(f"{self.dbms}: checkouts, {name}", store.rate,
                                  wanted[self.dbms], " /s", note=bottleneck(store)))
        if self.dbms == "cassandra" and len(two) > 1:
            goals.append(Goal("cassandra: checkouts, of the trait alone",
                              comparison.round_ratio(two[0], two[1]), OF_THE_TRAIT,
                              note="the same statements and their cleanup, without HTTP"))
        if self.dbms == "cassandra":
            goals.append(Goal("cassandra: settled after the last checkout", max(self.settled),
                              SETTLED_SECONDS, " s", at_most=True,
                              note=f"the longest of {len(self.settled)} times"))
        if self.audit:
            goals.append(Goal(f"{self.dbms}: differences in the audit",
                              self.audit.stock + self.audit.credit, 0, at_most=True))
        return goals

    def _user_goals(self) -> list[Goal]:
        goals = []
        for one in self.simulations:
            name = f"{self.dbms}: users, {one.who}"
            goals.append(Goal(f"{name}: failures", one.failures, 0, at_most=True))
            if one.pause and self.dbms in P99_MS:
                goals.append(Goal(f"{name}: p99", one.sample.p99_ms, P99_MS[self.dbms], " ms",
                                  at_most=True))
        return goals

    def page(self) -> list[str]:
        """Its tables."""
        inits = [[self.dbms, when, *[f"{value:.2f}" for value in asdict(init).values()]]
                 for when, init in (("the first", self.first_init),
                                    ("after traffic", self.second_init))]
        said = [f"- {one.name}: {bottleneck(one)}" for one in (self.two_items[0], self.hot_item[0])]
        said += [f"- {one.who}: {one.waiting()}" for one in self.simulations if not one.pause]
        return [f"## {self.dbms}", tables.table(INIT_HEAD, inits),
                tables.table(comparison.HEAD, comparison.lines(self.dbms, self.two_items)
                             + comparison.lines(self.dbms, self.hot_item)),
                tables.table(user_simulation.HEAD, [line for one in self.simulations
                                                    for line in one.lines(self.dbms)]),
                "What limits it, and how long a checkout takes:", "\n".join(said)]

    def data(self) -> dict[str, object]:
        """The same for the JSON."""
        return {"dbms": self.dbms, "database": self.recipe,
                "batch_init": {"first": asdict(self.first_init),
                               "after_traffic": asdict(self.second_init)},
                "contestants": comparison.data([*self.two_items, *self.hot_item]),
                "simulations": [asdict(one) for one in self.simulations],
                "settled_seconds": self.settled,
                "audit": asdict(self.audit) if self.audit else None,
                "goals": [asdict(goal) | {"met": goal.met} for goal in self.goals()]}


def measure(database: Database, server: Server, sizes: Sizes, warm_seconds: float) -> CartResult:
    """All steps: fixtures, the comparison on them, the hot item, users, and fixtures again."""
    name, settled = database.name, list[float]()
    say(f"{name}: creating fixtures in an empty store")
    fixtures = Fixtures(server, sizes.fixtures, sizes.fixtures)
    first_init = fixtures.create()
    warmed = _warm(fixtures, warm_seconds)
    two_items = _compare(TWO_ITEMS, database, server, fixtures, sizes, settled)
    hot = Fixtures(server, sizes.fixtures, 1)
    hot.create_orders()
    hot_item = _compare(HOT_ITEM, database, server, hot, sizes, settled)
    fixtures.create_orders()
    simulations = []
    for pause, seconds, orders in ((sizes.pause, sizes.shopping, None),
                                   (0.0, sizes.seconds, (0, sizes.fixtures - 1))):
        say(f"{name}: {sizes.users:,} users, {pause:g} s between operations, for {seconds:g} s")
        simulations.append(user_simulation.simulate(server, sizes.users, pause, seconds,
                                                    sizes.fixtures, sizes.seed, orders))
    settled.append(checkout_load.seconds_until_settled(server))
    second_init = fixtures.create()
    return CartResult(database, sizes, first_init, two_items, hot_item, simulations, second_init,
                      settled, recipe=database.recipe | warmed | {"fixtures": sizes.fixtures})


def _warm(fixtures: Fixtures, seconds: float) -> dict[str, object]:
    if not seconds:
        return {}
    load = CheckoutLoad(fixtures, min(seconds, warm.STEP_SECONDS),
                        checkout_load.store(fixtures.server))
    load.probe()

    def step(length: float) -> Sample:
        load.prepare()
        return load.run(length)

    rate = warm.step_by_step("checkouts", step, seconds)
    return warm.said(seconds, {"checkouts": rate})


def _compare(what: str, database: Database, server: Server, fixtures: Fixtures, sizes: Sizes,
             settled: list[float]) -> list[Variant]:
    every = checkout_load.variants(what, database, server, fixtures, sizes.seconds, settled)
    comparison.interleave(every, server, sizes.rounds, sizes.seconds)
    return every


def panels(found: Sequence[CartResult]) -> list[Panel]:
    """What the plot shows."""
    return [Panel("checkouts a second", {one.dbms: _rates(one) for one in found}),
            Panel("ms: p50 to p99 (the dot)", {one.dbms: _latencies(one) for one in found})]


def _rates(found: CartResult) -> list[Dot]:
    dots = []
    for variants, goal in ((found.two_items, CHECKOUTS), (found.hot_item, HOT)):
        for one in variants:
            rates = [sample.achieved for sample in one.samples]
            own = not one.reference
            dots.append(Dot(one.name.replace(" connections", ""), min(rates), one.rate, max(rates),
                            goal.get(found.dbms) if own else None, own))
    return dots


def _latencies(found: CartResult) -> list[Dot]:
    named: list[tuple[str, Sample, float | None]] = [
        (one.name.replace(" connections", ""), middle(one.samples), None)
        for one in (found.two_items[0], found.hot_item[0])]
    named += [(f"users: {one.who}", one.sample, P99_MS.get(found.dbms) if one.pause else None)
              for one in found.simulations]
    return [Dot(name, sample.p50_ms, sample.p99_ms, sample.p99_ms, goal)
            for name, sample, goal in named if sample.p50_ms]
