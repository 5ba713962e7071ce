"""A database of each backend to write to: a copy of a seeded one, or an empty one."""

import argparse
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field

from tools.servers.console import Failure

from . import cassandra_data, database_servers, embedded_data, postgres_data
from .database_servers import DatabaseServers
from .paths import shown
from .seeds import Games, kept

NAMES = ("embedded", "postgres", "cassandra")


@dataclass(frozen=True)
class Database:
    """A database in use; removed or restored afterwards."""

    name: str
    url: str
    # Version, settings, how it was seeded: for the recipe.
    recipe: dict[str, object] = field(default_factory=dict)
    # Process ids of its server.
    helpers: frozenset[int] = frozenset()
    # The superuser's address of it.
    admin: str = ""


def working(name: str, where: DatabaseServers, games: Games | None
            ) -> AbstractContextManager[Database]:
    """The database of a backend with these games, or an empty one. Only that backend's server
    runs."""
    return _BACKENDS[name](where, games)


@contextmanager
def _embedded(where: DatabaseServers, games: Games | None) -> Iterator[Database]:
    where.stop_all_but()
    recipe: dict[str, object] = {
        "version": "SQLite in the program", "writes": "on disk before they are answered"}
    if games is None:
        with embedded_data.scratch() as path:
            yield Database("embedded", f"embedded:{path}", recipe | _EMPTY)
        return
    template = embedded_data.seeded(games)
    recipe["data"] = f"a copy of {shown(template)}"
    if stamp := kept(template.with_suffix(".json")):
        recipe["seeded"] = f"{stamp.seconds:.1f} s, checksum {stamp.checksum}"
    with embedded_data.working_copy(template) as path:
        yield Database("embedded", f"embedded:{path}", recipe)


@contextmanager
def _postgres(where: DatabaseServers, games: Games | None) -> Iterator[Database]:
    server = postgres_data.Databases(where)

    def database(url: str, more: dict[str, object]) -> Database:
        return Database("postgres", url, server.recipe() | more, where.pids("postgres"),
                        server.admin)

    try:
        if games is None:
            with server.scratch("stress_empty") as url:
                yield database(url, _EMPTY)
            return
        with server.working(games) as (url, stamp):
            yield database(url, {
                "data": "a copy of the seeded database, vacuumed and frozen",
                "seeded": f"{stamp.seconds:.1f} s, checksum {stamp.checksum}"})
    finally:
        where.stop("postgres")


@contextmanager
def _cassandra(where: DatabaseServers, games: Games | None) -> Iterator[Database]:
    server = cassandra_data.SeededNode(where)

    def database(more: dict[str, object]) -> Database:
        return Database("cassandra", server.url, server.recipe() | more, where.pids("cassandra"))

    try:
        if games is None:
            server.empty()
            yield database(_EMPTY)
            return
        stamp = server.working(games)
        yield database({
            "data": "a copy of the node's data after seeding and compaction",
            "seeded": f"{stamp.seconds:.1f} s, checksum {stamp.checksum}"})
    finally:
        if games is None:
            server.remove()
        else:
            where.stop("cassandra")


_EMPTY: dict[str, object] = {"data": "empty at first, removed afterwards"}
_Open = Callable[[DatabaseServers, Games | None], AbstractContextManager[Database]]
_BACKENDS: dict[str, _Open] = {
    "embedded": _embedded, "postgres": _postgres, "cassandra": _cassandra}


def add_flags(parser: argparse.ArgumentParser, default: str | None = None, warm: bool = True
              ) -> None:
    """The flags for backends and for their servers."""
    parser.add_argument("--backend", default=default, metavar="NAME",
                        help="embedded, postgres, cassandra, several with commas, or all: each on "
                        f"its own server, one after the other [{default or 'embedded'}]")
    if warm:
        parser.add_argument("--warm", type=float, metavar="S",
                            help="load Cassandra for so long first, because its JVM starts cold "
                            "[60; 5 with --quick]")
    database_servers.add_flags(parser)


def chosen(text: str) -> list[str]:
    """The backends that `--backend` names, in the order of the table."""
    words = NAMES if text == "all" else tuple(text.split(","))
    unknown = [word for word in words if word not in NAMES]
    if unknown:
        raise Failure(f"--backend {unknown[0]} is not one of {', '.join(NAMES)} and all")
    return [name for name in NAMES if name in words]


def named(args: argparse.Namespace) -> list[str]:
    """The same; the backend behind `--base` is unknown, so any name is valid."""
    if not args.base:
        return chosen(args.backend)
    return ["base"] if args.backend == "all" else [args.backend]
