"""A seeded database of each backend, as a copy that a measurement may write to."""

import argparse
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field

from . import cassandra, postgres, site, store
from .places import shown
from .seeds import Games, kept
from .site import Site
from .talk import Refusal

NAMES = ("embedded", "postgres", "cassandra")


@dataclass(frozen=True)
class Database:
    """A seeded database in use; gone, or as it was, afterwards."""

    name: str
    url: str
    # Version, settings, how it was seeded: for the recipe.
    recipe: dict[str, object] = field(default_factory=dict)
    # Its processes.
    helpers: frozenset[int] = frozenset()
    # Where statements can be sent to it by those who may do everything.
    admin: str = ""


def working(name: str, where: Site, games: Games) -> AbstractContextManager[Database]:
    """The database of a backend, with only that backend's server running."""
    return _WAYS[name](where, games)


@contextmanager
def _embedded(where: Site, games: Games) -> Iterator[Database]:
    where.stop_all_but()
    template = store.seeded(games)
    recipe: dict[str, object] = {
        "version": "SQLite in the program", "writes": "on disk before they are answered",
        "data": f"a copy of {shown(template)}"}
    if stamp := kept(template.with_suffix(".json")):
        recipe["seeded"] = f"{stamp.seconds:.1f} s, checksum {stamp.checksum}"
    with store.working_copy(template) as path:
        yield Database("embedded", f"embedded:{path}", recipe)


@contextmanager
def _postgres(where: Site, games: Games) -> Iterator[Database]:
    server = postgres.Server(where)
    try:
        with server.working(games) as (url, stamp):
            recipe = server.recipe() | {
                "data": "a copy of the seeded database, vacuumed and frozen",
                "seeded": f"{stamp.seconds:.1f} s, checksum {stamp.checksum}"}
            yield Database("postgres", url, recipe, where.pids("postgres"), server.admin)
    finally:
        where.stop("postgres")


@contextmanager
def _cassandra(where: Site, games: Games) -> Iterator[Database]:
    server = cassandra.Server(where)
    try:
        stamp = server.working(games)
        recipe = server.recipe() | {
            "data": "a copy of the node's folder after seeding, compacted as it wanted to be",
            "seeded": f"{stamp.seconds:.1f} s, checksum {stamp.checksum}"}
        yield Database("cassandra", server.url, recipe, where.pids("cassandra"))
    finally:
        where.stop("cassandra")


_WAYS: dict[str, Callable[[Site, Games], AbstractContextManager[Database]]] = {
    "embedded": _embedded, "postgres": _postgres, "cassandra": _cassandra}


def add_flags(parser: argparse.ArgumentParser, default: str | None = None) -> None:
    """Which backends, and where their servers are."""
    parser.add_argument("--backend", default=default, metavar="NAME",
                        help="embedded, postgres, cassandra, several with commas, or all: each on "
                        f"a server of its own, one after the other [{default or 'embedded'}]")
    parser.add_argument("--warm", type=float, metavar="S",
                        help="load a Cassandra for so long first, its JVM starts cold [60; 5 with "
                        "--quick]")
    site.add_flags(parser)


def chosen(text: str) -> list[str]:
    """The backends that `--backend` names, in the order of the table."""
    words = NAMES if text == "all" else tuple(text.split(","))
    unknown = [word for word in words if word not in NAMES]
    if unknown:
        raise Refusal(f"--backend {unknown[0]} is none of {', '.join(NAMES)} and all")
    return [name for name in NAMES if name in words]
