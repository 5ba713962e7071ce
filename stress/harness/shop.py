"""All that is measured of a backend's cart, its goals, and what they are drawn as."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field

from . import contests, tables, visits, walks, warm
from .audits import Audit
from .backends import Database
from .beds import Bed, Init
from .bounds import bound_by
from .clients import Sample, middle
from .contests import Contestant, Goal
from .dots import Dot, Panel
from .servers import Server
from .talk import say
from .visits import Visit

TWO_ITEMS, HOT_ITEM = "two items", "the hot item"
INIT_HEAD = ("DBMS", "batch_init", "users, s", "items, s", "orders, s")
# What was asked for: seconds of each batch_init, checkouts a second, latency of a user in ms.
INIT_SECONDS = {"embedded": 5.0, "postgres": 5.0, "cassandra": 60.0}
CHECKOUTS = {"embedded": 12_000.0, "postgres": 5_000.0}
HOT = {"embedded": 8_000.0, "postgres": 2_500.0, "cassandra": 400.0}
P99_MS = {"embedded": 100.0, "postgres": 100.0, "cassandra": 1_000.0}
OF_THE_TRAIT, SETTLED_SECONDS, BED = 0.75, 30.0, 100_000


@dataclass(frozen=True)
class Sizes:
    """How much of everything."""

    bed: int
    rounds: int
    seconds: float
    users: int
    pause: float
    # How long the users with a pause act.
    shopping: float
    seed: int


@dataclass
class Found:
    """What was found about one backend."""

    database: Database
    sizes: Sizes
    first_init: Init
    two_items: list[Contestant]
    hot_item: list[Contestant]
    visits: list[Visit]
    second_init: Init
    # Seconds until what was answered was settled, after each turn of the store.
    settled: list[float]
    audit: Audit | None = None
    recipe: dict[str, object] = field(default_factory=dict)

    @property
    def dbms(self) -> str:
        """Its name in the tables."""
        return self.database.name

    def goals(self) -> list[Goal]:
        """What was asked of the backend; of an unknown one only that nothing fails."""
        return [*self._init_goals(), *self._checkout_goals(), *self._user_goals()]

    def _init_goals(self) -> list[Goal]:
        if self.dbms not in INIT_SECONDS:
            return []
        note = "the slowest of users, items and orders"
        if self.sizes.bed != BED:
            note += f"; {self.sizes.bed:,} of each, not {BED:,}"
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
                                  wanted[self.dbms], " /s", note=bound_by(store)))
        if self.dbms == "cassandra" and len(two) > 1:
            goals.append(Goal("cassandra: checkouts, of the trait alone",
                              contests.round_ratio(two[0], two[1]), OF_THE_TRAIT,
                              note="the same statements and their tidying, without HTTP"))
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
        for one in self.visits:
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
        said = [f"- {one.name}: {bound_by(one)}" for one in (self.two_items[0], self.hot_item[0])]
        said += [f"- {one.who}: {one.waiting()}" for one in self.visits if not one.pause]
        return [f"## {self.dbms}", tables.table(INIT_HEAD, inits),
                tables.table(contests.HEAD, contests.lines(self.dbms, self.two_items)
                             + contests.lines(self.dbms, self.hot_item)),
                tables.table(visits.HEAD, [line for one in self.visits
                                           for line in one.lines(self.dbms)]),
                "What bounds it, and how long one waits:", "\n".join(said)]

    def data(self) -> dict[str, object]:
        """The same for the JSON."""
        return {"dbms": self.dbms, "database": self.recipe,
                "batch_init": {"first": asdict(self.first_init),
                               "after_traffic": asdict(self.second_init)},
                "contestants": contests.data([*self.two_items, *self.hot_item]),
                "visits": [asdict(one) for one in self.visits],
                "settled_seconds": self.settled,
                "audit": asdict(self.audit) if self.audit else None,
                "goals": [asdict(goal) | {"met": goal.met} for goal in self.goals()]}


def measure(database: Database, server: Server, sizes: Sizes, warm_seconds: float) -> Found:
    """Everything in order: a bed, who takes turns on it, the hot item, users, and a bed again."""
    name, settled = database.name, list[float]()
    say(f"{name}: an empty store is filled")
    bed = Bed(server, sizes.bed, sizes.bed)
    first_init = bed.put()
    warmed = _warm(bed, warm_seconds)
    two_items = _contest(TWO_ITEMS, database, server, bed, sizes, settled)
    hot = Bed(server, sizes.bed, 1)
    hot.put_orders()
    hot_item = _contest(HOT_ITEM, database, server, hot, sizes, settled)
    bed.put_orders()
    seen = []
    for pause, seconds, orders in ((sizes.pause, sizes.shopping, None),
                                   (0.0, sizes.seconds, (0, sizes.bed - 1))):
        say(f"{name}: {sizes.users:,} users, {pause:g} s between acts, for {seconds:g} s")
        seen.append(visits.visit(server, sizes.users, pause, seconds, sizes.bed, sizes.seed,
                                 orders))
    settled.append(walks.seconds_until_settled(server))
    second_init = bed.put()
    return Found(database, sizes, first_init, two_items, hot_item, seen, second_init, settled,
                 recipe=database.recipe | warmed | {"bed": sizes.bed})


def _warm(bed: Bed, seconds: float) -> dict[str, object]:
    if not seconds:
        return {}
    walk = walks.Walk(bed, min(seconds, warm.STEP_SECONDS), walks.store(bed.server))
    walk.probe()

    def step(length: float) -> Sample:
        walk.ready()
        return walk.turn(length)

    rate = warm.step_by_step("checkouts", step, seconds)
    return warm.said(seconds, {"checkouts": rate})


def _contest(what: str, database: Database, server: Server, bed: Bed, sizes: Sizes,
             settled: list[float]) -> list[Contestant]:
    every = walks.contestants(what, database, server, bed, sizes.seconds, settled)
    contests.take_turns(every, server, sizes.rounds, sizes.seconds)
    return every


def panels(found: Sequence[Found]) -> list[Panel]:
    """What the picture shows."""
    return [Panel("checkouts a second", {one.dbms: _rates(one) for one in found}),
            Panel("ms: p50 to p99 (the dot)", {one.dbms: _latencies(one) for one in found})]


def _rates(found: Found) -> list[Dot]:
    dots = []
    for contestants, goal in ((found.two_items, CHECKOUTS), (found.hot_item, HOT)):
        for one in contestants:
            rates = [sample.achieved for sample in one.samples]
            own = not one.beside
            dots.append(Dot(one.name.replace(" connections", ""), min(rates), one.rate, max(rates),
                            goal.get(found.dbms) if own else None, own))
    return dots


def _latencies(found: Found) -> list[Dot]:
    named = [(one.name.replace(" connections", ""), middle(one.samples), None)
             for one in (found.two_items[0], found.hot_item[0])]
    named += [(f"users: {one.who}", one.sample, P99_MS.get(found.dbms) if one.pause else None)
              for one in found.visits]
    return [Dot(name, sample.p50_ms, sample.p99_ms, sample.p99_ms, goal)
            for name, sample, goal in named if sample.p50_ms]
