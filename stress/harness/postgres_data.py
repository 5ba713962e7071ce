"""A PostgreSQL of scripts/servers: seeded databases that are templates, and copies of them."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from . import embedded_data, processes, programs, seeds
from .database_servers import DatabaseServers
from .paths import STORES, ensure
from .seeds import Games, Stamp

_RUN = "stress_run"
# What decides how fast it is, and what "stored" means.
_SETTINGS = ("fsync", "synchronous_commit", "full_page_writes", "shared_buffers", "max_wal_size",
             "wal_compression", "checkpoint_timeout", "jit")


class Server:
    """The server, running."""

    def __init__(self, site: DatabaseServers) -> None:
        found = site.alone("postgres")
        self.admin = f"{found['postgres-admin']}?sslmode=disable"
        self.user = found["postgres"]
        # Where the server itself can write files.
        self.home = (site.folder / "postgres").resolve()

    def url(self, database: str) -> str:
        """For the product. Without TLS, as all others connect too."""
        return f"{self.user.rsplit('/', 1)[0]}/{database}?sslmode=disable"

    @contextmanager
    def working(self, games: Games) -> Iterator[tuple[str, Stamp]]:
        """A copy that may be written to, gone afterwards; and how its original was seeded."""
        stamp = self._seeded(games)
        template = database(games)
        self.drop(_RUN)
        # File by file, synced at its end: nothing of it is written back during a measurement.
        sql(self.admin, f"CREATE DATABASE {_RUN} TEMPLATE {template} STRATEGY file_copy "
            "OWNER storefront", "CHECKPOINT")
        try:
            yield self.url(_RUN), stamp
        finally:
            self.drop(_RUN)

    @contextmanager
    def scratch(self, name: str) -> Iterator[str]:
        """An empty database, gone afterwards; its address."""
        self.drop(name)
        sql(self.admin, f"CREATE DATABASE {name} OWNER storefront", "CHECKPOINT")
        try:
            yield self.url(name)
        finally:
            self.drop(name)

    def recipe(self) -> dict[str, object]:
        """Version and settings, from the server itself."""
        names = ", ".join(f"'{name}'" for name in _SETTINGS)
        lines = sql(self.admin, "SELECT name || ' ' || current_setting(name) FROM pg_settings "
                    f"WHERE name IN ({names}) ORDER BY name").splitlines()
        return {"version": "PostgreSQL " + sql(self.admin, "SHOW server_version"),
                "settings": ", ".join(lines), "connections": "TCP on loopback, no TLS",
                "writes": "on disk (fsync and synchronous_commit on) before they are answered"}

    def drop(self, name: str) -> None:
        """Removes a database, whoever uses it."""
        sql(self.admin, f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")

    def _seeded(self, games: Games) -> Stamp:
        """A template that nobody can connect to, so nobody can have written to it. It has its
        name and its stamp only since it was complete."""
        name = database(games)
        if games.reseed:
            self.drop(name)
        said = sql(self.admin, "SELECT shobj_description(oid, 'pg_database') FROM pg_database "
                   f"WHERE datname = '{name}' AND NOT datallowconn")
        if said:
            return Stamp.of(said)
        embedded_data.need_space(ensure(STORES), games.rows * 2)
        part = f"{name}_part"
        seeds.announce(games, f"PostgreSQL's {name}")
        self.drop(name)
        with self.scratch(part) as url:
            stamp = seeds.fill(url, games)
            # Done now, or it would be done during a measurement.
            sql(self.admin_of(part), "VACUUM (FREEZE, ANALYZE)", "CHECKPOINT")
            sql(self.admin, f"COMMENT ON DATABASE {part} IS {quoted(stamp.text())}",
                f"ALTER DATABASE {part} ALLOW_CONNECTIONS false",
                f"ALTER DATABASE {part} RENAME TO {name}")
        return stamp

    def admin_of(self, name: str) -> str:
        """Another database, for those who may do everything."""
        return self.admin.replace("/postgres?", f"/{name}?")


def database(games: Games) -> str:
    """Name of the database that has them."""
    return games.name.replace("-", "_")


def quoted(text: str) -> str:
    """A text as SQL writes it."""
    return "'" + text.replace("'", "''") + "'"


def sql(url: str, *statements: str, seconds: float = 3600) -> str:
    """What psql prints for some statements, each a transaction of its own."""
    commands: list[str | Path] = [part for one in statements for part in ("-c", one)]
    return processes.run("psql", [programs.found("psql", "postgresql-client"), "-X", "-q", "-A", "-t",
                                  "-v", "ON_ERROR_STOP=1", url, *commands], seconds).strip()
