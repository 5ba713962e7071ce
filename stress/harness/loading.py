"""How long a database takes to load the same rows: by `storefront seed`, and by its own tools."""

import statistics
import time
from dataclasses import dataclass

from tools.servers.console import say
from tools.servers.postgres import sql

from . import cassandra_data, embedded_data, postgres_data, seeds
from .postgres_data import quoted
from .seeds import Games

# The store's own setting when it creates the key, so that both have the same memory.
_MEMORY = "SET maintenance_work_mem = '512MB'"
_COLUMNS = "game_id, game_name, description, release_date, developer, publisher, tags"
_TABLE = ("CREATE TABLE overviews (game_id integer NOT NULL, game_name text NOT NULL, "
          "description text NOT NULL, release_date text NOT NULL, developer text NOT NULL, "
          "publisher text NOT NULL, tags text[])")


@dataclass
class Loads:
    """One way of loading, in every round."""

    name: str
    rows: int
    seconds: list[float]

    @property
    def middle(self) -> float:
        """Median seconds."""
        return statistics.median(self.seconds)

    def line(self, dbms: str) -> list[str]:
        """Its line in the table."""
        spread = f"{min(self.seconds):.1f} to {max(self.seconds):.1f}"
        return [dbms, self.name, f"{self.middle:.1f}", spread, f"{self.rows / self.middle:,.0f}"]


HEAD = ("DBMS", "load", "median seconds", "min to max", "rows/s")


def in_postgres(server: postgres_data.Databases, source: str, games: Games, rounds: int
                ) -> list[Loads]:
    """`storefront seed` and server-side COPY plus key, in turn, each into its own database.

    `source` has the games; the server writes the file once, and it is removed afterwards.
    """
    embedded_data.need_space(server.home, 3 * games.rows)
    file = server.home / "limits.copy"
    whole, copy, key = (Loads(name, games.rows, []) for name in (
        "storefront seed", "server-side COPY from a binary file, then the key",
        "of which the key"))
    try:
        say("writing the rows into a file, by COPY TO")
        sql(server.admin_of(source), f"COPY (SELECT {_COLUMNS} FROM overviews WHERE game_id <= "
            f"{games.rows}) TO {quoted(str(file))} (FORMAT binary)")
        for number in range(rounds):
            with server.scratch("stress_seed") as url:
                whole.seconds.append(seeds.fill(url, games).seconds)
            with server.scratch("stress_copy"):
                first, second = _copy(server.admin_of("stress_copy"), str(file))
            copy.seconds.append(first + second)
            key.seconds.append(second)
            say(f"    loading, round {number + 1}: seed {whole.seconds[-1]:.1f} s, COPY and key "
                f"{copy.seconds[-1]:.1f} s")
    finally:
        file.unlink(missing_ok=True)
    return [whole, copy, key]


def _copy(url: str, file: str) -> tuple[float, float]:
    """Seconds of the COPY and of the key."""
    sql(url, _TABLE, "CHECKPOINT")
    began = time.monotonic()
    sql(url, f"COPY overviews ({_COLUMNS}) FROM {quoted(file)} (FORMAT binary)")
    middle = time.monotonic()
    sql(url, _MEMORY, "ALTER TABLE overviews ADD PRIMARY KEY (game_id)")
    return middle - began, time.monotonic() - middle


def in_cassandra(server: cassandra_data.SeededNode, games: Games) -> list[Loads]:
    """`storefront seed` into another keyspace, once; all rows are read back. The keyspace is
    removed together with the copy of the node's folder."""
    server.wait_until_quiet()
    say("seeding into another keyspace, timed")
    url = server.url.replace("/storefront?", "/stress_seed?")
    return [Loads("storefront seed", games.rows, [seeds.fill(url, games).seconds])]
