"""The baselines of each backend, measured in turn with the store, and the goals of its figures."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial

from . import cassandra_data, clients, comparison, drivers, loading, pgbench, postgres_data
from .backends import Database
from .clients import Sample
from .comparison import Goal, Variant
from .database_servers import DatabaseServers
from .loading import Loads
from .seeds import Games
from .targets import Server

# How many reads a database has in flight at once, and how many inserts Cassandra has.
READS, INSERTS = (64, 256), (64, 256, 1024)
_TEN_MILLION = 10_000_000


@dataclass
class Bench:
    """What the comparison of one backend runs on."""

    where: DatabaseServers
    database: Database
    store: Server
    floor: Server
    games: Games
    rounds: int
    seconds: float
    # Rounds of loading; 0 leaves it out.
    loads: int


@dataclass
class Result:
    """What was measured of one backend."""

    dbms: str
    variants: list[Variant]
    loads: list[Loads] = field(default_factory=list)
    goals: list[Goal] = field(default_factory=list)


def measure(bench: Bench) -> Result:
    """Everything that is measured of a backend."""
    measures = {"embedded": _embedded, "postgres": _postgres, "cassandra": _cassandra}
    return measures[bench.database.name](bench)


def _http(bench: Bench, server: Server, route: str, connections: int, seconds: float) -> Sample:
    games = bench.games
    child = clients.wrk(server, route, seconds, [games.rows, games.seed], connections)
    return clients.finish(server, {route: child}, seconds)[route]


def _store(bench: Bench, route: str, connections: int = clients.CONNECTIONS) -> Variant:
    return Variant(f"store {route.upper()}, {connections} connections",
                      partial(_http, bench, bench.store, route, connections))


def _floor(bench: Bench, route: str, reference: Variant) -> Variant:
    return Variant(f"bare floor {route.upper()}, {clients.CONNECTIONS} connections",
                      partial(_http, bench, bench.floor, route, clients.CONNECTIONS),
                   reference.name, bench.floor)


def _compare(bench: Bench, variants: Sequence[Variant]) -> None:
    comparison.interleave(variants, bench.store, bench.rounds, bench.seconds)


def _embedded(bench: Bench) -> Result:
    get, post = _store(bench, "get"), _store(bench, "post")
    both = [get, _floor(bench, "get", get)], [post, _floor(bench, "post", post)]
    for variants in both:
        _compare(bench, variants)
    return Result("embedded", [*both[0], *both[1]])


def _postgres(bench: Bench) -> Result:
    url, games = bench.database.url, bench.games
    gets, post = [_store(bench, "get", window) for window in READS], _store(bench, "post")
    select = Variant(f"pgbench, prepared select, {pgbench.CLIENTS} clients", lambda seconds:
                        pgbench.run("select", url, pgbench.select(games.rows), seconds,
                                    games.seed), gets[0].name)
    driver = Variant("driver alone, select, one connection, 64 in flight", lambda seconds:
                        drivers.postgres(url, games.rows, seconds, 64, games.seed), gets[0].name)
    insert = Variant(f"pgbench, prepared insert, {pgbench.CLIENTS} clients", lambda seconds:
                        pgbench.run("insert", url, pgbench.insert(), seconds, games.seed),
                        post.name)
    reading = [*gets, select, driver, _floor(bench, "get", gets[0])]
    writing = [post, insert, _floor(bench, "post", post)]
    _compare(bench, reading)
    _compare(bench, writing)
    get = max(gets, key=lambda one: one.rate)
    goals = [Goal("random GET, of pgbench's prepared select (median of the rounds)",
                  comparison.round_ratio(get, select), 1.2, note=get.name),
             Goal("POST, committed to disk", post.rate, 8_000, " /s", note="fsync on")]
    loads: list[Loads] = []
    if bench.loads:
        source = url.rsplit("/", 1)[1].partition("?")[0]
        databases = postgres_data.Databases(bench.where)
        loads = loading.in_postgres(databases, source, games, bench.loads)
        goals.append(Goal("seeding, of COPY plus key", loads[0].middle / loads[1].middle, 1.5,
                          at_most=True, note=f"{games.rows:,} rows, all read back"))
    return Result("postgres", [*reading, *writing], loads, goals)


def _cassandra(bench: Bench) -> Result:
    url, games = bench.database.url, bench.games
    gets, selects = [_store(bench, "get", window) for window in READS], []
    for window, get in zip(READS, gets, strict=True):
        run = partial(drivers.cassandra, url, games.rows, in_flight=window, seed=games.seed)
        selects.append(Variant(f"driver alone, select, {window} in flight", run, get.name))
    posts = [_store(bench, "post", window) for window in READS]
    inserts = drivers.Inserts(url, games.seed)
    alone = [Variant(f"driver alone, insert, {window} in flight",
                        partial(inserts.run, in_flight=window)) for window in INSERTS]
    reading = [one for pair in zip(gets, selects, strict=True) for one in pair]
    reading.append(_floor(bench, "get", gets[0]))
    writing = [*posts, *alone]
    _compare(bench, reading)
    _compare(bench, writing)
    get, select = (max(of_them, key=lambda one: one.rate) for of_them in (gets, selects))
    goals = [Goal("GET, of the driver alone (each at its best window)",
                  comparison.round_ratio(get, select), 0.85,
                  note=f"{get.name}; {select.name}"),
             Goal("GET, the aim", get.rate, 10_000, " /s", note=bottleneck(get)),
             Goal("POST, the aim", max(post.rate for post in posts), 10_000, " /s",
                  note=str(bench.database.recipe.get("writes", "")))]
    loads: list[Loads] = []
    if bench.loads:
        loads = loading.in_cassandra(cassandra_data.SeededNode(bench.where), games)
        goals.append(ten_million(loads[0]))
    return Result("cassandra", [*reading, *writing], loads, goals)


def ten_million(load: Loads) -> Goal:
    """Ten minutes for ten million games, or their share of fewer."""
    scaled = load.middle * _TEN_MILLION / load.rows
    note = "all rows read back, no insert failed"
    if load.rows != _TEN_MILLION:
        note += f"; extrapolated from {load.rows:,} games"
    return Goal("seeding ten million games", scaled, 600, " s", at_most=True, note=note)


def bottleneck(one: Variant) -> str:
    """The process group that used most of the machine while it ran."""
    used = {name: max(share[name] for share in one.shares)
            for name in ("store", "database", "clients", "others", "idle")}
    name = max(used, key=lambda key: used[key])
    return f"most of the machine: {name}, {used[name]:.0%}; idle {used['idle']:.0%}"
